from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apply_changes.applier import ApplyResult
from apply_changes.metrics import LAG_BASE, METRICS, counters, lag_bucket, metric_values, percentile


@given(st.integers(0, 10**9))
def test_a_lag_is_within_its_bucket(lag: int) -> None:
    bucket = lag_bucket(lag)
    assert max(lag, 1) <= LAG_BASE**bucket * (1 + 1e-9)
    assert bucket == 0 or lag > LAG_BASE ** (bucket - 1) * (1 - 1e-9)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_right_to_a_quarter(lags: list[int], share: float) -> None:
    counted = Counter(f"lag_{lag_bucket(lag)}" for lag in lags)
    found = percentile(counted, share)
    exact = sorted(lags)[max(0, -int(-share * len(lags) // 1) - 1)]
    assert found is not None and exact * (1 - 1e-9) <= found <= exact * LAG_BASE * (1 + 1e-9)


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile({"applied": 7}, 0.5) is None


RESULT = ApplyResult(
    received=6,
    applied=3,
    repeats=1,
    quarantined=1,
    unapplied=1,
    requests=4,
    committed=Counter({900: 2, 400: 1}),
)


def test_the_metrics_are_those_that_are_documented() -> None:
    values = metric_values(RESULT, 1000)
    assert values.keys() == METRICS.keys()
    assert (values["ApplyLag"], values["ChangesUnapplied"]) == (600, 1)
    assert "ApplyLag" not in metric_values(ApplyResult(), 1000)


@pytest.mark.parametrize(("now", "lag"), [(1000, 600), (0, 0)])
def test_a_clock_that_is_behind_gives_no_negative_lag(now: int, lag: int) -> None:
    assert metric_values(RESULT, now)["ApplyLag"] == lag
    assert all(int(name[4:]) >= 0 for name in counters(RESULT, 1, now) if name.startswith("lag_"))


def test_the_counters_balance() -> None:
    counted = counters(RESULT, 5, 1000)
    assert counted["changes"] == counted["applied"] + counted["repeats"] + counted["quarantined"] == 5
    assert (counted["records"], counted["invocations"], counted["requests"]) == (5, 1, 4)
    assert sum(count for name, count in counted.items() if name.startswith("lag_")) == 3
