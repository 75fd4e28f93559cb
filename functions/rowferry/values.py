"""
A MySQL value on its way: as JSON on the stream, as text in a key, as a DynamoDB attribute.

A value is None, int, float, str, bytes, Decimal, date, datetime or timedelta,
the same whether it comes from the binlog or from a SELECT.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any

from rowferry.errors import ValueOutOfRange

type Value = int | float | str | bytes | Decimal | date | datetime | timedelta | None
type Row = Mapping[str, Value]
type Attribute = dict[str, Any]
"""One attribute as the low-level client takes it: {"S": "text"}, {"N": "1.5"}, {"NULL": True}."""


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON document: dict, list, str, numbers, bool, None, typed scalars. Tells JSON's null from NULL."""

    document: Any


# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_DIGITS = 38
MIN_EXPONENT, MAX_EXPONENT = -130, 125
_MICROSECOND = timedelta(microseconds=1)
_EXACT = Context(prec=80)  # the default context would round DECIMAL(65) at 28 digits


def time_text(value: timedelta) -> str:
    """
    A TIME as MySQL prints it; the fraction only where there is one.

    >>> time_text(timedelta(hours=-26, microseconds=-500))
    '-26:00:00.000500'
    """
    seconds, fraction = divmod(abs(value) // _MICROSECOND, 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if value < timedelta(0) else ""
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}" + (f".{fraction:06}" if fraction else "")


def parse_time(text: str) -> timedelta:
    """
    The TIME that MySQL printed. ValueError when it is none.

    Drivers get negative fractions wrong, so both roads use this one.
    """
    clock, _, fraction = text.removeprefix("-").partition(".")
    hours, minutes, seconds = map(int, clock.split(":"))
    value = timedelta(
        hours=hours, minutes=minutes, seconds=seconds, microseconds=int(fraction.ljust(6, "0")[:6])
    )
    return -value if text.startswith("-") else value


_TAGS: dict[type, tuple[str, Callable[[Any], str]]] = {
    Decimal: ("$decimal", str),
    bytes: ("$bytes", lambda value: b64encode(value).decode()),
    datetime: ("$datetime", datetime.isoformat),
    date: ("$date", date.isoformat),
    timedelta: ("$time", time_text),
}
_READERS: dict[str, Callable[[str], Value]] = {
    "$decimal": Decimal,
    "$bytes": lambda text: b64decode(text, validate=True),
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": parse_time,
}


def tag(value: Value) -> dict[str, str]:
    """
    The tagged form of a value that JSON lacks, for `json.dumps(default=tag)`.

    TypeError for what is not a value.

    >>> tag(Decimal("1.10"))
    {'$decimal': '1.10'}
    """
    found = _TAGS.get(type(value))
    if found is None:
        raise TypeError(f"not a row value: {type(value).__name__}")
    name, write = found
    return {name: write(value)}


def untag(value: Any) -> Value:
    """The value that was tagged; what JSON has is returned as it is. ValueError for an unknown tag."""
    if type(value) is not dict:
        if type(value) is list:
            raise ValueError("a list is not a row value")
        return value  # type: ignore[no-any-return]
    ((name, text),) = value.items()
    if name not in _READERS or not isinstance(text, str):
        raise ValueError("unknown tag")
    return _READERS[name](text)


def text(value: Value) -> str:
    """
    The value as a key or a member name.

    ValueOutOfRange for bytes, which have no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bytes) or value is None:
        raise ValueOutOfRange(
            f"a {'NULL' if value is None else 'binary value'} has no text form",
            "use another column for the key, or key type B",
        )
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return time_text(value)
    return number(value)


def number(value: int | float | Decimal) -> str:
    """
    A number as DynamoDB takes it.

    ValueOutOfRange beyond 38 digits or 1E-130 to 9.99E125.
    """
    if type(value) is int:
        return str(value)  # no MySQL integer has more than 20 digits
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not exact.is_finite() or not _fits(exact):
        raise ValueOutOfRange(
            "a number is outside what DynamoDB stores (38 digits, 1E-130 to 9.99E125)",
            "leave the column out of the mapping or make it text in MySQL",
        )
    return format(exact.normalize(_EXACT), "f") if abs(exact.adjusted()) < MAX_DIGITS else str(exact)


def _fits(exact: Decimal) -> bool:
    digits = exact.as_tuple().digits
    significant = len("".join(map(str, digits)).strip("0"))
    return not exact or (significant <= MAX_DIGITS and MIN_EXPONENT <= exact.adjusted() <= MAX_EXPONENT)


def attribute(value: Value) -> Attribute:
    """
    The DynamoDB attribute of a value.

    Numbers become N, text and temporal values S, bytes B. A DECIMAL of more
    digits than DynamoDB has becomes S, so that no digit is lost.
    ValueOutOfRange for a DOUBLE that is too large or too small.
    """
    if isinstance(value, str):
        return {"S": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, int | float) or (isinstance(value, Decimal) and _fits(value)):
        return {"N": number(value)}
    return {"S": str(value) if isinstance(value, Decimal) else text(value)}
