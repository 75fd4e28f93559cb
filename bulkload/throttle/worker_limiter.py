"""Measures what a worker reads and writes, and waits where a limit is reached."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bulkload.throttle.rate import TokenBucket
from bulkload.throttle.shared_counters import SharedCounters

LONGEST_WAIT = 0.5  # seconds until limit and guard are checked again: both may change meanwhile


class WorkerLimiter:
    """The limiter of one worker, for all of its threads. `guard` raises when the worker has to end."""

    def __init__(
        self,
        counters: SharedCounters,
        worker: int,
        guard: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._counters = counters
        self._worker = worker
        self._guard = guard
        self._clock = clock
        self._sleep = sleep
        # For buckets and counters: neither is safe for two threads.
        self._lock = threading.Lock()
        self._writes, self._reads = TokenBucket(), TokenBucket()
        self._cost = 1.0  # WCU of an item, by the last answer

    def rows(self, count: int) -> None:
        """Called before the next rows are used: waits for the limit."""
        self._wait(self._reads, count, lambda: self._counters.rows)
        with self._lock:
            self._counters.add(self._worker, rows=count)

    def begin(self, items: int) -> float:
        """Called before a request: waits for the limit; returns the WCU that it is expected to need."""
        expected = items * self._cost
        self._wait(self._writes, expected, lambda: self._counters.units)
        return expected

    def end(self, items: int, expected: float, answer: Mapping[str, Any]) -> None:
        """Called after a request: `answer` has the consumed capacity, and the items left unprocessed."""
        found = answer.get("ConsumedCapacity")
        several = found if isinstance(found, list) else [found] if found else []
        units = sum(entry.get("CapacityUnits", 0.0) for entry in several) if several else expected
        with self._lock:
            self._writes.correct(units - expected)
            # Items that are left out count as a throttle, though the request succeeded.
            self._counters.add(self._worker, units=units, throttles=bool(answer.get("UnprocessedItems")))
            # The units of an answer that left items out are those of fewer items.
            if several and items and not answer.get("UnprocessedItems"):
                self._cost = units / items

    def throttled(self, expected: float) -> None:
        """Called after a request that DynamoDB throttled."""
        with self._lock:
            # Nothing was written, so nothing was used.
            self._writes.correct(-expected)
            self._counters.add(self._worker, throttles=1)

    def _wait(self, bucket: TokenBucket, amount: float, rate: Callable[[], float]) -> None:
        while True:
            with self._lock:
                pause = bucket.take(amount, rate(), self._clock())
            if not pause:
                return
            self._sleep(min(pause, LONGEST_WAIT))
            # After each wait: the load may have ended, or lost its lock, meanwhile.
            self._guard()
