"""Events that real servers wrote, whole and damaged."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

import random
import zlib
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from capturer.decoder.errors import DamagedEvent, RowImageNotFull, UnreadableColumn
from capturer.decoder.events import (
    FormatDescription,
    Gtid,
    Heartbeat,
    Incident,
    Passed,
    Query,
    Rotate,
    RowsEvent,
)
from capturer.decoder.framing import HEADER, EventType
from capturer.decoder.rows.decoder import EVERY_COLUMN
from capturer.decoder.stream import EventStream
from rowferry.errors import CaptureStopped
from rowferry.values import Json

FLAVORS = ("mysql", "mariadb")
VALUES = (
    int | float | str | bytes | Decimal | date | datetime | timedelta | Json | tuple | None  # type: ignore[type-arg]
)


def recorded(flavor: str) -> list[bytes]:
    lines = Path(__file__).with_name("binlog").joinpath(f"{flavor}.hex").read_text().split()
    return [bytes.fromhex(line) for line in lines]


def everything(schema: str, table: str) -> Any:
    return EVERY_COLUMN


def read(stream: EventStream, packets: list[bytes], at: int = 0) -> list[Any]:
    return [event for packet in packets for event in stream.feed(packet, at)]


def images(events: list[Any]) -> list[tuple[Any, Any]]:
    return [pair for event in events if isinstance(event, RowsEvent) for pair in event.images]


def event(kind: int, body: bytes, *, end: int = 0, flags: int = 0, checksum: bool = False) -> bytes:
    size = HEADER + len(body) + 4 * checksum
    head = (7).to_bytes(4, "little") + bytes([kind]) + (1).to_bytes(4, "little")
    head += size.to_bytes(4, "little") + end.to_bytes(4, "little") + flags.to_bytes(2, "little")
    return head + body + zlib.crc32(head + body).to_bytes(4, "little") * checksum


FIRST = {
    "id": 1,
    "a": -1,
    "m": -2,
    "f": 1.1,
    "d": Decimal("-12345.678"),
    "y": 2026,
    "b": 257,
    "dt": datetime(2026, 11, 23, 12, 34, 56, 789_000),
    "ts": datetime(2026, 11, 23, 12, 34, 56),
    "tm": -timedelta(hours=26, milliseconds=500),
    "day": date(2026, 11, 23),
    "c": "한글",
    "l": "é",
    "v": "text",
    "bi": b"\x01\0\0",
    "t": "long",
    "e": "한",
    "s": ("p", "q"),
    "g": bytes.fromhex("00000000 01 01000000 000000000000f03f 0000000000000040"),
}
SECOND = {**dict.fromkeys(FIRST), "id": 2**64 - 1}
UPDATED = {**FIRST, "v": "other", "day": "2026-00-00", "a": None}


@pytest.mark.parametrize("flavor", FLAVORS)
def test_rows_of_recorded_events(flavor: str) -> None:
    found = images(read(EventStream(everything), recorded(flavor)))
    assert found[:5] == [(None, FIRST), (None, SECOND), (FIRST, UPDATED), (UPDATED, None), (SECOND, None)]


def test_json_of_recorded_events() -> None:
    document = {"a": [1, Decimal("2.5"), None, True, "한"], "b": {"c": -70000, "pad": "x" * 22}}
    typed = {**document, "d": ["2026-11-23", Decimal("-1.1"), "base64:type15:/w=="]}
    partly = {**typed, "a": [1, "y", None, True, "한"]}
    found = images(read(EventStream(everything), recorded("mysql")))[5:]
    assert found == [
        (None, {"id": 1, "j": Json(document)}),
        (None, {"id": 2, "j": None}),
        ({"id": 1, "j": Json(document)}, {"id": 1, "j": Json(typed)}),
        ({"id": 1, "j": Json(typed)}, {"id": 1, "j": Json(partly)}),
        (None, {"id": 3, "j": Json([])}),
    ]


def test_compression_of_recorded_events() -> None:
    found = images(read(EventStream(everything), recorded("mariadb")))[7:]
    text = '"' + "x" * 90 + '"'
    assert found == [
        (None, {"id": 3, "j": text}),
        ({"id": 3, "j": text}, {"id": 3, "j": "[]"}),
        ({"id": 3, "j": "[]"}, None),
        (None, {"a": "y" * 300}),
    ]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_an_event_that_is_cut_off_anywhere_is_refused(flavor: str) -> None:
    packets = recorded(flavor)
    for number, packet in enumerate(packets):
        stream = EventStream(everything)
        read(stream, packets[:number])
        for size in range(len(packet)):
            with pytest.raises(DamagedEvent):
                read(stream, [packet[:size]])


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_changed_byte_anywhere_is_noticed(flavor: str) -> None:
    packets = recorded(flavor)
    for packet in packets:
        for at in range(len(packet)):
            stream = EventStream(everything, checksums=True)
            changed = packet[:at] + bytes([packet[at] ^ 0x10]) + packet[at + 1 :]
            with pytest.raises(DamagedEvent):
                read(stream, [changed])


def shortened(packet: bytes, at: int = 0) -> bytes:
    """The event without its checksum."""
    size = (len(packet) - 4).to_bytes(4, "little")
    return packet[:9] + size + packet[13:-4]


def without_checksums(flavor: str) -> Iterator[bytes]:
    for packet in recorded(flavor):
        if packet[4] == EventType.FORMAT_DESCRIPTION:
            plain = packet[:-5] + b"\0"
            yield plain + zlib.crc32(plain).to_bytes(4, "little")
        else:
            yield shortened(packet)


def damaged(random_: random.Random, packet: bytes) -> bytes:
    """Some bytes changed, most often beyond the header; or cut off, with a size that fits."""
    if random_.random() < 0.1:
        packet = packet[: random_.randrange(HEADER, len(packet))]
    changed = bytearray(packet)
    for _ in range(random_.choice((1, 1, 2, 8))):
        at = random_.randrange(min(len(packet) - 1, HEADER), len(packet))
        changed[at] = random_.choice((0, 1, 0x7F, 0x80, 0xFC, 0xFE, 0xFF, random_.randrange(256)))
    changed[9:13] = len(changed).to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_damage_without_checksums_gives_the_named_error_or_values(flavor: str) -> None:
    packets = list(without_checksums(flavor))
    random_ = random.Random(20)
    refused = 0
    for _ in range(6000):
        number = random_.randrange(2, len(packets))
        stream = EventStream(everything)
        announced = [packet for packet in packets[:number] if packet[4] == EventType.TABLE_MAP][-1:]
        read(stream, packets[1:2] + announced)
        hurt = damaged(random_, packets[number])
        try:
            announces = packets[number][4] == EventType.TABLE_MAP
            events = read(stream, [hurt, packets[number + 1]] if announces else [hurt])
        except CaptureStopped:
            refused += 1
            continue
        for before, after in images(events):
            for value in [*(before or {}).values(), *(after or {}).values()]:
                assert isinstance(value, VALUES)
    assert refused > 2000


def test_packets_of_a_dump_have_an_ok_byte_before_them() -> None:
    packets = recorded("mysql")
    assert read(EventStream(everything), [b"\0" + packet for packet in packets], 1) == read(
        EventStream(everything), packets
    )


def test_what_nobody_wants_is_passed_over() -> None:
    packets = recorded("mysql")
    events = read(EventStream(lambda schema, table: {"id"} if table == "j" else None), packets)
    assert [pair for pair in images(events) if pair[1]] == [(None, {"id": 1}), (None, {"id": 2}), *[
        ({"id": 1}, {"id": 1})] * 2, (None, {"id": 3})]  # fmt: skip
    assert {row.kind for row in events if isinstance(row, Passed)} >= {
        EventType.WRITE_ROWS,
        EventType.UPDATE_ROWS,
    }


def test_rows_of_a_table_that_was_not_announced_are_refused() -> None:
    packets = recorded("mysql")
    rows = next(packet for packet in packets if packet[4] == EventType.WRITE_ROWS)
    stream = EventStream(everything)
    read(stream, packets[:2])
    with pytest.raises(DamagedEvent, match="not announced"):
        read(stream, [rows])


def test_table_maps_do_not_outlive_the_file() -> None:
    packets = recorded("mysql")
    stream = EventStream(everything)
    read(stream, packets)
    read(stream, packets[1:2])
    with pytest.raises(DamagedEvent, match="not announced"):
        read(stream, [next(packet for packet in packets if packet[4] == EventType.WRITE_ROWS)])


def test_offsets_go_on_beyond_4_gib() -> None:
    stream = EventStream(everything, checksums=False)
    big = 5 << 32
    read(stream, [event(EventType.ROTATE, (big - 50).to_bytes(8, "little") + b"binlog.000007")])
    assert read(stream, [event(EventType.XID, bytes(8), end=(big - 23) % 2**32)]) == [(big - 50, big - 23)]
    assert read(stream, [event(EventType.XID, bytes(8), end=4)]) == [(big - 23, big + 4)]


def test_made_up_events_do_not_move_the_offset() -> None:
    stream = EventStream(everything)
    read(stream, [event(EventType.ROTATE, (400).to_bytes(8, "little") + b"binlog.000007", checksum=True)])
    assert read(stream, [event(3, b"", end=0, checksum=True)]) == [Passed(400, 400, 3)]
    assert read(stream, [event(29, b"x", end=999, flags=0x20, checksum=True)]) == [Passed(400, 400, 29)]


def test_an_offset_that_steps_back_is_no_wrap() -> None:
    stream = EventStream(everything, checksums=False)
    read(stream, [event(EventType.ROTATE, (400).to_bytes(8, "little") + b"binlog.000007")])
    assert read(stream, [event(EventType.HEARTBEAT, b"binlog.000007", end=390)]) == [
        Heartbeat("binlog.000007", 390)
    ]
    assert read(stream, [event(EventType.XID, bytes(8), end=427)]) == [(400, 427)]


def test_heartbeats() -> None:
    stream = EventStream(everything, checksums=False)
    read(stream, [event(EventType.ROTATE, (400).to_bytes(8, "little") + b"binlog.000007")])
    assert read(stream, [event(EventType.HEARTBEAT, b"binlog.000007", end=450)]) == [
        Heartbeat("binlog.000007", 450)
    ]
    body = b"\x01\x0dbinlog.000007" + b"\x02\x09\xfe" + (6 << 32).to_bytes(8, "little") + b"\0"
    assert read(stream, [event(EventType.HEARTBEAT_V2, body)]) == [Heartbeat("binlog.000007", 6 << 32)]


def test_incidents() -> None:
    stream = EventStream(everything, checksums=False)
    assert read(stream, [event(EventType.INCIDENT, b"\1\0\4lost", end=100)]) == [
        Incident(100 - 26, 100, "lost")
    ]


def test_the_rotation_that_ends_a_file() -> None:
    stream = EventStream(everything)
    read(stream, recorded("mysql")[:2])
    rotation = event(EventType.ROTATE, (4).to_bytes(8, "little") + b"binlog.000008", end=5000, checksum=True)
    assert read(stream, [rotation]) == [Rotate("binlog.000008", 4)]


@pytest.mark.parametrize("flavor", FLAVORS)
def test_recorded_files_begin_as_they_should(flavor: str) -> None:
    first, second, *_ = read(EventStream(everything), recorded(flavor))
    assert isinstance(first, Rotate)
    assert isinstance(second, FormatDescription)
    assert second.checksums
    assert ("MariaDB" in second.server) is (flavor == "mariadb")


def test_gtids_of_recorded_events() -> None:
    found = [
        event_ for event_ in read(EventStream(everything), recorded("mysql")) if isinstance(event_, Gtid)
    ]
    numbers = [gtid.gtid.rpartition(":")[2] for gtid in found if gtid.gtid]
    assert numbers == [*map(str, range(int(numbers[0]), int(numbers[0]) + len(found) - 1)), "1"]
    assert ":tag:" in str(found[-1].gtid)
    year = 1_750_000_000 * 1e6
    assert all(gtid.committed > year for gtid in found)


def test_statements_of_recorded_events() -> None:
    for flavor in FLAVORS:
        found = [row.sql for row in read(EventStream(everything), recorded(flavor)) if isinstance(row, Query)]
        assert found[0].startswith("CREATE TABLE t (id BIGINT UNSIGNED")
        assert [sql for sql in found if sql.startswith("XA ")]


def test_a_minimal_image_is_refused() -> None:
    packets = list(without_checksums("mysql"))
    number = next(n for n, packet in enumerate(packets) if packet[4] == EventType.WRITE_ROWS)
    rows = bytearray(packets[number])
    stream = EventStream(everything)
    read(stream, packets[:number])
    at = HEADER + 8 + 2 + 1
    rows[at] &= 0xFD
    with pytest.raises(RowImageNotFull, match="binlog_row_image=FULL"):
        read(stream, [bytes(rows)])


def test_unknown_column_types_are_named() -> None:
    packets = list(without_checksums("mysql"))
    number = next(n for n, packet in enumerate(packets) if packet[4] == EventType.TABLE_MAP)
    changed = packets[number].replace(bytes([8, 1, 9, 4]), bytes([8, 200, 9, 4]), 1)
    stream = EventStream(everything)
    read(stream, packets[:number])
    with pytest.raises(UnreadableColumn, match="type 200"):
        read(stream, [changed])
    other = EventStream(lambda schema, table: None)
    read(other, [*packets[:number], changed, packets[number + 1]])


def test_wanted_is_asked_again_after_ddl() -> None:
    asked = []

    def wanted(schema: str, table: str) -> Any:
        asked.append(table)
        return EVERY_COLUMN

    stream = EventStream(wanted)
    packets = recorded("mysql")
    read(stream, packets)
    read(stream, packets)
    assert asked == ["t", "j"]
    stream.forget()
    read(stream, packets)
    assert asked == ["t", "j", "t", "j"]


def test_errors_hold_no_row_values() -> None:
    packets = list(without_checksums("mysql"))
    random_ = random.Random(5)
    number = next(n for n, packet in enumerate(packets) if packet[4] == EventType.WRITE_ROWS)
    messages = set()
    for _ in range(300):
        stream = EventStream(everything)
        read(stream, packets[:number])
        try:
            read(stream, [damaged(random_, packets[number])])
        except CaptureStopped as error:
            messages.add(str(error))
    assert len(messages) > 5
    assert not [message for message in messages if "text" in message or "한" in message or "long" in message]
