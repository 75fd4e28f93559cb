"""
One column of a row event: how its bytes are read, or stepped over.

Formats: https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Rows__event.html and
classbinary__log_1_1Table__map__event.html, table "Column types: numerical identifier and metadata".
"""

import struct
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from rowferry.values import Value

TINY, SHORT, LONG, FLOAT, DOUBLE, LONGLONG, INT24, DATE, YEAR = 1, 2, 3, 4, 5, 8, 9, 10, 13
NEWDATE, VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2 = 14, 15, 16, 17, 18, 19
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141  # MariaDB
VECTOR, JSON, DECIMAL, ENUM, SET, BLOB, VAR_STRING, STRING, GEOMETRY = (
    242,
    245,
    246,
    247,
    248,
    252,
    253,
    254,
    255,
)

_FIXED = {
    TINY: 1, SHORT: 2, INT24: 3, LONG: 4, LONGLONG: 8, FLOAT: 4, DOUBLE: 8, YEAR: 1, DATE: 3, NEWDATE: 3,
    7: 4, 11: 3, 12: 8,  # TIMESTAMP, TIME and DATETIME as they were before MySQL 5.6
}  # fmt: skip
_INTEGERS = frozenset([TINY, SHORT, INT24, LONG, LONGLONG])
_PREFIXED = frozenset([BLOB, JSON, GEOMETRY, VECTOR, BLOB_COMPRESSED])
_TEMPORAL = {TIMESTAMP2: 4, DATETIME2: 5, TIME2: 3}  # bytes before the fraction
_DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)  # bytes of a group of up to nine decimal digits
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the values of MySQL have no zone

type Read = Callable[[bytes, int], tuple[Value, int]]
"""From the bytes and the offset of a value: the value and the offset behind it."""


class ColumnType(NamedTuple):
    """
    What a table map tells of one column.

    `meta` is the type's metadata, up to two bytes. `binary` marks bytes among the text types.
    """

    code: int
    meta: bytes
    unsigned: bool = False
    binary: bool = False
    labels: Sequence[bytes] = ()


class NotCarried(Exception):
    """A type or a value that would arrive other than MySQL shows it; the argument says which."""


def stepper(column: ColumnType) -> Read:
    """Steps over a value of any type, so that columns that do not travel need not be understood."""
    size, prefix = _extent(column)

    def step(data: bytes, at: int) -> tuple[Value, int]:
        length = int.from_bytes(data[at : at + prefix], "little") if prefix else size
        return None, at + prefix + length

    return step


def reader(column: ColumnType) -> Read:
    """Reads a value of the types in rowferry.source.CARRIED_TYPES. NotCarried for any other."""
    size, prefix = _extent(column)
    code = column.code
    if code in _INTEGERS:
        return _integer(size, signed=not column.unsigned)
    if code in (VARCHAR, VAR_STRING, BLOB) or (code == STRING and not column.binary):
        return _bytes(prefix) if column.binary else _text(prefix)
    if code == ENUM:
        return _enum(size, column.labels)
    if code == DECIMAL:
        return _decimal(*column.meta)
    makers: dict[int, Callable[[], Read]] = {
        DOUBLE: _double,
        DATE: _date,
        NEWDATE: _date,
        DATETIME2: lambda: _datetime(column.meta[0]),
        TIMESTAMP2: lambda: _timestamp(column.meta[0]),
        TIME2: lambda: _time(column.meta[0]),
    }
    if code not in makers:
        raise NotCarried(f"binlog type {code}")
    return makers[code]()


def _extent(column: ColumnType) -> tuple[int, int]:
    """Fixed size, or the size of the length in front of the value. NotCarried for an unknown type."""
    code, meta = column.code, column.meta
    if code in _FIXED:
        return _FIXED[code], 0
    if code in _PREFIXED:
        return 0, meta[0]
    if code in (VARCHAR, VAR_STRING, VARCHAR_COMPRESSED):
        return 0, 2 if int.from_bytes(meta, "little") > 255 else 1
    if code == STRING:  # the two highest bits of the length are hidden in the type
        return 0, 2 if ((((meta[0] << 8 | meta[1]) >> 4) & 0x300) ^ 0x300) + meta[1] > 255 else 1
    if code in (ENUM, SET):
        return meta[1], 0
    if code in _TEMPORAL:
        return _TEMPORAL[code] + (meta[0] + 1) // 2, 0
    if code == DECIMAL:
        return _digits_size(meta[0] - meta[1]) + _digits_size(meta[1]), 0
    if code == BIT:
        return meta[1] + (meta[0] > 0), 0
    raise NotCarried(f"binlog type {code}")


def _integer(size: int, *, signed: bool) -> Read:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        end = at + size
        return int.from_bytes(data[at:end], "little", signed=signed), end

    return read


def _bytes(prefix: int) -> Read:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        start = at + prefix
        end = start + int.from_bytes(data[at:start], "little")
        return data[start:end], end

    return read


def _text(prefix: int) -> Read:
    """UTF-8 whatever the character set: the carried ones are parts of it, others fail or read the same."""

    def read(data: bytes, at: int) -> tuple[Value, int]:
        start = at + prefix
        end = start + int.from_bytes(data[at:start], "little")
        return data[start:end].decode(), end

    return read


def _enum(size: int, labels: Sequence[bytes]) -> Read:
    try:
        names = ["", *(label.decode() for label in labels)]  # 0: the empty text of an invalid value
    except UnicodeDecodeError:
        raise NotCarried("ENUM with labels that are not UTF-8") from None
    if not labels:
        raise NotCarried("ENUM without labels")

    def read(data: bytes, at: int) -> tuple[Value, int]:
        end = at + size
        return names[int.from_bytes(data[at:end], "little")], end

    return read


def _double() -> Read:
    unpack = struct.Struct("<d").unpack_from

    def read(data: bytes, at: int) -> tuple[Value, int]:
        return unpack(data, at)[0], at + 8

    return read


def _date() -> Read:
    def read(data: bytes, at: int) -> tuple[Value, int]:
        packed = int.from_bytes(data[at : at + 3], "little")
        return _calendar(date, packed >> 9, packed >> 5 & 15, packed & 31), at + 3

    return read


def _datetime(digits: int) -> Read:
    fraction = _fraction(digits)

    def read(data: bytes, at: int) -> tuple[Value, int]:
        packed = int.from_bytes(data[at : at + 5], "big") - (1 << 39)
        year, month = divmod(packed >> 22, 13)
        micros, end = fraction(data, at + 5)
        day, hour, minute, second = packed >> 17 & 31, packed >> 12 & 31, packed >> 6 & 63, packed & 63
        return _calendar(datetime, year, month, day, hour, minute, second, micros), end

    return read


def _timestamp(digits: int) -> Read:
    fraction = _fraction(digits)

    def read(data: bytes, at: int) -> tuple[Value, int]:
        seconds = int.from_bytes(data[at : at + 4], "big")
        micros, end = fraction(data, at + 4)
        if not seconds:
            raise NotCarried("a zero TIMESTAMP")
        return _EPOCH + timedelta(seconds=seconds, microseconds=micros), end

    return read


def _time(digits: int) -> Read:
    """Seconds and fraction are one number, so that a negative one borrows across the point."""
    extra = (digits + 1) // 2
    offset, mask, unit = 0x800000 << 8 * extra, (1 << 8 * extra) - 1, 10 ** (6 - 2 * extra)

    def read(data: bytes, at: int) -> tuple[Value, int]:
        end = at + 3 + extra
        packed = int.from_bytes(data[at:end], "big") - offset
        clock, micros = abs(packed) >> 8 * extra, (abs(packed) & mask) * unit
        value = timedelta(
            hours=clock >> 12 & 0x3FF, minutes=clock >> 6 & 63, seconds=clock & 63, microseconds=micros
        )
        return (-value if packed < 0 else value), end

    return read


def _fraction(digits: int) -> Callable[[bytes, int], tuple[int, int]]:
    size = (digits + 1) // 2
    unit = 10 ** (6 - 2 * size)

    def read(data: bytes, at: int) -> tuple[int, int]:
        end = at + size
        return int.from_bytes(data[at:end], "big") * unit, end

    return read


def _calendar[T](make: Callable[..., T], *parts: int) -> T:
    try:
        return make(*parts)
    except ValueError:
        raise NotCarried("a zero or partial date") from None


def _decimal(precision: int, scale: int) -> Read:
    whole, size = precision - scale, _digits_size(precision - scale) + _digits_size(scale)
    groups = [whole % 9, *[9] * (whole // 9), *[9] * (scale // 9), scale % 9]
    widths = [(count, _DIGIT_BYTES[count]) for count in groups if count]

    def read(data: bytes, at: int) -> tuple[Value, int]:
        end = at + size
        raw = int.from_bytes(data[at:end], "big") ^ (1 << 8 * size - 1)
        negative = not data[at] & 0x80
        if negative:
            raw ^= (1 << 8 * size) - 1
        plain, place, digits = raw.to_bytes(size, "big"), 0, ""
        for count, width in widths:
            digits += f"{int.from_bytes(plain[place : place + width], 'big'):0{count}d}"
            place += width
        sign = "-" if negative else ""
        return Decimal(f"{sign}{digits[:whole] or '0'}.{digits[whole:]}"), end

    return read


def _digits_size(digits: int) -> int:
    return digits // 9 * 4 + _DIGIT_BYTES[digits % 9]
