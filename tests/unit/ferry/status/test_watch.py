"""What is between two looks at a move."""

from typing import Any

import pytest

from ferry.status.watch import rates, watched


def state(
    captured: int = 0, applied: int = 0, done: int = 0, chunks: int = 10, rows: int = 0
) -> dict[str, Any]:
    return {
        "capture": {"changes": captured},
        "applied": applied,
        "bulk": [{"done": done, "chunks": chunks, "rows": rows}],
        "backlog": {"changes": captured - applied},
    }


def test_rates_and_what_is_left() -> None:
    found = rates(state(100, 40, 2, rows=200), state(300, 200, 4, rows=400), 2.0)
    assert (found.captured, found.applied, found.rows) == (100, 80, 100)
    assert found.load_left == 6 / 1.0
    assert found.backlog_left is None, "it grows"
    assert rates(state(100, 0), state(100, 50), 1.0).backlog_left == 1.0
    done = rates(state(5, 5, 10), state(5, 5, 10), 1.0)
    assert (done.load_left, done.backlog_left) == (0.0, 0.0)
    assert rates(state(), state(), 1.0).load_left is None


def test_counters_that_begin_again_are_no_negative_rate() -> None:
    assert rates(state(900, 900), state(10, 0), 1.0).captured == 0.0


def test_looks_are_taken_in_turn() -> None:
    looks, now = iter([state(0), state(30), state(90)]), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    seen = watched(lambda: next(looks), 3.0, lambda: now[0], sleep)
    assert next(seen)[1] is None
    for rate in (10.0, 20.0):
        found = next(seen)[1]
        assert found and found.captured == pytest.approx(rate)
