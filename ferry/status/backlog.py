"""The backlog on the stream: how much waits, how long it has waited, and when the stream deletes it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

LOOKS = 5
"""
Empty answers of Kinesis before a shard counts as empty: GetRecords may return none although there are some.
"""


def backlog(
    checkpoint: Mapping[str, Any], counters: Mapping[str, Any], oldest: float | None
) -> dict[str, Any]:
    """
    The backlog as --json prints it, without the retention; `oldest` in seconds. Changes and records are those
    that capture has sent minus those that the consumer has taken: duplicates make them too small for a while.
    """
    left = {name: max(0, checkpoint.get(name, 0) - counters.get(name, 0)) for name in ("changes", "records")}
    waits = oldest if left["changes"] or left["records"] else 0.0
    return {**left, "oldest_seconds": None if waits is None else round(waits, 1)}


def kept(found: dict[str, Any], hours: int) -> dict[str, Any]:
    """The same with the stream's retention, and the hours until the stream deletes the oldest."""
    oldest = found["oldest_seconds"]
    left = None if oldest is None else round(max(0.0, hours - oldest / 3600), 1)
    return {**found, "retention_hours": hours, "hours_left": left}


def oldest_seconds(
    counters: Mapping[str, Any], kinesis: Any, stream: str, now: float, *, applying: bool
) -> float | None:
    """
    How long the oldest waiting change has waited. `now` in seconds since 1970.

    While the consumer is `applying`: by its last batch, perhaps too long; before its first batch: by the
    oldest record on the stream; None where there is neither.
    """
    if applying and (committed := counters.get("committed_ms")):
        return max(0.0, now - int(committed) / 1000)
    arrivals = [_arrival(kinesis, stream, shard) for shard in _shards(kinesis, stream)]
    known = [arrival for arrival in arrivals if arrival]
    return max(0.0, now - min(known).timestamp()) if known else None


def _shards(kinesis: Any, stream: str) -> Iterator[str]:
    asked: dict[str, Any] = {"StreamName": stream}
    while asked:
        answer = kinesis.list_shards(**asked)
        yield from (shard["ShardId"] for shard in answer["Shards"])
        asked = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}


def _arrival(kinesis: Any, stream: str, shard: str) -> datetime | None:
    """When the oldest record of the shard arrived."""
    found = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    place = found["ShardIterator"]
    for _ in range(LOOKS):
        answer = kinesis.get_records(ShardIterator=place, Limit=1)
        for record in answer["Records"]:
            arrived: datetime = record["ApproximateArrivalTimestamp"]
            return arrived
        place = answer.get("NextShardIterator")
        # 0: the answer is empty because the shard is.
        if not place or not answer.get("MillisBehindLatest"):
            break
    return None
