"""Reading on in a file of over 4 GiB: no dump command can name the place, so it is read from its start."""

import struct
from typing import Any, ClassVar

import pytest

from capturer.decoder.events import Gtid, Heartbeat, Query, Rotate, Xid
from capturer.source import binlog
from capturer.source.binlog import Binlog, ConnectionLost, ReplicationClient
from capturer.source.events import Event
from capturer.source.raw_connection import RawConnection
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
FILE, NEXT = "b.000001", "b.000002"
SOURCE = ReplicationClient("127.0.0.1", 1, "u", "p", 1)
HEAD = 19  # bytes


class Packet:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def is_eof_packet(self) -> bool:
        return not self.data

    def get_all_data(self) -> bytes:
        return self.data


class Dump:
    """The server's side: sends `packets` and ends the stream."""

    asked: ClassVar[list[tuple[str, int]]] = []
    packets: ClassVar[list[bytes]] = []
    checksums = False

    def __init__(self, *_: Any, log_file: str, log_pos: int, **__: Any) -> None:
        self.asked.append((log_file, log_pos))
        self.left = [*self.packets, b""]
        self.connection = RawConnection(self)

    def open(self) -> None: ...

    def _force_close(self) -> None: ...

    def _read_packet(self) -> Packet:
        return Packet(self.left.pop(0))


def packet(kind: int, body: bytes, *, end: int = 0, flags: int = 0) -> bytes:
    """An event as it is sent: of `end`, the lower 32 bit."""
    return b"\0" + struct.pack("<IBIIIH", 9, kind, 1, HEAD + len(body), end % GIB4, flags) + body


def moved(file: str, offset: int) -> bytes:
    return packet(4, struct.pack("<Q", offset) + file.encode(), flags=0x20)


def began(end: int) -> bytes:
    return packet(34, bytes(42), end=end)


def statement(text: bytes, end: int) -> bytes:
    return packet(2, struct.pack("<IIBHH", 1, 0, 4, 0, 0) + b"shop\0" + text, end=end)


def ended(end: int) -> bytes:
    return packet(16, bytes(8), end=end)


GTID, XID = len(began(0)) - 1, len(ended(0)) - 1  # bytes; a packet has one more
DROP = len(statement(b"DROP TABLE t", 0)) - 1


def read(monkeypatch: pytest.MonkeyPatch, start: BinlogOffset, packets: list[bytes]) -> list[Event]:
    monkeypatch.setattr(binlog, "_Dump", Dump)
    monkeypatch.setattr(Dump, "packets", packets)
    monkeypatch.setattr(Dump, "asked", [])
    events: list[Event] = []
    with pytest.raises(ConnectionLost):
        for event in Binlog(SOURCE, MAPPING, start).events():
            events.append(event)  # noqa: PERF402 - it ends in the error, and what came before counts
    return events


def walk(*places: tuple[str, int]) -> list[bytes]:
    """A file from its start: filling up to each place, and there what is named."""
    packets, made = [moved(FILE, 4)], {"began": began, "ended": ended}
    for kind, end in places:
        packets.append(made[kind](end) if kind in made else statement(kind.encode(), end))
    return packets


HALF, BOUNDARY = GIB4 // 2, GIB4 + 5_000
BEFORE = [
    ("began", 200),
    ("ended", 200 + XID),
    ("ended", HALF),
    ("ended", GIB4 - 50),
    ("began", BOUNDARY - DROP),
    ("DROP TABLE t", BOUNDARY),  # the operator has dealt with it: it must not stop capture again
]
BEHIND = [("began", BOUNDARY + GTID), ("ended", BOUNDARY + GTID + XID)]


def test_what_stands_before_the_boundary_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    events = read(monkeypatch, BinlogOffset(FILE, BOUNDARY), walk(*BEFORE, *BEHIND))
    assert Dump.asked == [(FILE, 4)]
    assert events == [
        Rotate(FILE, BOUNDARY),
        Gtid(BOUNDARY, BOUNDARY + GTID, None, 9_000_000),
        Xid(BOUNDARY + GTID, BOUNDARY + GTID + XID),
    ]


def test_a_sign_of_life_at_the_boundary_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = [*walk(*BEFORE), packet(27, FILE.encode(), end=BOUNDARY)]
    assert read(monkeypatch, BinlogOffset(FILE, BOUNDARY), packets) == [
        Rotate(FILE, BOUNDARY),
        Heartbeat(FILE, BOUNDARY),
    ]


def test_the_next_file_is_read_from_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    packets = [*walk(*BEFORE), moved(NEXT, 4), began(4 + GTID), ended(4 + GTID + XID)]
    events = read(monkeypatch, BinlogOffset(FILE, BOUNDARY), packets)
    assert events == [
        Rotate(FILE, BOUNDARY),
        Rotate(NEXT, 4),
        Gtid(4, 4 + GTID, None, 9_000_000),
        Xid(4 + GTID, 4 + GTID + XID),
    ]


@pytest.mark.parametrize("offset", [GIB4 - 1, GIB4])
def test_the_server_is_asked_for_the_place_as_long_as_it_can_be_named(
    monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    packets = (
        [moved(FILE, offset), ended(offset + XID)] if offset < GIB4 else walk(*BEFORE[:4], ("ended", offset))
    )
    events = read(monkeypatch, BinlogOffset(FILE, offset), packets)
    assert Dump.asked == [(FILE, offset if offset < GIB4 else 4)]
    assert events[0] == Rotate(FILE, offset)
    assert not any(isinstance(event, Query) for event in events)
