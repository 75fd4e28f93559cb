"""The histogram of the lag: the consumer adds changes to it, `ferry status` and the rehearsal read it."""

import math
from collections.abc import Mapping

BASE = 1.25
"""Each bucket is a quarter wider than the one before: percentiles are right to 25 %."""
FIELD = "lag_"
"""Prefix of a bucket's field in the control table's item `applied`; the bucket's number follows."""


def bucket(milliseconds: int) -> int:
    """
    The bucket of a lag. Bucket N has lags above 1.25**(N-1) and up to 1.25**N ms; bucket 0 those up to 1 ms.
    """
    return max(0, math.ceil(math.log(max(milliseconds, 1), BASE)))  # 0 has no logarithm


def percentile(counted: Mapping[str, int], share: float) -> float | None:
    """
    The lag in milliseconds that `share` (0 to 1) of the changes did not exceed; None without changes.

    `counted` is the item `applied`, or the difference of two; other fields are ignored. The result is the
    upper end of a bucket: up to a quarter too high, never too low.
    """
    fields = {name: count for name, count in counted.items() if name.startswith(FIELD)}
    buckets = sorted((int(name.removeprefix(FIELD)), count) for name, count in fields.items())
    left = share * sum(count for _, count in buckets)
    for number, count in buckets:
        left -= count
        if left <= 0 and count:
            return BASE**number
    return None
