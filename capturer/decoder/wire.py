"""Encodings that binlog events share: functions from bytes and an offset to the value and the next offset."""

from typing import NoReturn


class Malformed(ValueError):
    """The bytes are not what they should be; becomes DamagedEvent. Its text must never hold a value."""


def damaged(found: str) -> NoReturn:
    raise Malformed(found)


def packed_int(data: bytes, at: int) -> tuple[int, int]:
    """
    A length-encoded integer (net_field_length).

    https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_dt_integers.html
    Raises ValueError if cut off, IndexError at the very end.

    >>> packed_int(bytes([0xFC, 1, 2]), 0)
    (513, 3)
    """
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    if first in (0xFB, 0xFF):  # NULL and an error, in the protocol
        damaged("no length where one must be")
    return fixed_int(data, at + 1, {0xFC: 2, 0xFD: 3, 0xFE: 8}[first])


def fixed_int(data: bytes, at: int, size: int) -> tuple[int, int]:
    """An unsigned little-endian integer of `size` bytes. Raises ValueError if cut off."""
    value, after = taken(data, at, size)
    return int.from_bytes(value, "little"), after


def taken(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    """`size` bytes. Raises ValueError if there are fewer."""
    after = at + size
    if after > len(data):
        damaged("cut off")
    return data[at:after], after


def packed_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes preceded by their length. Raises ValueError or IndexError if cut off."""
    size, at = packed_int(data, at)
    return taken(data, at, size)


def bits(data: bytes, count: int) -> list[bool]:
    """The first `count` bits, the lowest of each byte first (null and column bitmaps)."""
    return [bool(data[number >> 3] >> (number & 7) & 1) for number in range(count)]
