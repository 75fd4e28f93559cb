"""Lanes and checkpoints, shared by the reader, the senders and the keeper."""

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from capturer.source.place import Place
from capturer.state.status import Counters
from capturer.stream.checkpoints import Checkpoints
from capturer.stream.lanes import Lanes, Parcel
from capturer.stream.sender import Sent
from rowferry.change import Marker


class Encoded(NamedTuple):
    """
    What was read: encoded changes with their lanes, their commit time (ms since 1970) and transaction.

    `place` is the newest boundary that was read: everything before it has been added, except for XA
    transactions without an outcome, the first of which starts at its `restart`.
    """

    changes: Sequence[tuple[int, bytes]]
    committed: int
    transaction: int
    place: Place


class Reach(NamedTuple):
    """
    Progress: everything before `reached` is on the stream, `read` is the newest boundary that was read.

    XA transactions without an outcome at `reached` all start at its `restart` or after it.
    """

    reached: Place
    read: Place
    sent: Counters


class Outbox:
    """
    Everything that has been read and that the stream has not accepted yet. Safe for threads.

    `clock` returns seconds and never goes back.
    """

    def __init__(
        self,
        lanes: Lanes,
        start: Place,
        clock: Callable[[], float],
    ) -> None:
        self._lanes = lanes
        self._checkpoints = Checkpoints(start)
        self._clock = clock
        self._read = start
        self._transaction = 0
        self._sent = Counters()
        self._shut = self._closed = False
        lock = threading.Lock()  # one for all three: they are conditions on the same lanes
        self._due, self._space, self._emptied = (threading.Condition(lock) for _ in range(3))

    def add(self, encoded: Encoded) -> bool:
        """
        Adds what was read; False, and nothing is added, while too much is held (backpressure): `wait_space`.

        Without changes it is always added: a boundary takes no memory, and the checkpoint has to move on.
        Once the outbox is shut, what is added is dropped: the next capturer reads it again.
        """
        with self._space:
            if self._shut:
                return True
            if encoded.changes and self._lanes.full:
                return False
            now, due = self._clock(), self._lanes.next_due()
            transaction = encoded.transaction
            for lane, change in encoded.changes:
                self._lanes.add(lane, change, encoded.committed, transaction, now)
            self._transaction = transaction
            place = encoded.place
            if place is not self._read:  # a portion of a large transaction has the boundary before it
                self._read = place
                self._checkpoints.ended(transaction, place)
            self._wake(due)
            return True

    def wait_space(self) -> None:
        """Waits until `add` takes changes again, or the outbox is shut."""
        with self._space:
            self._space.wait_for(lambda: self._shut or not self._lanes.full)

    def mark(self, marker: Marker, committed: int) -> None:
        """Appends the marker to every lane."""
        with self._due:
            due = self._lanes.next_due()
            self._lanes.mark(marker, committed, self._transaction, self._clock())
            self._wake(due)

    def marked(self, marker: Marker) -> bool:
        """Whether the marker is on the stream in every lane."""
        with self._due:
            return self._lanes.marked(marker.id)

    def take(self) -> list[Parcel]:
        """The content of a request that is due; empty if none is. Each parcel has to be settled."""
        with self._due:
            if self._closed:
                return []
            parcels = self._lanes.take(self._clock())
            if parcels and self._lanes.next_due() is not None:
                self._due.notify()  # one wake-up may have been for several requests
            return parcels

    def next_due(self) -> float | None:
        """When `take` will return something, by the clock; None: not before something changes."""
        with self._due:
            return self._lanes.next_due()

    def wait_due(self) -> bool:
        """Waits until something is due. False once the outbox is closed."""
        with self._due:
            while not self._closed:
                now, due = self._clock(), self._lanes.next_due()
                if due is not None and due <= now:
                    return True
                self._due.wait(None if due is None else due - now)
            return False

    def settle(self, sent: Sent) -> None:
        """Outcome of a PutRecords request, one per record: what failed is due again after a pause."""
        with self._due:
            now = self._clock()
            for parcel in sent.accepted:
                self._lanes.accepted(parcel.lane, now)
            for parcel in sent.failed:
                self._lanes.failed(parcel.lane, now)
            self._sent += sent.counters
            self._due.notify()
            if not self._lanes.full:
                self._space.notify()  # one thread waits there, the reader
            if self._lanes.empty:
                self._emptied.notify_all()

    def reached(self) -> Reach:
        """The progress up to now. Its parts belong together: they are read under one lock."""
        with self._due:
            return Reach(self._checkpoints.reached(self._lanes.oldest), self._read, self._sent)

    def shut(self) -> None:
        """Adds nothing more; what is held is sent without lingering."""
        with self._due:
            self._shut = True
            self._lanes.hurry(self._clock())
            self._space.notify_all()
            self._due.notify_all()

    def wait_empty(self, seconds: float) -> bool:
        """Waits up to `seconds`; returns whether everything is on the stream."""
        with self._emptied:
            return self._emptied.wait_for(lambda: self._lanes.empty, seconds)

    def close(self) -> None:
        """Ends sending and the waits. What is still held is dropped: the next capturer reads it again."""
        with self._due:
            self._closed = self._shut = True
            self._due.notify_all()
            self._space.notify_all()

    def _wake(self, before: float | None) -> None:
        """Wakes a sender if something is due earlier than what it may be waiting for."""
        due = self._lanes.next_due()
        if due is not None and (before is None or due < before):
            self._due.notify()
