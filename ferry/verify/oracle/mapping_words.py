"""
The meaning of the mapping file's words, implemented a second time for verify: shares no code with
rowferry.mapping.

Functions take an entry of the file, as parsed, and a row: the cells by column, and their MySQL types.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

from ferry.verify.oracle import numbers, values
from ferry.verify.oracle.numbers import double, number
from ferry.verify.oracle.values import Cell

type Entry = Any
"""A column's name, a text with ${column}, or a table of the file."""


class Row(NamedTuple):
    """A row's cells and their types, by column."""

    cells: Mapping[str, Cell]
    types: Mapping[str, str]


def pieces(text: str) -> Iterator[tuple[str, str | None]]:
    """
    A template's plain texts, each with the column after it; None after the last.

    >>> list(pieces("$${a}${b}|"))
    [('${a}', 'b'), ('|', None)]
    """
    plain, at = "", 0
    while at < len(text):
        dollars = len(text[at:]) - len(text[at:].lstrip("$"))
        if not dollars or text[at + dollars : at + dollars + 1] != "{":
            plain, at = plain + text[at : at + max(1, dollars)], at + max(1, dollars)
            continue
        plain, at = plain + "$" * (dollars // 2), at + dollars + 1
        if dollars % 2 == 0:
            plain += "{"
            continue
        end = text.index("}", at)
        yield plain, text[at:end]
        plain, at = "", end + 1
    yield plain, None


@lru_cache(1024)
def _parts(text: str) -> tuple[tuple[str, str | None], ...]:
    """As `pieces`, of a text that is met with every row."""
    return tuple(pieces(text))


def name_of(entry: Entry, row: Row) -> str | None:
    """A key or a member's name. None where any column is NULL; ValueError where one has no text form."""
    if isinstance(entry, dict):  # not Mapping, whose check is slow: this runs for every row
        return str(entry["constant"])
    if "${" not in entry:
        cell = row.cells[entry]
        return None if cell is None else values.plain(row.types[entry], cell)
    parts = _parts(entry)
    cells = [row.cells[column] for _, column in parts if column]
    if None in cells:
        return None
    return "".join(
        text + (values.plain(row.types[column], row.cells[column]) if column else "")
        for text, column in parts
    )


def key_of(kind: str, entry: Entry, row: Row) -> str | None:
    """A key attribute's content. None where the row cannot have one."""
    alone = _alone(entry) if kind == "B" else None
    if alone and row.types[alone] in values.BINARIES:
        entry = alone
    try:
        if kind == "S" or not isinstance(entry, str) or "${" in entry:
            name = name_of(entry, row)
            return name if name is None or kind == "S" else _from_text(kind, name)
        cell, type_ = row.cells[entry], row.types[entry]
        if cell is None or type_ not in _FIT[kind]:
            return None
        return number(values.numeric(type_, cell)) if kind == "N" else b64encode(cell).decode()
    except values.UNFIT:
        return None


def _alone(entry: Entry) -> str | None:
    """The column of a template that is only this column."""
    if not isinstance(entry, str) or "${" not in entry:
        return None
    (before, column), *others = _parts(entry)
    return column if not before and others == [("", None)] else None


_FIT = {"N": values.NUMBERS, "B": values.BINARIES}


def _from_text(kind: str, text: str) -> str:
    return number(Decimal(text)) if kind == "N" else b64encode(text.encode()).decode()


LONGEST_KEYS = 2048, 1024
"""
Bytes of a hash key and of a range key, neither of which may be empty:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
"""


def is_key(kind: str, content: str, longest: int) -> bool:
    """Whether DynamoDB takes this content of a key attribute."""
    if kind == "N":
        return numbers.fits(Decimal(content))
    size = len(b64decode(content)) if kind == "B" else len(content.encode())
    return 0 < size <= longest


class EntryWords:
    """The rules of one [[table]] entry for values."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.entry = entry
        self.rules: Mapping[str, Any] = entry.get("columns", {})
        grouped = entry.get("member_name") is not None
        alone = grouped and entry.get("member_value") != "*" and entry.get("layout") != "string-set"
        self.null = entry.get("null", "attribute" if alone else "leave-out")

    def value(self, entry: Entry, row: Row) -> str | None:
        """The content of a value; None where a NULL is left out."""
        if isinstance(entry, str):
            entry = {"template" if "${" in entry else "column": entry}
        if "constant" in entry:
            return values.constant(entry["constant"])
        if "map" in entry:
            inside = {name: self.value(part, row) for name, part in entry["map"].items()}
            return values.map_of({name: value for name, value in inside.items() if value is not None})
        if "list" in entry:
            elements = [self.value(part, row) for part in entry["list"]]
            return values.list_of([value for value in elements if value is not None])
        rule = self.rules.get(entry.get("column"), {})
        try:
            kind, cell = self._cell(entry, row)
        except ValueError:  # a part of the text has none
            return f"S:{values.NO}"
        if cell is None:
            kept = entry.get("null", rule.get("null", self.null)) == "attribute"
            return values.NULL if kept else None
        return values.content(kind, cell, entry.get("type", rule.get("type")))

    def _cell(self, entry: Mapping[str, Any], row: Row) -> tuple[str, Cell]:
        if "column" in entry:
            return row.types[entry["column"]], row.cells[entry["column"]]
        text, cells = "", []
        for plain, column in _parts(entry["template"]):
            text += plain
            if column:
                cells.append(row.cells[column])
                text += "" if cells[-1] is None else values.plain(row.types[column], cells[-1])
        return "varchar", None if cells and all(cell is None for cell in cells) else text

    def columns(self, row: Row) -> Iterator[tuple[str, str]]:
        """The row's stored columns by attribute name; in a member also its further attributes."""
        entry, grouped = self.entry, self.entry.get("member_name") is not None
        for column in row.cells:
            if not self.stores(column):
                continue
            value = self.value(column, row) if "${" not in column else None
            if value is not None:
                prefix = "" if grouped else entry.get("prefix", "")
                yield self.rules.get(column, {}).get("name", prefix + column), value
        if grouped:
            yield from self.attributes(row)

    def attributes(self, row: Row) -> Iterator[tuple[str, str]]:
        for name, source in self.entry.get("attributes", {}).items():
            if (value := self.value(source, row)) is not None:
                yield name, value

    def stores(self, column: str) -> bool:
        """Whether a column is stored as one of the row's columns."""
        if "include" in self.entry:
            return column in self.entry["include"]
        taken = [self.entry[key] for key in ("hash_key", "range_key") if key in self.entry]
        names = [
            key.get("column", key["attribute"]) for key in taken if not key.keys() & {"template", "constant"}
        ]
        return column not in [*names, self.entry.get("member_name"), *self.entry.get("exclude", ())]

    def ttl(self, row: Row) -> Iterator[tuple[str, str]]:
        """The time-to-live attribute, if there is one."""
        if "ttl" in self.entry:
            ttl = self.entry["ttl"]
            cell = row.cells[ttl["column"]]
            since = None if cell is None else values.seconds(row.types[ttl["column"]], cell)
            if since is not None:
                yield ttl["attribute"], f"N:{since + 86_400 * ttl.get('days', 0)}"


def carried(condition: Mapping[str, Any], row: Row) -> bool:
    """Whether `where` selects the row. Raises one of values.UNFIT where that cannot be determined."""
    if "and" in condition:
        return all(carried(part, row) for part in condition["and"])
    if "or" in condition:
        return any(carried(part, row) for part in condition["or"])
    column = condition["column"]
    ((name, operand),) = ((name, value) for name, value in condition.items() if name != "column")
    cell, kind = row.cells[column], row.types[column]
    if name == "null":
        return bool((cell is None) == operand)
    # NULL compares with nothing, so it is not `ne` either.
    if cell is None:
        return False
    if name == "prefix":
        return values.plain(kind, cell).startswith(operand)
    value = _comparable(kind, cell)
    others = [_operand(kind, one) for one in (operand if isinstance(operand, list) else [operand])]
    if kind in values.DATES and values.seconds(kind, cell) is not None:  # not one like 0000-00-00
        value, *others = map(_moment, (value, *others))
    return _compared(name, value, others)


def _compared(name: str, value: Any, others: Sequence[Any]) -> bool:
    if name in ("eq", "in"):
        return value in others
    if name == "ne":
        return bool(value != others[0])
    if name == "between":
        return bool(others[0] <= value <= others[1])
    below = name in ("lt", "le")
    return bool((value < others[0]) if below else (value > others[0])) or (
        name in ("le", "ge") and value == others[0]
    )


def _comparable(kind: str, cell: Cell) -> Any:
    """A cell in the form in which values of its type are compared."""
    if kind in values.NUMBERS:
        return values.numeric(kind, cell)
    if kind in values.BINARIES:
        return cell
    # Texts by code point, not by the column's collation, which only the server has (docs/decisions.md).
    return values.time_of(cell) if kind == "time" else values.plain(kind, cell)


def _operand(kind: str, given: Any) -> Any:
    """A constant of the file in the same form."""
    if kind == "time":
        return values.time_of(str(given))
    if kind in values.BINARIES:
        return bytes(given, "utf-8")
    text = given if isinstance(given, str) else _printed(given)
    return Decimal(text) if kind in values.NUMBERS else text


def _printed(given: Any) -> str:
    """A number or a date in the file, as text."""
    if isinstance(given, time):
        raise TypeError("a time of day has no text form")
    if isinstance(given, float):
        return number(double(repr(given)))
    return str(int(given) if isinstance(given, bool) else given)


def _moment(text: str) -> str:
    """A date alone is the first moment of its day."""
    text = text.replace("T", " ")
    return values.clock(text if len(text) != 10 else f"{text} 00:00:00")
