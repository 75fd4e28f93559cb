"""Dates and times, against an encoder written here from the format's description."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capturer.decoder.values import temporal
from rowferry.values import parse_time


@given(st.datetimes(datetime(1, 1, 1)), st.integers(0, 6))
def test_datetimes(moment: datetime, digits: int) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits))
    months = moment.year * 13 + moment.month
    clock = moment.hour << 12 | moment.minute << 6 | moment.second
    packed = (months << 22 | moment.day << 17 | clock) + (1 << 39)
    size = (digits + 1) // 2
    data = packed.to_bytes(5, "big") + (moment.microsecond // 10 ** (6 - 2 * size)).to_bytes(size, "big")
    assert temporal.datetime2(digits)(data) == moment


@given(st.integers(0, 2**31 - 1), st.integers(0, 999_999))
def test_timestamps(seconds: int, microseconds: int) -> None:
    data = seconds.to_bytes(4, "big") + microseconds.to_bytes(3, "big")
    expected: Any = datetime(1970, 1, 1) + timedelta(seconds=seconds, microseconds=microseconds)
    if seconds == microseconds == 0:
        expected = "0000-00-00 00:00:00"
    assert temporal.timestamp2(6)(data) == expected


@given(st.timedeltas(-parse_time("838:59:59"), parse_time("838:59:59")))
def test_times(span: timedelta) -> None:
    seconds, microseconds = divmod(abs(span) // timedelta(microseconds=1), 1_000_000)
    clock = seconds // 3600 << 12 | seconds // 60 % 60 << 6 | seconds % 60
    packed = clock << 24 | microseconds
    data = ((-packed if span < timedelta(0) else packed) + (1 << 47)).to_bytes(6, "big")
    assert temporal.time2(6)(data) == span


@given(st.dates())
def test_dates(day: date) -> None:
    data = (day.year << 9 | day.month << 5 | day.day).to_bytes(3, "little")
    assert temporal.date3(data) == day


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0000-00-00"), (2026 << 9 | 5, "2026-00-05"), (1 << 5, "0000-01-00")]
)
def test_partial_dates_are_text(value: int, text: str) -> None:
    assert temporal.date3(value.to_bytes(3, "little")) == text


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\xff\xff\x7f"])
def test_impossible_dates_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        temporal.date3(data)
