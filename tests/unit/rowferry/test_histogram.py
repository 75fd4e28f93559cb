from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rowferry.histogram import BASE, FIELD, bucket, percentile


@given(st.integers(0, 10**9))
def test_a_lag_is_within_its_bucket(lag: int) -> None:
    number = bucket(lag)
    assert max(lag, 1) <= BASE**number * (1 + 1e-9)
    assert number == 0 or lag > BASE ** (number - 1) * (1 - 1e-9)


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_right_to_a_quarter(lags: list[int], share: float) -> None:
    counted = Counter(f"{FIELD}{bucket(lag)}" for lag in lags)
    found = percentile(counted, share)
    exact = sorted(lags)[max(0, -int(-share * len(lags) // 1) - 1)]
    assert found is not None and exact * (1 - 1e-9) <= found <= exact * BASE * (1 + 1e-9)


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile({"applied": 7}, 0.5) is None
    assert percentile({"lag_3": 0, "lag_9": 0}, 0.5) is None
