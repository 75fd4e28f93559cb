"""
DECIMAL as it is stored: groups of nine digits in four bytes, the incomplete ones at both ends in fewer.

Negative numbers have every bit flipped, and the first bit is flipped again so that bytes sort like numbers
(MySQL's decimal.cc, bin2decimal).
"""

from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from functools import cache
from typing import Any

from capturer.decoder.wire import damaged

_BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
"""Bytes that hold 0 to 9 digits."""
MAX_PRECISION = 81
"""Nine groups: a column has at most 65 digits, but JSON counts the whole part in full groups."""
_EXACT = Context(prec=MAX_PRECISION + 1)  # the default context would round at 28 digits


def size(precision: int, scale: int) -> int:
    """Bytes of a DECIMAL(precision, scale). Raises ValueError for an impossible one."""
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
    Reader of a DECIMAL(precision, scale) from its `size` bytes, with its scale. Raises ValueError for bad
    digits.

    >>> reader(3, 1)(bytes([0x80 + 12, 5]))
    Decimal('12.5')
    """
    names: dict[str, Any] = {
        "damaged": damaged,
        "multiply": _EXACT.multiply,
        "unit": Decimal((0, (1,), -scale)),
    }
    exec("\n".join(_source(precision, scale)), names)  # noqa: S102  made of numbers alone
    return names["read"]  # type: ignore[no-any-return]


def _source(precision: int, scale: int) -> Iterator[str]:
    """Straight-line code for the groups: a third faster than a loop over them."""
    total = 8 * size(precision, scale)
    sign, ones = 1 << (total - 1), (1 << total) - 1
    layout = list(_layout(precision, scale))
    yield "def read(data):"
    yield f"    value = int.from_bytes(data, 'big') ^ {sign}"
    yield f"    negative = value & {sign}"
    yield "    if negative:"
    yield f"        value ^= {ones}"
    number = "0"
    for group, (shift, mask, limit) in enumerate(layout):
        yield f"    g{group} = value >> {shift} & {mask}"
        number = f"({number} * {limit} + g{group})" if group else "g0"
    too_large = " or ".join(f"g{group} >= {limit}" for group, (_, _, limit) in enumerate(layout))
    yield f"    if {too_large}:"
    yield "        damaged('not the digits of a DECIMAL')"
    yield f"    number = {number}"
    yield "    return multiply(-number if negative else number, unit)"


def _layout(precision: int, scale: int) -> Iterator[tuple[int, int, int]]:
    """For each group: the bits after it, its mask, and the first number that is too large for it."""
    shift = 8 * size(precision, scale)
    for digits in filter(None, _groups(precision, scale)):
        shift -= 8 * _BYTES[digits]
        yield shift, (1 << 8 * _BYTES[digits]) - 1, 10**digits
