"""
A MySQL value in its three forms: JSON on the stream, text in a key, a DynamoDB attribute.

A value is None, int, float, str, bytes, Decimal, date, datetime, timedelta, a JSON document or the labels of
a SET: the same, in type and value, whether it comes from the binlog or from a SELECT.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from rowferry.errors import ValueOutOfRange
from rowferry.values.document import Attribute, Json, document_attribute, parse, written
from rowferry.values.numeric import as_decimal, digits, fits, number

type Value = int | float | str | bytes | Decimal | date | datetime | timedelta | Json | tuple[str, ...] | None
"""The tuple is a SET: its labels in the column's order."""
type Row = Mapping[str, Value]

_MICROSECOND = timedelta(microseconds=1)


def time_text(value: timedelta) -> str:
    """
    A TIME as MySQL prints it, with a fraction only if there is one.

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
    The TIME that MySQL printed. Raises ValueError if the text is not one.

    Drivers get negative fractions wrong, so SELECTs and filters use this function.
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
    Json: ("$json", lambda value: written(value.document)),
}
_READERS: dict[str, Callable[[str], Value]] = {
    "$decimal": Decimal,
    "$bytes": lambda text: b64decode(text, validate=True),  # else it skips other characters
    "$datetime": datetime.fromisoformat,
    "$date": date.fromisoformat,
    "$time": parse_time,
    "$json": lambda text: Json(parse(text)),
}


def tag(value: Value) -> dict[str, str]:
    """
    The tagged form of a value that JSON lacks, for `json.dumps(default=tag)`. A SET needs none: it is a list.

    Raises TypeError for anything that is not a row value.

    >>> tag(Decimal("1.10"))
    {'$decimal': '1.10'}
    """
    found = _TAGS.get(type(value))  # the exact type: a datetime is a date, too
    if found is None:
        raise TypeError(f"not a row value: {type(value).__name__}")
    name, write = found
    return {name: write(value)}


def untag(value: Any) -> Value:
    """
    The inverse of `tag`; a value that JSON has is returned as it is. Raises ValueError for an unknown tag.
    """
    if type(value) is not dict:
        return _labels(value) if type(value) is list else value
    ((name, text),) = value.items()
    if name not in _READERS or not isinstance(text, str):
        raise ValueError("unknown tag")
    return _READERS[name](text)


def _labels(found: list[Any]) -> tuple[str, ...]:
    if not all(type(label) is str for label in found):
        raise ValueError("a list that is not a SET")
    return tuple(found)


def text(value: Value) -> str:
    """
    The value as a key or a member name; a number without trailing zeros, a SET as MySQL prints it: `a,b`.

    Raises ValueOutOfRange for NULL, bytes and JSON, which have no text form. The result may be empty, which
    DynamoDB refuses in a key.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int | float | Decimal):
        return str(value) if type(value) is int else digits(as_decimal(value))
    if isinstance(value, datetime):  # before date: a datetime is one
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return time_text(value)
    if isinstance(value, tuple):
        return ",".join(value)
    raise _no_text(value)


def _no_text(value: bytes | Json | None) -> ValueOutOfRange:
    if isinstance(value, Json):
        return ValueOutOfRange(
            "a JSON document has no text form as a key, a name or in a template",
            "use another column, or a generated one with the part that is meant",
        )
    return ValueOutOfRange(
        f"a {'NULL' if value is None else 'binary value'} has no text form",
        "use another column for the key, or key type B",
    )


def attribute(value: Value) -> Attribute:
    """
    The DynamoDB attribute of a value.

    Numbers become N, text and temporal values S, bytes B, a SET L, JSON the attribute of its content. A
    DECIMAL of more digits than DynamoDB stores becomes S, so that no digit is lost. Raises ValueOutOfRange
    for a DOUBLE that is too large or too small, and for JSON that DynamoDB refuses. The size of the item is
    not checked.
    """
    if isinstance(value, str):
        return {"S": value}
    if value is None:
        return {"NULL": True}
    if type(value) is int:
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, Decimal):
        return {"N": digits(value)} if fits(value) else {"S": str(value)}
    if isinstance(value, int | float):
        return {"N": number(value)}
    if isinstance(value, tuple):
        return {"L": [{"S": label} for label in value]}
    return document_attribute(value.document) if isinstance(value, Json) else {"S": text(value)}
