"""
DATE, TIME, DATETIME, TIMESTAMP and YEAR as they are stored in row events and in binary JSON.

https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Rows__event.html and MySQL's my_time.cc.
Zero and partial dates become the text that MySQL prints for them. All raise ValueError for what no server
stores.
"""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache, lru_cache

from capturer.decoder.wire import damaged

type Reader[T] = Callable[[bytes], T]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  a TIMESTAMP is UTC without a zone, as in a SELECT
_DATETIME_BIAS = 1 << 39  # added by the server, so that stored bytes sort by time
_REMEMBERED = 4096
"""
Cached values of each type. Rows of a transaction, and images of an update, mostly share days and timestamps.
"""
_from = int.from_bytes


def year(value: int) -> int:
    """A YEAR: 0 is 0000, 1 is 1901."""
    return 1900 + value if value else 0


@lru_cache(_REMEMBERED)
def date3(data: bytes) -> date | str:
    """A DATE of 3 bytes: day 5 bits, month 4, year 15."""
    value = _from(data, "little")
    return _date(value >> 9, value >> 5 & 15, value & 31)


def _date(years: int, months: int, days: int) -> date | str:
    try:
        return date(years, months, days)
    except ValueError:  # zero, partial, or 2026-02-31 of a session with ALLOW_INVALID_DATES
        if months > 12 or years > 9999:
            damaged("not a date")
        return f"{years:04}-{months:02}-{days:02}"


@lru_cache(_REMEMBERED)
def _day(packed: int) -> tuple[int, int, int]:
    """Year, month and day: 13 months a year, 32 days a month."""
    years, months = divmod(packed >> 5, 13)
    return years, months, packed & 31


def _datetime(packed: int, microseconds: int) -> datetime | str:
    """From MySQL's packed form: the day, then hours, minutes and seconds in 5 + 6 + 6 bits."""
    hours, minutes, seconds = packed >> 12 & 31, packed >> 6 & 63, packed & 63
    try:
        return datetime(*_day(packed >> 17), hours, minutes, seconds, microseconds)  # noqa: DTZ001
    except ValueError:
        return _datetime_text(packed) + (f".{microseconds:06}" if microseconds else "")


def _datetime_text(packed: int) -> str:
    """As MySQL prints it, also for zero, partial and non-existing days; without the fraction."""
    hours, minutes, seconds = packed >> 12 & 31, packed >> 6 & 63, packed & 63
    if packed < 0 or hours > 23 or minutes > 59 or seconds > 59:
        damaged("not a date and time")
    return f"{_date(*_day(packed >> 17))} {hours:02}:{minutes:02}:{seconds:02}"


@cache
def datetime2(digits: int) -> Reader[datetime | str]:
    """DATETIME(digits): 5 bytes, and the fraction in as few bytes as hold it; big-endian."""
    shift, unit = _fraction_layout(digits)
    mask = (1 << shift) - 1

    def read(data: bytes) -> datetime | str:
        value = _from(data, "big")
        return _datetime((value >> shift) - _DATETIME_BIAS, _microseconds((value & mask) * unit))

    return read


@cache
def timestamp2(digits: int) -> Reader[datetime | str]:
    """TIMESTAMP(digits): seconds since 1970 in 4 bytes, and the fraction; big-endian. In UTC."""
    shift, unit = _fraction_layout(digits)
    mask = (1 << shift) - 1

    @lru_cache(_REMEMBERED)
    def read(data: bytes) -> datetime | str:
        value = _from(data, "big")
        return _timestamp(value >> shift, _microseconds((value & mask) * unit))

    return read


def _timestamp(seconds: int, microseconds: int) -> datetime | str:
    if not seconds and not microseconds:
        return "0000-00-00 00:00:00"
    return _EPOCH + timedelta(0, seconds, microseconds)


def _microseconds(found: int) -> int:
    return found if found < 1_000_000 else damaged("not a fraction")


def time2(digits: int) -> Reader[timedelta]:
    """TIME(digits): 3 bytes and the fraction, big-endian, offset by half the range so that it sorts."""
    shift, unit = _fraction_layout(digits)
    bias = 1 << (23 + shift)
    mask = (1 << shift) - 1

    def read(data: bytes) -> timedelta:
        value = _from(data, "big") - bias
        # Clock and fraction have one sign: read apart, a negative fraction would come out wrong.
        packed = abs(value)
        span = _time(packed >> shift, (packed & mask) * unit)
        return -span if value < 0 else span

    return read


def _time(clock: int, microseconds: int) -> timedelta:
    hours, minutes, seconds = clock >> 12 & 0x3FF, clock >> 6 & 63, clock & 63
    if minutes > 59 or seconds > 59 or hours > 838 or microseconds > 999_999:
        damaged("not a time")
    return timedelta(0, seconds, microseconds, 0, minutes, hours)


def _fraction_layout(digits: int) -> tuple[int, int]:
    """Bits of the fraction, and its unit in microseconds."""
    size = (digits + 1) // 2  # two digits in a byte
    return 8 * size, 10 ** (6 - 2 * size)


def packed_datetime(value: int) -> str:
    """The text of a DATETIME inside JSON: 40 bits, and 24 bits of microseconds."""
    return f"{_datetime_text(value >> 24)}.{_microseconds(value & 0xFFFFFF):06}"


def packed_date(value: int) -> str:
    """The text of a DATE inside JSON: a DATETIME at midnight."""
    return _datetime_text(value >> 24).partition(" ")[0]


def packed_time(value: int) -> str:
    """The text of a TIME inside JSON: signed, 24 bits of microseconds."""
    packed, sign = abs(value), "-" if value < 0 else ""
    clock, microseconds = packed >> 24, _microseconds(packed & 0xFFFFFF)
    _time(clock, microseconds)
    return f"{sign}{clock >> 12 & 0x3FF:02}:{clock >> 6 & 63:02}:{clock & 63:02}.{microseconds:06}"


def old_timestamp(seconds: int) -> datetime | str:
    """TIMESTAMP of tables from before MySQL 5.6 and of MariaDB with mysql56_temporal_format=OFF."""
    return _timestamp(seconds, 0)


def old_datetime(value: int) -> datetime | str:
    """DATETIME of such tables: the decimal digits YYYYMMDDHHMMSS."""
    day, clock = divmod(value, 1_000_000)
    years, months, days = day // 10_000, day // 100 % 100, day % 100
    hours, minutes, seconds = clock // 10_000, clock // 100 % 100, clock % 100
    packed = (years * 13 + months) << 22 | days << 17 | hours << 12 | minutes << 6 | seconds
    if months > 12 or days > 31 or hours > 23 or minutes > 59 or seconds > 59:
        damaged("not a date")
    return _datetime(packed, 0)


def old_time(data: bytes) -> timedelta:
    """TIME of such tables: the decimal digits HHMMSS in 3 bytes, signed."""
    value = _from(data, "little", signed=True)
    hours, clock = divmod(abs(value), 10_000)
    span = _time(hours << 12 | clock // 100 << 6 | clock % 100, 0)
    return -span if value < 0 else span
