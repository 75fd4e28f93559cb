"""
Cuts a table into ranges of its primary key, for verify.

Shares no code with how the load cuts. A range is what is behind one key and not behind another, where the
next begins. So no row is in none of them, whatever the server thinks of the order of keys: of each key a row
is behind it or is not, it is behind what there is before the first, and not behind the last.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.sql_literals import ORDERED, literal

TRIES = 100
"""Rows behind the wanted one that are looked at for a key that can be written in SQL."""

type Bound = tuple[str, ...]
"""A key in SQL, column by column; of a composite key the first columns may be all."""


@dataclass(frozen=True, slots=True)
class Range:
    """The rows behind `after` and not behind `until`, in the primary key's first columns; None: no bound."""

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
        # Neither (a, b) > (x, y) nor NOT (a > x OR ...): for these the servers read more of the index.
        *others, last = zip(map(source_text.quoted, self.columns), bound, strict=False)
        text = f"{last[0]} {at_last} {last[1]}"
        for name, value in reversed(others):
            text = f"{name} {strictly} {value} OR ({name} = {value} AND ({text}))"
        return text


def cut(connection: Any, pair: Pair, rows: int, after: Bound | None = None) -> Iterator[Range]:
    """
    Ranges of about so many rows that cover the table, from `after` on; the last one has no end.

    A table whose primary key cannot be compared with a text in SQL is one range.
    """
    columns = _columns(connection, pair)
    names = tuple(columns)
    while columns and (until := _bound(connection, pair, columns, Range(names, after), rows)):
        yield Range(names, after, until)
        after = until
    yield Range(names, after)


def _columns(connection: Any, pair: Pair) -> dict[str, str]:
    """The first columns of the primary key that a text in SQL is compared with exactly, with their types."""
    types = source_text.types(connection, pair.schema, pair.table)
    found: dict[str, str] = {}
    for name, whole in source_text.primary_key(connection, pair.schema, pair.table):
        if not whole or types.get(name) not in ORDERED:
            break
        found[name] = types[name]
    return found


def _bound(connection: Any, pair: Pair, columns: dict[str, str], behind: Range, rows: int) -> Bound | None:
    """The key of the row that many rows behind; None where there are fewer, or none can be written."""
    for key in source_text.keys(
        connection, pair.schema, pair.table, columns, behind.condition, rows - 1, TRIES
    ):
        if bound := _literals(key, list(columns.values())):
            return bound
    return None


def _literals(key: Sequence[Any], types: Sequence[str]) -> Bound:
    """As many of the columns as can be written."""
    found: list[str] = []
    for cell, kind in zip(key, types, strict=True):
        if (value := literal(kind, cell)) is None:
            break
        found.append(value)
    return tuple(found)
