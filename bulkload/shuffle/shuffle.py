"""
Groups the lines of any number of parts by item: on disk, with bounded memory.

Each part's lines go into one spill file, split into partitions by a hash of their key; then a partition is
read from all spill files and grouped in memory, or split again where it is too large. A spill file appears
complete or not at all, so that after a crash its part is either done or repeated.
"""

import os
import struct
import tempfile
import zlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import BinaryIO

from bulkload.shuffle.assembly import Held
from bulkload.shuffle.lines import Line

BUFFER = 24 << 20
"""Bytes of lines that are buffered before they are written. Python needs about twice as much for them."""
IN_MEMORY = 24 << 20
"""
Bytes of lines that are grouped in memory. Python needs about four times as much for short ones.
"""
MOST_PARTITIONS = 1024
"""
With more, the pieces of a buffer would be too small for fast reads. Partitions that are too large are split
again.
"""
_CUT = 16
_MOST_CUTS = 3
"""A partition that is too large after these has few keys: no hash makes it smaller."""
_TAIL = struct.Struct("<QQ")
"""The end of a spill file: the offset of its index, and the number of partitions."""

type Groups = Iterator[tuple[str, list[str]]]
"""Each KEY with all its values, `ROWS MEMBERS`."""


def partitions_for(size: int) -> int:
    """The number of partitions for `size` bytes of lines: on average each is half of IN_MEMORY."""
    return max(1, min(MOST_PARTITIONS, -(-size * 2 // IN_MEMORY)))


def spill(lines: Iterable[Line], partitions: int, file: BinaryIO) -> None:
    """
    Writes lines to a new file, split into `partitions`.

    Format: chunks, each with all partitions one after the other; then the index, for each chunk
    `partitions` + 1 offsets of 8 bytes; then _TAIL.
    """
    waiting: list[list[bytes]] = [[] for _ in range(partitions)]
    index, held = array("Q"), 0
    for key, value in lines:
        line = f"{key}\t{value}\n".encode()
        # Not hash(): it differs from process to process. Spark's tasks use the same function
        # (spark/tasks.py).
        waiting[zlib.crc32(key.encode()) % partitions].append(line)
        held += len(line) + 40  # a bytes object and its place in a list take 41 bytes more
        if held > BUFFER:
            _write(waiting, file, index)
            held = 0
    _write(waiting, file, index)
    start = file.tell()
    index.tofile(file)
    file.write(_TAIL.pack(start, partitions))


def _write(waiting: list[list[bytes]], file: BinaryIO, index: "array[int]") -> None:
    for lines in waiting:
        index.append(file.tell())
        file.write(b"".join(lines))
        lines.clear()
    index.append(file.tell())


@dataclass(frozen=True, slots=True)
class Stored:
    """One partition in spill files: (file, start, end). `cuts`: how often it was split by the keys' hash."""

    pieces: Sequence[tuple[Path, int, int]]
    divisor: int
    cuts: int = 0

    @property
    def size(self) -> int:
        return sum(end - start for _, start, end in self.pieces)

    def blocks(self) -> Iterator[bytes]:
        """Its lines, many at a time. A piece is at most a buffer, or one very long line."""
        for path, start, end in self.pieces:
            with path.open("rb") as file:
                file.seek(start)
                yield file.read(end - start)


def stored(files: Iterable[Path], number: int) -> Stored:
    """One partition, counted from 0, of all spill files."""
    pieces: list[tuple[Path, int, int]] = []
    partitions = 1
    for path in files:
        with path.open("rb") as file:
            file.seek(-_TAIL.size, os.SEEK_END)
            end = file.tell()
            start, partitions = _TAIL.unpack(file.read(_TAIL.size))
            width = 8 * (partitions + 1)
            for place in range(start, end, width):
                file.seek(place + 8 * number)
                first, last = struct.unpack("<QQ", file.read(16))
                if last > first:
                    pieces.append((path, first, last))
    return Stored(pieces, partitions)


def groups(partition: Stored, folder: Path) -> Groups:
    """
    All items of a partition with their values. `folder` is for temporary files of what does not fit into
    memory.

    A group that is certainly too large for an item comes with values without MEMBERS.
    """
    if partition.size <= IN_MEMORY:
        yield from _grouped(partition.blocks())
    elif partition.cuts == _MOST_CUTS:
        yield from _crowded(partition.blocks())
    else:
        # local_runner._clean knows this prefix: it removes what a killed run has left.
        with tempfile.TemporaryDirectory(dir=folder, prefix="cut-") as room:
            for piece in _cut(partition, Path(room)):
                yield from groups(piece, folder)


def _grouped(blocks: Iterable[bytes]) -> Groups:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for block in blocks:
        fields = block.decode().replace("\n", "\t").split("\t")
        for key, value in zip(fields[:-1:2], fields[1::2], strict=True):
            found[key].append(value)
    keys = list(found)
    Random(0).shuffle(
        keys
    )  # neighbouring keys must not be written together; seeded, so that a repeat makes the same
    for key in keys:
        yield key, found.pop(key)


def _crowded(blocks: Iterable[bytes]) -> Groups:
    """As `_grouped`, for few keys with very many lines: groups too large for an item are not held."""
    found: defaultdict[str, Held] = defaultdict(Held)
    for block in blocks:
        for line in block.decode().split("\n")[:-1]:
            key, _, value = line.partition("\t")
            found[key].take(value)
    while found:
        key, held = found.popitem()
        yield key, held.values


def _cut(partition: Stored, room: Path) -> Iterator[Stored]:
    paths = [room / f"{number:02d}" for number in range(_CUT)]
    for block in partition.blocks():
        parts: list[list[bytes]] = [[] for _ in range(_CUT)]
        for line in block.splitlines(keepends=True):
            key = line[: line.index(b"\t")]
            # without the division all lines would go to one part: they agree in the hash's remainder
            parts[zlib.crc32(key) // partition.divisor % _CUT].append(line)
        for path, lines in zip(paths, parts, strict=True):
            with path.open("ab") as file:
                file.writelines(lines)
    for path in paths:
        size = path.stat().st_size
        yield Stored(_pieces(path, size), partition.divisor * _CUT, partition.cuts + 1)


def _pieces(path: Path, size: int) -> list[tuple[Path, int, int]]:
    """Pieces of about a buffer's size that end at line ends."""
    cuts = [0]
    with path.open("rb") as file:
        while cuts[-1] < size:
            file.seek(min(size, cuts[-1] + BUFFER))
            file.readline()
            cuts.append(file.tell())
    return [(path, start, end) for start, end in pairwise(cuts) if end > start]
