from collections import Counter

import pytest

from apply_changes.applier import ApplyResult
from apply_changes.metrics import METRICS, counters, metric_values

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
