"""How a load is held back, without clocks."""

import json
from base64 import b64decode
from math import inf
from typing import Any

import pytest

from bulkload.dynamodb.client import body
from bulkload.throttle.controller import RateController
from bulkload.throttle.limits import Limits
from bulkload.throttle.rate import Adaptive, TokenBucket
from bulkload.throttle.shared_counters import SharedCounters
from bulkload.throttle.worker_limiter import WorkerLimiter
from rowferry.control_table import ControlTable


def spent(rate: float, amounts: list[float]) -> float:
    """Seconds until a bucket has given all of these amounts."""
    bucket, now = TokenBucket(), 0.0
    for amount in amounts:
        while pause := bucket.take(amount, rate, now):
            now += pause
    return now


def test_a_bucket_gives_its_rate_whatever_the_amounts() -> None:
    assert spent(100, [10] * 101) == pytest.approx(10, abs=0.2)
    assert spent(100, [500, 500, 1]) == pytest.approx(10)
    assert spent(inf, [1e9] * 10) == 0


def test_an_idle_bucket_saves_up_for_a_second_and_no_more() -> None:
    bucket = TokenBucket()
    bucket.take(0, 10, 0.0)
    assert bucket.take(30, 10, 100.0) == 0
    assert bucket.take(1, 10, 100.0) == pytest.approx(2)


def test_a_bucket_learns_what_a_request_did_cost() -> None:
    bucket = TokenBucket()
    bucket.take(1, 10, 0.0)
    bucket.correct(19)
    assert bucket.take(1, 10, 0.0) == pytest.approx(2)
    assert TokenBucket().take(1, 0, 0.0) == 0  # nothing owed yet
    assert bucket.take(1, 0, 0.0) == inf


def test_the_rate_falls_by_a_factor_and_rises_by_steps() -> None:
    adaptive = Adaptive()
    assert adaptive.step(1000, 0, 1) == inf  # no limit before the first throttle
    assert adaptive.step(1000, 3, 1) == 700
    assert adaptive.step(700, 0, 1) == 720
    assert adaptive.step(720, 0, 1) == 740
    assert adaptive.step(400, 1, 1) == 280  # of what went through, not of what was allowed
    for _ in range(20):
        lowest = adaptive.step(0, 1, 1)
    assert lowest == Adaptive.LEAST


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


class Control:
    """Holds one item, as a control table."""

    def __init__(self) -> None:
        self.item: dict[str, Any] = {}

    def get_item(self, **_: Any) -> Any:
        return {"Item": self.item}

    def put_item(self, **arguments: Any) -> None:
        self.item = arguments["Item"]


def test_limits_are_shared_among_the_workers() -> None:
    control = ControlTable(Control(), "control")
    counters = SharedCounters(4)
    controller = RateController(counters, 4, control, lambda: None)
    Limits(wcu=1000, rows=80).write(control)
    controller.look()
    assert (counters.units, counters.rows, controller.held) == (250, 20, None)
    counters.add(1, throttles=1)
    controller.look()
    assert controller.rate == Adaptive.LEAST
    Limits(paused=True).write(control)
    controller.look()
    assert controller.held and "paused" in controller.held and counters.rows == inf


def test_limits_say_what_they_are() -> None:
    assert str(Limits()) == "no limits"
    assert str(Limits(wcu=4000, paused=True)) == "paused, at most 4,000 WCU/s written"


def test_a_body_is_what_dynamodb_reads() -> None:
    item = {"b": {"B": bytes(range(256))}, "s": {"S": 'é\U0001f600\x00"\\'}, "n": {"NULL": True}}
    written = body({"RequestItems": {"t": [{"PutRequest": {"Item": item}}]}})
    found = json.loads(written)["RequestItems"]["t"][0]["PutRequest"]["Item"]
    assert b64decode(found["b"]["B"]) == bytes(range(256))
    assert (found["s"], found["n"]) == (item["s"], item["n"])
    assert "é\U0001f600".encode() in written
