import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.change import (
    Kind,
    Marker,
    Record,
    RowChange,
    decode_record,
    encode_change,
    encode_marker,
    encode_record,
    refuse_oversized,
)
from rowferry.errors import MalformedRecord, OversizedChange
from rowferry.position import Position
from tests.unit.rowferry.test_position import POSITIONS
from tests.unit.rowferry.values.test_values import VALUES

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ROWS = st.dictionaries(TEXT, VALUES, max_size=4)


def change(kind: Kind, row: dict[str, Any], other: dict[str, Any], position: str | None) -> RowChange:
    before = row if kind is not Kind.INSERT else None
    after = {Kind.INSERT: row, Kind.UPDATE: other}.get(kind)
    return RowChange("test", "purchase", kind, before, after, position)


CHANGES = st.builds(change, st.sampled_from(Kind), ROWS, ROWS, POSITIONS.map(str))


@given(st.lists(CHANGES, max_size=4), st.integers(0, 255), st.integers(1, 9))
def test_a_record_is_read_as_it_was_written(changes: list[RowChange], lane: int, sender: int) -> None:
    record = encode_record(lane, sender, 7, [encode_change(each) for each in changes])
    assert decode_record(record) == Record(lane, sender, 7, tuple(changes))


def test_a_record_of_many_changes_is_deflated_and_a_short_one_is_not() -> None:
    one = encode_change(change(Kind.INSERT, {"productid": "p1"}, {}, str(Position(1, 1, 1, 1))))
    assert encode_record(1, 1, 1, [one])[:1] == b"{"
    assert zlib.decompress(encode_record(1, 1, 1, [one] * 9))[:1] == b"{"


def test_a_marker_is_read_as_it_was_written() -> None:
    marker = Marker("m1", "binlog.000001:4")
    assert decode_record(encode_marker(3, 2, 1, marker)) == Record(3, 2, 1, (), marker)


def test_an_event_by_itself_is_a_record_of_no_sender() -> None:
    event = {"type": "WriteRowsEvent", "schema": "s", "table": "t", "row": {"values": {"a": 1}}}
    expected = RowChange("s", "t", Kind.INSERT, None, {"a": 1})
    assert decode_record(json.dumps(event, indent=1).encode()) == Record(0, 0, 0, (expected,))


EVENT = {"type": "WriteRowsEvent", "schema": "s", "table": "t", "row": {"values": {"a": 1}}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"hello",
        b"\xff\xfe{",
        zlib.compress(b"[]"),
        zlib.compress(b"7"),
        zlib.compress(b'{"lane":1}')[:-2],
        b'{"lane":1,"sender":"x","committed":1}',
        b'{"lane":Infinity,"sender":1,"committed":1}',
        b'{"lane":1,"sender":1,"committed":1,"changes":[7]}',
        b'{"lane":1,"sender":1,"committed":1,"marker":{"id":"m"}}',
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        *(
            json.dumps({**EVENT, **wrong}).encode()
            for wrong in (
                {"type": "DropTable"},
                {"row": None},
                {"row": {}},
                {"row": {"values": [1]}},
                {"row": {"values": {"a": [1]}}},
                {"row": {"values": {"a": {"$decimal": "x"}}}},
                {"row": {"values": {"a": {"$bytes": "?"}}}},
                {"row": {"values": {"a": "\ud800"}}},
                {"row": {"values": {"\udfff": 1}}},
                {"type": "UpdateRowsEvent"},
                {"pos": 7},
                {"pos": ""},
                {"pos": "zzzz"},
                {"pos": str(Position(1, 12, 1, 1)).upper()},
                {"pos": str(Position(1, 1, 1, 1)) + "\n"},
            )
        ),
    ],
)
def test_bytes_that_are_no_record_are_refused_whatever_they_are(data: bytes) -> None:
    with pytest.raises(MalformedRecord) as refused:
        decode_record(data)
    assert refused.value.fix


@pytest.mark.parametrize("data", [b"nonsense", b"", b"{no json}", b"{\xff", zlib.compress(b"nonsense")])
def test_bytes_that_are_no_json_are_said_to_be_none(data: bytes) -> None:
    with pytest.raises(MalformedRecord, match="neither JSON nor deflated JSON"):
        decode_record(data)


@given(st.binary(max_size=60))
def test_any_other_bytes_are_refused_in_the_same_way(data: bytes) -> None:
    for form in (data, b"{" + data, zlib.compress(data)):
        try:
            decode_record(form)
        except MalformedRecord:
            continue


def test_pairs_of_surrogates_are_text() -> None:
    event = {**EVENT, "row": {"values": {"a": "😀"}}}
    data = json.dumps(event).encode()
    assert b"\\ud83d" in data
    assert decode_record(data).changes[0].after == {"a": "😀"}


def test_a_change_without_its_values_is_refused() -> None:
    with pytest.raises(OversizedChange):
        refuse_oversized(RowChange("s", "t", Kind.OVERSIZED, {"id": 1}, None))
