"""
The columns of an export, and the values of their text.

Each converter gives the value that a SELECT and the binlog give for the same field; ValueError or
ArithmeticError for text that the column's type cannot hold.
"""

import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal, Inexact
from typing import Any

from rowferry.errors import Refused
from rowferry.mapping import TableMapping
from rowferry.mysql.server import Connection, rows
from rowferry.values import Json, Value, parse_time
from rowferry.values.document import parse

type Convert = Callable[[Any], Value]

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint", "year", "bool", "boolean")
_TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "inet4", "inet6", "uuid")
_BYTES = (
    "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector", "geometry", "point",
    "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection",
    "geometrycollection",
)  # fmt: skip
_FAMILIES = {
    **dict.fromkeys(_INTEGERS, "int"),
    **dict.fromkeys(_TEXTS, "text"),
    **dict.fromkeys(_BYTES, "bytes"),
    **dict.fromkeys(("decimal", "numeric", "dec", "fixed"), "decimal"),
    **dict.fromkeys(("double", "real"), "double"),
    **dict.fromkeys(("datetime", "timestamp"), "datetime"),
    **{name: name for name in ("float", "date", "time", "bit", "set", "json")},
}
_UTF8 = frozenset({None, "utf8mb4", "utf8mb3", "utf8", "ascii"})
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?")
_EXACT = Context(prec=80, traps=[Inexact])  # a DECIMAL has at most 65 digits; never rounded


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """
    One column. `definition` is its full type, as in COLUMN_TYPE of information_schema (`decimal(10,2)
    unsigned`, `enum('a','b')`); `charset` is None for columns that are not text.
    """

    name: str
    definition: str
    charset: str | None = None

    @property
    def type(self) -> str:
        """The type's name alone, in lower case."""
        found = re.match(r"\w+", self.definition)
        return found.group().lower() if found else ""

    @property
    def family(self) -> str:
        """
        int, bit, decimal, float, double, text, bytes, date, datetime, time, set or json; else raises Refused.
        """
        if self.type not in _FAMILIES:
            raise Refused(
                f"column {self.name} is {self.type or 'of no type'}", "leave it out of the mapping (exclude)"
            )
        return _FAMILIES[self.type]

    @property
    def scale(self) -> int:
        """A DECIMAL's digits after the point."""
        found = re.match(r"\w+\s*\(\s*\d+\s*,\s*(\d+)", self.definition)
        return int(found[1]) if found else 0

    @property
    def precision(self) -> int:
        """A DECIMAL's digits."""
        found = re.match(r"\w+\s*\(\s*(\d+)", self.definition)
        return int(found[1]) if found else 10  # DECIMAL is DECIMAL(10,0)

    @property
    def is_unsigned(self) -> bool:
        """Whether an integer may be above the signed type's range."""
        return "unsigned" in self.definition.lower()

    @property
    def length(self) -> int:
        """The number in BINARY(n) or BIT(n); 1 where there is none."""
        found = re.match(r"\w+\s*\(\s*(\d+)", self.definition)
        return int(found[1]) if found else 1

    @property
    def is_utf8(self) -> bool:
        """Whether its text has the same bytes in utf8mb4."""
        return self.charset in _UTF8


def source_columns(connection: Connection, table: TableMapping) -> tuple[ExportColumn, ...]:
    """The columns of a source table in their order, including invisible ones."""
    found = rows(
        connection,
        "SELECT column_name AS name, column_type AS definition, character_set_name AS charset"
        " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " ORDER BY ordinal_position",
        (table.schema, table.table),
    )
    return tuple(ExportColumn(row["name"], row["definition"], row["charset"]) for row in found)


def read_date(text: str) -> date | str:
    """A DATE; text where the calendar has no such day. Raises ValueError for any other text."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        if _DATE.fullmatch(text):
            return text
        raise


def read_datetime(text: str) -> datetime | str:
    """A DATETIME or TIMESTAMP; text, without a zero fraction, where the calendar has no such day."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        if not _DATETIME.fullmatch(text):
            raise
        whole, _, fraction = text.partition(".")
        return f"{whole}.{fraction.ljust(6, '0')}" if fraction.strip("0") else whole


def read_single(text: str | bytes) -> float:
    """A FLOAT with the six digits that a SELECT prints."""
    return float(f"{float(text):.6g}")


def read_labels(text: str) -> tuple[str, ...]:
    """A SET's labels, which hold no comma."""
    return tuple(filter(None, text.split(",")))


def read_document(text: str) -> Json:
    return Json(parse(text))


def read_decimal(column: ExportColumn) -> Callable[[str], Decimal]:
    """Reads a DECIMAL of the column's scale; Inexact where the text has more digits."""
    unit, one = Decimal(1).scaleb(-column.scale), _EXACT

    def read(text: str) -> Decimal:
        value = Decimal(text)
        return value if value.same_quantum(unit) else value.quantize(unit, context=one)

    return read


def text_converter(column: ExportColumn) -> Convert:
    """The converter of a text field in which bytes are base64 and a BIT is a number."""
    match column.family:
        case "int" | "bit":
            return int
        case "decimal":
            return read_decimal(column)
        case "bytes":
            return lambda text: b64decode(text, validate=True)
    return _TEXT_READERS[column.family]


def value_converter(column: ExportColumn) -> Convert:
    """The converter of a Parquet value (number, text, bytes, date, time or list); raises TypeError."""
    match column.family:
        case "decimal":
            read = read_decimal(column)
            return lambda value: read(str(value))
        # MySQL pads BINARY(n) with NUL and takes the padding for a part of the value
        # (https://dev.mysql.com/doc/refman/9.4/en/binary-varbinary.html).
        case "bytes" if column.type == "binary":
            return lambda value: bytes(_is(bytes, value)).ljust(column.length, b"\0")
        # A SELECT shows CHAR without its trailing blanks (https://dev.mysql.com/doc/refman/9.4/en/char.html).
        case "text" if column.type == "char":
            return lambda value: str(_is(str, value)).rstrip(" ")
    return _VALUE_READERS[column.family]


def _is[T](kind: type[T], value: Any) -> T:
    if isinstance(value, kind):
        return value
    raise TypeError(f"not {kind.__name__}")


def _integer(value: Any) -> int:
    if isinstance(value, bytes):
        return int.from_bytes(value)  # BIT
    if isinstance(value, int | Decimal) and value == int(value):
        return int(value)
    raise TypeError("no integer")


def _day(value: Any) -> date | str:
    # A datetime is a date, too, and would lose its time.
    if isinstance(value, datetime):
        raise TypeError("not a day")
    return read_date(value) if isinstance(value, str) else _is(date, value)


def _moment(value: Any) -> datetime | str:
    if isinstance(value, str):
        return read_datetime(value)
    moment = _is(datetime, value)
    # As a session in UTC reads a TIMESTAMP.
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _duration(value: Any) -> timedelta:
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, time):
        return datetime.combine(date.min, value) - datetime.combine(date.min, time())
    return _is(timedelta, value)


_VALUE_READERS: dict[str, Convert] = {
    "int": _integer,
    "bit": _integer,
    "float": read_single,
    "double": float,
    "text": lambda value: _is(str, value),
    "bytes": lambda value: _is(bytes, value),
    "date": _day,
    "datetime": _moment,
    "time": _duration,
    "set": lambda value: read_labels(value) if isinstance(value, str) else tuple(_is(list, value)),
    "json": read_document,
}
_TEXT_READERS: dict[str, Convert] = {
    "text": str,
    "float": read_single,
    "double": float,
    "date": read_date,
    "datetime": read_datetime,
    "time": parse_time,
    "set": read_labels,
    "json": read_document,
}
