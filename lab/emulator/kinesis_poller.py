"""
Delivers the records of one Kinesis shard to a function as AWS documents it for event source mappings.

The emulator's own poller counts every record of a batch as done, whatever the function reports: a rehearsal
with it would hide lost records. This module decides what is delivered next and what an answer means; it knows
neither the emulator nor threads (kinesis_delivery.py does). Source: the Lambda developer guide, "Using Lambda
with Kinesis".

If the guide is silent, the harsher reading is taken, so that what survives here survives on AWS: a partial
failure uses up a retry even if it made progress, and BisectBatchOnFunctionError halves a batch only after a
function error, not after a partial failure that begins with the batch's first record. Left out:
ParallelizationFactor (one batch per shard at a time), tumbling windows, enhanced fan-out, resharding.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

# A record as the emulator stores it: SequenceNumber (digits of fixed length, so text order is number order),
# ApproximateArrivalTimestamp (seconds), PartitionKey, Data (base64).
Record = Mapping[str, Any]

PAYLOAD_LIMIT = 6 * 1024 * 1024  # bytes of one synchronous invocation's event
FIRST_PAUSE = 0.1  # seconds before the first retry; doubles up to the longest
LONGEST_PAUSE = 5.0  # AWS pauses longer; a rehearsal should not


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Settings of an event source mapping for batches and failures. Seconds and counts; -1 means without limit.
    """

    batch_size: int
    window: float
    retries: int
    age: float
    bisects: bool
    reports_failures: bool

    @classmethod
    def of(cls, mapping: Mapping[str, Any]) -> "Settings":
        """Read a mapping as the Lambda API or CloudFormation stored it (numbers may be text there)."""
        return cls(
            batch_size=int(mapping.get("BatchSize", 100)),
            window=float(mapping.get("MaximumBatchingWindowInSeconds", 0)),
            retries=int(mapping.get("MaximumRetryAttempts", -1)),
            age=float(mapping.get("MaximumRecordAgeInSeconds", -1)),
            bisects=is_true(mapping.get("BisectBatchOnFunctionError", False)),
            reports_failures="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """
    Records that are delivered together; `retries` counts towards the limit, `invocations` is for the report.
    """

    records: Sequence[Record]
    retries: int = 0
    invocations: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """
    Outcome of one invocation.

    done: number of records, from the first, that need not be delivered again.
    error: the function failed as a whole (raised, timed out), without naming a record.
    throttled: the function was not invoked, which does not count as a retry.
    """

    done: int
    error: bool = False
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Discard:
    """Discarded records, and why: RetryAttemptsExhausted or RecordAgeExceeded."""

    batch: Batch
    condition: str
    error: bool = False


@dataclass(slots=True)
class Shard:
    """
    Progress of one mapping in one shard, and what it has to deliver again.

    checkpoint: sequence number of the newest record that is done; kept while the mapping is disabled.
    since: arrival time in seconds before which records are not wanted (AT_TIMESTAMP).
    again: batches to be delivered again, the next one last.
    """

    checkpoint: str = ""
    since: float = 0.0
    again: list[Batch] = field(default_factory=list)
    not_before: float = 0.0
    gathering_since: float | None = None

    def next_batch(self, records: Sequence[Record], settings: Settings, now: float) -> Batch | None:
        """
        Return what is due for delivery, or None. `records` are all that the shard retains, oldest first.
        """
        if now < self.not_before:
            return None
        if self.again:
            return self.again.pop()
        return self._fresh(records, settings, now)

    def _fresh(self, records: Sequence[Record], settings: Settings, now: float) -> Batch | None:
        start = max(
            bisect_right(records, self.checkpoint, key=lambda r: r["SequenceNumber"]),
            bisect_left(records, self.since, key=lambda r: r["ApproximateArrivalTimestamp"]),
        )
        if start >= len(records):
            return None
        if self.gathering_since is None:
            self.gathering_since = now
        taken = fitting(records[start : start + settings.batch_size])
        is_full = len(taken) == settings.batch_size or start + len(taken) < len(records)
        if not is_full and now - self.gathering_since < settings.window:
            return None
        self.gathering_since = None
        return Batch(taken)

    def expire(self, batch: Batch, settings: Settings, now: float) -> tuple[Batch, Discard | None]:
        """Split off the records that are too old to be delivered; the rest may be empty."""
        if settings.age < 0:
            return batch, None
        old = bisect_right(batch.records, now - settings.age, key=lambda r: r["ApproximateArrivalTimestamp"])
        if not old:
            return batch, None
        gone = replace(batch, records=batch.records[:old])
        self._advance(gone.records)
        return replace(batch, records=batch.records[old:]), Discard(gone, "RecordAgeExceeded")

    def settle(self, batch: Batch, answer: Answer, settings: Settings, now: float) -> Discard | None:
        """Advance the checkpoint, plan what has to be delivered again, return what is discarded."""
        self._advance(batch.records[: answer.done])
        if answer.done == len(batch.records):
            return None
        self.not_before = now + pause(batch.invocations)
        left = replace(batch, records=batch.records[answer.done :], invocations=batch.invocations + 1)
        return self._plan(left, answer, settings)

    def _plan(self, left: Batch, answer: Answer, settings: Settings) -> Discard | None:
        if answer.throttled:
            self.again.append(left)
        elif answer.error and settings.bisects and len(left.records) > 1:
            self.again += reversed(halves(left))
        elif 0 <= settings.retries <= left.retries:
            self._advance(left.records)
            self.not_before = 0.0
            return Discard(left, "RetryAttemptsExhausted", answer.error)
        else:
            self.again.append(replace(left, retries=left.retries + 1))
        return None

    def _advance(self, records: Sequence[Record]) -> None:
        if records:
            self.checkpoint = records[-1]["SequenceNumber"]


def starting(mapping: Mapping[str, Any], records: Sequence[Record]) -> Shard:
    """Return the position at which a new mapping begins in a shard with these `records`."""
    position = mapping.get("StartingPosition", "LATEST")
    if position == "AT_TIMESTAMP":
        return Shard(since=float(mapping["StartingPositionTimestamp"]))
    if position == "LATEST" and records:
        return Shard(checkpoint=records[-1]["SequenceNumber"])
    return Shard()


def fitting(records: Sequence[Record]) -> Sequence[Record]:
    """Return the first records whose event stays within PAYLOAD_LIMIT, but at least one."""
    size = 0
    for count, record in enumerate(records):
        # 600 is above what the constant fields of a record take (about 480 bytes with long ARNs).
        size += len(record["Data"]) + len(record["PartitionKey"]) + 600
        if size > PAYLOAD_LIMIT:
            return records[: max(1, count)]
    return records


def halves(batch: Batch) -> list[Batch]:
    """Split a batch in two. Splitting does not use up a retry."""
    middle = len(batch.records) // 2
    return [replace(batch, records=batch.records[:middle]), replace(batch, records=batch.records[middle:])]


def pause(invocations: int) -> float:
    """Return the seconds to wait after `invocations` earlier invocations with the same records."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(invocations, 10))


def read_answer(body: Any, batch: Batch, settings: Settings) -> Answer:
    """
    Return what a function's return value means for its batch.

    Nothing named: all are done. A named record: all before it are done; of several, the first counts. A name
    that is empty, null, missing or not in the batch: the whole batch failed.
    """
    failures = body.get("batchItemFailures") if isinstance(body, Mapping) else body
    if not settings.reports_failures or not failures:
        return Answer(done=len(batch.records))
    if not isinstance(body, Mapping) or not isinstance(failures, list):
        return Answer(done=0)
    place = {record["SequenceNumber"]: index for index, record in enumerate(batch.records)}
    return Answer(done=min(place.get(identifier(failure), 0) for failure in failures))


def identifier(failure: Any) -> str | None:
    """Return the sequence number that one entry of batchItemFailures names, or None."""
    name = failure.get("itemIdentifier") if isinstance(failure, Mapping) else None
    return name if isinstance(name, str) else None


def is_true(value: Any) -> bool:
    """Read a boolean that CloudFormation may have left as text."""
    return value.lower() == "true" if isinstance(value, str) else bool(value)
