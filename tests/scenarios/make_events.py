"""
Records batches of the cases as the events that Lambda hands to the consumer: events/batch-*.json.

    python -m tests.scenarios.make_events

A test proves that they are up to date.
"""

import json
from base64 import b64encode
from typing import Any

from rowferry.change import decode_record
from tests.support.paths import ROOT
from tests.support.scenarios import cases, records, story

RECORDED = {
    "batch-several-lanes": "several-items-in-one-batch",
    "batch-compressed": "all-of-many-members-deleted",
    "batch-marker": "marker-behind-everything",
    "batch-repeat": "repeat-in-front-of-new-changes",
    "batch-unusable": "poison-among-good-ones",
}
"""File: the case whose last batch it holds."""
SHARD = "shardId-000000000000"
ARRIVED = 1_700_000_001.0


def event(name: str) -> dict[str, Any]:
    """The event of a case's last batch."""
    case = cases()[name]
    *_, step = (step for step in story(case) if "lines" in step)
    return {"Records": [_record(data, n) for n, data in enumerate(records(case, step["lines"], split=True))]}


def _record(data: bytes, number: int) -> dict[str, Any]:
    sequence = str(49590338271490256608559692538361571095921575989136588898 + number)
    return {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": str(decode_record(data).lane),
            "sequenceNumber": sequence,
            "data": b64encode(data).decode(),
            "approximateArrivalTimestamp": ARRIVED,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"{SHARD}:{sequence}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::123456789012:role/ApplyChangesRole",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/RowChangeStream",
    }


if __name__ == "__main__":
    for file, case in RECORDED.items():
        path = ROOT / "events" / f"{file}.json"
        path.write_text(json.dumps(event(case), indent=2) + "\n")
        print(path.relative_to(ROOT))
