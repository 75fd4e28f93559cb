"""
What a value that MySQL printed is as an attribute: `TYPE:content`, in one normal form.

Part of verify's independent reading: shares no code with the parts that it checks.
"""

import json
from base64 import b64encode
from calendar import timegm
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Context, Decimal, InvalidOperation
from hashlib import blake2b
from time import strptime
from typing import Any

EXACT = Context(prec=80)  # a DECIMAL has up to 65 digits
INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
NUMBERS = INTEGERS | {"decimal", "float", "double"}
CLOCKS = frozenset({"datetime", "timestamp", "time"})
BINARIES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
LONG = 40
"""Values of more characters are compared by their hash, so that the working file stays small."""
NULL = "NULL:"
NO = "!"
"""The content of a value that no attribute can be: it matches nothing."""

type Cell = Any
"""What MySQL printed: text, bytes for binary columns, None for NULL."""


def content(kind: str, cell: Cell, made: str | None = None) -> str:
    """The attribute of a cell of a MySQL type, made `made` where the mapping says so."""
    try:
        return _MADE[made](kind, cell) if made else _natural(kind, cell)
    except (ValueError, InvalidOperation):
        return f"{made}:{NO}"


def _natural(kind: str, cell: Cell) -> str:
    if kind in INTEGERS:
        return f"N:{int(cell)}"
    if kind == "decimal":
        value = Decimal(cell)
        digits = len(str(int("".join(map(str, value.as_tuple().digits)).rstrip("0") or "0")))
        return f"N:{number(value)}" if digits <= 38 else f"S:{value}"
    if kind in ("float", "double"):
        return f"N:{number(Decimal(repr(float(cell))))}"
    if kind in BINARIES:
        return f"B:{b64encode(cell).decode()}"
    return f"S:{clock(cell) if kind in CLOCKS else cell}"


def plain(kind: str, cell: Cell) -> str:
    """The cell as a key, a name or a part of a text: numbers without trailing zeros."""
    if kind in ("decimal", "double"):
        return number(Decimal(cell) if kind == "decimal" else Decimal(repr(float(cell))))
    return clock(cell) if kind in CLOCKS else str(cell)


def _boolean(kind: str, cell: Cell) -> str:
    if kind in NUMBERS:
        return f"BOOL:{Decimal(cell) != 0}"
    if isinstance(cell, bytes):
        return f"BOOL:{cell.strip(b'\0') != b''}"
    word = cell.strip().lower()
    if word in ("1", "t", "true", "y", "yes", "on"):
        return "BOOL:True"
    return "BOOL:False" if word in ("", "0", "f", "false", "n", "no", "off") else f"BOOL:{NO}"


def _number(_kind: str, cell: Cell) -> str:
    return f"N:{NO}" if isinstance(cell, bytes) else f"N:{number(Decimal(cell.strip()))}"


def _string(kind: str, cell: Cell) -> str:
    return f"S:{cell.decode() if isinstance(cell, bytes) else plain(kind, cell)}"


def _binary(kind: str, cell: Cell) -> str:
    return f"B:{b64encode(cell if isinstance(cell, bytes) else plain(kind, cell).encode()).decode()}"


def _json(kind: str, cell: Cell) -> str:
    if kind in NUMBERS | BINARIES:
        return _natural(kind, cell)
    return _document(json.loads(cell, parse_float=Decimal))


def _document(value: Any) -> str:
    if isinstance(value, dict):
        return map_of({name: _document(inside) for name, inside in value.items()})
    if isinstance(value, list):
        return list_of([_document(inside) for inside in value])
    if value is None:
        return NULL
    if isinstance(value, bool):
        return f"BOOL:{value}"
    return f"S:{value}" if isinstance(value, str) else f"N:{number(Decimal(value))}"


_MADE = {"boolean": _boolean, "number": _number, "string": _string, "binary": _binary, "json": _json}


def map_of(entries: Mapping[str, str]) -> str:
    """A map of contents."""
    return "M:" + json.dumps(dict(sorted(entries.items())), ensure_ascii=False)


def list_of(elements: list[str]) -> str:
    """A list of contents."""
    return "L:" + json.dumps(elements, ensure_ascii=False)


def found_content(attribute: Mapping[str, Any]) -> str:
    """The content of an attribute as DynamoDB gives it."""
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
    """The content of a constant in the mapping file."""
    return (
        _document(value)
        if isinstance(value, str | bool | int | dict | list)
        else f"N:{number(Decimal(str(value)))}"
    )


def number(value: Decimal) -> str:
    """One text for each number."""
    return f"{value.normalize(EXACT):f}" if value else "0"


def clock(text: str) -> str:
    """A time as items have it: no fraction when it is zero, else six digits."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if fraction.strip("0") else whole


def seconds(kind: str, cell: Cell) -> int | None:
    """Since 1970, of a date, a time stamp in UTC, or a number; None for a day that no calendar has."""
    if kind in NUMBERS:
        return int(Decimal(cell))
    try:
        return timegm(strptime(cell[:19], "%Y-%m-%d" if len(cell) == 10 else "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        return None


def short(whole: str) -> str:
    """The content as the working file has it."""
    kind, _, value = whole.partition(":")
    if len(value) <= LONG:
        return whole
    return f"{kind}:#{blake2b(value.encode(), digest_size=16).hexdigest()}:{len(value)}"


def value_of(kind: str, cell: Cell) -> Any:
    """The plain value that a hook sees."""
    if cell is None or isinstance(cell, bytes):
        return cell
    readers: dict[str, Any] = {"decimal": Decimal, "float": float, "double": float, "time": _time}
    if kind in INTEGERS:
        return int(cell)
    try:
        if kind == "date":
            return date.fromisoformat(cell)
        if kind in ("datetime", "timestamp"):
            return datetime.fromisoformat(cell)
    except ValueError:
        return cell
    return readers[kind](cell) if kind in readers else cell


def _time(text: str) -> timedelta:
    hours, minutes, rest = text.lstrip("-").split(":")
    value = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(rest))
    return -value if text.startswith("-") else value


def _printed(value: timedelta) -> str:
    micros = abs(value) // timedelta(microseconds=1)
    whole = micros // 1_000_000
    text = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{micros % 1_000_000:06}"
    return f"-{text}" if value < timedelta(0) else text


_CELLS: list[tuple[type, str, Callable[[Any], Cell]]] = [
    (bytes, "blob", bytes),
    (int, "bigint", lambda value: str(int(value))),
    (Decimal, "decimal", str),
    (float, "double", repr),
    (datetime, "datetime", lambda value: value.isoformat(sep=" ")),  # before date: it is one, too
    (date, "date", date.isoformat),
    (timedelta, "time", _printed),
]


def cell_of(value: Any) -> tuple[str, Cell]:
    """The type and the cell of a plain value that a hook gave."""
    for kind, name, write in _CELLS:
        if isinstance(value, kind):
            return name, write(value)
    return "varchar", None if value is None else str(value)
