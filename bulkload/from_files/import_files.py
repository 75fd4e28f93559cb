"""
Import files: DynamoDB JSON, one item a line, compressed.

A partition has its own files, so every item is in one file, once. ImportTable should get keys in random
order, which the hash of the partitions and a shuffle within each give, and files of up to about 4 million
items of 1 KB (DynamoDB developer guide, "Best practices for importing from Amazon S3"): here 2 GiB before
compression.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, BinaryIO

from bulkload.exports.locations import Location
from bulkload.from_files.steps import Refusals
from bulkload.shuffle.assembly import Assembled, batches
from rowferry.errors import Refused

LARGEST_FILE = 2 << 30
"""Bytes before compression."""
MOST_FILES = 50_000
"""Objects of one import (DynamoDB developer guide, quotas)."""
SUFFIXES = {"gzip": ".json.gz", "zstd": ".json.zst"}
_AT_ONCE = (500, 1 << 20)
"""Items, or characters."""

type Batch = Sequence[Assembled]


@dataclass(frozen=True, slots=True)
class Files:
    """A sink: import files of a location. `compression` is gzip or zstd."""

    location: Location
    compression: str = "gzip"
    largest: int = LARGEST_FILE

    @property
    def place(self) -> str:
        """Identifies the sink: the location, and the compression."""
        return f"{self.location} {self.compression}"

    def take(self, partition: int, items: Iterable[Assembled], refusals: Refusals) -> dict[str, Any]:
        """Writes the partition's files; returns their names and sizes."""
        del refusals  # ImportTable reports items that it refuses, after the import
        made = []
        for number, some in enumerate(_divided(batches(items, *_AT_ONCE), self.largest), 1):
            # The same names when a partition is repeated: ImportTable overwrites a key that comes twice in
            # any order, and counts no error.
            name = f"items-{partition:04d}-{number:03d}{SUFFIXES[self.compression]}"
            with self.location.making(name) as path, path.open("wb") as file:
                made.append({"name": name, **_write(some, file, self.compression)})
        return {"files": made}


def _divided(batches: Iterable[Batch], largest: int) -> Iterator[Iterator[Batch]]:
    written = 0

    def file_of(batch: Batch) -> int:
        nonlocal written
        written += sum(len(item.text) for item in batch)
        return written // largest

    # Each file has to be written before the next is asked for: groupby reads its input once.
    for _, some in groupby(batches, file_of):
        yield some


def _write(batches: Iterable[Batch], file: BinaryIO, compression: str) -> dict[str, int]:
    compressor, count, size = _compressor(compression), 0, 0
    for some in batches:
        data = "\n".join([*(item.text for item in some), ""]).encode()
        count += len(some)
        size += len(data)
        file.write(compressor.compress(data))
    file.write(compressor.flush())
    return {"items": count, "bytes": size, "compressed": file.tell()}


def _compressor(compression: str) -> Any:
    """Fast rather than small: AWS bills ImportTable by the size before compression."""
    if compression == "zstd":
        from backports import zstd

        return zstd.ZstdCompressor(level=1)
    return zlib.compressobj(1, wbits=31)  # a gzip header without a time


def refuse_others(location: Location, made: Sequence[str]) -> None:
    """Raises Refused unless exactly these files are there: ImportTable reads everything below the prefix."""
    found = set(location.names())
    if strange := sorted(found - set(made)):
        raise Refused(
            f"{location} contains {len(strange)} other files, such as {strange[0]}: they would be imported",
            "remove them, or name an empty place with --to",
        )
    if missing := sorted(set(made) - found):
        raise Refused(
            f"{location} lacks {len(missing)} of the import files, such as {missing[0]}",
            "remove the folder of --work and run the load again",
        )
    if len(found) > MOST_FILES:
        raise Refused(
            f"{location} contains {len(found):,} files, {MOST_FILES:,} are allowed", "split the table"
        )
