"""A change on its way into a request: lanes, oversized and keyless changes, results, the outbox."""

import threading
import time
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from capturer.app import arguments, main
from capturer.stream.encoding import encoded
from capturer.stream.lanes import MAX_RECORD, Lanes, Parcel
from capturer.stream.outbox import Outbox
from capturer.stream.sender import Sender, Sent, require_stream
from rowferry.change import Kind, RowChange, decode_record
from rowferry.errors import Refused
from rowferry.items.effects import lane_of
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset

MAPPING = Mapping.parse("""
[[table]]
source = "shop.purchase"
target = "purchase"
layout = "attribute-per-row"
hash_key = { attribute = "c" }
range_key = { attribute = "o" }
member_name = "p"
member_value = "q"
""")
POSITION = "0001.00000001.0000000000000004.00000001"


def row(**values: Any) -> dict[str, Any]:
    return {"c": "c", "o": "o", "p": "p", "q": 1} | values


def sent(kind: Kind, before: Any, after: Any) -> list[tuple[int, RowChange]]:
    change = RowChange("shop", "purchase", kind, before, after, POSITION)
    return [(lane, decode_record(content).changes[0]) for lane, content in encoded(change, MAPPING, 256)]


def lane(**values: Any) -> int:
    from rowferry.items.effects import key_of

    return lane_of(key_of(row(**values), MAPPING.tables[0]), 256)


def test_a_move_is_a_delete_in_the_old_lane_and_an_insert_in_the_new() -> None:
    (first, left), (second, came) = sent(Kind.UPDATE, row(), row(o="o2"))
    assert (first, left.kind, second, came.kind) == (lane(), Kind.DELETE, lane(o="o2"), Kind.INSERT)
    assert left.position == came.position == POSITION


def test_values_of_every_kind_arrive_as_they_were() -> None:
    values = row(q=Decimal("1.10"), c="한글", o="o\x00\"'")
    assert sent(Kind.INSERT, None, values)[0][1].after == values
    moment = row(q=datetime(2026, 1, 2, 3, 4, 5, 6))  # noqa: DTZ001
    assert sent(Kind.INSERT, None, moment)[0][1].after == moment


def test_a_change_too_large_for_a_record_travels_as_its_key() -> None:
    ((where, change),) = sent(Kind.UPDATE, row(q="x" * MAX_RECORD), row(q="y"))
    assert (where, change.kind, change.before) == (lane(), Kind.OVERSIZED, {"c": "c", "o": "o", "p": "p"})
    assert change.position == POSITION


def test_a_row_without_a_key_travels_for_the_quarantine_even_when_its_key_is_huge() -> None:
    ((_, change),) = sent(Kind.INSERT, None, row(c=None))
    assert change.after == row(c=None)
    ((_, change),) = sent(Kind.INSERT, None, row(c="\x01" * MAX_RECORD))
    assert change.kind is Kind.OVERSIZED
    assert change.before == {"o": "o", "p": "p"}


def test_a_row_that_loses_its_key_still_leaves_its_old_item() -> None:
    (first, left), (_, came) = sent(Kind.UPDATE, row(), row(c=""))
    assert (first, left.kind) == (lane(), Kind.DELETE)
    assert (came.kind, came.after) == (Kind.INSERT, row(c=""))


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


# The outbox


def outbox(limit: int = 1 << 20) -> Outbox:
    lanes = Lanes(4, random=Random(1).random, linger=0, limit=limit)
    return Outbox(lanes, BinlogOffset("b.1", 4), time.monotonic)


def test_reading_waits_while_too_much_is_held_and_goes_on_when_it_was_sent() -> None:
    box = outbox(limit=1)
    box.add([(0, b"1")], 0, 1, BinlogOffset("b.1", 10))
    waiting = threading.Thread(target=box.add, args=([(0, b"2")], 0, 2, BinlogOffset("b.1", 20)))
    waiting.start()
    box.add([], 0, 1, BinlogOffset("b.1", 15))
    assert box.reached()[:2] == (BinlogOffset("b.1", 4), BinlogOffset("b.1", 15)), (
        "positions are never held up"
    )
    waiting.join(0.05)
    assert waiting.is_alive()
    box.settle(Sent(box.take(), ()))
    waiting.join()
    assert not waiting.is_alive()
    assert box.reached()[:2] == (BinlogOffset("b.1", 15), BinlogOffset("b.1", 20))


def test_a_waiting_sender_wakes_up_for_new_changes_and_at_the_close() -> None:
    box, got = outbox(), []
    sender = threading.Thread(
        target=lambda: [
            got.append(parcels) or box.settle(Sent(parcels, ())) for parcels in iter(box.take, [])
        ]
    )  # type: ignore[func-returns-value]
    sender.start()
    for number in range(3):
        box.add([(number, b"1")], 0, number, BinlogOffset("b.1", 10 + number))
        assert box.wait_empty(5)
    box.close()
    sender.join()
    assert not sender.is_alive()
    assert sum(map(len, got)) == 3


def test_shut_it_takes_nothing_and_forgets_nothing() -> None:
    box = outbox(limit=1)
    box.add([(0, b"1")], 0, 1, BinlogOffset("b.1", 10))
    blocked: list[bool] = []
    reader = threading.Thread(
        target=lambda: blocked.append(box.add([(0, b"2")], 0, 2, BinlogOffset("b.1", 20)))
    )
    reader.start()
    box.shut()
    reader.join()
    assert blocked == [False]
    assert not box.wait_empty(0)
    box.settle(Sent(box.take(), ()))
    assert box.wait_empty(0)
    assert box.reached()[0] == BinlogOffset("b.1", 10)


# The command


def test_options_come_from_the_environment_too() -> None:
    environment = {"STREAM_NAME": "s", "CONTROL_TABLE": "t", "SOURCE_HOST": "h", "LANES": "8"}
    options = arguments(["--skip", "b.7:9", "--source-port", "3307"], environment)
    assert (options.stream, options.lanes, options.source_port, options.source_server_id) == (
        "s",
        8,
        3307,
        740047,
    )
    assert (options.skip, options.reset) == ([BinlogOffset("b.7", 9)], "")
    more = arguments([], environment | {"SKIP": "b.7:9, b.8:4,", "RESET": "monday"})
    assert (more.skip, more.reset) == ([BinlogOffset("b.7", 9), BinlogOffset("b.8", 4)], "monday")
    assert arguments([], environment | {"SKIP": "", "RESET": ""}).skip == []


_NEEDED = {"STREAM_NAME": "s", "CONTROL_TABLE": "t", "SOURCE_HOST": "h"}


@pytest.mark.parametrize(
    ("argv", "environment", "word"),
    [
        (["--anew", "monday"], {}, "monday"),
        (["--anew", "monday", "--reset", "monday"], {}, "monday"),
        ([], {"ANEW": "monday", "RESET": ""}, "monday"),  # a stack that was deployed with CapturerAnew
        ([], {"ANEW": "monday", "RESET": "monday"}, "monday"),
        ([], {"ANEW": "", "RESET": "tuesday"}, "tuesday"),
        ([], {"ANEW": "", "RESET": ""}, ""),
        (["--reset", "tuesday"], {"ANEW": "monday"}, "tuesday"),  # the command line wins, as for every option
        (["--reset", ""], {"RESET": "monday"}, ""),
    ],
)
def test_the_former_name_of_reset_gives_the_same_word(
    argv: list[str], environment: dict[str, str], word: str
) -> None:
    assert arguments(argv, _NEEDED | environment).reset == word


@pytest.mark.parametrize(
    ("argv", "environment", "said"),
    [
        (["--anew", "monday", "--reset", "tuesday"], {}, "--reset is 'tuesday' and --anew, its former name"),
        ([], {"ANEW": "monday", "RESET": "tuesday"}, "RESET is 'tuesday' and ANEW, its former name"),
    ],
)
def test_two_words_for_one_reset_are_refused_with_the_fix(
    argv: list[str], environment: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(argv, _NEEDED | environment)
    assert ended.value.code == 2
    text = capsys.readouterr()[1]
    assert said in text and "CapturerAnew=''" in text


def test_the_former_name_of_reset_is_not_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--help"], {})
    text = capsys.readouterr()[0].lower()
    assert "--reset word" in text and "anew" not in text


def test_a_wrong_skip_in_the_environment_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"STREAM_NAME": "s", "CONTROL_TABLE": "t", "SOURCE_HOST": "h", "SKIP": "b.7:9;b.8:4"}
    with pytest.raises(SystemExit) as ended:
        arguments([], environment)
    assert ended.value.code == 2
    assert "SKIP" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "--source-host"),
        (["--source-host", "h", "--lanes", "0"], "0 is not from 1 to 4096"),
        (["--source-host", "h", "--skip", "x"], "is not FILE:OFFSET"),
    ],
)
def test_wrong_options_exit_with_2(argv: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments(argv, {"STREAM_NAME": "s", "CONTROL_TABLE": "t"})
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_help_has_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "examples:" in text
    assert "exit codes:" in text


def test_what_is_prepared_goes_with_the_boundary_that_it_was_read_at() -> None:
    box = Outbox(Lanes(1, random=lambda: 0), BinlogOffset("b.1", 4), lambda: 0.0)
    box.add([(0, b"1")], 0, 1, BinlogOffset("b.1", 10), BinlogOffset("b.1", 6))
    box.add([], 0, 1, BinlogOffset("b.1", 12), BinlogOffset("b.1", 6))
    assert box.reached().restart == BinlogOffset("b.1", 4)
    box.add([(0, b"2")], 0, 2, BinlogOffset("b.1", 20), BinlogOffset("b.1", 20))
    box.shut()
    box.settle(Sent(box.take(), ()))
    assert (box.reached().reached.offset, box.reached().restart.offset) == (20, 20)
