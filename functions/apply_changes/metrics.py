"""
Every metric of the consumer, and the counters that it keeps in the control table. docs/metrics.md is made of
it.
"""

from collections import Counter
from collections.abc import Mapping

from apply_changes.applier import ApplyResult
from rowferry.histogram import FIELD, bucket

NAMESPACE = "Rowferry"

METRICS: Mapping[str, tuple[str, str]] = {
    "ChangesApplied": ("Count", "row changes written to items"),
    "RepeatsSkipped": ("Count", "row changes that the item already held"),
    "ChangesQuarantined": ("Count", "row changes sent to the quarantine queue"),
    "ChangesUnapplied": ("Count", "row changes that the stream will deliver again"),
    "WriteRequests": ("Count", "requests to DynamoDB for items"),
    "ApplyLag": ("Milliseconds", "from the commit in MySQL of a batch's oldest change to its being applied"),
}
"""Name: unit and meaning."""


def metric_values(result: ApplyResult, now: int) -> dict[str, int]:
    """The metrics of one batch, applied at `now` (milliseconds since 1970)."""
    values = {
        "ChangesApplied": result.applied,
        "RepeatsSkipped": result.repeats,
        "ChangesQuarantined": result.quarantined,
        "ChangesUnapplied": result.unapplied,
        "WriteRequests": result.requests,
    }
    if result.committed:
        values["ApplyLag"] = max(0, now - min(result.committed))  # the source's clock may be ahead
    return values


def counters(result: ApplyResult, records: int, now: int) -> Counter[str]:
    """
    What a batch adds to the item `applied` in the control table.

    `records` is the number of records that will not be delivered again, `now` milliseconds since 1970.
    """
    counted = Counter(
        invocations=1,
        records=records,
        changes=result.applied + result.repeats + result.quarantined,
        applied=result.applied,
        repeats=result.repeats,
        quarantined=result.quarantined,
        requests=result.requests,
    )
    for committed, changes in result.committed.items():
        counted[f"{FIELD}{bucket(now - committed)}"] += changes
    return counted
