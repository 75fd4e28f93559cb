"""What the installed PyMySQL keeps private and capture needs, held against a server that the test plays."""

import inspect
import socket
import struct
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version

import pymysql
import pytest
from packaging.requirements import Requirement
from pymysql.connections import Connection

from capturer.source.raw_connection import RawConnection
from tests.support.paths import ROOT

OK = b"\x00\x00\x00\x02\x00\x00\x00"
EOF = b"\xfe\x00\x00\x02\x00"
GREETING = (
    b"\x0a9.0.0\x00" + struct.pack("<I", 1) + b"saltsalt\x00" + struct.pack("<H", 0xF7DF) + b"\x2d"
    + struct.pack("<HH", 2, 0x81FF) + b"\x15" + bytes(10) + b"saltsaltsalt\x00" + b"mysql_native_password\x00"
)  # fmt: skip
DUMP, WHOLE = 0x12, (1 << 24) - 1


class PlayedServer:
    """Lets anybody in and answers queries with OK. `dump` is what it does when it is asked for its binlog."""

    def __init__(self, dump: Callable[["PlayedServer"], None]) -> None:
        self.theirs, self.socket = socket.socketpair()
        self.received: list[bytes] = []
        self.ended = threading.Event()
        self._dump = dump
        self._number = 0
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.socket.close()

    def send(self, body: bytes) -> None:
        for start in range(0, len(body) + 1, WHOLE):  # a packet of the full length is followed by one more
            part = body[start : start + WHOLE]
            self.socket.sendall(struct.pack("<I", len(part) | self._number << 24) + part)
            self._number = (self._number + 1) % 256

    def _serve(self) -> None:
        self.send(GREETING)
        for number, body in self._packets():
            self.received.append(body)
            self._number = number + 1
            if body[0] == DUMP and number == 0:
                self._dump(self)
            else:
                self.send(OK)
        self.ended.set()

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        with suppress(OSError), self.socket.makefile("rb") as file:
            while head := file.read(4):
                (word,) = struct.unpack("<I", head)
                yield word >> 24, file.read(word & 0xFFFFFF)


@contextmanager
def connected(dump: Callable[[PlayedServer], None]) -> Iterator[tuple[RawConnection, PlayedServer]]:
    server = PlayedServer(dump)
    connection = pymysql.connect(user="u", password="", defer_connect=True, read_timeout=60)
    connection.connect(server.theirs)
    raw = RawConnection(connection)
    yield raw, server
    raw.drop()
    server.close()


def test_the_private_names_are_there_and_take_what_they_took() -> None:
    taken = {
        name: list(inspect.signature(getattr(Connection, name)).parameters)
        for name in ("_execute_command", "_read_packet", "_force_close")
    }
    assert taken == {
        "_execute_command": ["self", "command", "sql"],
        "_read_packet": ["self", "packet_type"],
        "_force_close": ["self"],
    }
    assert "_sock" in vars(pymysql.connect(defer_connect=True))


def test_the_installed_version_is_within_the_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bound,) = [one for one in map(Requirement, project["dependencies"]) if one.name == "pymysql"]
    assert version("pymysql") in bound.specifier
    assert any(one.operator == "<" for one in bound.specifier), "a next version may rename what is private"


def test_the_binlog_is_asked_for_from_a_place_and_comes_in_whole_packets() -> None:
    large = b"\x00" + bytes(WHOLE + 10)

    def dump(server: PlayedServer) -> None:
        for body in (b"\x00one", large, EOF):
            server.send(body)

    with connected(dump) as (raw, server):
        assert list(raw.binlog("binlog.000007", 1234, 0)) == [b"\x00one", large]
        assert server.received[-1] == b"\x12" + struct.pack("<IHI", 1234, 1, 0) + b"binlog.000007"
        assert [body for body in server.received if b"checksum" in body], "the events end in a checksum"


def test_a_refusal_is_the_drivers_error() -> None:
    refusal = b"\xff" + struct.pack("<H", 1236) + b"#HY000purged"
    with connected(lambda served: served.send(refusal)) as (raw, _):
        with pytest.raises(pymysql.OperationalError, match="purged") as refused:
            list(raw.binlog("binlog.000001", 4, 0))
        assert refused.value.args[0] == 1236


def test_a_connection_that_ends_in_a_packet_is_the_drivers_error() -> None:
    def dump(server: PlayedServer) -> None:
        server.socket.sendall(struct.pack("<I", 100 | 1 << 24) + b"half")
        server.socket.shutdown(socket.SHUT_RDWR)

    with connected(dump) as (raw, _), pytest.raises(pymysql.OperationalError, match="Lost connection"):
        list(raw.binlog("binlog.000001", 4, 0))


def test_another_thread_ends_a_read_that_waits() -> None:
    asked = threading.Event()
    with connected(lambda _: asked.set()) as (raw, _):
        ends = threading.Thread(target=lambda: (asked.wait(), raw.interrupt()))
        ends.start()
        with pytest.raises((pymysql.Error, OSError)):
            list(raw.binlog("binlog.000001", 4, 0))
        ends.join()
        raw.drop()
        raw.drop()
        raw.interrupt()  # nothing is left to end


def test_dropping_says_no_farewell() -> None:
    with connected(lambda _: None) as (raw, server):
        before = len(server.received)
        raw.drop()
        server.ended.wait()
        assert len(server.received) == before
