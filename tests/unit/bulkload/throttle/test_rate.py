"""How fast: a bucket of tokens, and a rate that follows throttles. Without clocks."""

from math import inf

import pytest

from bulkload.throttle.rate import Adaptive, TokenBucket


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
