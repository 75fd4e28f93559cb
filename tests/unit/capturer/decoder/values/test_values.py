"""Single values: every reader against an encoder written here from the format's description."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

import struct
import zlib
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.values import decimals, temporal
from capturer.decoder.values.charset_tables import COLLATIONS
from capturer.decoder.values.charsets import charset_of, keeps_ascii, reader
from capturer.decoder.values.jsonbinary import document
from capturer.decoder.values.jsondiff import applied, parsed
from capturer.decoder.values.mariadb import inflated
from capturer.decoder.wire import packed_int
from rowferry.values import parse_time

DIGIT_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def stored_decimal(value: Decimal, precision: int, scale: int) -> bytes:
    """As the format says: digits in groups of nine from the point outwards."""
    sign, digits, _ = value.as_tuple()
    text = "".join(map(str, digits)).rjust(precision, "0")
    whole, fraction = text[: precision - scale], text[precision - scale :]
    head = len(whole) % 9
    groups = [whole[:head], *(whole[at : at + 9] for at in range(head, len(whole), 9))]
    groups += [fraction[at : at + 9] for at in range(0, len(fraction), 9)]
    data = bytearray()
    for group in filter(None, groups):
        data += int(group).to_bytes(DIGIT_BYTES[len(group)], "big")
    data[0] ^= 0x80
    return bytes(byte ^ 0xFF for byte in data) if sign else bytes(data)


@given(st.data())
def test_decimals_of_any_size(data: st.DataObject) -> None:
    precision = data.draw(st.integers(1, 65))
    scale = data.draw(st.integers(0, min(precision, 30)))
    number = data.draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    sign, digits, _ = Decimal(number).as_tuple()
    value = Decimal((sign, digits, -scale))
    read = decimals.reader(precision, scale)(stored_decimal(value, precision, scale))
    assert read.as_tuple() == value.as_tuple()


def test_digits_that_no_server_stores() -> None:
    with pytest.raises(ValueError, match="digits"):
        decimals.reader(9, 0)(b"\xff\xff\xff\xff")


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


def test_latin1_has_the_controls() -> None:
    assert reader("latin1")(bytes(range(0x80, 0xA0))) == ("€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ")


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("sjis", b"a\x81\x5f\x93\xfa", "a\\日"),
        ("big5", b"\xf9\xd6", "碁"),
        ("eucjpms", b"\xad\xa1\xf5\xa1", "①\ue000"),
        ("ujis", b"\x8e\xb1\xa1\xc0\x8f\xf5\xa1", "ｱ\\\ue3ac"),
        ("gb18030", b"\xa8\xbc\x94\x39\xda\x33a", "ḿ💩a"),
        ("swe7", b"}a{", "åaä"),
        ("utf16", b"\xd8\x3d\xde\x00", "😀"),
        ("utf32", b"\0\x01\xf6\0", "😀"),
        ("koi8u", b"\xa4", "є"),
        ("hp8", b"\xa9", "ˋ"),
    ],
)
def test_text_of_character_sets(charset: str, data: bytes, text: str) -> None:
    assert reader(charset)(data) == text


def test_cut_off_text_is_refused() -> None:
    for charset in ("gbk", "gb18030", "ujis", "utf16", "utf8mb4", "utf32"):
        with pytest.raises(ValueError, match=r".+"):
            reader(charset)(b"\xe4")


def test_every_collation_has_a_reader() -> None:
    assert charset_of(8) == "latin1"
    assert charset_of(2304) == "utf8mb4"
    for charset in COLLATIONS:
        if charset != "binary":
            assert reader(charset)(b"") == ""
    assert not keeps_ascii("swe7")
    assert not keeps_ascii("ucs2")
    with pytest.raises(UnreadableColumn, match="9999"):
        charset_of(9999)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xfa", 250),
        (b"\xfc\x01\x02", 513),
        (b"\xfd\1\0\1", 65537),
        (b"\xfe" + b"\1" * 8, 0x0101010101010101),
    ],
)
def test_packed_integers(data: bytes, value: int) -> None:
    assert packed_int(data, 0) == (value, len(data))


def test_compressed_columns_that_lie_about_their_length() -> None:
    assert inflated(b"\0plain") == b"plain"
    assert inflated(b"\x81\x03" + zlib.compress(b"abc")) == b"abc"
    with pytest.raises(ValueError, match="another length"):
        inflated(b"\x81\x05" + zlib.compress(b"abc"))


def array(*entries: tuple[int, int], tail: bytes = b"") -> bytes:
    size = 4 + 3 * len(entries) + len(tail)
    return (
        b"\x02"
        + struct.pack("<HH", len(entries), size)
        + b"".join(struct.pack("<BH", *e) for e in entries)
        + tail
    )


def test_json_values_inside_the_entry() -> None:
    assert document(array((5, 0xFFFF), (6, 0xFFFF), (4, 0), (4, 1), (4, 2))) == [-1, 65535, None, True, False]


def test_json_that_unfolds_without_end_is_refused_at_once() -> None:
    """Forty arrays, each twice in the one around it: 2 ** 40 values in 400 bytes, which would never end."""
    nested = b""
    for _ in range(40):
        nested = array((2, 10), (2, 10), tail=nested[1:] if nested else struct.pack("<HH", 0, 4))
    with pytest.raises(ValueError, match="holds itself"):
        document(nested)


@pytest.mark.parametrize(
    "data", [array((2, 0)), array((2, 4)), array((12, 90)), b"\x02\xff\xff\x07\x00\x00\x00", b"\x09\0"]
)
def test_json_that_points_elsewhere_is_refused(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError, struct.error)):
        document(data)


def test_json_of_no_bytes_is_null() -> None:
    assert document(b"") is None


@pytest.mark.parametrize(
    ("path", "legs"),
    [
        ("$", ()),
        ("$.a", ("a",)),
        ("$[0][12]", (0, 12)),
        ('$."b \\" c".d', ('b " c', "d")),
        ("$.한글[1]", ("한글", 1)),
    ],
)
def test_json_paths(path: str, legs: tuple[str | int, ...]) -> None:
    assert parsed(path) == legs


@pytest.mark.parametrize("path", ["", "a", "$..a", "$[*]", "$.*", "$[-1]", "$.a b["])
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        parsed(path)


def diff(operation: int, path: str, value: bytes = b"") -> bytes:
    head = bytes([operation, len(path)]) + path.encode()
    return head if operation == 2 else head + bytes([len(value)]) + value


ONE = b"\x05\x01\x00"


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ({"a": 0}, diff(0, "$.a", ONE), {"a": 1}),
        ({"a": 0}, diff(1, "$.b", ONE), {"a": 0, "b": 1}),
        ([7, 8], diff(1, "$[0]", ONE), [1, 7, 8]),
        ([7, 8], diff(1, "$[2]", ONE), [7, 8, 1]),
        ([7, 8], diff(2, "$[0]"), [8]),
        (
            {"a": {"b": [1, {"c": 2}]}},
            diff(2, "$.a.b[1].c") + diff(0, "$.a.b[0]", b"\x04\x00"),
            {"a": {"b": [None, {}]}},
        ),
        ([1], diff(0, "$", ONE), 1),
        ({"a": 1}, b"", {"a": 1}),
    ],
)
def test_changes_of_json(before: Any, changes: bytes, after: Any) -> None:
    kept = repr(before)
    assert applied(before, changes) == after
    assert repr(before) == kept


@pytest.mark.parametrize(
    "changes",
    [diff(0, "$.x", ONE), diff(2, "$.x"), diff(0, "$[9]", ONE), diff(2, "$"), b"\x09\x01$", diff(0, "$.a")],
)
def test_changes_that_do_not_fit_are_refused(changes: bytes) -> None:
    with pytest.raises((ValueError, LookupError, TypeError)):
        applied({"a": 1}, changes)
