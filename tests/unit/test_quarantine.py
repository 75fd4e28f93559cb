import json
from base64 import b64decode
from typing import Any

import pytest
from botocore.exceptions import ClientError

from apply_changes.quarantine import MAX_BODY, SqsQuarantine
from rowferry.change import Kind, RowChange, decode_change
from rowferry.errors import MalformedRecord, OversizedItem, Unapplied


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
    SqsQuarantine(queue, "url").add(error, change, data)
    (body,) = queue.bodies
    assert len(body) <= MAX_BODY and body.isascii()
    found: dict[str, Any] = json.loads(body)
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


def test_a_record_too_long_for_the_queue_is_named_at_least() -> None:
    assert message(None, b"x" * 900_000)["truncated"]


def test_a_queue_that_does_not_answer_means_later() -> None:
    failure = ClientError({"Error": {"Code": "ServiceUnavailable", "Message": ""}}, "SendMessage")
    with pytest.raises(Unapplied):
        SqsQuarantine(Queue(failure), "url").add(MalformedRecord("a", "b"), None, b"x")
