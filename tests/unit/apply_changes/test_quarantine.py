import json
from base64 import b64decode
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.kinesis_stream_event import KinesisStreamRecord
from botocore.exceptions import ClientError

from apply_changes.quarantine import MAX_BODY, SqsQuarantine
from rowferry.change import Kind, RowChange, decode_change
from rowferry.errors import MalformedRecord, OversizedItem, Unapplied

STREAM = "arn:aws:kinesis:eu-central-1:123456789012:stream/changes"
PLACE = {
    "stream": STREAM,
    "shard": "shardId-000000000007",
    "sequence_number": "4959",
    "arrived": "2026-11-23T09:30:50.250000+00:00",
}


def record(number: str) -> KinesisStreamRecord:
    return KinesisStreamRecord(
        {
            "eventSourceARN": STREAM,
            "eventID": f"shardId-000000000007:{number}",
            "kinesis": {"sequenceNumber": number, "approximateArrivalTimestamp": 1795426250.25},
        }
    )


def quarantine(queue: "Queue") -> SqsQuarantine:
    made = SqsQuarantine(queue, "url")
    made.records = [record("4958"), record("4959")]
    return made


class Queue:
    def __init__(self, error: Exception | None = None) -> None:
        self.bodies: list[str] = []
        self.error = error

    def send_message(self, *, QueueUrl: str, MessageBody: str) -> None:  # noqa: N803
        if self.error:
            raise self.error
        self.bodies.append(MessageBody)


def message(change: RowChange | None, data: bytes = b"") -> dict[str, Any]:
    queue = Queue()
    error = OversizedItem("too large", "split it") if change else MalformedRecord("unreadable", "look at it")
    quarantine(queue).add(error, change, data, 1)
    (body,) = queue.bodies
    assert len(body) <= MAX_BODY and body.isascii()
    found: dict[str, Any] = json.loads(body)
    assert found["record"] == PLACE
    return found


def insert(**row: Any) -> RowChange:
    return RowChange("test", "purchase", Kind.INSERT, None, row, "0001.00000001.0000000000000001.00000001")


def test_a_message_holds_the_change_as_it_can_be_replayed() -> None:
    change = insert(orderid="größe", blob=b"\xff")
    found = message(change)
    assert decode_change(found["change"]) == change
    assert (found["error"], found["fix"], found["position"]) == ("OversizedItem", "split it", change.position)


def test_a_record_that_cannot_be_read_is_kept_byte_for_byte() -> None:
    assert b64decode(message(None, b"\x00nonsense")["data"]) == b"\x00nonsense"


@pytest.mark.parametrize("kind", [Kind.INSERT, Kind.UPDATE])
def test_of_a_long_row_the_short_values_are_kept(kind: Kind) -> None:
    row = {"orderid": "o1", "note": "x" * 300_000}
    found = message(insert()._replace(kind=kind, before=row, after=row))
    assert found["truncated"] and set(map(str, found["row"].values())) == {"{'orderid': 'o1'}"}


@pytest.mark.parametrize("length", [10, 500, 1000])
def test_a_row_of_very_many_columns_is_kept_as_far_as_it_goes(length: int) -> None:
    """A message that the queue never takes would hold up its lane for ever."""
    found = message(insert(**{f"column{n}": "é" * length for n in range(4000)}))
    assert found["truncated"] and found["position"]


def test_a_record_too_long_for_the_queue_is_said_to_be_fetched_from_the_stream() -> None:
    found = message(None, b"x" * 900_000)
    assert found["truncated"] and "data" not in found
    assert "AT_SEQUENCE_NUMBER" in found["fetch"] and "retention" in found["fetch"]


def test_what_fits_needs_no_fetching() -> None:
    assert "fetch" not in message(None, b"nonsense")


def test_a_queue_that_does_not_answer_means_later() -> None:
    failure = ClientError({"Error": {"Code": "ServiceUnavailable", "Message": ""}}, "SendMessage")
    with pytest.raises(Unapplied):
        quarantine(Queue(failure)).add(MalformedRecord("a", "b"), None, b"x", 0)
