"""QUERY events, made as both servers write them."""

import struct

from capturer.decoder.framing import HEADER
from capturer.decoder.queries import load_query, query

FLAGS = b"\x00" + bytes(4)
CATALOG = b"\x06\x03std"


def event(sql: bytes, status: bytes = b"", schema: bytes = b"shop", gap: int = 0) -> bytes:
    sizes = struct.pack("<BHH", len(schema), 0, len(status))
    return bytes(HEADER + 8) + sizes + bytes(gap) + status + schema + b"\0" + sql


def mode(bits: int) -> bytes:
    return b"\x01" + bits.to_bytes(8, "little")


def test_a_statement_has_the_mode_and_the_character_set_of_its_session() -> None:
    charset = b"\x04" + struct.pack("<HHH", 8, 8, 8)  # latin1
    ansi = FLAGS + mode(1 << 20 | 4) + CATALOG + charset
    assert query(event(b"TRUNCATE caf\xe9", ansi)) == ("shop", "TRUNCATE café", 1 << 20 | 4)
    assert query(event("TRUNCATE café".encode(), FLAGS + mode(0))) == ("shop", "TRUNCATE café", 0)


def test_a_mode_is_found_in_every_form_of_the_event() -> None:
    assert query(event(b"BEGIN", mode(4))) == ("shop", "BEGIN", 4)
    assert query(event(b"BEGIN", FLAGS)) == ("shop", "BEGIN", 0)
    assert query(event(b"BEGIN", b"\xff\x01" + mode(4))) == ("shop", "BEGIN", 0)
    assert load_query(event(b"LOAD DATA", FLAGS + mode(4), gap=13)) == ("shop", "LOAD DATA", 4)
