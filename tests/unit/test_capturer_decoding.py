"""Packets as the server sends them: places beyond 32 bit, unknown events, tables that cannot be read."""

import struct
from typing import Any

import pytest

from capturer.decoding import Decoder
from capturer.events import Began, Ended, Moved, Passed, Statement, Unreadable
from rowferry.mapping import Mapping

MAPPING = Mapping.parse("""
[[table]]
source = "shop.t"
target = "t"
layout = "item-per-row"
hash_key = { attribute = "id", type = "N" }
""")
GIB4 = 1 << 32


def packet(kind: int, body: bytes = b"", *, end: int = 0, flags: int = 0, seconds: int = 9) -> bytes:
    size = 19 + len(body)
    return b"\0" + struct.pack("<IBIIIH", seconds, kind, 1, size, end % GIB4, flags) + body


def moved(offset: int, name: bytes = b"b.000001") -> bytes:
    return packet(4, struct.pack("<Q", offset) + name, flags=0x20)


@pytest.fixture
def decoder() -> Decoder:
    return Decoder(MAPPING, checksum=False)


def test_offsets_go_on_beyond_4_gib(decoder: Decoder) -> None:
    assert decoder.decode(moved(GIB4 - 40)) == Moved("b.000001", GIB4 - 40)
    assert decoder.decode(packet(16, bytes(8), end=GIB4 - 13)) == Ended(GIB4 - 40, GIB4 - 13)
    assert decoder.decode(packet(16, bytes(8), end=GIB4 + 14)) == Ended(GIB4 - 13, GIB4 + 14)
    assert decoder.decode(packet(27, b"b.000001", end=GIB4 + 14)) == Passed(GIB4 + 14, GIB4 + 14)
    assert decoder.decode(packet(16, bytes(8), end=GIB4 + 41)) == Ended(GIB4 + 14, GIB4 + 41)


def test_artificial_events_and_old_heartbeats_move_nothing(decoder: Decoder) -> None:
    decoder.decode(moved(1000))
    for data in (packet(15, bytes(80)), packet(35, end=50, flags=0x20), packet(27, end=900)):
        assert decoder.decode(data) == Passed(1000, 1000)
    assert decoder.decode(moved(4, b"b.000002")) == Moved("b.000002", 4)


def test_the_commit_time_is_in_milliseconds_where_the_server_tells(decoder: Decoder) -> None:
    decoder.decode(moved(4))
    micros = 1_795_421_993_911_222
    for extra in (micros.to_bytes(7, "little"), (micros | 1 << 55).to_bytes(7, "little") + bytes(7)):
        event: Any = decoder.decode(packet(33, bytes(42) + extra + bytes(9), end=200))
        assert event.committed == 1_795_421_993_911
    for kind in (33, 42):
        event = decoder.decode(packet(kind, bytes(42), end=300, seconds=7))
        assert isinstance(event, Began)
        assert event.committed == 7_000


def test_checksums_are_cut_off_as_the_format_description_says(decoder: Decoder) -> None:
    decoder.decode(moved(4))
    body = struct.pack("<IIBHH", 1, 0, 4, 0, 0) + b"shop\0BEGIN"
    event: Any = decoder.decode(packet(2, body, end=100))
    assert (event.schema, event.text) == ("shop", "BEGIN")
    decoder.decode(packet(15, bytes(75) + b"\x01" + b"sum!"))
    event = decoder.decode(packet(2, body + b"sum!", end=200))
    assert event.text == "BEGIN"


def test_the_statement_of_load_data_is_a_statement(decoder: Decoder) -> None:
    body = (
        struct.pack("<IIBHH", 1, 0, 4, 0, 3) + bytes(13) + b"xyz" + b"shop\0LOAD DATA INFILE 'a' INTO TABLE t"
    )
    event = decoder.decode(packet(18, body, end=100))
    assert isinstance(event, Statement)
    assert event.text.startswith("LOAD DATA")


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        (40, "a compressed transaction"),
        (166, "a compressed event"),
        (26, "an incident"),
        (99, "unknown type 99"),
    ],
)
def test_what_may_hold_changes_and_is_not_understood_is_never_passed(
    decoder: Decoder, kind: int, found: str
) -> None:
    event = decoder.decode(packet(kind, end=100))
    assert isinstance(event, Unreadable)
    assert found in event.found
    assert "{at}" in event.fix


def test_what_the_server_calls_ignorable_is_passed(decoder: Decoder) -> None:
    assert isinstance(decoder.decode(packet(99, end=100, flags=0x80)), Passed)


def test_rows_of_a_table_that_was_never_named_are_not_passed(decoder: Decoder) -> None:
    event = decoder.decode(packet(30, bytes(30), end=100))
    assert isinstance(event, Unreadable)


def table_map(schema: bytes, *, codes: bytes, meta: bytes, extra: bytes) -> bytes:
    name = bytes([len(schema)]) + schema + b"\0\x01t\0"
    return (
        bytes([7, 0, 0, 0, 0, 0, 1, 0])
        + name
        + bytes([len(codes)])
        + codes
        + bytes([len(meta)])
        + meta
        + b"\0"
        + extra
    )


ROWS = bytes([7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xFF, 0x00, 5, 0, 0, 0])


@pytest.mark.parametrize(
    ("codes", "meta", "extra", "fault"),
    [
        (b"\x03", b"", b"", "no column names"),
        (b"\x03", b"", b"\x01\x01\0\x04\x02\x01x", "no column id"),
        (b"\x77", b"", b"\x01\x01\0\x04\x03\x02id", "a type that is not carried"),
        (b"\x0f", b"\x0a\0", b"\x03\x02\x3f\x3f\x04\x03\x02id", "character sets"),
        (b"\x03", b"", b"\x04\x03\x02id", "described in an unknown way"),
    ],
)
def test_a_table_that_is_described_otherwise_has_no_rows_but_a_reason(
    decoder: Decoder, codes: bytes, meta: bytes, extra: bytes, fault: str
) -> None:
    decoder.decode(packet(19, table_map(b"shop", codes=codes, meta=meta, extra=extra), end=50))
    event = decoder.decode(packet(30, ROWS, end=100))
    assert isinstance(event, Unreadable)
    assert fault in event.found


def test_a_row_event_that_is_cut_off_is_not_guessed(decoder: Decoder) -> None:
    known = table_map(b"shop", codes=b"\x03", meta=b"", extra=b"\x01\x01\0\x04\x03\x02id")
    decoder.decode(packet(19, known, end=50))
    event: Any = decoder.decode(packet(30, ROWS, end=100))
    assert event.images == [(None, {"id": 5})]
    assert isinstance(decoder.decode(packet(30, ROWS[:-1], end=150)), Unreadable)


def test_other_tables_are_passed_whatever_they_hold(decoder: Decoder) -> None:
    decoder.decode(packet(19, table_map(b"else", codes=b"\x77", meta=b"", extra=b""), end=50))
    assert isinstance(decoder.decode(packet(30, ROWS, end=100)), Passed)
    assert isinstance(decoder.decode(packet(39, ROWS, end=150)), Passed)
