"""How a load is held back, without clocks."""

import json
from base64 import b64decode
from math import inf
from typing import Any

import pytest

from bulkload.dynamodb.client import body
from bulkload.throttle.controller import Governor
from bulkload.throttle.limits import Limits
from bulkload.throttle.rate import Adaptive, TokenBucket
from bulkload.throttle.shared_counters import Board
from bulkload.throttle.worker_limiter import Meter
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
        self.board = Board(1)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def meter(self) -> Meter:
        return Meter(self.board, 0, lambda: None, lambda: self.now, self.sleep)


def test_requests_wait_for_the_capacity_that_the_answers_name() -> None:
    clock = Clock()
    clock.board.allow(50, inf)
    meter = clock.meter()
    for _ in range(21):
        expected = meter.begin(25)
        meter.end(25, expected, {"ConsumedCapacity": [{"TableName": "t", "CapacityUnits": 50.0}]})
    assert clock.now == pytest.approx(20, abs=1)
    assert clock.board.totals() == (1050.0, 0, 0)


def test_what_is_left_undone_and_what_is_refused_count_as_throttles() -> None:
    clock = Clock()
    meter = clock.meter()
    meter.end(25, meter.begin(25), {"UnprocessedItems": {"t": [1]}, "ConsumedCapacity": []})
    meter.throttled(meter.begin(25))
    assert clock.board.totals()[1] == 2


def test_rows_wait_too_and_a_new_limit_holds_at_once() -> None:
    clock = Clock()
    clock.board.allow(inf, 1000)
    meter = clock.meter()
    for _ in range(6):
        meter.rows(1000)
    assert clock.now == pytest.approx(5)
    clock.board.allow(inf, inf)
    meter.rows(10**9)
    meter.rows(1)
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
    board = Board(4)
    governor = Governor(board, 4, control, lambda: None)
    Limits(wcu=1000, rows=80).write(control)
    governor.look()
    assert (board.units, board.rows, governor.held) == (250, 20, None)
    board.add(1, throttles=1)
    governor.look()
    assert governor.rate == Adaptive.LEAST
    Limits(paused=True).write(control)
    governor.look()
    assert governor.held and "paused" in governor.held and board.rows == inf


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
