"""
The quarantine, a dead-letter queue on SQS: changes that can never be applied, with what their repair needs.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from botocore.exceptions import BotoCoreError, ClientError

from rowferry.change import RowChange, encode_change
from rowferry.errors import Unapplied, UnusableChange

MAX_BODY = 250_000
"""Characters, all ASCII; a queue may be limited to 262,144 bytes, attributes included."""
_FETCH = (
    "the record did not fit into this message: before the stream's retention, counted from `arrived`, ends, "
    "fetch it with kinesis get-shard-iterator --shard-iterator-type AT_SEQUENCE_NUMBER, get-records --limit 1"
)


class SqsQuarantine:
    """
    The quarantine on an SQS queue. A message has the reason, the fix and the change WITH its values, unlike a
    log.

    `records` is the batch in progress, set by the handler: a message says where its record is on the stream.
    """

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url
        self.records: Sequence[KinesisStreamRecord] = ()

    def add(self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int) -> None:
        """As in `applier.Quarantine`."""
        body = _body(error, change, data, _place(self.records[origin]))
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=body)
        except (ClientError, BotoCoreError) as failure:
            raise Unapplied(
                f"the quarantine queue does not answer ({type(failure).__name__})",
                "it is retried; check the queue and the role",
            ) from failure


def _place(record: KinesisStreamRecord) -> dict[str, str]:
    """Where the record is on the stream, and since when: what is needed to fetch it again."""
    return {
        "stream": record.event_source_arn,
        "shard": record.event_id.partition(":")[0],
        "sequence_number": record.kinesis.sequence_number,
        "arrived": datetime.fromtimestamp(record.kinesis.approximate_arrival_timestamp, UTC).isoformat(),
    }


def _body(error: UnusableChange, change: RowChange | None, data: bytes, place: dict[str, str]) -> str:
    message: dict[str, Any] = {"error": type(error).__name__, "found": error.found, "fix": error.fix}
    message["record"] = place
    if change is not None:
        message |= {"schema": change.schema, "table": change.table, "position": change.position}
        message["change"] = json.loads(encode_change(change))
    else:
        message["data"] = b64encode(data).decode()
    body = json.dumps(message)  # ASCII alone, so that characters are bytes
    for longest in (1024, 64, 0):  # characters of the values that are kept, fewer until it fits
        if len(body) > MAX_BODY:
            body = json.dumps(_shortened(message, longest))
    return body


def _shortened(message: dict[str, Any], longest: int) -> dict[str, Any]:
    """Without the long values: the short ones, the key among them, are enough to find the row in MySQL."""
    row = message.get("change", {"row": {}})["row"]
    kept = {name: value for name, value in message.items() if name not in ("change", "data")}
    images = {
        image: {name: value for name, value in values.items() if len(json.dumps(value)) <= longest}
        for image, values in row.items()
    }
    return {**kept, "truncated": True, "fetch": _FETCH, "row": images}
