"""
Copies the mapped tables, chunk by chunk, with several processes.

Each chunk is selected after its low watermark was read, and its items carry the
watermark as their position: changes after it are applied by the stream, earlier
ones are skipped. So chunks need no lock and loading one is idempotent: the next
run repeats what was interrupted.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from typing import Any

from bulkload import preconditions
from bulkload.connection import Connect
from bulkload.direct.grouping import Unusable
from bulkload.direct.ledger import DONE, ChunkResult, Entry, Ledger
from bulkload.direct.patience import TRIED_AGAIN, Patience
from bulkload.direct.planner import OpenChunks, Planner
from bulkload.direct.pool import Pool
from bulkload.direct.worker import Loaded, Task, WorkerParts
from bulkload.dynamodb.batch_writer import RetryPolicy, Writer
from bulkload.lock import LoaderLock
from bulkload.throttle.controller import RateController
from bulkload.throttle.limits import Limits
from bulkload.throttle.shared_counters import SharedCounters
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import ControlTable
from rowferry.errors import Refused
from rowferry.mapping import Mapping, TableMapping
from rowferry.mysql import conditions, type_check
from rowferry.mysql.server import Server, identify

CHUNKS_IN_A_PROCESS = 2
"""One is read while the items of the other are written."""


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """
    All `processes` together have `workers` chunks of `chunk_rows` rows and `requests` requests to DynamoDB in
    flight. `again` discards the plans of earlier loads; `accept_unusable` lets a table with unusable rows
    count as loaded.

    `processes` 0: one for each processor. `workers` 0: two for each process. With one process the work is
    done in threads of the caller's.
    """

    processes: int = 0
    workers: int = 0
    requests: int = 16
    chunk_rows: int = 5000
    accept_unusable: bool = False
    again: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """
    One table after the run. `state` is `done`, or `loading` while rows are unusable and not accepted.

    `done` means that DynamoDB accepted every usable row, not that items equal rows: that is `ferry verify`.
    """

    source: str
    target: str
    state: str
    chunks: int
    result: ChunkResult
    nothing_to_do: bool = False


@dataclass(slots=True)
class LoadTally:
    """
    The run's progress; `planned` is the number of rows when the tables were cut.

    `rate` is the current limit in WCU/s, `held` the reason why no chunk may be started.
    """

    planned: int = 0
    result: ChunkResult = field(default_factory=ChunkResult)
    chunks: int = 0
    chunks_done: int = 0
    rate: float = inf
    throttles: int = 0
    held: str | None = None


@dataclass(frozen=True, slots=True)
class Reports:
    """Where a run reports: lines for the operator, progress, rows that cannot become items."""

    report: Callable[[str], None]
    progress: Callable[[LoadTally], None]
    unusable: Callable[[Unusable], None]


@dataclass(slots=True)
class Loader:
    """
    Loads the tables of a mapping. Called by `ferry load`.

    `client` makes boto3's low-level DynamoDB client and `connect` opens a connection to the source; with
    several processes both are pickled and sent to them. `replica` connects to the replica whose lag is
    limited.
    """

    connect: Connect
    client: Callable[[], Any]
    control: ControlTable
    mapping: Mapping
    settings: LoadSettings
    reports: Reports
    lock: LoaderLock
    replica: Connect | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    now: Callable[[], float] = time.time
    tally: LoadTally = field(default_factory=LoadTally)

    def run(self, switch_is_on: bool) -> list[LoadOutcome]:
        """
        Loads the chunks that are open; those that are done are not loaded again.

        Raises Refused or SourceNotReady before anything is written, Unapplied
        or LeaseLost when it cannot go on: run it again, and it resumes.
        """
        ledgers = self._ledgers(Checkpoint.read(self.control))
        # Before the switch is looked at: to run a finished load again is no mistake, also when the switch is
        # ON.
        if not self.settings.again and all(ledger.state == DONE for ledger in ledgers.values()):
            return [self._as_it_was(table, ledgers[table.source]) for table in self.mapping.tables]
        if switch_is_on:
            raise Refused(
                "the switch is ON: a load would overwrite newer items",
                "run `ferry verify`; to load again: `ferry switch off`, then `ferry load --again`",
            )
        client = self.client()
        self._require(ledgers, client)
        with self.lock.held(self.reports.report):
            # Under the lock: else a load that is refused would change the limits of the one that is running.
            self.settings.limits.write(self.control)
            parts = self._parts(client)
            self._work(parts)
            return [self._finish(part.table.mapping, part.ledger) for part in parts]

    def _require(self, sources: Iterable[str], client: Any) -> None:
        with closing(self.connect()) as connection:
            server = identify(connection)
            conditions.require(conditions.check(connection, server, self.mapping))
            conditions.require(type_check.check(connection, self.mapping))
            preconditions.capture_at(self.control, connection, server, sources)
        for table in self.mapping.tables:
            preconditions.refuse_other_keys(client, table)
            preconditions.refuse_expiry(client, table)

    def _parts(self, client: Any) -> list[OpenChunks]:
        """Plans, and plans again from the beginning where the source fails over meanwhile."""
        patience = Patience(self.retry, self.reports.report)
        while True:
            try:
                with closing(self.connect()) as connection:
                    server = identify(connection)
                    sources = [table.source for table in self.mapping.tables]
                    # After `identify`, for `position_at`.
                    capture = preconditions.capture_at(self.control, connection, server, sources)
                    return self._planner(connection, server, capture, client).parts(self.mapping)
            except TRIED_AGAIN as error:
                patience.wait(error)
                self.lock.check()

    def _ledgers(self, capture: Checkpoint) -> dict[str, Ledger]:
        return {
            table.source: Ledger(self.control, table.source, capture, lambda: int(self.now() * 1000))
            for table in self.mapping.tables
        }

    def _planner(self, connection: Any, server: Server, capture: Checkpoint, client: Any) -> Planner:
        return Planner(
            connection,
            server,
            self._ledgers(capture),
            Writer(client, self.control.name, self.lock.check, self.retry),
            self.reports.report,
            chunk_rows=self.settings.chunk_rows,
            again=self.settings.again,
            accept_unusable=self.settings.accept_unusable,
        )

    def _work(self, parts: list[OpenChunks]) -> None:
        """Runs the workers to the end, or until one fails; then raises its error."""
        jobs = dict(enumerate(self._jobs(parts)))
        if not jobs:
            return
        count = min(self.settings.processes or os.process_cpu_count() or 1, len(jobs))
        counters = SharedCounters(count)
        with RateController(counters, count, self.control, self.connect, self.replica) as controller:

            def beat() -> bool:
                # All that the workers know of the lock: without it they stop writing after half of its TTL.
                counters.renewed = self.lock.renewed
                self.tally.rate, self.tally.held = controller.rate, controller.held
                self.tally.throttles = counters.totals()[1]
                self.reports.progress(self.tally)
                return controller.held is None

            tasks = (
                Task(number, place, entry.chunk, parts[place].start)
                for number, (place, entry) in jobs.items()
            )
            pool = Pool(self._worker_parts(parts, count), counters, count, beat, self.reports.report)
            pool.run(tasks, lambda loaded: self._loaded(loaded, *jobs[loaded.number], parts))

    def _jobs(self, parts: list[OpenChunks]) -> Iterator[tuple[int, Entry]]:
        """Each open chunk with the number of its table; the chunks that are done are counted."""
        for place, part in enumerate(parts):
            if part.open or part.closed:
                self.tally.planned += part.ledger.planned
            self.tally.chunks += len(part.open) + len(part.closed)
            self.tally.chunks_done += len(part.closed)
            self.tally.result = sum((entry.result for entry in part.closed), self.tally.result)
            yield from ((place, entry) for entry in part.open)

    def _worker_parts(self, parts: list[OpenChunks], count: int) -> WorkerParts:
        workers = self.settings.workers or CHUNKS_IN_A_PROCESS * count
        return WorkerParts(
            self.connect,
            self.client,
            tuple(part.table for part in parts),
            self.control.name,
            readers=-(-workers // count),
            requests=-(-self.settings.requests // count),
            ttl=self.lock.ttl,
            retry=self.retry,
        )

    def _loaded(self, loaded: Loaded, place: int, entry: Entry, parts: list[OpenChunks]) -> None:
        # A loader that has taken over may have made another plan, in which this number is another chunk.
        self.lock.check()
        # Before the chunk counts as done: a row may be reported twice after a crash, but never not at all.
        for row in loaded.unusable:
            self.reports.unusable(row)
        parts[place].ledger.done(entry.number, loaded.watermark, loaded.result)
        self.tally.chunks_done += 1
        self.tally.result += loaded.result

    def _finish(self, table: TableMapping, ledger: Ledger) -> LoadOutcome:
        if ledger.state != DONE:
            result = sum((entry.result for entry in ledger.entries()), ChunkResult())
            if not result.unusable or self.settings.accept_unusable:
                ledger.finish(result)
        return self._outcome(table, ledger)

    def _as_it_was(self, table: TableMapping, ledger: Ledger) -> LoadOutcome:
        outcome = self._outcome(table, ledger, nothing=True)
        first = ledger.capture.first_epoch
        if outcome.result.items and not preconditions.holds_items(self.client(), table.target, first):
            self.reports.report(emptied(outcome))
        return outcome

    def _outcome(self, table: TableMapping, ledger: Ledger, *, nothing: bool = False) -> LoadOutcome:
        entries = list(ledger.entries())
        result = sum((entry.result for entry in entries), ChunkResult())
        return LoadOutcome(table.source, table.target, str(ledger.state), len(entries), result, nothing)


def emptied(outcome: LoadOutcome) -> str:
    """The warning for a load that is done and whose target has no items any more."""
    return (
        f"warning: {outcome.target} is empty, though {outcome.source} was loaded into it. If it was"
        " emptied to be loaded again, run `ferry load --again`"
    )
