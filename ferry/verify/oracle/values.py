"""
The attribute of a value that MySQL printed, as `TYPE:content`, in one normal form.

Part of verify's independent reading: shares no code with the parts that it checks.
"""

import json
from base64 import b64encode
from calendar import timegm
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from hashlib import blake2b
from time import strptime
from typing import Any

from ferry.verify.oracle import numbers
from ferry.verify.oracle.numbers import document, json_text, number

INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"})
FLOATS = frozenset({"float", "double"})
NUMBERS = INTEGERS | FLOATS | {"decimal"}
DATES = frozenset({"date", "datetime", "timestamp"})
CLOCKS = frozenset({"datetime", "timestamp", "time"})
GEOMETRIES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
) | {"geomcollection", "geometrycollection"}
BINARIES = GEOMETRIES | {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"}
LONG = 40
"""Longer values (in characters) are compared by their hash, so that the working file stays small."""
NULL = "NULL:"
NO = "!"
"""The content of a value that cannot be an attribute: it matches nothing."""
UNFIT = (ValueError, ArithmeticError, TypeError, RecursionError)
"""Errors of a value that cannot be converted as the mapping says: its row has no place."""

type Cell = Any
"""A printed value: text, bytes for binary columns, None for NULL; a SET may be a tuple of labels."""


def content(kind: str, cell: Cell, made: str | None = None) -> str:
    """The attribute of a cell of MySQL type `kind`, converted to the type `made` of the mapping, if any."""
    try:
        return _MADE[made](kind, cell) if made else _natural(kind, cell)
    except UNFIT:
        return f"{made or kind}:{NO}"


def _natural(kind: str, cell: Cell) -> str:
    write = _NATURAL.get(kind)
    return f"S:{cell}" if write is None else write(cell)


def _decimal(cell: Cell) -> str:
    value = Decimal(cell)
    return f"N:{number(value)}" if numbers.fits(value) else f"S:{value}"


def clock(text: str) -> str:
    """A time as in items: without a zero fraction, else with six digits."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if fraction.strip("0") else whole


_NATURAL: dict[str, Callable[[Cell], str]] = {
    **dict.fromkeys(INTEGERS, lambda cell: f"N:{int(cell)}"),
    "decimal": _decimal,
    **dict.fromkeys(FLOATS, lambda cell: f"N:{number(numbers.double(cell))}"),
    **dict.fromkeys(CLOCKS, lambda cell: f"S:{clock(cell)}"),
    **dict.fromkeys(BINARIES, lambda cell: f"B:{b64encode(cell).decode()}"),
    "set": lambda cell: list_of([f"S:{label}" for label in labels(cell)]),
    "json": lambda cell: _document(document(cell)),
}


def plain(kind: str, cell: Cell) -> str:
    """
    The cell in a key, a name or a template: numbers without trailing zeros, a SET as `a,b`.

    Raises ValueError for bytes and JSON, which have no text form.
    """
    write = _PLAIN.get(kind)
    return str(cell) if write is None else write(cell)


def _no_text(_cell: Cell) -> str:
    raise ValueError("no text form")


_PLAIN: dict[str, Callable[[Cell], str]] = {
    **dict.fromkeys(INTEGERS, lambda cell: str(int(cell))),
    "decimal": lambda cell: number(Decimal(cell)),
    **dict.fromkeys(FLOATS, lambda cell: number(numbers.double(cell))),
    **dict.fromkeys(CLOCKS, clock),
    **dict.fromkeys(BINARIES | {"json"}, _no_text),
    "set": lambda cell: ",".join(labels(cell)),
}


def numeric(kind: str, cell: Cell) -> Decimal:
    """The number in a cell, exactly; a FLOAT or DOUBLE as its shortest text."""
    return numbers.double(cell) if kind in FLOATS else Decimal(cell)


def labels(cell: Cell) -> tuple[str, ...]:
    """
    The labels of a SET; an empty one is not listed.

    >>> labels("a,,b"), labels("")
    (('a', 'b'), ())
    """
    return cell if isinstance(cell, tuple) else tuple(filter(None, cell.split(",")))


def _boolean(kind: str, cell: Cell) -> str:
    if kind in NUMBERS:
        return f"BOOL:{Decimal(cell) != 0}"
    if isinstance(cell, bytes):
        return f"BOOL:{cell.strip(b'\0') != b''}"
    word = plain(kind, cell).strip().lower()
    if word in ("1", "t", "true", "y", "yes", "on"):
        return "BOOL:True"
    return "BOOL:False" if word in ("", "0", "f", "false", "n", "no", "off") else f"BOOL:{NO}"


def _number(kind: str, cell: Cell) -> str:
    return f"N:{number(numeric(kind, cell) if kind in NUMBERS else Decimal(plain(kind, cell).strip()))}"


def _text(kind: str, cell: Cell) -> str:
    if isinstance(cell, bytes):
        return cell.decode()
    return json_text(document(cell)) if kind == "json" else plain(kind, cell)


def _string(kind: str, cell: Cell) -> str:
    return f"S:{_text(kind, cell)}"


def _binary(kind: str, cell: Cell) -> str:
    return f"B:{b64encode(cell if isinstance(cell, bytes) else _text(kind, cell).encode()).decode()}"


def _json(kind: str, cell: Cell) -> str:
    if kind in NUMBERS | CLOCKS | {"date", "set", "json"}:
        return _natural(kind, cell)
    return _document(document(_text(kind, cell)))


def _document(value: Any) -> str:
    if isinstance(value, dict):
        return map_of({name: _document(inside) for name, inside in value.items()})
    if isinstance(value, list):
        return list_of([_document(inside) for inside in value])
    if value is None:
        return NULL
    if isinstance(value, bool):
        return f"BOOL:{value}"
    if isinstance(value, str | date):
        return f"S:{value}"
    exactly = numbers.double(repr(value)) if isinstance(value, float) else Decimal(value)
    return f"{'N' if numbers.fits(exactly) else 'S'}:{number(exactly)}"


_MADE = {"boolean": _boolean, "number": _number, "string": _string, "binary": _binary, "json": _json}


def map_of(entries: Mapping[str, str]) -> str:
    return "M:" + json.dumps(dict(sorted(entries.items())), ensure_ascii=False)


def list_of(elements: list[str]) -> str:
    return "L:" + json.dumps(elements, ensure_ascii=False)


def found_content(attribute: Mapping[str, Any]) -> str:
    """The content of an attribute of an item, as the low-level client returns it."""
    ((kind, value),) = attribute.items()
    match kind:
        case "N":
            return f"N:{number(Decimal(value))}"
        case "B":
            return f"B:{b64encode(value).decode()}"
        case "NULL":
            return NULL
        case "M":
            return map_of({name: found_content(inside) for name, inside in value.items()})
        case "L":
            return list_of([found_content(inside) for inside in value])
        case "S" | "BOOL":
            return f"{kind}:{value}"
    return f"{kind}:" + json.dumps(value, sort_keys=True, default=repr)


def constant(value: Any) -> str:
    return _document(value)


def time_of(text: str) -> timedelta:
    """
    A TIME.

    >>> time_of("-26:00:00.5") == -timedelta(hours=26, milliseconds=500)
    True
    """
    hours, minutes, rest = text.lstrip("-").split(":")
    value = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(rest))
    return -value if text.startswith("-") else value


def seconds(kind: str, cell: Cell) -> int | None:
    """Seconds since 1970 of a date, a time stamp in UTC, or a number; None for a day that no calendar has."""
    if kind in NUMBERS:
        return int(Decimal(cell))
    try:
        # DynamoDB's time to live is in whole seconds: a fraction is cut off.
        return timegm(strptime(cell[:19], "%Y-%m-%d" if len(cell) == 10 else "%Y-%m-%d %H:%M:%S"))
    except UNFIT:
        return None


def short(whole: str) -> str:
    """The content, or its type, hash and length where it is LONG: as in the working file."""
    kind, _, value = whole.partition(":")
    if len(value) <= LONG:
        return whole
    return f"{kind}:#{blake2b(value.encode(), digest_size=16).hexdigest()}:{len(value)}"
