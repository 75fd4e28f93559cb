"""
DECIMAL as it is stored: groups of nine digits in four bytes, the odd ones at both ends in fewer.

Negative numbers have every bit flipped, and the first bit is flipped again so that bytes sort like numbers
(MySQL's decimal.cc, bin2decimal).
"""

from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from functools import cache

from capturer.decoder.wire import damaged

_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""Bytes that hold 0 to 9 digits."""
MAX_PRECISION = 65
_EXACT = Context(prec=MAX_PRECISION + 1)


def size(precision: int, scale: int) -> int:
    """Bytes of a DECIMAL(precision, scale). ValueError for one that cannot be."""
    return sum(_BYTES[digits] for digits in _groups(precision, scale))


@cache
def _groups(precision: int, scale: int) -> tuple[int, ...]:
    if not 0 < precision <= MAX_PRECISION or scale > precision:
        damaged("not the precision of a DECIMAL")
    whole = precision - scale
    return (whole % 9, *[9] * (whole // 9), *[9] * (scale // 9), scale % 9)


@cache
def reader(precision: int, scale: int) -> Callable[[bytes], Decimal]:
    """
    Reads a DECIMAL(precision, scale) from its `size` bytes, with its scale. ValueError for bad digits.

    >>> reader(3, 1)(bytes([0x80 + 12, 5]))
    Decimal('12.5')
    """
    total = size(precision, scale)
    sign, ones = 1 << (8 * total - 1), (1 << 8 * total) - 1
    layout = tuple(_layout(precision, scale))
    unit, multiply = Decimal((0, (1,), -scale)), _EXACT.multiply

    def read(data: bytes) -> Decimal:
        value = int.from_bytes(data, "big") ^ sign
        negative = value & sign
        if negative:
            value ^= ones
        number = 0
        for shift, mask, limit in layout:
            group = value >> shift & mask
            if group >= limit:
                damaged("not the digits of a DECIMAL")
            number = number * limit + group
        return multiply(-number if negative else number, unit)

    return read


def _layout(precision: int, scale: int) -> Iterator[tuple[int, int, int]]:
    """For each group: bits behind it, its mask, and the first number that is too large for it."""
    shift = 8 * size(precision, scale)
    for digits in filter(None, _groups(precision, scale)):
        shift -= 8 * _BYTES[digits]
        yield shift, (1 << 8 * _BYTES[digits]) - 1, 10**digits
