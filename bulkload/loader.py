"""
Copies the mapped tables, chunk by chunk, with several workers.

Each chunk is selected after its watermark was read and its items carry the
watermark as their position: changes after it are applied by the stream, earlier
ones are skipped. So chunks need no lock and can be loaded again; whatever was
interrupted is done again by the next run.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Any

from bulkload import checks, chunks
from bulkload.chunks import Table
from bulkload.connection import Connect
from bulkload.grouping import Unusable, refused
from bulkload.ledger import DONE, Entry, Ledger, Result
from bulkload.lock import LoaderLock
from bulkload.merger import Merger
from bulkload.reader import Reader
from bulkload.writer import Item, Patience, Writer, batches
from rowferry import source
from rowferry.control import CHECKPOINT, ControlTable
from rowferry.errors import Refused
from rowferry.items import ItemKey
from rowferry.mapping import Mapping, TableMapping
from rowferry.members import Members
from rowferry.source import Server


@dataclass(frozen=True, slots=True)
class Settings:
    """`workers` read chunks of `chunk_rows` rows and have `requests` requests to DynamoDB under way."""

    workers: int = 4
    requests: int = 16
    chunk_rows: int = 5000
    accept_unusable: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """One table after the run. `state` is `done`, or `loading` while rows are unusable and not accepted."""

    source: str
    target: str
    state: str
    chunks: int
    result: Result
    nothing_to_do: bool = False


@dataclass(slots=True)
class Tally:
    """How far the run has got; `planned` is the number of rows when the tables were cut."""

    planned: int = 0
    result: Result = field(default_factory=Result)
    chunks: int = 0
    chunks_done: int = 0


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a run tells what happens: lines for the operator, progress, rows that cannot be items."""

    tell: Callable[[str], None]
    progress: Callable[[Tally], None]
    unusable: Callable[[Unusable], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One open chunk of one table."""

    table: Table
    ledger: Ledger
    entry: Entry
    start: str | None = None
    """The watermark at the start of the load, where its items are merged rather than put."""


@dataclass(slots=True)
class Loader:
    """
    Loads the tables of a mapping.

    `client` is boto3's low-level DynamoDB client, `connect` opens a connection
    to the source; both are used from several threads.
    """

    connect: Connect
    client: Any
    control: ControlTable
    mapping: Mapping
    settings: Settings
    reports: Reports
    lock: LoaderLock
    patience: Patience = field(default_factory=Patience)
    now: Callable[[], float] = time.time
    tally: Tally = field(default_factory=Tally)
    _guarded: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def run(self, switch_is_on: bool) -> list[Outcome]:
        """
        Loads what is open; what is done stays as it is.

        Raises Refused or SourceNotReady before anything is written, Unapplied
        or LeaseLost when it cannot go on: then another run does.
        """
        ledgers = self._ledgers(int(self.control.get(CHECKPOINT).get("epoch", 0)))
        if not self.settings.again and all(ledger.state == DONE for ledger in ledgers.values()):
            return [self._as_it_was(table, ledgers[table.source]) for table in self.mapping.tables]
        if switch_is_on:
            raise Refused(
                "the switch is ON: a load would overwrite newer items",
                "run `ferry verify`; to load again: `ferry switch off`, then `ferry load --again`",
            )
        connection = self.connect()
        try:
            server = source.identify(connection)
            source.require(source.check(connection, server, self.mapping))
            epoch = checks.captured_epoch(self.control, connection, server, ledgers)
            ledgers = self._ledgers(epoch)
            for table in self.mapping.tables:
                checks.refuse_other_keys(self.client, table)
                checks.refuse_expiry(self.client, table)
            with self.lock.held(self.reports.tell):
                starts = self._starts(connection, server, epoch, ledgers)
                jobs = [
                    replace(job, start=starts.get(table.target))
                    for table in self.mapping.tables
                    for job in self._open(connection, server, table, ledgers[table.source])
                ]
                self._work(jobs, server, epoch)
                return [self._finish(table, ledgers[table.source]) for table in self.mapping.tables]
        finally:
            connection.close()

    def _starts(
        self, connection: Any, server: Server, epoch: int, ledgers: dict[str, Ledger]
    ) -> dict[str, str]:
        """
        For each target that is merged into: the watermark from before any row of its sources was read.

        Refused when a source was loaded otherwise before: its items may stand above what the others need.
        """
        targets = {table.target for table in self.mapping.tables if table.load_merges}
        starts: dict[str, str] = {}
        for table in self.mapping.tables:
            ledger = ledgers[table.source]
            if table.target not in targets or table.target in starts:
                continue
            if ledger.start_of(table.target) is None:
                self._refuse_put(table.target, ledgers)
            watermark = source.begin_snapshot(connection, server, self.reports.tell)
            connection.commit()
            starts[table.target] = ledger.begin(table.target, str(watermark.position(epoch)))
        return starts

    def _refuse_put(self, target: str, ledgers: dict[str, Ledger]) -> None:
        for table in self.mapping.tables:
            loaded = table.target == target and ledgers[table.source].state is not None
            if loaded and not self.settings.again:
                raise Refused(
                    f"{table.source} was loaded into {target} when no other source shared it",
                    "run `ferry load --again`, which loads all of them anew",
                )

    def _ledgers(self, epoch: int) -> dict[str, Ledger]:
        return {
            table.source: Ledger(self.control, table.source, epoch, lambda: int(self.now() * 1000))
            for table in self.mapping.tables
        }

    def _open(self, connection: Any, server: Server, mapped: TableMapping, ledger: Ledger) -> list[Job]:
        """The chunks that are to be loaded; makes the plan where there is none."""
        if ledger.outdated:
            self.reports.tell(f"{mapped.source}: capture has begun anew since the last load: a new plan")
        if self.settings.again:
            ledger.forget()
        elif ledger.state == DONE:
            return []
        table = chunks.describe(connection, mapped, source.columns(connection, mapped))
        if ledger.state is None:
            self._plan(connection, server, table, ledger)
        entries = list(ledger.entries())
        self.tally.planned += ledger.planned
        self.tally.chunks += len(entries)
        jobs = []
        for entry in entries:
            if entry.done and (self.settings.accept_unusable or not entry.result.unusable):
                self.tally.chunks_done += 1
                self.tally.result += entry.result
            else:
                jobs.append(Job(table, ledger, entry))
        return sorted(jobs, key=lambda job: job.entry.number)

    def _plan(self, connection: Any, server: Server, table: Table, ledger: Ledger) -> None:
        if warning := chunks.warning(table):
            self.reports.tell(f"warning: {warning}")
        size = chunks.rows_per_chunk(table, self.settings.chunk_rows)
        self.reports.tell(f"{table.mapping.source}: planning chunks of {size:,} rows")
        self._raise_floor(connection, server, table.mapping, ledger)
        writer = Writer(self.client, self.control.name, self._guard, self.patience)
        count = ledger.plan(
            chunks.plan(connection, table, size),
            lambda last: chunks.count(connection, table, last),
            size,
            writer,
        )
        self.reports.tell(f"{table.mapping.source}: {count:,} chunks, about {ledger.planned:,} rows")

    def _raise_floor(self, connection: Any, server: Server, table: TableMapping, ledger: Ledger) -> None:
        """
        Only over an empty target: an item that is there and that this load does not have is removed by a
        change that still waits.
        """
        if checks.holds_items(self.client, table.target, ledger.epoch):
            self.reports.tell(f"{table.target} has items already: the load goes over them")
            return
        floor = source.begin_snapshot(connection, server, self.reports.tell)
        connection.rollback()  # what counts is that everything up to there is visible from now on
        self._guard()
        ledger.raise_floor(str(floor.position(ledger.epoch)))

    def _work(self, jobs: Iterable[Job], server: Server, epoch: int) -> None:
        """Runs the workers to the end, or until one fails; its error is raised."""
        waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            waiting.put(job)
        workers = min(self.settings.workers, waiting.qsize())
        if not workers:
            return
        with ThreadPoolExecutor(self.settings.requests) as senders, ThreadPoolExecutor(workers) as readers:
            running = [readers.submit(self._worker, waiting, senders, server, epoch) for _ in range(workers)]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            finally:
                self._stopped.set()  # also at Ctrl-C: the others end before their next request
        for future in sorted(running, key=lambda future: isinstance(future.exception(), _Stopped)):
            future.result()

    def _worker(
        self, waiting: "queue.SimpleQueue[Job]", senders: ThreadPoolExecutor, server: Server, epoch: int
    ) -> None:
        reader = Reader(self.connect, server, self.patience)
        try:
            while not self._stopped.is_set():
                self._load(waiting.get_nowait(), reader, senders, epoch)
        except queue.Empty:
            return
        finally:
            reader.close()

    def _load(self, job: Job, reader: Reader, senders: ThreadPoolExecutor, epoch: int) -> None:
        grouping, watermark = reader.read(job.table, job.entry.chunk)
        position = watermark.position(epoch)
        writer = Writer(self.client, job.table.mapping.target, self._guard, self.patience)
        if job.start is None:
            items: list[Any] = list(grouping.items(position))
            sending = [senders.submit(_send, writer, job.table.mapping, batch) for batch in batches(items)]
        else:
            items = list(grouping.members())
            merger = Merger(writer, job.table.mapping.into, job.start, str(position))
            sending = [senders.submit(_merge, merger, job.table.mapping, batch) for batch in batches(items)]
        done, open_ = wait(sending, return_when=FIRST_EXCEPTION)
        for future in open_:
            future.cancel()
        refusals = [row for future in done for row in future.result()]
        unusable = [*grouping.unusable, *refusals]
        result = Result(grouping.rows, len(items) - len(refusals), sum(row.rows for row in unusable))
        self._guard()
        with self._guarded:
            for row in unusable:
                self.reports.unusable(row)
        job.ledger.done(job.entry.number, str(position), result)
        self._count(result)

    def _count(self, result: Result) -> None:
        with self._guarded:
            self.tally.chunks_done += 1
            self.tally.result += result
            self.reports.progress(self.tally)

    def _guard(self) -> None:
        if self._stopped.is_set():
            raise _Stopped
        self.lock.check()

    def _finish(self, table: TableMapping, ledger: Ledger) -> Outcome:
        if ledger.state != DONE:
            result = sum((entry.result for entry in ledger.entries()), Result())
            if not result.unusable or self.settings.accept_unusable:
                ledger.finish(result)
        return self._outcome(table, ledger)

    def _as_it_was(self, table: TableMapping, ledger: Ledger) -> Outcome:
        outcome = self._outcome(table, ledger, nothing=True)
        if outcome.result.items and not checks.holds_items(self.client, table.target, ledger.epoch):
            self.reports.tell(emptied(outcome))
        return outcome

    def _outcome(self, table: TableMapping, ledger: Ledger, *, nothing: bool = False) -> Outcome:
        entries = list(ledger.entries())
        result = sum((entry.result for entry in entries), Result())
        return Outcome(table.source, table.target, str(ledger.state), len(entries), result, nothing)


def emptied(outcome: Outcome) -> str:
    """What to say of a load that is done, and of which no item is there any more."""
    return (
        f"warning: {outcome.target} is empty, though {outcome.source} was loaded into it. Where it was"
        " emptied to be loaded once more, run `ferry load --again`"
    )


class _Stopped(Exception):
    """This worker ends because the run does."""


def _send(writer: Writer, table: TableMapping, batch: Sequence[tuple[Item, int]]) -> list[Unusable]:
    rows = {id(item): count for item, count in batch}
    return [
        refused(table, item, reason, rows[id(item)])
        for item, reason in writer.write([item for item, _ in batch])
    ]


def _merge(
    merger: Merger, table: TableMapping, batch: Sequence[tuple[ItemKey, Members, int]]
) -> list[Unusable]:
    return [
        refused(table, key.attributes(), reason, rows)
        for key, members, rows in batch
        if (reason := merger.merge(key, members))
    ]
