"""Requests and rows that wait for their turn, without clocks."""

from math import inf

import pytest

from bulkload.throttle.shared_counters import SharedCounters
from bulkload.throttle.worker_limiter import WorkerLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.counters = SharedCounters(1)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def limiter(self) -> WorkerLimiter:
        return WorkerLimiter(self.counters, 0, lambda: None, lambda: self.now, self.sleep)


def test_requests_wait_for_the_capacity_that_the_answers_name() -> None:
    clock = Clock()
    clock.counters.allow(50, inf)
    limiter = clock.limiter()
    for _ in range(21):
        expected = limiter.begin(25)
        limiter.end(25, expected, {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 50.0}]})
    assert clock.now == pytest.approx(20, abs=1)
    assert clock.counters.totals() == (1050.0, 0, 0)


def test_what_is_left_undone_and_what_is_refused_count_as_throttles() -> None:
    clock = Clock()
    limiter = clock.limiter()
    limiter.end(25, limiter.begin(25), {"UnprocessedItems": {"t": [1]}, "ConsumedCapacity": []})
    limiter.throttled(limiter.begin(25))
    assert clock.counters.totals()[1] == 2


def test_rows_wait_too_and_a_new_limit_holds_at_once() -> None:
    clock = Clock()
    clock.counters.allow(inf, 1000)
    limiter = clock.limiter()
    for _ in range(6):
        limiter.rows(1000)
    assert clock.now == pytest.approx(5)
    clock.counters.allow(inf, inf)
    limiter.rows(10**9)
    limiter.rows(1)
    assert clock.now == pytest.approx(5)
