"""
Exports a table in parts: plan, processes, part by part, then the manifest.

The plan, and a small file for each part that is complete, are stored with the parts: a run that was killed is
resumed by the next one. Each part has the watermark of its own snapshot; no lock is taken.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

from bulkload import processes
from bulkload.connection import Connect
from bulkload.direct import chunks
from bulkload.exports import manifest, part_maker, plan
from bulkload.exports.formats import rowferry_csv
from bulkload.exports.locations import Location, remove_leftovers, write
from bulkload.exports.manifest import ExportPart, Manifest
from bulkload.exports.part_maker import PartJob, columns_of
from bulkload.exports.plan import Form, Plan
from rowferry.checkpoint import Checkpoint
from rowferry.errors import Refused, Unapplied
from rowferry.mapping import TableMapping
from rowferry.mysql.server import columns

ROWS_IN_A_PART = 200_000


@dataclass(frozen=True, slots=True)
class ExportSettings:
    """`workers` processes make parts of `chunk_rows` rows (fewer where rows are long)."""

    form: Form = field(default_factory=Form)
    workers: int = 4
    chunk_rows: int = ROWS_IN_A_PART
    again: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """One table after the run."""

    manifest: Manifest
    location: str
    nothing_to_do: bool = False


@dataclass(slots=True)
class ExportTally:
    """The run's progress; `planned`: rows when the tables were cut."""

    planned: int = 0
    rows: int = 0
    bytes: int = 0
    parts: int = 0
    parts_done: int = 0

    def add(self, part: ExportPart) -> None:
        self.rows += part.rows or 0
        self.bytes += part.bytes or 0
        self.parts_done += 1


@dataclass(slots=True)
class Exporter:
    """
    Exports tables of one source. Called by `ferry export`. `capture` is that of this source when it begins.

    `connect`, `checkpoint`, which reads the checkpoint, and the opener that `run` takes are pickled and sent
    to other processes.
    """

    connect: Connect
    checkpoint: Callable[[], Checkpoint]
    capture: Checkpoint
    settings: ExportSettings
    report: Callable[[str], None]
    progress: Callable[[ExportTally], None]
    tally: ExportTally = field(default_factory=ExportTally)

    def run(self, table: TableMapping, opener: Callable[[], Location]) -> Exported:
        """
        Exports the table into the opener's location; complete parts that are there are not made again.

        Raises Refused where there is another export, or one with other options, and Unapplied when a process
        was killed. The manifest is written last: without one the export is not complete.
        """
        place = opener()
        remove_leftovers(place)
        if self.settings.again:
            _clear(place)
        made = self._plan(place, table)
        done = _done(place, made)
        self.tally.planned += made.rows
        self.tally.parts += len(made.chunks)
        for part in done.values():
            self.tally.add(part)
        open_parts = [number for number in range(len(made.chunks)) if made.part_name(number) not in done]
        for part in self._made(PartJob(self.connect, self.checkpoint, opener, table, made), open_parts):
            done[part.name] = part
        found = _manifest(made, done)
        if _stored(place) == found.text():
            return Exported(found, str(place), nothing_to_do=True)
        write(place, manifest.NAME, found.text())
        return Exported(found, str(place))

    def _plan(self, place: Location, table: TableMapping) -> Plan:
        connection = self.connect()
        try:
            try:
                text = place.read(plan.NAME)
            except FileNotFoundError:
                _refuse_strangers(place)
                return self._planned(connection, place, table)
            found = Plan.parse(text, f"{place}/{plan.NAME}")
            self._refuse_other(connection, found, place, table)
            return found
        finally:
            connection.close()

    def _planned(self, connection: Any, place: Location, table: TableMapping) -> Plan:
        described = chunks.describe(connection, table, columns(connection, table))
        if warning := chunks.warning(described):
            self.report(f"warning: {warning}")
        size = chunks.rows_per_chunk(described, self.settings.chunk_rows)
        self.report(f"{table.source}: planning parts of {size:,} rows")
        found = tuple(chunks.plan(connection, described, size))
        made = Plan(
            table=table.source,
            columns=columns_of(connection, table),
            form=self.settings.form,
            server=self.capture.server,
            epoch=self.capture.epoch,
            chunks=found,
            rows=(len(found) - 1) * size + chunks.count(connection, described, found[-1]),
        )
        # Before the first part: a run that resumes must cut at the same keys, although rows have come in
        # between.
        write(place, plan.NAME, made.text())
        self.report(f"{table.source}: {len(found):,} parts, about {made.rows:,} rows")
        return made

    def _refuse_other(self, connection: Any, found: Plan, place: Location, table: TableMapping) -> None:
        other = {
            f"is of {found.table}": found.table != table.source,
            "was begun with another --format or --compression": found.form != self.settings.form,
            "was begun before capture was reset": not self.capture.has(found.epoch),
            "is of another server": self.capture.server_of(found.epoch) not in (None, found.server),
            "is of other columns than the table and the mapping have": found.columns
            != columns_of(connection, table),
        }
        for what, holds in other.items():
            if holds:
                raise Refused(
                    f"the export in {place} {what}", "name another place, or replace it with --again"
                )

    def _made(self, made: PartJob, numbers: list[int]) -> Iterator[ExportPart]:
        if not numbers:
            return
        workers = min(self.settings.workers, len(numbers))
        with processes.pool(workers, part_maker.begin, made) as pool:
            running = [pool.submit(part_maker.make, number) for number in numbers]
            try:
                for future in as_completed(running):
                    part = future.result()
                    self.tally.add(part)
                    self.progress(self.tally)
                    yield part
            except BrokenProcessPool as error:
                raise Unapplied(
                    "a process that made parts was killed",
                    "run the command again: it resumes; if memory was short, with fewer --workers",
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _done(place: Location, made: Plan) -> dict[str, ExportPart]:
    there = set(place.names())
    names = (made.part_name(number) for number in range(len(made.chunks)))
    return {
        name: plan.read_marker(place.read(plan.marker_name(name)))
        for name in names
        # Both: a part may have been deleted although its marker is there.
        if name in there and plan.marker_name(name) in there
    }


def _stored(place: Location) -> bytes | None:
    try:
        return place.read(manifest.NAME)
    except FileNotFoundError:
        return None


def _manifest(made: Plan, done: dict[str, ExportPart]) -> Manifest:
    return Manifest(
        table=made.table,
        columns=made.columns,
        format=made.form.format,
        compression=made.form.compression,
        dialect=rowferry_csv.DIALECT if made.form.format == "csv" else {},
        server=made.server,
        epoch=made.epoch,
        # Sorted: parts are done in any order, and an export that is repeated has to give the same text.
        parts=tuple(done[name] for name in sorted(done)),
    )


def _refuse_strangers(place: Location) -> None:
    if place.names():
        raise Refused(f"{place} contains other files", "name an empty place, or one that does not exist yet")


def _clear(place: Location) -> None:
    """
    Removes an export: the manifest first, the plan last, so that an interrupted removal can be repeated.
    """
    there = place.names()
    if plan.NAME not in there:
        return
    ours = [name for name in there if name.startswith((plan.DONE, "part-"))]
    for name in (manifest.NAME, *sorted(ours), plan.NAME):
        place.remove(name)
