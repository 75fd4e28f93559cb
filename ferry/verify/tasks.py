"""The tasks that verify's readers do: a range of a table's rows, a page of a target's items."""

import threading
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from itertools import chain
from typing import Any

from pymysql.err import OperationalError

from bulkload.processes import pool
from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.members import PRESENT, Member, expected, found
from ferry.verify.point_reads import types_of
from ferry.verify.ranges import Range
from rowferry.errors import Unapplied

LOST = (2006, 2013)
"""MySQL's errors for a connection that was lost."""
TRIES = 3


@dataclass(frozen=True, slots=True)
class RowRange:
    """A range of a table's rows; `pair` is the number of the table's pair."""

    pair: int
    range: Range


@dataclass(frozen=True, slots=True)
class ScanPage:
    """
    A page of a segment of a target's scan; `pairs` are the numbers of its sources. `start` is the key after
    which it begins (LastEvaluatedKey); None: at the beginning.
    """

    pairs: tuple[int, ...]
    segment: int
    segments: int
    start: Mapping[str, Any] | None = None


type ReadTask = RowRange | ScanPage


def as_note(task: ReadTask) -> str:
    """The task as text, for the working file."""
    # Not JSON: the key at which a page begins may hold bytes.
    return repr((type(task).__name__, astuple(task)))


def from_note(text: str) -> ReadTask:
    """The task that `as_note` wrote."""
    kind, fields = literal_eval(text)
    if kind == ScanPage.__name__:
        return ScanPage(*fields)
    pair, range_ = fields
    return RowRange(pair, Range(*range_))


@dataclass(frozen=True, slots=True)
class ReadCounts:
    rows: int = 0
    items: int = 0
    members: int = 0

    def __add__(self, other: "ReadCounts") -> "ReadCounts":
        return ReadCounts(self.rows + other.rows, self.items + other.items, self.members + other.members)


@dataclass(frozen=True, slots=True)
class TaskResult:
    """A task's members, its cost in DynamoDB's read units, and the task that follows it."""

    members: list[tuple[str, str, str]]
    counts: ReadCounts
    units: float = 0.0
    following: ReadTask | None = None


@dataclass(slots=True)
class TaskReader:
    """Does tasks over one connection, and connects again where that was lost. For one thread."""

    pairs: Sequence[Pair]
    connect: Callable[[], Any]
    client: Any
    _connection: Any = None
    _types: dict[int, dict[str, str]] = field(default_factory=dict)

    def read(self, task: ReadTask) -> TaskResult:
        """
        Does one task. Raises Refused when the table cannot be read, Unapplied when connections are lost
        repeatedly.
        """
        return self._page(task) if isinstance(task, ScanPage) else self._rows(task)

    def _rows(self, task: RowRange) -> TaskResult:
        for _ in range(TRIES):
            try:
                # All of a range or nothing: where the connection is lost in the middle, it begins again.
                return self._rows_once(task)
            except OperationalError as error:
                if error.args[0] not in LOST:
                    raise
                self._connection = None
        raise Unapplied("the connection to the source was lost repeatedly", "see the server's error log")

    def _rows_once(self, task: RowRange) -> TaskResult:
        pair = self.pairs[task.pair]
        if self._connection is None:
            self._connection = self.connect()
        if task.pair not in self._types:
            self._types[task.pair] = types_of(self._connection, pair)
        types, where, count = self._types[task.pair], task.range.condition, 0
        members: list[tuple[str, str, str]] = []
        for some in source_text.rows(self._connection, pair.schema, pair.table, types, where):
            count += len(some)
            members.extend(_plain(expected(pair, types, iter(some))))
        return TaskResult(members, ReadCounts(rows=count))

    def _page(self, task: ScanPage) -> TaskResult:
        pair, *others = (self.pairs[number] for number in task.pairs)
        start = {"ExclusiveStartKey": task.start} if task.start else {}
        answer = self.client.scan(
            TableName=pair.target,
            Segment=task.segment,
            TotalSegments=task.segments,
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
            **start,
        )
        items = [list(found(pair, item, others)) for item in answer["Items"]]
        members = list(chain.from_iterable(items))
        return TaskResult(
            list(_plain(members)),
            ReadCounts(items=sum(map(bool, items)), members=sum(map(_is_member, members))),
            answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0),
            self._next(task, answer),
        )

    def _next(self, task: ScanPage, answer: Mapping[str, Any]) -> ScanPage | None:
        start = answer.get("LastEvaluatedKey")
        return ScanPage(task.pairs, task.segment, task.segments, start) if start else None


def _plain(members: Iterable[Member]) -> Iterator[tuple[str, str, str]]:
    """Plain tuples, which travel to another process twice as fast."""
    return ((key, member, value) for key, member, value in members)


def _is_member(member: Member) -> bool:
    return member.member != PRESENT


type Open = Callable[[], TaskReader]


_own = threading.local()


@contextmanager
def started(open_: Open, processes: int) -> Iterator[Executor]:
    """
    Context manager: an executor of so many reader processes; 0: one thread, as a process takes half a second
    to start. Raises Unapplied when one was killed.
    """
    executor: Executor = (
        pool(processes, _begin, open_) if processes else ThreadPoolExecutor(1, "reader", _begin, (open_,))
    )
    try:
        yield executor
    except BrokenExecutor as error:
        raise Unapplied(
            "a reader process was killed, perhaps for lack of memory",
            "run it again with a smaller --parallel: it resumes",
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def read(task: ReadTask) -> TaskResult:
    """Does one task, in a reader's process or thread."""
    if not hasattr(_own, "reader"):  # not in `_begin`: an error here reaches the caller
        _own.reader = _own.open()
    reader: TaskReader = _own.reader
    return reader.read(task)


def _begin(open_: Open) -> None:
    _own.open = open_
