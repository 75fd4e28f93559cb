"""
The two steps over a target's rows, and their results, stored where they survive the run.

1. each part's rows become lines (bulkload.shuffle.lines);
2. each partition's lines, all of an item together, become items, which a sink takes.

The runner brings the lines from the first to the second (from_files.local_runner, or spark.runner). A step's
result is stored after all its output. Steps are idempotent: one that was interrupted is repeated.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

from bulkload.direct.grouping import Unusable
from bulkload.exports.locations import Location, write
from bulkload.from_files.inputs import LoadTarget
from bulkload.shuffle.assembly import Assembled, Assembly
from bulkload.shuffle.lines import Line, Liner
from bulkload.shuffle.shuffle import Groups
from rowferry.errors import Refused
from rowferry.position import Position

_JOB, _SPILL, _PARTITION, _UNUSABLE = "job.json", "spill", "partition", ".unusable"
_HELD = 1 << 20
"""Bytes of unusable rows that are held in memory; more go to a temporary file."""


class ItemSink(Protocol):
    """Where items go: import files or a table. `place` identifies it: results are stored for each sink."""

    @property
    def place(self) -> str: ...

    def take(self, partition: int, items: Iterable[Assembled], refusals: "Refusals") -> dict[str, Any]:
        """Takes all items of a partition. Idempotent. Returns a detail to store with the result."""


@dataclass(frozen=True, slots=True)
class Done:
    """The stored result of a step. `unusable` counts rows; `detail` is what the sink returned."""

    rows: int = 0
    items: int = 0
    unusable: int = 0
    detail: dict[str, Any] | None = None

    def __add__(self, other: "Done") -> "Done":
        return Done(self.rows + other.rows, self.items + other.items, self.unusable + other.unusable)


@dataclass(frozen=True, slots=True)
class FilesWork:
    """The work for one target, with the steps' results stored in `place`. Picklable."""

    target: LoadTarget
    position: Position
    place: Location

    @classmethod
    def begin(cls, target: LoadTarget, position: Position, mapping_text: bytes, place: Location) -> Self:
        """Begins or resumes. Raises Refused when the place has the work of another export or mapping."""
        identity = target.identity(mapping_text, str(position))
        try:
            found = json.loads(place.read(_JOB))
        except FileNotFoundError:
            write(place, _JOB, json.dumps(identity).encode())
            found = identity
        if found != identity:
            raise Refused(
                f"{place} contains the work of another export, mapping or watermark",
                "name another place with --work, or remove this one",
            )
        return cls(target, position, place)

    def forget_partitions(self) -> None:
        """Discards the results of all partitions. No other run may be active in the place."""
        for name in self.place.names():
            if name.startswith(_PARTITION):
                self.place.remove(name)

    @property
    def partitions(self) -> range:
        return range(self.target.partitions)

    def part_done(self, number: int, place: int) -> Done | None:
        """The result of a part's step, None before it is done."""
        return self._done(part_name(number, place))

    def partition_done(self, partition: int, sink: ItemSink) -> Done | None:
        """The result of a partition's step, None before it is done."""
        return self._done(partition_name(partition, sink))

    def _done(self, name: str) -> Done | None:
        try:
            return Done(**json.loads(self.place.read(f"{name}.json")))
        except FileNotFoundError:
            return None

    def read(self) -> list[Done]:
        """
        The sum of all parts' results, for each source. Raises Refused where rows are missing, or too many.
        """
        sums = [Done() for _ in self.target.sources]
        for number, place in self.target.parts:
            sums[number] += self.part_done(number, place) or Done()
        for source, found in zip(self.target.sources, sums, strict=True):
            if source.export.expected_rows not in (None, found.rows):
                raise Refused(
                    f"{source.export.location} has {found.rows:,} rows of {source.table.source},"
                    f" {source.export.expected_rows:,} are expected",
                    "a file is missing, or there are too many: check that the export is complete",
                )
        return sums

    def grouped(self, sink: ItemSink) -> list[Done]:
        """The result of each partition, in order; zeros for one that is not done."""
        return [self.partition_done(partition, sink) or Done() for partition in self.partitions]

    def unusable(self, sink: ItemSink) -> Iterator[Unusable]:
        """All unusable rows of every step that is done."""
        names = [name for name in self.place.names() if name.endswith(_UNUSABLE)]
        for step in (_SPILL, partition_name(0, sink).partition("/")[0]):
            for name in names:
                if name.partition("/")[0] == step:
                    with self.place.fetched(name) as path, path.open(encoding="utf-8") as lines:
                        yield from map(Unusable.parse, lines)

    def lines(self, number: int, place: int) -> Iterator[Line]:
        """A part's lines; after the last one its result is stored. Discard the lines on BadPart."""
        source, part = self.target.part(number, place)
        name = part_name(number, place)
        with self._refused(name) as refused:
            liner = Liner(source.table, [column.name for column in source.export.columns], refused)
            yield from liner.block_lines(source.export.blocks(part))
        # After the unusable rows are stored: a result says that all of them are.
        self._keep(name, Done(rows=liner.rows, unusable=refused.rows))

    def take(self, partition: int, found: Groups, sink: ItemSink) -> Done:
        """Makes a partition's lines, all of an item together, into items for the sink; stores the result."""
        name = partition_name(partition, sink)
        tally = _Tally()
        with self._refused(name) as refused:
            assembly = Assembly([source.table for source in self.target.sources], self.position, refused)
            detail = sink.take(partition, tally.counted(assembly, found), refused)
        done = Done(tally.rows, tally.items - refused.items, refused.rows, detail)
        self._keep(name, done)
        return done

    def keep_empty(self, partition: int, sink: ItemSink) -> None:
        """Stores the result of a partition without a line."""
        self._keep(partition_name(partition, sink), Done())

    def _keep(self, name: str, done: Done) -> None:
        write(self.place, f"{name}.json", json.dumps(asdict(done)).encode())

    @contextmanager
    def _refused(self, name: str) -> "Iterator[Refusals]":
        with tempfile.SpooledTemporaryFile(_HELD, "w+", encoding="utf-8") as file:
            yield Refusals(lambda row: print(row.line(), file=file))
            if not file.tell():
                # An earlier attempt may have left one.
                self.place.remove(name + _UNUSABLE)
                return
            file.seek(0)
            with self.place.making(name + _UNUSABLE) as path, path.open("w", encoding="utf-8") as out:
                shutil.copyfileobj(file, out)


def part_name(number: int, place: int) -> str:
    """The name of a part's step in the work folder."""
    return f"{_SPILL}/{number:02d}-{place:06d}"


def partition_name(partition: int, sink: ItemSink) -> str:
    """The name of a partition's step for this sink in the work folder."""
    return f"{_PARTITION}-{hashlib.sha256(sink.place.encode()).hexdigest()[:12]}/{partition:04d}"


class Refusals:
    """Takes unusable rows. `items` counts those that were assembled, and refused by the sink."""

    def __init__(self, keep: Callable[[Unusable], None]) -> None:
        self._keep = keep
        self.rows = 0
        self.items = 0

    def __call__(self, row: Unusable) -> None:
        """A row, or all of an item."""
        self.rows += row.rows
        self._keep(row)

    def refuse(self, row: Unusable) -> None:
        """An item that the sink cannot take."""
        self.items += 1
        self(row)


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    items: int = 0

    def counted(self, assembly: Assembly, found: Groups) -> Iterator[Assembled]:
        """The items, counted as they go."""
        for key, values in found:
            if item := assembly.item(key, values):
                self.rows += item.rows
                self.items += 1
                yield item
