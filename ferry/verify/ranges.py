"""
Cuts a table into ranges of its primary key, for verify.

Shares no code with how the load cuts. A range has the rows after one key and not after another, where the
next range begins. So every row is in one of them, however the server orders keys: a row is either after a key
or not; it is after the start of the table, and not after its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.sql_literals import ORDERED, literal

TRIES = 100
"""Rows after the wanted one that are tried, until a key can be written in SQL."""

type Bound = tuple[str, ...]
"""A key in SQL, column by column; of a composite key perhaps only the first columns."""


@dataclass(frozen=True, slots=True)
class Range:
    """The rows after `after` and not after `until`, in the primary key's first columns; None: no bound."""

    columns: tuple[str, ...]
    after: Bound | None = None
    until: Bound | None = None

    @property
    def condition(self) -> str | None:
        """In SQL; None for all rows."""
        parts = []
        if self.after is not None:
            parts.append(f"({self._compared(self.after, '>', '>')})")
        if self.until is not None:
            parts.append(f"({self._compared(self.until, '<', '<=')})")
        return " AND ".join(parts) or None

    def _compared(self, bound: Bound, strictly: str, at_last: str) -> str:
        # not (a, b) > (x, y), nor NOT (a > x OR ...): for these the servers read more of the index
        *others, last = zip(map(source_text.quoted, self.columns), bound, strict=False)
        text = f"{last[0]} {at_last} {last[1]}"
        for name, value in reversed(others):
            text = f"{name} {strictly} {value} OR ({name} = {value} AND ({text}))"
        return text


def cut(connection: Any, pair: Pair, rows: int, after: Bound | None = None) -> Iterator[Range]:
    """
    Ranges of about so many rows that cover the table, from `after` on; the last one has no end.

    A table whose primary key cannot be compared with an SQL literal is one range.
    """
    columns = _columns(connection, pair)
    names = tuple(columns)
    while columns and (until := _bound(connection, pair, columns, Range(names, after), rows)):
        yield Range(names, after, until)
        after = until
    yield Range(names, after)


def _columns(connection: Any, pair: Pair) -> dict[str, str]:
    """The first columns of the primary key that are compared exactly with SQL literals, with their types."""
    types = source_text.types(connection, pair.schema, pair.table)
    found: dict[str, str] = {}
    for name, whole in source_text.primary_key(connection, pair.schema, pair.table):
        if not whole or types.get(name) not in ORDERED:
            break
        found[name] = types[name]
    return found


def _bound(connection: Any, pair: Pair, columns: dict[str, str], after: Range, rows: int) -> Bound | None:
    """The key of the row so many rows after; None where there are fewer, or no key can be written in SQL."""
    for key in source_text.keys(
        connection, pair.schema, pair.table, columns, after.condition, rows - 1, TRIES
    ):
        if bound := _literals(key, list(columns.values())):
            return bound
    return None


def _literals(key: Sequence[Any], types: Sequence[str]) -> Bound:
    """The first columns, as many as can be written in SQL."""
    found: list[str] = []
    for cell, kind in zip(key, types, strict=True):
        if (value := literal(kind, cell)) is None:
            break
        found.append(value)
    return tuple(found)
