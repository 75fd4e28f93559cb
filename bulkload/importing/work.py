"""
The two passes over a target's rows, in a folder that survives.

1. each part's rows become lines in a spill file (bulkload.shuffle);
2. each partition's lines become items, which a sink takes.

A step is done when its result stands in the folder, which is after everything that it made; a step that was
interrupted is done again and makes the same.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from bulkload import shuffle
from bulkload.assembly import Assembled, Assembly
from bulkload.exports.locations import Folder, remove_leftovers, write
from bulkload.grouping import Unusable
from bulkload.importing.sources import Target
from bulkload.lines import Liner
from rowferry.errors import Refused
from rowferry.position import Position

_JOB, _SPILL, _PARTITION = "job.json", "spill", "partition"


class Sink(Protocol):
    """Where items go. `place` tells it from other sinks: what one has taken, another has not."""

    @property
    def place(self) -> str:
        """As the operator wrote it."""

    def take(self, partition: int, items: Iterable[Assembled], refusals: "Refusals") -> dict[str, Any]:
        """Takes all items of a partition, also when it has taken them before; returns what to remember."""


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a step. `detail` is what the sink returned."""

    rows: int = 0
    items: int = 0
    unusable: int = 0
    detail: dict[str, Any] | None = None


class Work:
    """
    The work for one target in `folder`. Refused when the folder holds that of another export or mapping.
    """

    def __init__(self, target: Target, position: Position, mapping_text: bytes, folder: Path) -> None:
        self.target = target
        self.position = position
        self.folder = Folder(folder)
        self._begin(target.identity(mapping_text, str(position)))

    def _begin(self, identity: dict[str, Any]) -> None:
        try:
            found = json.loads(self.folder.read(_JOB))
        except FileNotFoundError:
            write(self.folder, _JOB, json.dumps(identity).encode())
            return
        if found != identity:
            raise Refused(
                f"{self.folder} holds the work of another export, mapping or watermark",
                "name another folder with --work, or remove this one",
            )

    def clean(self, *, partitions: bool = False) -> None:
        """
        Removes what a killed run left half made; with `partitions` also what says that sinks have them.
        Nothing else may be at work.
        """
        for name in self.folder.path.iterdir():
            if partitions and name.name.startswith(_PARTITION):
                shutil.rmtree(name)
            elif name.is_dir():
                remove_leftovers(Folder(name))
                for room in name.glob("cut-*"):
                    shutil.rmtree(room)

    def remove(self) -> None:
        """Removes the folder: everything is done."""
        shutil.rmtree(self.folder.path)

    @property
    def partitions(self) -> range:
        """Their numbers."""
        return range(self.target.partitions)

    def part_done(self, number: int, place: int) -> Done | None:
        """The result of a part's step, None before it is done."""
        name = f"{_SPILL}/{number:02d}-{place:06d}"
        return self._done(name) if (self.folder.path / name).exists() else None

    def partition_done(self, partition: int, sink: Sink) -> Done | None:
        """The result of a partition's step, None before it is done."""
        return self._done(_partition(partition, sink))

    def _done(self, name: str) -> Done | None:
        try:
            return Done(**json.loads(self.folder.read(f"{name}.json")))
        except FileNotFoundError:
            return None

    def unusable(self, sink: Sink) -> Iterator[Unusable]:
        """All that can be no item, of every step that is done."""
        steps = (_SPILL, _partition(0, sink).partition("/")[0])
        for file in (file for step in steps for file in sorted(self.folder.path.glob(f"{step}/*.unusable"))):
            with file.open(encoding="utf-8") as lines:
                yield from map(Unusable.parse, lines)

    def spill(self, number: int, place: int) -> Done:
        """A part's rows into its spill file. BadPart: nothing of the part is kept."""
        source, part = self.target.part(number, place)
        name = f"{_SPILL}/{number:02d}-{place:06d}"
        with self.folder.making(name) as path, path.open("wb") as file:
            with self._refused(name) as refused:
                liner = Liner(source.table, [column.name for column in source.export.columns], refused)
                lines = liner.block_lines(source.export.blocks(part))
                shuffle.spill(lines, self.target.partitions, file)
            done = Done(rows=liner.rows, unusable=refused.rows)
            self._keep(name, done)  # before the spill file, which says that the step is done
        return done

    def group(self, partition: int, sink: Sink) -> Done:
        """A partition's lines into items, and these into the sink."""
        name = _partition(partition, sink)
        spilled = [
            self.folder.path / f"{_SPILL}/{number:02d}-{place:06d}" for number, place in self.target.parts
        ]
        tally = _Tally()
        with self._refused(name) as refused:
            assembly = Assembly([source.table for source in self.target.sources], self.position, refused)
            found = shuffle.groups(shuffle.stored(spilled, partition), (self.folder.path / name).parent)
            detail = sink.take(partition, tally.counted(assembly, found), refused)
        done = Done(tally.rows, tally.items - refused.items, refused.rows, detail)
        self._keep(name, done)
        return done

    def _keep(self, name: str, done: Done) -> None:
        write(self.folder, f"{name}.json", json.dumps(asdict(done)).encode())

    @contextmanager
    def _refused(self, name: str) -> "Iterator[Refusals]":
        with (
            self.folder.making(f"{name}.unusable") as path,
            path.open("w", encoding="utf-8") as file,
        ):
            yield Refusals(lambda row: print(row.line(), file=file))
        if not (self.folder.path / f"{name}.unusable").stat().st_size:
            (self.folder.path / f"{name}.unusable").unlink()


def _partition(number: int, sink: Sink) -> str:
    return f"{_PARTITION}-{hashlib.sha256(sink.place.encode()).hexdigest()[:12]}/{number:04d}"


class Refusals:
    """Takes unusable rows. `items`: those that were put together, and are none after all."""

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

    def counted(self, assembly: Assembly, found: shuffle.Groups) -> Iterator[Assembled]:
        """The items, counted as they go."""
        for key, values in found:
            if item := assembly.item(key, values):
                self.rows += item.rows
                self.items += 1
                yield item
