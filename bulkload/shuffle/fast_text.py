"""Keys and names as DynamoDB JSON, for many rows at once. A hot path: `make bench` measures it."""

from collections.abc import Iterable, Sequence
from itertools import compress, count, islice, repeat
from operator import ne
from typing import Any

from bulkload.dynamodb.json_text import dumps, one_line, quoted
from rowferry.errors import UnusableChange
from rowferry.items.keys import key_of
from rowferry.items.members import MAX_NAME
from rowferry.mapping.table import MAX_HASH_KEY, MAX_RANGE_KEY, TableMapping
from rowferry.values import Attribute, Value

_KNOWN_NAMES = 50_000
"""
Names that are cached as text. It helps where names repeat, as products do, and not where each row has its
own.
"""
_AROUND = {int: ('{"N":"', '"}'), str: ('{"S":', "}")}
"""The text before and after a value."""
CERTAIN = frozenset({str, int})
"""Types whose values are equal only where their texts are equal (Decimals 1.0 and 1.00 are equal)."""


def key_text(key: dict[str, Attribute]) -> str:
    """The KEY of an item's key attributes."""
    return one_line(dumps(key))


class Keys:
    """Makes the KEYs of one table's rows, which have the values of `columns`."""

    def __init__(self, table: TableMapping, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = columns
        self._plain = _plain_keys(table, columns)

    def of(self, columns: Sequence[Sequence[Value]]) -> list[str]:
        """The KEY of each row, empty where it has none. The rows come column by column."""
        plain: list[tuple[Any, str, int]] = [
            (columns[place], before, most) for place, before, most in self._plain
        ]
        if plain and all(_fit(column, most) for column, _, most in plain):
            parts = (part for column, before, _ in plain for part in (repeat(before), map(quoted, column)))
            return list(map(one_line, map("".join, zip(*parts, repeat("}}")))))
        return list(map(self.one, zip(*columns, strict=True)))

    def one(self, values: Sequence[Value]) -> str:
        parts = []
        for place, before, most in self._plain:
            value = values[place]
            if type(value) is not str or not 0 < len(value) <= most:
                break
            parts.append(before + quoted(value))
        else:
            if parts:
                return one_line("".join(parts)) + "}}"
        try:
            row = dict(zip(self._columns, values, strict=True))
            return key_text(key_of(row, self._table).attributes())
        except UnusableChange:
            return ""


def _plain_keys(table: TableMapping, columns: Sequence[str]) -> list[tuple[int, str, int]]:
    """
    For keys of text columns: each one's index, the text before it, and the number of characters up to which
    it is never too long (a character has at most 4 bytes). Empty for other keys.
    """
    parts, before = [], "{"
    for key, limit in zip(table.keys, (MAX_HASH_KEY, MAX_RANGE_KEY), strict=False):
        if key.type != "S" or key.column not in columns:
            return []
        parts.append((columns.index(key.column), f'{before}{quoted(key.attribute)}:{{"S":', limit // 4))
        before = "},"
    return parts


def _fit(texts: Sequence[Any], most: int) -> bool:
    return set(map(type, texts)) == {str} and "" not in texts and max(map(len, texts)) <= most


class NameTexts:
    """
    Makes the members' names of one table, where a name is a column's value: each with its colon, and with the
    texts `before` and `after`.
    """

    def __init__(self, table: TableMapping, before: str = "", after: str = "") -> None:
        self._table = table
        self._reserved = table.reserved if table.attribute is None else ()
        self._before, self._after = before, after
        self._known: dict[Value, str] = {}

    def of(self, values: Sequence[Any]) -> list[str] | None:
        """The name of each; None where one needs the general code."""
        # By type, not isinstance: True is an int that equals 1, and has another text.
        if not set(map(type, values)) <= CERTAIN:
            return None
        known = self._known
        names: list[Any] = list(map(known.get, values))
        if None not in names:
            return names
        if len(known) > _KNOWN_NAMES:
            # All at once: whatever is thrown away is only made again.
            known.clear()
        for value in set(values):
            name = known.get(value) or self.one(value)
            if not name:
                return None
            known[value] = name
        return [known[value] for value in values]

    def one(self, value: Any) -> str:
        """The name of a text or an integer; empty where it needs the general code."""
        name = f"{self._table.prefix}{value}"
        if value == "" or len(name) > MAX_NAME // 4 or name in self._reserved:
            return ""
        return f"{self._before}{quoted(name)}:{self._after}"


class PlainItems:
    """
    Makes keys and members of blocks of rows, where names and values are columns' values.

    A name includes the text between two values, so that members are only names and values, joined.
    """

    def __init__(self, table: TableMapping, keys: Keys, places: Sequence[int]) -> None:
        """`places`: indexes of the columns that the key is made of."""
        self._keys = keys
        self._places = places
        self._names = {kind: NameTexts(table, f"{end},", begin) for kind, (begin, end) in _AROUND.items()}

    def of(
        self, block: Sequence[Sequence[Value]], names: Sequence[Value], values: Sequence[Value]
    ) -> tuple[list[str], list[int], list[str]] | None:
        """
        The KEY, number of rows and members of each run of rows of one item in the block. None where a row is
        an exception: another type of value, no key, a repeated name.
        """
        kind, *others = set(map(type, values))
        texts = None if others or kind not in _AROUND else self._names[kind].of(names)
        if texts is None:
            return None
        starts = self._starts(block)
        runs = list(map(slice, starts, (*starts[1:], len(texts))))
        keys = self._keys.of([list(map(column.__getitem__, starts)) for column in block])
        rows = [len(set(texts[run])) for run in runs]
        if "" in keys or sum(rows) < len(texts):
            return None
        return keys, rows, _members(texts, values, runs, kind)

    def _starts(self, block: Sequence[Sequence[Value]]) -> list[int]:
        """
        Indexes at which another item begins. Bytes and text are never equal, so that equal values make one
        key.
        """
        changes = (
            compress(count(1), map(ne, column, islice(column, 1, None)))
            for column in map(block.__getitem__, self._places)
        )
        return sorted({0}.union(*changes))


def _members(texts: Sequence[str], values: Sequence[Any], runs: Iterable[slice], kind: type) -> list[str]:
    pieces = [""] * (2 * len(texts))
    pieces[::2] = texts
    pieces[1::2] = map(str if kind is int else quoted, values)
    end = _AROUND[kind][1]
    # the first name begins with the end of a value before it, which is cut off
    return [f"{''.join(pieces[2 * run.start : 2 * run.stop])[len(end) + 1 :]}{end}" for run in runs]
