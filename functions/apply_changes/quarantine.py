"""Keeps what can never be applied, with everything needed to repair it, on an SQS queue."""

import json
from base64 import b64encode
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rowferry.change import RowChange, encode_change
from rowferry.errors import Unapplied, UnusableChange

MAX_BODY = 250_000
"""Characters, all ASCII; a queue may be limited to 262,144 bytes."""


class SqsQuarantine:
    """The queue. A message names the reason, the fix and the change with its values: it is no log."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def add(self, error: UnusableChange, change: RowChange | None, data: bytes) -> None:
        """Sends the message. Unapplied when the queue does not take it."""
        try:
            self._client.send_message(QueueUrl=self._queue_url, MessageBody=_body(error, change, data))
        except (ClientError, BotoCoreError) as failure:
            raise Unapplied(
                f"the quarantine queue does not answer ({type(failure).__name__})",
                "it is tried again; check the queue and the role",
            ) from failure


def _body(error: UnusableChange, change: RowChange | None, data: bytes) -> str:
    message: dict[str, Any] = {"error": type(error).__name__, "found": error.found, "fix": error.fix}
    if change is not None:
        message |= {"schema": change.schema, "table": change.table, "position": change.position}
        message["change"] = json.loads(encode_change(change))
    else:
        message["data"] = b64encode(data).decode()
    body = json.dumps(message)
    for longest in (1024, 64, 0):
        if len(body) > MAX_BODY:
            body = json.dumps(_shortened(message, longest))
    return body


def _shortened(message: dict[str, Any], longest: int) -> dict[str, Any]:
    """Without the values that are long: the row's short ones, its key among them, find it in MySQL."""
    row = message.get("change", {"row": {}})["row"]
    kept = {name: value for name, value in message.items() if name not in ("change", "data")}
    images = {
        image: {name: value for name, value in values.items() if len(json.dumps(value)) <= longest}
        for image, values in row.items()
    }
    return {**kept, "truncated": True, "row": images}
