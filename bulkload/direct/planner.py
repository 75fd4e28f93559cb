"""Plans a load: each table's floor and chunks where there is no plan yet, then the chunks still open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import filterfalse
from typing import Any

from bulkload import preconditions
from bulkload.direct import chunks
from bulkload.direct.chunks import CutTable
from bulkload.direct.ledger import DONE, Entry, Ledger
from bulkload.dynamodb.batch_writer import Writer
from rowferry.errors import Refused
from rowferry.mapping import Mapping as RowMapping
from rowferry.mapping import TableMapping
from rowferry.mysql import snapshot
from rowferry.mysql.server import Server, columns


@dataclass(frozen=True, slots=True)
class OpenChunks:
    """One table with its chunks: `open` are to be loaded, `closed` are done. `start` as in Task."""

    table: CutTable
    ledger: Ledger
    open: tuple[Entry, ...] = ()
    closed: tuple[Entry, ...] = ()
    start: str | None = None


@dataclass(frozen=True, slots=True)
class Planner:
    """`writer` writes the plan into the control table; `report` gets lines for the operator."""

    connection: Any
    server: Server
    ledgers: Mapping[str, Ledger]
    writer: Writer
    report: Callable[[str], None]
    chunk_rows: int
    again: bool
    accept_unusable: bool

    def parts(self, mapping: RowMapping) -> list[OpenChunks]:
        """
        All tables, in the mapping's order.

        Raises Refused when a source of a shared target was loaded before the target was shared.
        """
        if (
            self.again
        ):  # all before the first is planned: a run that ends early leaves none that counts as done
            for ledger in self.ledgers.values():
                ledger.forget()
        starts = self._starts(mapping)
        return [replace(self._part(mapped), start=starts.get(mapped.target)) for mapped in mapping.tables]

    def _starts(self, mapping: RowMapping) -> dict[str, str]:
        """
        For each target that is merged into: a watermark from before any row of its sources was read.

        Raises Refused when a source was loaded by plain puts before: the positions of its items may be above
        what the other sources need.
        """
        targets = {table.target for table in mapping.tables if table.load_merges}
        starts: dict[str, str] = {}
        for table in mapping.tables:
            ledger = self.ledgers[table.source]
            if table.target not in targets or table.target in starts:
                continue
            if ledger.start_of(table.target) is None:
                self._refuse_put(table.target, mapping)
            watermark = snapshot.begin_snapshot(self.connection, self.server, self.report)
            # Only the watermark is needed: a snapshot that stays open holds up the source's purge.
            self.connection.commit()
            starts[table.target] = ledger.begin(table.target, str(watermark.position(ledger.capture.epoch)))
        return starts

    def _refuse_put(self, target: str, mapping: RowMapping) -> None:
        for table in mapping.tables:
            loaded = table.target == target and self.ledgers[table.source].state is not None
            if loaded and not self.again:
                raise Refused(
                    f"{table.source} was loaded into {target} when no other source shared it",
                    "run `ferry load --again`, which loads all of them again",
                )

    def _part(self, mapped: TableMapping) -> OpenChunks:
        ledger = self.ledgers[mapped.source]
        if ledger.outdated:
            self.report(f"{mapped.source}: capture was reset after the last load: a new plan")
        table = chunks.describe(self.connection, mapped, columns(self.connection, mapped))
        if ledger.state == DONE:
            return OpenChunks(table, ledger)
        if ledger.state is None:
            self._plan(table, ledger)
        entries = sorted(ledger.entries(), key=lambda entry: entry.number)
        still, done = filter(self._is_open, entries), filterfalse(self._is_open, entries)
        return OpenChunks(table, ledger, tuple(still), tuple(done))

    def _is_open(self, entry: Entry) -> bool:
        # Chunks with unusable rows are loaded again: these may have been repaired in MySQL since.
        return not entry.done or (entry.result.unusable > 0 and not self.accept_unusable)

    def _plan(self, table: CutTable, ledger: Ledger) -> None:
        if warning := chunks.warning(table):
            self.report(f"warning: {warning}")
        size = chunks.rows_per_chunk(table, self.chunk_rows)
        self.report(f"{table.mapping.source}: planning chunks of {size:,} rows")
        # Before the first chunk is read: each snapshot then shows every change that the floor makes the
        # consumer skip (docs/architecture.md, "Loading again, while changes still wait").
        self._raise_floor(table.mapping, ledger)
        cuts = chunks.plan(self.connection, table, size)
        count = ledger.plan(cuts, lambda last: chunks.count(self.connection, table, last), size, self.writer)
        self.report(f"{table.mapping.source}: {count:,} chunks, about {ledger.planned:,} rows")

    def _raise_floor(self, table: TableMapping, ledger: Ledger) -> None:
        """
        Only for an empty target: an item that exists and that this load does not have is removed by a change
        that is still waiting.
        """
        if preconditions.holds_items(self.writer.client, table.target, ledger.capture.first_epoch):
            self.report(f"{table.target} has items already: the load overwrites them")
            return
        floor = snapshot.begin_snapshot(self.connection, self.server, self.report)
        self.connection.rollback()  # only the offset is needed: everything up to it is visible from now on
        # begin_snapshot waits without a limit: the lock may be lost by now.
        self.writer.guard()
        ledger.raise_floor(str(floor.position(ledger.capture.epoch)))
