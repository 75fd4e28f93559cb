"""
Events of every type, cut off at every byte and with flipped bits, where no checksum tells.

What comes is the one named error, or what the bytes can be read as; never another error, never a row more.
"""

import zlib
from collections.abc import Iterable, Iterator
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

import pytest
from backports.zstd import ZstdFile

from capturer.decoder.dispatch import SIMPLE
from capturer.decoder.errors import DamagedEvent, DecoderFault
from capturer.decoder.events import RowsEvent
from capturer.decoder.framing import HEADER, EventType
from capturer.decoder.rows.row_events import OPENING, ROWS
from capturer.decoder.stream import EventStream
from rowferry.errors import CaptureStopped
from tests.unit.capturer.decoder.test_stream import (
    FLAVORS,
    VALUES,
    event,
    everything,
    images,
    recorded,
    shortened,
)

HANDLED = {
    *SIMPLE,
    *ROWS,
    EventType.TABLE_MAP,
    EventType.FORMAT_DESCRIPTION,
    EventType.ROTATE,
    EventType.TRANSACTION_PAYLOAD,
}
_COMPRESSED_V1 = (
    EventType.WRITE_ROWS_COMPRESSED_V1,
    EventType.UPDATE_ROWS_COMPRESSED_V1,
    EventType.DELETE_ROWS_COMPRESSED_V1,
)
_ROWS = (EventType.WRITE_ROWS, EventType.UPDATE_ROWS, EventType.DELETE_ROWS)
_V1 = {kind: kind - 7 for kind in _ROWS}
_V2 = {kind: kind + 3 for kind in _COMPRESSED_V1}


class Sample(NamedTuple):
    """An event without a checksum, and those before it that it needs."""

    event: bytes
    before: tuple[bytes, ...]

    @property
    def kind(self) -> int:
        return self.event[4]


def resized(packet: bytes) -> bytes:
    """The event with a header that has its real size."""
    return packet[:9] + len(packet).to_bytes(4, "little") + packet[13:]


def retyped(packet: bytes, kind: int) -> bytes:
    return packet[:4] + bytes([kind]) + packet[5:]


@cache
def samples(flavor: str) -> tuple[Sample, ...]:
    return tuple(found for name in (flavor, f"{flavor}-types") for found in _samples(name))


def _samples(name: str) -> Iterator[Sample]:
    rotate, first, *rest = recorded(name)
    bare = first[:-5] + b"\0"  # says that there are no checksums; it has one itself
    first = bare + zlib.crc32(bare).to_bytes(4, "little")
    yield Sample(shortened(rotate), ())
    yield Sample(first, ())
    announced: tuple[bytes, ...] = ()
    for packet in map(shortened, rest):
        yield from _variants(Sample(packet, (first, *announced)))
        if packet[4] == EventType.TABLE_MAP:
            announced = (packet,)


def _variants(sample: Sample) -> Iterator[Sample]:
    """The event, and the same as other versions would write it."""
    yield sample
    packet, before = sample
    if sample.kind in _V1:
        extra = int.from_bytes(packet[OPENING : OPENING + 2], "little")
        plain = packet[:OPENING] + packet[OPENING + extra :]
        yield Sample(resized(retyped(plain, _V1[EventType(sample.kind)])), before)
    elif sample.kind in _V2:
        longer = packet[:OPENING] + b"\2\0" + packet[OPENING:]
        yield Sample(resized(retyped(longer, _V2[EventType(sample.kind)])), before)
    elif sample.kind == EventType.QUERY:
        head = packet[: HEADER + 13]
        yield Sample(
            resized(retyped(head + bytes(13) + packet[HEADER + 13 :], EventType.EXECUTE_LOAD_QUERY)), before
        )
    elif sample.kind == EventType.GTID:
        yield Sample(retyped(packet, EventType.ANONYMOUS_GTID), before)
    elif sample.kind == EventType.TRANSACTION_PAYLOAD:
        at = packet.index(b"\x28\xb5\x2f\xfd")  # zstd's magic number
        plain = ZstdFile(BytesIO(packet[at:])).read()
        body = b"\2\3\xfc\xff\0\1\4\xfd" + len(plain).to_bytes(3, "little") + b"\0" + plain
        yield Sample(resized(packet[:HEADER] + body), before)


HANDMADE = [
    event(EventType.INCIDENT, b"\1\0\4lost", end=100),
    event(EventType.HEARTBEAT, b"binlog.000007", end=450),
    event(
        EventType.HEARTBEAT_V2,
        b"\x01\x0dbinlog.000007" + b"\x02\x09\xfe" + (6 << 32).to_bytes(8, "little") + b"\0",
    ),
]


def every_sample(flavor: str) -> list[Sample]:
    found = samples(flavor)
    return [*found, *(Sample(packet, found[2].before) for packet in HANDMADE)]


def opened(sample: Sample) -> EventStream:
    """A stream to which the event can be given, in any state of damage and again and again."""
    stream = EventStream(everything, checksums=None if sample.kind == EventType.FORMAT_DESCRIPTION else False)
    for packet in sample.before:
        list(stream.feed(packet))
    return stream


def outcome(stream: EventStream, packet: bytes) -> list[Any] | None:
    """The events, None where they are refused. Any other error fails the test."""
    try:
        return list(stream.feed(packet))
    except CaptureStopped:
        return None


def each(sample: Sample, packets: Iterable[bytes]) -> Iterator[list[Any]]:
    """What comes of each packet that is not refused."""
    stream = opened(sample)
    for packet in packets:
        if sample.kind == EventType.FORMAT_DESCRIPTION:
            stream = opened(sample)
        if (events := outcome(stream, packet)) is not None:
            yield events


def cut(sample: Sample, first: int = HEADER) -> Iterator[bytes]:
    return (resized(sample.event[:size]) for size in range(first, len(sample.event)))


def flipped(packet: bytes) -> Iterator[bytes]:
    """One bit of each byte behind the header."""
    for at in range(HEADER, len(packet)):
        yield packet[:at] + bytes([packet[at] ^ 1 << at % 8]) + packet[at + 1 :]


def readable(events: list[Any]) -> bool:
    return all(
        isinstance(value, VALUES)
        for pair in images(events)
        for image in pair
        for value in (image or {}).values()
    )


def test_there_is_a_sample_of_every_type_that_is_read() -> None:
    kinds = {sample.kind for flavor in FLAVORS for sample in every_sample(flavor)}
    assert {EventType(kind).name for kind in HANDLED - kinds} == set()


@pytest.mark.parametrize("flavor", FLAVORS)
def test_whole_events_are_read(flavor: str) -> None:
    for sample in every_sample(flavor):
        events = outcome(opened(sample), sample.event)
        assert events is not None, EventType(sample.kind).name
        assert readable(events)
        assert images(events) or not (sample.kind in ROWS or sample.kind == EventType.TRANSACTION_PAYLOAD)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_rows_cut_off_at_any_byte_are_refused_or_fewer(flavor: str) -> None:
    """Between two rows nobody can tell; inside of one nothing of it is given."""
    for sample in every_sample(flavor):
        if sample.kind in ROWS:
            whole = images(outcome(opened(sample), sample.event) or [])
            for found in map(images, each(sample, cut(sample))):
                assert found == whole[: len(found)]
                assert len(found) < len(whole)


@pytest.mark.parametrize("flavor", FLAVORS)
def test_other_events_cut_off_at_any_byte_are_refused_or_read_without_harm(flavor: str) -> None:
    for sample in every_sample(flavor):
        if sample.kind not in ROWS:
            assert all(map(readable, each(sample, cut(sample))))


@pytest.mark.parametrize("flavor", FLAVORS)
def test_rows_of_a_table_map_that_was_cut_off_are_refused_or_read_without_harm(flavor: str) -> None:
    every = every_sample(flavor)
    for number, sample in enumerate(every):
        if sample.kind == EventType.TABLE_MAP:
            rows = next(found for found in every[number:] if found.kind in ROWS)
            for packet in [*cut(sample, HEADER + 8)][::4]:
                stream = opened(sample)
                outcome(stream, packet)
                assert readable(outcome(stream, rows.event) or [])


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_flipped_bit_in_any_byte_is_refused_or_read_without_harm(flavor: str) -> None:
    for sample in every_sample(flavor):
        assert all(map(readable, each(sample, flipped(sample.event))))


@pytest.mark.parametrize("flavor", FLAVORS)
def test_a_flipped_bit_under_a_checksum_is_refused(flavor: str) -> None:
    for sample in every_sample(flavor):
        whole = resized(sample.event + bytes(4))[:-4]
        checksum = zlib.crc32(whole).to_bytes(4, "little")
        stream = EventStream(everything, checksums=True)
        for packet in flipped(whole) if sample.kind != EventType.FORMAT_DESCRIPTION else ():
            assert outcome(stream, packet + checksum) is None


@pytest.mark.parametrize("flavor", FLAVORS)
def test_an_event_of_any_other_type_is_refused_or_read_without_harm(flavor: str) -> None:
    for sample in every_sample(flavor):
        for kind in HANDLED:
            events = outcome(opened(sample), retyped(sample.event, kind))
            assert readable(events or [])
            wrong = [found for found in events or [] if isinstance(found, RowsEvent)]
            assert not wrong or {sample.kind, kind} <= {*ROWS, EventType.TRANSACTION_PAYLOAD}


@pytest.mark.parametrize("fault", [TypeError, KeyError, IndexError, RecursionError])
def test_an_error_in_our_own_code_is_not_called_damage_of_the_servers_disk(
    monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    """The event is whole: its checksum is right."""

    def broken(*_: object) -> None:
        raise fault("a row's value")

    packet = event(EventType.XID, bytes(8), checksum=True)
    stream = EventStream(lambda _schema, _table: None, checksums=True)
    monkeypatch.setitem(stream._readers, int(EventType.XID), broken)
    with pytest.raises(DecoderFault) as found:
        stream.feed(packet)
    assert fault.__name__ in found.value.found and "please report" in found.value.fix
    assert "row's value" not in str(found.value) and "disk" not in str(found.value)
    with pytest.raises(DamagedEvent):
        stream.feed(packet[:-1] + bytes([packet[-1] ^ 1]))
