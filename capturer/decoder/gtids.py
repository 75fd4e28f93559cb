"""The events that begin a transaction."""

import struct
from functools import cache
from uuid import UUID

from capturer.decoder.events import Gtid
from capturer.decoder.framing import HEADER, EventType, unpack_header
from capturer.decoder.wire import damaged, fixed_int, taken

_MYSQL = struct.Struct("<B16sq")
_TIMES = HEADER + _MYSQL.size + 1 + 16
"""Offset of the commit times: after the type of the logical clock and its two numbers."""
_HAS_ORIGINAL = 1 << 55  # highest bit of the commit time's 7 bytes: the original commit time follows
_MARIADB = struct.Struct("<QIB")
_STANDALONE, _PREPARED_XA = 0x01, 0x40
_ANONYMOUS = int(EventType.ANONYMOUS_GTID)
_UUID, _GNO, _TAG, _COMMITTED, _ORIGINAL = 1, 2, 3, 6, 7
"""Fields of a tagged GTID."""
_LAST_FIELD = 11


@cache
def _uuid(data: bytes) -> str:
    return str(UUID(bytes=data))


def mysql_gtid(data: bytes, kind: int, start: int, end: int) -> Gtid:
    """GTID and ANONYMOUS_GTID. Servers before 8.0 have no commit time but that of the header, in seconds."""
    _, server, number = _MYSQL.unpack_from(data, HEADER)
    original = 0
    if len(data) >= _TIMES + 7:
        committed = int.from_bytes(data[_TIMES : _TIMES + 7], "little")
        if committed & _HAS_ORIGINAL:
            committed &= ~_HAS_ORIGINAL
            original = int.from_bytes(data[_TIMES + 7 : _TIMES + 14], "little")
    else:
        committed = unpack_header(data)[0] * 1_000_000
    gtid = None if kind == _ANONYMOUS else f"{_uuid(server)}:{number}"
    # Of every transaction: half the time of Gtid(...), and every field.
    return tuple.__new__(Gtid, (start, end, gtid, committed, None, False, original))


def mariadb_gtid(data: bytes, start: int, end: int) -> Gtid:
    """DOMAIN-SERVER-NUMBER, with flags."""
    timestamp, _, server, *_ = unpack_header(data)
    number, domain, flags = _MARIADB.unpack_from(data, HEADER)
    return Gtid(
        start,
        end,
        f"{domain}-{server}-{number}",
        timestamp * 1_000_000,
        bool(flags & _STANDALONE),
        bool(flags & _PREPARED_XA),
    )


def tagged_gtid(data: bytes, start: int, end: int) -> Gtid:
    """
    UUID:TAG:NUMBER, in MySQL's own serialization of numbered fields.

    https://dev.mysql.com/doc/dev/mysql-server/latest/PageLibsMysqlSerialization.html
    """
    version, at = _varint(data, HEADER)
    size, at = _varint(data, at)
    _, at = _varint(data, at)
    if version != 1 or HEADER + size != len(data):
        damaged("not a tagged GTID")
    server, tag, number, committed, original = b"", "", 0, 0, 0
    while at < len(data):
        field, at = _varint(data, at)
        if field > _LAST_FIELD:
            break  # of a newer server, and marked as ignorable
        if field == _UUID:
            server, at = _small_bytes(data, at, 16)
        elif field == _TAG:
            size, at = _varint(data, at)
            text, at = taken(data, at, size)
            tag = text.decode()
        else:
            value, at = _varint(data, at)
            if field == _GNO:
                number = value >> 1 ^ -(value & 1)  # signed: the lowest bit is the sign (zigzag)
            elif field == _COMMITTED:
                committed = value
            elif field == _ORIGINAL:
                original = value
    return Gtid(start, end, f"{_uuid(server)}:{tag}:{number}", committed, original=original)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The low end of the first byte has as many ones as bytes follow; the other bits are the number."""
    more = (~data[at] & (data[at] + 1)).bit_length() - 1
    if more == 8:  # all ones: the number is in the next 8 bytes
        return fixed_int(data, at + 1, 8)
    value, after = fixed_int(data, at, more + 1)
    return value >> (more + 1), after


def _small_bytes(data: bytes, at: int, count: int) -> tuple[bytes, int]:
    found = bytearray()
    for _ in range(count):
        value, at = _varint(data, at)
        found.append(value)
    return bytes(found), at
