"""
Rows as lines that any sort brings together by item.

    KEY <tab> ROWS MEMBERS

KEY is the item's key in DynamoDB JSON, the same bytes for the same item; MEMBERS what ROWS rows own of the
item, as a part of the item in DynamoDB JSON. A member whose place is taken though nothing is stored there
is `null`: that is no attribute, and tells a row without a value from no row. There is no other tab and no
line end in a line, and a key is never the beginning of another one, so that `LC_ALL=C sort`, Hadoop and a
hash all find an item's lines.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import batched, chain, compress, count, islice
from operator import itemgetter, ne
from typing import Any

from bulkload.grouping import TWICE, Unusable, unusable_row
from bulkload.item_json import dumps, one_line, quoted
from rowferry.errors import UnusableChange
from rowferry.items import places_of
from rowferry.keys import key_of
from rowferry.mapping import Layout, MapEntry, SetEntry, TableMapping
from rowferry.members import MAX_NAME, Members, members_of
from rowferry.requests import put_members
from rowferry.sources import Column
from rowferry.table import MAX_HASH_KEY, MAX_RANGE_KEY
from rowferry.values import Attribute, Value

HOPELESS = 8 << 20
"""
Characters of DynamoDB JSON that are more than 400 KB for certain, whatever they hold: MEMBERS is left out.
"""
_KNOWN_NAMES = 50_000
"""
Names that are remembered as text. Products come again and again; where every row has its own, it is of no
use.
"""
_FEW = 100
"""Rows that are held at once, and in a line, where nothing is known of their size."""
_CERTAIN = frozenset({str, int})
"""Types whose values are equal only where their texts are (1.0 and 1.00 are, too)."""
_NOTHING = object()

type Line = tuple[str, str]
"""KEY and `ROWS MEMBERS`."""


def key_text(key: dict[str, Attribute]) -> str:
    """KEY of an item's key attributes."""
    return one_line(dumps(key))


def members_text(members: Members, *, whole: bool) -> str:
    """MEMBERS; those of a `whole` item that are not there leave nothing."""
    item: dict[str, Any] = {}
    put_members(item, members)
    for place, value in members.items():
        if value is None and not whole:
            _mark(item, place)
    return one_line(dumps(item))


def _mark(item: dict[str, Any], place: Any) -> None:
    if isinstance(place, MapEntry):
        item[place.attribute]["M"][place.name] = None
    elif isinstance(place, SetEntry):
        item.setdefault(place.attribute, {"SS": []})[place.prefix] = None
    else:
        item[place] = None


class Liner:
    """Makes the lines of one source table's rows. `unusable` gets the rows that can be no part of an item."""

    def __init__(
        self, table: TableMapping, columns: Sequence[str], unusable: Callable[[Unusable], None]
    ) -> None:
        self.table = table
        self.columns = tuple(columns)
        self.unusable = unusable
        self.rows = 0
        """Taken so far."""
        self._key_parts = self._plain_key()
        self._known: dict[Value, str] = {}
        self._reserved = table.reserved

    def lines(self, rows: Iterable[Sequence[Value]]) -> Iterator[Line]:
        """The lines of rows in any order. Rows of one item that follow each other share a line."""
        return self.block_lines(batched(rows, _FEW, strict=False))

    def block_lines(self, blocks: Iterable[Sequence[Sequence[Value]]]) -> Iterator[Line]:
        """As `lines`, from many rows at a time, which go faster; each block is held in memory."""
        if not self.table.simple or self.table.layout is Layout.ITEM_PER_ROW:
            yield from self._each(chain.from_iterable(blocks))
        elif plain := self._plain():
            for block in blocks:
                yield from self._plain_block(block, *plain)
        else:
            yield from self._runs(chain.from_iterable(blocks))

    def _each(self, rows: Iterable[Sequence[Value]]) -> Iterator[Line]:
        for values in rows:
            self.rows += 1
            try:
                effects = places_of(self._row(values), self.table)
            except UnusableChange as error:
                self._refuse(values, str(error))
                continue
            for effect in effects:
                text = members_text(effect.members or {}, whole=effect.whole)
                yield _line(key_text(effect.key.attributes()), 1, text)

    def _runs(self, rows: Iterable[Sequence[Value]]) -> Iterator[Line]:
        """Members as the mapping finds them."""
        here, last, key = self._key_values(), _NOTHING, ""
        run: Members = {}
        for values in rows:
            self.rows += 1
            if (now := here(values)) != last or len(run) == _FEW:
                if run:
                    yield _line(key, len(run), members_text(run, whole=False))
                key, run, last = self._key(values), {}, now
            try:
                found = members_of(self._row(values), self.table) if key else self._refused_key(values)
            except UnusableChange as error:
                self._refuse(values, str(error))
                continue
            if run.keys().isdisjoint(found):
                run |= found
            else:
                self._refuse(values, TWICE)
        if run:
            yield _line(key, len(run), members_text(run, whole=False))

    def _plain_block(
        self, rows: Sequence[Sequence[Value]], name_at: int, value_at: int, null: str
    ) -> Iterator[Line]:
        """
        As `_runs`, where name and value are columns as they are: their text is put together, not encoded.
        """
        values: list[Any] = [row[value_at] for row in rows]
        names = self._names([row[name_at] for row in rows])
        kinds = set(map(type, values))
        if names is None or kinds not in ({int}, {str}):
            yield from self._plain_runs(rows, name_at, value_at, null)
            return
        if kinds == {int}:
            texts = [f'{name}{{"N":"{value}"}}' for name, value in zip(names, values, strict=True)]
        else:
            quotes = map(quoted, values)
            texts = [f'{name}{{"S":{value}}}' for name, value in zip(names, quotes, strict=True)]
        # Bytes and text are never equal, so that what is equal makes one key.
        keys = list(map(self._key_values(), rows))
        start = 0
        for end in (*compress(count(1), map(ne, keys, islice(keys, 1, None))), len(rows)):
            key = self._key(rows[start])
            if key and len(set(names[start:end])) == end - start:
                self.rows += end - start
                yield _line(key, end - start, self._around(texts[start:end]))
            else:
                yield from self._plain_runs(rows[start:end], name_at, value_at, null)
            start = end

    def _plain_runs(
        self, rows: Sequence[Sequence[Value]], name_at: int, value_at: int, null: str
    ) -> Iterator[Line]:
        """Row by row, for what is not all of one kind, or holds rows that are refused."""
        here, last, key = self._key_values(), _NOTHING, ""
        run: dict[str, str] = {}
        for values in rows:
            self.rows += 1
            if (now := here(values)) != last:
                if run:
                    yield _line(key, len(run), self._around(map(str.__add__, run, run.values())))
                key, run, last = self._key(values), {}, now
            value: Any = values[value_at]
            try:
                name = self._name(values, values[name_at])
                if type(value) is int:
                    text = f'{{"N":"{value}"}}'
                elif type(value) is str:
                    text = f'{{"S":{quoted(value)}}}'
                else:
                    text = null if value is None else self._value(values)
                if not key:
                    self._refused_key(values)
            except UnusableChange as error:
                self._refuse(values, str(error))
                continue
            if name in run:
                self._refuse(values, TWICE)
            else:
                run[name] = text
        if run:
            yield _line(key, len(run), self._around(map(str.__add__, run, run.values())))

    def _names(self, values: Sequence[Any]) -> list[str] | None:
        """The members' names with their colons; None where one needs a closer look."""
        if not set(map(type, values)) <= _CERTAIN:
            return None
        known = self._known
        names: list[Any] = list(map(known.get, values))
        if None not in names:
            return names
        if len(known) > _KNOWN_NAMES:
            known.clear()
        for value in set(values):
            name = known.get(value) or self._plain_name(value)
            if not name:
                return None
            known[value] = name
        return [known[value] for value in values]

    def _plain_name(self, value: Any) -> str:
        """The name of a text or an integer with its colon; empty where it needs a closer look."""
        name = f"{self.table.prefix}{value}"
        if (
            value == ""
            or len(name) > MAX_NAME // 4
            or (self.table.attribute is None and name in self._reserved)
        ):
            return ""
        return quoted(name) + ":"

    def _plain(self) -> tuple[int, int, str] | None:
        """The places of the name's and the value's column, and what NULL becomes; None for other mappings."""
        name, value = self.table.member_name, self.table.member_value
        if self.table.layout is Layout.STRING_SET or not isinstance(name, str):
            return None
        if not isinstance(value, Column) or value.type is not None:
            return None
        null = '{"NULL":true}' if value.keep_null else "null"
        return self.columns.index(name), self.columns.index(value.column), null

    def _around(self, members: Iterable[str]) -> str:
        text = one_line(",".join(members))
        if self.table.attribute is None:
            return f"{{{text}}}"
        return f'{{{one_line(quoted(self.table.attribute))}:{{"M":{{{text}}}}}}}'

    def _key_values(self) -> Callable[[Sequence[Value]], Any]:
        places = [self.columns.index(column) for column in self.table.group_columns]
        return itemgetter(*places) if places else lambda _values: ()

    def _key(self, values: Sequence[Value]) -> str:
        """KEY, empty when the row has none."""
        parts = []
        for place, before, most in self._key_parts:
            value = values[place]
            if type(value) is not str or not 0 < len(value) <= most:
                break
            parts.append(before + quoted(value))
        else:
            if parts:
                return one_line("".join(parts)) + "}}"
        try:
            return key_text(key_of(self._row(values), self.table).attributes())
        except UnusableChange:
            return ""

    def _plain_key(self) -> list[tuple[int, str, int]]:
        """
        For keys of text columns: each one's place, the text before it, and up to how many characters it is
        never too long. Empty for other keys.
        """
        parts, before = [], "{"
        for key, limit in zip(self.table.keys, (MAX_HASH_KEY, MAX_RANGE_KEY), strict=False):
            if key.type != "S" or key.column not in self.columns:
                return []
            text = f'{before}{quoted(key.attribute)}:{{"S":'
            parts.append((self.columns.index(key.column), text, limit // 4))
            before = "},"
        return parts

    def _refused_key(self, values: Sequence[Value]) -> Members:
        """Raises why the row has no key."""
        key_of(self._row(values), self.table)
        raise AssertionError("the row has a key")

    def _name(self, values: Sequence[Value], raw: Value) -> str:
        """The member's name with its colon. An UnusableChange when the row can have none."""
        if type(raw) in _CERTAIN and (name := self._plain_name(raw)):
            return name
        ((place, _value),) = members_of(self._row(values), self.table).items()
        return quoted(place.name if isinstance(place, MapEntry) else str(place)) + ":"

    def _value(self, values: Sequence[Value]) -> str:
        ((_place, value),) = members_of(self._row(values), self.table).items()
        return dumps(value)

    def _row(self, values: Sequence[Value]) -> dict[str, Value]:
        return dict(zip(self.columns, values, strict=True))

    def _refuse(self, values: Sequence[Value], reason: str) -> None:
        self.unusable(unusable_row(self.table, self._row(values), reason))


def _line(key: str, rows: int, members: str) -> Line:
    return key, f"{rows} {members if len(members) <= HOPELESS else ''}"
