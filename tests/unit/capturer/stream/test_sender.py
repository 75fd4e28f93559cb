"""Requests with records, and the outcome of each."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from capturer.stream.lanes import Parcel
from capturer.stream.sender import Sender, require_stream
from rowferry.errors import Refused


class Kinesis:
    """Answers what it is told to, and remembers the requests."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.requests: list[Any] = []

    def put_records(self, **request: Any) -> Any:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"Records": answer}

    def describe_stream_summary(self, **request: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"StreamDescriptionSummary": {"StreamStatus": answer}}


PARCELS = [Parcel(number, (b'{"a":1}', b'{"a":2}'), 5, 1, 14) for number in (0, 1, 3)]


def test_each_record_is_judged_for_itself() -> None:
    client = Kinesis(
        [
            {"SequenceNumber": "1"},
            {"ErrorCode": "ProvisionedThroughputExceededException"},
            {"SequenceNumber": "2"},
        ]
    )
    sender = Sender(client, "s", token=7, lanes=4)
    result = sender.send(PARCELS, sender.pack(PARCELS))
    assert [parcel.lane for parcel in result.accepted] == [0, 3]
    assert [parcel.lane for parcel in result.failed] == [1]
    assert result.trouble == "ProvisionedThroughputExceededException"
    assert (result.counters.changes, result.counters.records) == (4, 2)
    request = client.requests[0]
    assert [record["PartitionKey"] for record in request["Records"]] == ["0", "1", "3"]
    assert [record["ExplicitHashKey"] for record in request["Records"]] == [
        str(n * 2**126) for n in (0, 1, 3)
    ]


@pytest.mark.parametrize(
    ("answer", "trouble"),
    [
        (ClientError({"Error": {"Code": "InternalFailure"}}, "PutRecords"), "InternalFailure"),
        (ReadTimeoutError(endpoint_url="x"), "ReadTimeoutError"),
        ([{"SequenceNumber": "1"}], "an answer for another number of records"),
    ],
)
def test_what_was_not_accepted_for_sure_has_failed(answer: Any, trouble: str) -> None:
    sender = Sender(Kinesis(answer), "s", token=7, lanes=4)
    result = sender.send(PARCELS, sender.pack(PARCELS))
    assert (result.accepted, result.failed, result.trouble) == ((), PARCELS, trouble)


@pytest.mark.parametrize(
    "answer",
    ["CREATING", ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeStreamSummary")],
)
def test_a_stream_that_is_not_there_is_refused_with_the_fix(answer: Any) -> None:
    with pytest.raises(Refused, match="s "):
        require_stream(Kinesis(answer), "s")
