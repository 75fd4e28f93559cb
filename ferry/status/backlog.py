"""What waits on the stream: how much, since when, and for how long the stream still keeps it."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

LOOKS = 5
"""Answers of Kinesis without a record, before a shard counts as empty; each may be one although it is not."""


def backlog(
    checkpoint: Mapping[str, Any], counters: Mapping[str, Any], oldest: float | None
) -> dict[str, Any]:
    """
    As --json prints it, but for the retention; `oldest` in seconds. Changes and records are what capture has
    sent less what the consumer has taken, so what comes twice makes them too small for a while.
    """
    left = {name: max(0, checkpoint.get(name, 0) - counters.get(name, 0)) for name in ("changes", "records")}
    waits = oldest if left["changes"] or left["records"] else 0.0
    return {**left, "oldest_seconds": None if waits is None else round(waits, 1)}


def kept(found: dict[str, Any], hours: int) -> dict[str, Any]:
    """The same with the stream's retention, and the hours until the oldest of it is gone."""
    oldest = found["oldest_seconds"]
    left = None if oldest is None else round(max(0.0, hours - oldest / 3600), 1)
    return {**found, "retention_hours": hours, "hours_left": left}


def oldest_seconds(
    counters: Mapping[str, Any], kinesis: Any, stream: str, now: float, *, applying: bool
) -> float | None:
    """
    For how long the oldest change that waits has waited. `now` in seconds since 1970.

    While the consumer is `applying`, as its last batch had it, and what it may have done since; before it has
    begun, by the oldest record on the stream; None where there is neither.
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
    """When the oldest record of the shard came."""
    found = kinesis.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    place = found["ShardIterator"]
    for _ in range(LOOKS):
        answer = kinesis.get_records(ShardIterator=place, Limit=1)
        for record in answer["Records"]:
            arrived: datetime = record["ApproximateArrivalTimestamp"]
            return arrived
        place = answer.get("NextShardIterator")
        if not place or not answer.get("MillisBehindLatest"):
            break
    return None
