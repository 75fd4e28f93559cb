"""What a worker reads and writes, measured, and held back where there is a limit."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bulkload.throttle.rate import TokenBucket
from bulkload.throttle.shared_counters import Board

LONGEST_WAIT = 0.5  # seconds until the limit, and the guard, are looked at again


class Meter:
    """One worker's, used by all of its threads. `guard` raises when the worker has to end."""

    def __init__(
        self,
        board: Board,
        worker: int,
        guard: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._board = board
        self._worker = worker
        self._guard = guard
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._writes, self._reads = TokenBucket(), TokenBucket()
        self._cost = 1.0  # WCU of an item, as the last answer had it

    def rows(self, count: int) -> None:
        """Before the next rows are taken: waits as long as the limit says."""
        self._wait(self._reads, count, lambda: self._board.rows)
        with self._lock:
            self._board.add(self._worker, rows=count)

    def begin(self, items: int) -> float:
        """Before a request: waits as long as the limit says; returns the WCU that it was taken to need."""
        expected = items * self._cost
        self._wait(self._writes, expected, lambda: self._board.units)
        return expected

    def end(self, items: int, expected: float, answer: Mapping[str, Any]) -> None:
        """After a request: `answer` tells what it did need, and whether DynamoDB left some of it undone."""
        found = answer.get("ConsumedCapacity")
        several = found if isinstance(found, list) else [found] if found else []
        units = sum(entry.get("CapacityUnits", 0.0) for entry in several) if several else expected
        with self._lock:
            self._writes.correct(units - expected)
            self._board.add(self._worker, units=units, throttles=bool(answer.get("UnprocessedItems")))
            if several and items and not answer.get("UnprocessedItems"):
                self._cost = units / items

    def throttled(self, expected: float) -> None:
        """After a request that DynamoDB refused because there were too many."""
        with self._lock:
            self._writes.correct(-expected)
            self._board.add(self._worker, throttles=1)

    def _wait(self, bucket: TokenBucket, amount: float, rate: Callable[[], float]) -> None:
        while True:
            with self._lock:
                pause = bucket.take(amount, rate(), self._clock())
            if not pause:
                return
            self._sleep(min(pause, LONGEST_WAIT))
            self._guard()
