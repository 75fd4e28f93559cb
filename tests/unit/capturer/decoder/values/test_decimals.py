"""DECIMAL, against an encoder written here from the format's description."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capturer.decoder.values import decimals

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
