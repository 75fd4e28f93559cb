"""
One worker: reads chunks, groups their rows and writes the items, with several threads.

A worker is a process of its own or a thread of the load. It has no access to the ledger: it gets tasks and
reports the outcome of each, so that it may die at any moment.
"""

import contextlib
import os
import pickle
import queue
import signal
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from bulkload.connection import Connect
from bulkload.direct.captured_source import CapturedSource
from bulkload.direct.chunks import Chunk, CutTable
from bulkload.direct.grouping import Grouping, Unusable, refused
from bulkload.direct.ledger import ChunkResult, record_shown
from bulkload.direct.merger import Merger
from bulkload.direct.reader import ChunkReader
from bulkload.dynamodb.batch_writer import Item, RetryPolicy, Writer, batches, retried
from bulkload.lock import refuse_late
from bulkload.processes import leave_interrupts
from bulkload.throttle.shared_counters import SharedCounters
from bulkload.throttle.worker_limiter import WorkerLimiter
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import ControlTable
from rowferry.errors import RowferryError
from rowferry.items.effects import ItemKey
from rowferry.items.members import Members
from rowferry.mapping import TableMapping
from rowferry.position import Position


@dataclass(frozen=True, slots=True)
class Task:
    """
    A chunk of table number `table`.

    `start`: the watermark at which merging into its target began; None: its items are put, not merged.
    """

    number: int
    table: int
    chunk: Chunk
    start: str | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """DynamoDB accepted every item of the task's chunk, except the `unusable` rows."""

    number: int
    watermark: str
    result: ChunkResult
    unusable: Sequence[Unusable] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """A task that failed for good; the load ends with its error."""

    number: int
    error: BaseException


@dataclass(frozen=True, slots=True)
class Said:
    """A line for the operator."""

    line: str


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """
    What every worker needs; pickled and sent to other processes.

    `connect` opens a connection to the source, `client` makes boto3's low-level DynamoDB client, `control` is
    the control table's name. A worker has `readers` chunks and `requests` requests in flight. `ttl` is that
    of the lock, in seconds.
    """

    connect: Connect
    client: Callable[[], Any]
    tables: tuple[CutTable, ...]
    control: str
    readers: int
    requests: int
    ttl: float
    retry: RetryPolicy = field(default_factory=RetryPolicy)


class Stopped(Exception):
    """The worker ends because the load does."""


def process(parts: WorkerParts, connection: Connection, counters: SharedCounters, slot: int) -> None:
    """The main function of a worker process. It ends at once when the load's own process is gone."""
    leave_interrupts()  # the load itself stops its workers
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    serve(parts, connection, counters, slot)
    os._exit(0)  # without waiting for threads whose results nobody reads


def serve(parts: WorkerParts, connection: Connection, counters: SharedCounters, slot: int) -> None:
    """Takes tasks until the other end closes, and sends the outcome of each."""
    tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
    with connection:
        worker = _Worker(parts, connection, counters, slot)
        readers = [
            threading.Thread(target=worker.work, args=(tasks,), daemon=True) for _ in range(parts.readers)
        ]
        for reader in readers:
            reader.start()
        with contextlib.suppress(EOFError, OSError):
            while True:
                tasks.put(connection.recv())
        if counters.stopped:  # else the load was killed: end at once
            for _ in readers:
                tasks.put(None)
            for reader in readers:
                reader.join()
            worker.close()


class _Worker:
    def __init__(
        self, parts: WorkerParts, connection: Connection, counters: SharedCounters, slot: int
    ) -> None:
        self._parts = parts
        self._connection = connection
        self._counters = counters
        self._sending = threading.Lock()
        self._client = parts.client()
        self._control = ControlTable(self._client, parts.control)
        # For all readers together: `requests` limits the process, not the chunk.
        self._senders = ThreadPoolExecutor(parts.requests)
        self._limiter = WorkerLimiter(counters, slot, self._guard)

    def close(self) -> None:
        self._senders.shutdown()

    def work(self, tasks: "queue.SimpleQueue[Task | None]") -> None:
        """The loop of one reader thread."""
        source = CapturedSource(self._parts.connect, self._checkpoint)
        waiting = replace(self._parts.retry, sleep=self._wait)
        reader = ChunkReader(source, waiting, self._limiter.rows, lambda line: self._send(Said(line)))
        slot = uuid.uuid4().hex[:8]
        try:
            while task := tasks.get():
                self._send(self._done(task, reader, slot))
        # OSError: the pipe is closed. Errors of reading and writing are in `Failed`.
        except (Stopped, OSError):
            return  # the load has ended
        finally:
            reader.close()

    def _done(self, task: Task, reader: ChunkReader, slot: str) -> Loaded | Failed:
        try:
            self._guard()
            return self._load(task, reader, slot)
        except Stopped:
            raise
        except BaseException as error:  # noqa: BLE001 - the load's process raises it
            return Failed(task.number, _portable(error))

    def _checkpoint(self) -> Checkpoint:
        return retried(partial(Checkpoint.read, self._control), self._parts.retry)

    def _wait(self, seconds: float) -> None:
        self._parts.retry.sleep(seconds)
        self._guard()  # the load may have ended meanwhile

    def _send(self, message: Loaded | Failed | Said) -> None:
        with self._sending:
            # Several reader threads send, and a pipe's end is not safe for two at a time
            # (https://docs.python.org/3.13/library/multiprocessing.html#multiprocessing.Pipe).
            self._connection.send(message)

    def _guard(self) -> None:
        if self._counters.stopped:
            raise Stopped
        refuse_late(time.monotonic(), self._counters.renewed, self._parts.ttl)

    def _load(self, task: Task, reader: ChunkReader, slot: str) -> Loaded:
        table = self._parts.tables[task.table]
        grouping, seen = reader.read(table, task.chunk)
        self._guard()
        # Before the first item: it has to be known what is in the target, also if this worker dies meanwhile.
        record = partial(record_shown, self._control, table.mapping.source, seen.position, seen.history, slot)
        retried(record, self._parts.retry)
        count, refusals = self._write(task, table.mapping, grouping, seen.position)
        unusable = [*grouping.unusable, *refusals]
        result = ChunkResult(grouping.rows, count - len(refusals), sum(row.rows for row in unusable))
        # After the last request, too: what was written once the lock was lost must not count as loaded.
        self._guard()
        return Loaded(task.number, str(seen.position), result, unusable)

    def _write(
        self, task: Task, table: TableMapping, grouping: Grouping, position: Position
    ) -> tuple[int, list[Unusable]]:
        """The number of items, and those that DynamoDB refuses."""
        writer = Writer(self._client, table.target, self._guard, self._parts.retry, self._limiter)
        if task.start is None:
            items: list[Any] = list(grouping.items(position))
            sending = [self._senders.submit(_put, writer, table, batch) for batch in batches(items)]
        else:
            items = list(grouping.members())
            merger = Merger(writer, table.into, task.start, str(position))
            sending = [self._senders.submit(_merge, merger, table, batch) for batch in batches(items)]
        done, open_ = wait(sending, return_when=FIRST_EXCEPTION)
        for future in open_:
            future.cancel()
        return len(items), [row for future in done for row in future.result()]


def _portable(error: BaseException) -> BaseException:
    """The error, or one that names its class where it cannot be pickled."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - whatever an error's own code does
        return RowferryError(f"a worker failed ({type(error).__name__})", "run the load again: it resumes")
    return error


def _put(writer: Writer, table: TableMapping, batch: Sequence[tuple[Item, int]]) -> list[Unusable]:
    # By identity: dictionaries have no hash, and `write` returns the very objects that it was given.
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
