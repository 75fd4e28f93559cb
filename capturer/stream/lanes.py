"""
Ordered queues of encoded changes, with at most one record in flight each. Pure: no I/O, no clock.

A record is packed once. Until it is accepted it stays the same record, also after a timeout that leaves open
whether it arrived: changes that were added in the meantime wait for the next one. (Merging them in would be
legal, because the consumer starts a new run at a repeat. But no two attempts could be compared then, and a
throttled lane would compress its growing record again for every attempt.)
"""

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from rowferry.change import Marker, encode_marker, encode_record

MAX_CHANGES = 1_000
# Limits of a record: https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html
MAX_RECORD = 900_000  # bytes of JSON; the stream's limit of 1 MiB includes the record's head and its key
OVERHEAD = 150  # bytes of memory that a waiting change takes beyond its JSON
FIRST_BACKOFF, LONGEST_BACKOFF = 0.05, 5.0  # seconds; doubled after each failure, with jitter


class Waiting(NamedTuple):
    """One encoded change or marker in its lane's queue."""

    content: bytes | Marker
    committed: int
    transaction: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """Content of one record: changes of one lane in order, or one marker. `size` is in bytes of JSON."""

    lane: int
    contents: tuple[bytes | Marker, ...]
    committed: int
    """Commit time of the oldest change, ms since 1970."""
    transaction: int
    """The oldest change's transaction."""
    size: int

    @property
    def marker(self) -> Marker | None:
        first = self.contents[0]
        return first if isinstance(first, Marker) else None

    @property
    def changes(self) -> list[bytes]:
        return [content for content in self.contents if isinstance(content, bytes)]

    @property
    def held(self) -> int:
        """Bytes of memory it takes."""
        return self.size + OVERHEAD * len(self.contents)

    def encode(self, sender: int) -> bytes:
        """The record's data: the same bytes for every attempt. `sender` is the fencing token."""
        if self.marker is not None:
            return encode_marker(self.lane, sender, self.committed, self.marker)
        return encode_record(self.lane, sender, self.committed, self.changes)


@dataclass(slots=True)
class _Lane:
    waiting: deque[Waiting] = field(default_factory=deque)
    size: int = 0
    parcel: Parcel | None = None
    sending: bool = False
    failures: int = 0
    due: float | None = None


class Lanes:
    """
    Decides what may be sent when; the sender sends it. Not safe for threads: the outbox locks.

    `linger` is how many seconds a change waits for others to fill its record, `limit` how many bytes of
    memory may be held before reading has to wait (backpressure). `random` returns numbers from 0 to 1, for
    the jitter of the backoff. Times are seconds of any clock that never goes back.
    """

    def __init__(
        self, lanes: int, *, random: Callable[[], float], linger: float = 0.02, limit: int = 64 << 20
    ) -> None:
        self.linger = linger
        self.limit = limit
        self.held = 0
        """Bytes of memory in the queues and in flight."""
        self._random = random
        self._lanes = [_Lane() for _ in range(lanes)]
        self._due: list[tuple[float, int]] = []
        self._markers: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """Whether reading has to wait for sending (backpressure)."""
        return self.held >= self.limit

    @property
    def empty(self) -> bool:
        """Whether everything that was added has been accepted."""
        return not self.held

    @property
    def oldest(self) -> int | None:
        """Number of the oldest transaction with a change that is not accepted; None if there is none."""
        return min((first for first in map(_first, self._lanes) if first is not None), default=None)

    def add(self, lane: int, change: bytes, committed: int, transaction: int, now: float) -> None:
        """Appends an encoded change to its lane. `transaction` must never be less than before."""
        state = self._lanes[lane]
        state.waiting.append(Waiting(change, committed, transaction))
        state.size += len(change)
        # `size` is what a record will hold, `held` what memory holds.
        self.held += len(change) + OVERHEAD
        if state.parcel is not None:
            return  # the lane is scheduled when its record has been accepted
        if len(state.waiting) == 1:
            self._schedule(lane, now + self.linger)
        # Only at the change that fills the record: scheduled for each one, the heap would grow without need.
        elif len(state.waiting) == MAX_CHANGES or state.size >= MAX_RECORD > state.size - len(change):
            self._schedule(lane, now)

    def mark(self, marker: Marker, committed: int, transaction: int, now: float) -> None:
        """Appends the marker to every lane."""
        # In empty lanes, too: a marker seen in some lanes proves nothing of the others.
        self._markers[marker.id] = len(self._lanes)
        for lane, state in enumerate(self._lanes):
            state.waiting.append(Waiting(marker, committed, transaction))
            self.held += OVERHEAD
            if state.parcel is None:
                self._schedule(lane, now)

    def marked(self, marker_id: str) -> bool:
        """Whether the marker has been accepted in every lane."""
        # `in` is needed: a Counter has 0 for a marker that was never added.
        return marker_id in self._markers and not self._markers[marker_id]

    def hurry(self, now: float) -> None:
        """Ends lingering: everything is due now. For the end of capture."""
        self.linger = 0
        for lane, state in enumerate(self._lanes):
            if state.waiting and state.parcel is None:
                self._schedule(lane, now)

    def next_due(self) -> float | None:
        """When `take` will return something; None: not before something is added, accepted or failed."""
        # A rescheduled lane leaves its former entry in the heap: its time is no longer the lane's: drop it.
        while self._due and self._lanes[self._due[0][1]].due != self._due[0][0]:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def take(self, now: float, max_records: int = 500, max_bytes: int = 4 << 20) -> list[Parcel]:
        """
        The content of one request, one record for each lane; empty if nothing is due.

        Each parcel must be reported as accepted or failed, or its lane stays blocked. The default limits are
        within those of PutRecords: 500 records, and 5 MiB, which is the older of its limits in bytes.
        """
        taken: list[Parcel] = []
        size = 0
        while len(taken) < max_records and (due := self.next_due()) is not None and due <= now:
            lane = self._due[0][1]
            parcel = self._packed(lane)
            size += parcel.size
            if taken and size > max_bytes:
                break  # it stays packed and due: the first of the next request
            state = self._lanes[lane]
            state.due, state.sending = None, True
            taken.append(parcel)
        return taken

    def accepted(self, lane: int, now: float) -> None:
        """The stream has accepted the lane's record."""
        state = self._sent(lane)
        assert state.parcel is not None  # it was taken
        self.held -= state.parcel.held
        if state.parcel.marker is not None:
            self._markers[state.parcel.marker.id] -= 1
        state.parcel, state.failures = None, 0
        if state.waiting:
            full = len(state.waiting) >= MAX_CHANGES or state.size >= MAX_RECORD
            self._schedule(lane, now if full else now + self.linger)

    def failed(self, lane: int, now: float) -> None:
        """The lane's record was refused, or its outcome is unknown: it is retried, after a growing pause."""
        state = self._sent(lane)
        exponent = min(state.failures, 10)  # without a bound the power would overflow a float
        longest = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2**exponent)
        # The parcel stays: the same bytes are sent again before anything newer of the lane.
        state.failures += 1
        self._schedule(lane, now + longest * (1 + self._random()) / 2)

    def _sent(self, lane: int) -> _Lane:
        state = self._lanes[lane]
        if not state.sending:
            raise RuntimeError(f"nothing of lane {lane} is in flight")
        state.sending = False
        return state

    def _schedule(self, lane: int, due: float) -> None:
        self._lanes[lane].due = due
        heapq.heappush(self._due, (due, lane))

    def _packed(self, lane: int) -> Parcel:
        state = self._lanes[lane]
        if state.parcel is None:
            entries = [state.waiting.popleft() for _ in range(_fitting(state.waiting))]
            size = sum(map(_size, entries))
            state.size -= size
            contents = tuple(entry.content for entry in entries)
            committed = min(entry.committed for entry in entries)
            # The first entry has the oldest transaction: `add` is called with rising numbers.
            state.parcel = Parcel(lane, contents, committed, entries[0].transaction, size)
        return state.parcel


def _first(state: _Lane) -> int | None:
    if state.parcel is not None:
        return state.parcel.transaction
    return state.waiting[0].transaction if state.waiting else None


def _size(entry: Waiting) -> int:
    return len(entry.content) if isinstance(entry.content, bytes) else 0


def _fitting(waiting: Iterable[Waiting]) -> int:
    """How many entries go into one record: a marker alone, or changes up to the record's limits."""
    count = size = 0
    for content, _, _ in waiting:
        if type(content) is not bytes:
            break
        size += len(content) + 1  # the comma
        # `count and`: one change always goes; that it fits into a record, `encoding` has made sure.
        if count == MAX_CHANGES or (count and size > MAX_RECORD):
            break
        count += 1
    return count or 1
