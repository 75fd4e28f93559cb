"""Packets as the server sends them become events; what cannot be decoded becomes one that can be skipped."""

import struct
import zlib
from typing import Any

import pytest

from capturer.decoder.events import FormatDescription, Gtid, Heartbeat, Passed, Query, Rotate, RowsEvent, Xid
from capturer.decoder.rows.table_schema import Definition
from capturer.source.events import Event, Unreadable
from capturer.source.place import Place
from capturer.source.transactions import Transactions
from capturer.source.translation import Translation
from rowferry.change import RowChange
from rowferry.errors import CaptureStopped
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset

MAPPING = Mapping.parse("""
[[table]]
source = "shop.t"
target = "t"
layout = "item-per-row"
hash_key = { attribute = "id", type = "N" }
""")
GIB4 = 1 << 32
START = BinlogOffset("b.000001", 4)


def packet(kind: int, body: bytes = b"", *, end: int = 0, flags: int = 0, seconds: int = 9) -> bytes:
    size = 19 + len(body)
    return b"\0" + struct.pack("<IBIIIH", seconds, kind, 1, size, end % GIB4, flags) + body


def moved(offset: int, name: bytes = b"b.000001") -> bytes:
    return packet(4, struct.pack("<Q", offset) + name, flags=0x20)


def translated(*packets: bytes, **options: Any) -> list[Event]:
    return list(Translation(MAPPING, START, checksums=False, **options).events(packets))


def test_offsets_go_on_beyond_4_gib() -> None:
    assert translated(
        moved(GIB4 - 40),
        packet(16, bytes(8), end=GIB4 - 13),
        packet(16, bytes(8), end=GIB4 + 14),
        packet(27, b"b.000001", end=GIB4 + 14),
        packet(16, bytes(8), end=GIB4 + 41),
    ) == [
        Rotate("b.000001", GIB4 - 40),
        Xid(GIB4 - 40, GIB4 - 13),
        Xid(GIB4 - 13, GIB4 + 14),
        Heartbeat("b.000001", GIB4 + 14),
        Xid(GIB4 + 14, GIB4 + 41),
    ]


def test_a_dump_that_begins_within_a_file_tells_when_the_file_was_made() -> None:
    made = packet(15, struct.pack("<H50sIB", 4, b"9.7.4", 0, 19) + bytes(40) + b"\0" + bytes(4), seconds=77)
    made = made[:-4] + struct.pack("<I", zlib.crc32(made[1:-4]))
    start = BinlogOffset("b.000001", 500)
    packets = [moved(500), made, packet(16, bytes(8), end=500), packet(16, bytes(8), end=527)]
    _, file, event = Translation(MAPPING, start, checksums=False).events(packets)
    assert isinstance(file, FormatDescription) and file.created == 77
    assert event == Xid(500, 527), "what ended before the start is left out"


def test_the_commit_time_is_what_the_server_tells() -> None:
    micros = 1_795_421_993_911_222
    extra = micros.to_bytes(7, "little") + bytes(9)
    found = translated(packet(33, bytes(42) + extra, end=200), packet(33, bytes(42), end=300, seconds=7))
    assert [event.committed for event in found if isinstance(event, Gtid)] == [micros, 7_000_000]


def test_the_statement_of_load_data_is_a_statement() -> None:
    head = struct.pack("<IIBHH", 1, 0, 4, 0, 3) + bytes(13)
    (event,) = translated(packet(18, head + b"xyz" + b"shop\0LOAD DATA INFILE 'a' INTO TABLE t", end=100))
    assert isinstance(event, Query)
    assert (event.schema, event.sql) == ("shop", "LOAD DATA INFILE 'a' INTO TABLE t")


@pytest.mark.parametrize(
    ("kind", "found"), [(40, "is damaged"), (166, "is damaged"), (99, "unknown type 99"), (30, "is damaged")]
)
def test_what_may_hold_changes_and_is_not_understood_is_never_passed(kind: int, found: str) -> None:
    first, event, after = translated(moved(4), packet(kind, end=100), packet(3, end=150))
    assert isinstance(event, Unreadable)
    assert (event.start, event.end, event.last) == (4, 100, kind == 40)
    assert found in event.found
    assert event.fix.endswith("start the capturer with --skip {at}")
    assert after == Passed(131, 150, 3)
    assert first == Rotate("b.000001", 4)


def test_what_the_server_calls_ignorable_is_passed() -> None:
    assert translated(moved(4), packet(99, end=100, flags=0x80))[1] == Passed(81, 100, 99)


def test_a_packet_that_is_no_event_is_unreadable() -> None:
    _, event = translated(moved(4), b"\0")
    assert isinstance(event, Unreadable)
    assert (event.start, event.end, event.last) == (4, 4, False)


def table_map(schema: bytes, *, codes: bytes, meta: bytes, extra: bytes) -> bytes:
    name = bytes([len(schema)]) + schema + b"\0\x01t\0"
    head = bytes([7, 0, 0, 0, 0, 0, 1, 0]) + name
    return head + bytes([len(codes)]) + codes + bytes([len(meta)]) + meta + b"\0" + extra


ROWS = bytes([7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 1, 0xFF, 0x00, 5, 0, 0, 0])
NAMED = b"\x01\x01\0\x04\x03\x02id"


@pytest.mark.parametrize(
    ("codes", "meta", "extra", "fault"),
    [
        (b"\x03", b"", b"", "have no names"),
        (b"\x03", b"", b"\x01\x01\0\x04\x02\x01x", "shop.t has no column id"),
        (b"\x77", b"", NAMED, "type 119"),
        (b"\x0f", b"\x0a\0", b"\x03\x02\x3f\x3f\x04\x03\x02id", "is damaged"),
        (b"\x03", b"", b"\x04\x03\x02id", "whether it is UNSIGNED"),
    ],
)
def test_a_table_that_is_described_otherwise_has_no_rows_but_a_reason(
    codes: bytes, meta: bytes, extra: bytes, fault: str
) -> None:
    announced = packet(19, table_map(b"shop", codes=codes, meta=meta, extra=extra), end=50)
    _, reason, rows = translated(moved(4), announced, packet(30, ROWS, end=100))
    assert isinstance(reason, Unreadable)
    assert isinstance(rows, Unreadable)
    assert fault in reason.found


def test_a_row_event_that_is_cut_off_is_not_guessed() -> None:
    announced = packet(19, table_map(b"shop", codes=b"\x03", meta=b"", extra=NAMED), end=50)
    whole, cut = translated(announced, packet(30, ROWS, end=100), packet(30, ROWS[:-1], end=150))
    assert isinstance(whole, RowsEvent)
    assert whole.images == [(None, {"id": 5})]
    assert isinstance(cut, Unreadable)


def test_other_tables_are_passed_whatever_they_hold() -> None:
    announced = packet(19, table_map(b"else", codes=b"\x77", meta=b"", extra=b""), end=50)
    found = translated(announced, packet(30, ROWS, end=100), packet(39, ROWS, end=150))
    assert [type(event) for event in found] == [Passed, Passed]


def payload(*inner: bytes, end: int) -> bytes:
    """A compressed transaction that is not compressed; `inner` packets without their status byte."""
    content = b"".join(one[1:] for one in inner)
    size = b"\xfc" + len(content).to_bytes(2, "little")
    return packet(40, b"\x02\x03\xfc\xff\x00" + b"\x01\x03" + size + b"\0" + content, end=end)


def test_a_compressed_transaction_that_is_damaged_ends_where_it_is() -> None:
    head = struct.pack("<IIBHH", 1, 0, 4, 0, 0) + b"shop\0"
    announced = packet(19, table_map(b"shop", codes=b"\x03", meta=b"", extra=NAMED))
    inside = [
        packet(2, head + b"BEGIN"),
        announced,
        packet(30, ROWS),
        packet(30, ROWS[:-1]),
        packet(16, bytes(8)),
    ]
    end = 300 + len(payload(*inside, end=0)) - 1
    found = translated(moved(4), packet(34, bytes(42), end=300), payload(*inside, end=end))
    _, _, begin, rows, damage = found
    assert isinstance(begin, Query)
    assert isinstance(rows, RowsEvent)
    assert isinstance(damage, Unreadable)
    assert damage.last
    assert (rows.start, rows.end) == (damage.start, damage.end) == (300, end)
    with pytest.raises(CaptureStopped, match="is damaged"):
        carried(found)
    skipping = Transactions(MAPPING, Place.of(1, START), skip=[BinlogOffset("b.000001", 239)])
    assert carried(found, skipping) == []
    assert skipping.boundary.offset == end


def carried(events: list[Event], transactions: Transactions | None = None) -> list[RowChange]:
    transactions = transactions or Transactions(MAPPING, Place.of(1, START))
    return [change for event in events for change in transactions.feed(event)]


def test_only_after_ddl_the_server_is_asked_again() -> None:
    asked = []

    def definitions(schema: str, table: str) -> list[Definition]:
        asked.append((schema, table))
        return [Definition("id", "int")]

    def statement(text: bytes) -> bytes:
        return packet(2, struct.pack("<IIBHH", 1, 0, 4, 0, 0) + b"shop\0" + text)

    announced = packet(19, table_map(b"shop", codes=b"\x03", meta=b"", extra=b""), end=50)
    rows = packet(30, ROWS, end=100)
    calm = [statement(text) for text in (b"BEGIN", b"SAVEPOINT `s`", b"XA START X'61',X'',1", b"COMMIT")]
    found = translated(announced, rows, *calm, announced, rows, definitions=definitions)
    assert [event.images for event in found if isinstance(event, RowsEvent)] == [[(None, {"id": 5})]] * 2
    assert asked == [("shop", "t")]
    asked.clear()
    translated(announced, statement(b"/* a */ ALTER TABLE t ADD x INT"), announced, definitions=definitions)
    assert asked == [("shop", "t")] * 2
