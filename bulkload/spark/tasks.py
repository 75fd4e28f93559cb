"""
The functions that tasks run: parts to lines as Arrow batches, and sorted lines to items in the sink.

Spark groups lines by `partition` and sorts them by HASH, KEY and VALUE: an item's lines are consecutive,
items are not in the order of their keys, and a task that is repeated makes the same.
"""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import pyarrow as pa

from bulkload.from_files.steps import FilesWork, ItemSink
from bulkload.shuffle.assembly import Held
from bulkload.shuffle.lines import Line
from bulkload.shuffle.shuffle import Groups
from bulkload.spark import errors
from bulkload.spark.cluster import MOST_LINES

LINES = "partition int, hash long, key string, value string"
"""The columns of lines, as a Spark schema."""
_SCHEMA = pa.schema(
    [("partition", pa.int32()), ("hash", pa.int64()), ("key", pa.string()), ("value", pa.string())]
)
_MOST_CHARACTERS = 4 << 20  # of a batch, which may have MOST_LINES long lines

type _Keyed = tuple[int, int, str, str]


@dataclass(frozen=True, slots=True)
class TaskParts:
    """From numbers of parts to their lines, without lines of partitions that are `done`."""

    work: FilesWork
    done: frozenset[int]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with errors.kept(self.work.place):
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    yield from _batched(self._keyed(self.work.lines(*self.work.target.parts[number])))

    def _keyed(self, lines: Iterable[Line]) -> Iterator[_Keyed]:
        partitions = len(self.work.partitions)
        for key, value in lines:
            # As in shuffle.spill: partitions that were done without Spark count as done here.
            number = zlib.crc32(key.encode())
            if number % partitions not in self.done:
                yield number % partitions, number, key, value


def _batched(lines: Iterable[_Keyed]) -> Iterator[pa.RecordBatch]:
    held: list[_Keyed] = []
    size = 0
    for line in lines:
        held.append(line)
        size += len(line[2]) + len(line[3])
        if len(held) == MOST_LINES or size > _MOST_CHARACTERS:
            yield _batch(held)
            held, size = [], 0
    if held:
        yield _batch(held)


def _batch(lines: list[_Keyed]) -> pa.RecordBatch:
    columns = zip(zip(*lines, strict=True), _SCHEMA.types, strict=True)
    return pa.RecordBatch.from_arrays([pa.array(column, kind) for column, kind in columns], schema=_SCHEMA)


@dataclass(frozen=True, slots=True)
class Partitions:
    """From sorted lines of any number of partitions to items in the sink; yields the partitions' numbers."""

    work: FilesWork
    sink: ItemSink

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with errors.kept(self.work.place):
            for partition, lines in groupby(_rows(batches), itemgetter(0)):
                if (
                    self.work.partition_done(partition, self.sink) is None
                ):  # else done by an earlier attempt of the task
                    self.work.take(partition, _groups(lines), self.sink)
                yield pa.RecordBatch.from_arrays([pa.array([partition], pa.int32())], names=["partition"])


def _rows(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(batch.column(place).to_pylist() for place in (0, 2, 3)), strict=True)


def _groups(lines: Iterable[tuple[Any, ...]]) -> Groups:
    for key, found in groupby(lines, itemgetter(1)):
        held = Held()
        for _, _, value in found:
            held.take(value)
        yield key, held.values
