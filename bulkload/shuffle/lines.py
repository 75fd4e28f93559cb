"""
Rows as lines that any sort groups by item.

    KEY <tab> ROWS MEMBERS

KEY is the item's key in DynamoDB JSON, the same bytes for the same item; MEMBERS the members of ROWS rows, as
a part of the item in DynamoDB JSON. A member that is not stored, but whose row exists, is `null`: that is not
an attribute, and distinguishes a row without a value from no row. A line contains no other tab and no line
end, and no key is a prefix of another one, so that `LC_ALL=C sort`, Hadoop and a hash all group an item's
lines.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

from bulkload.direct.grouping import TWICE, Unusable, unusable_row
from bulkload.dynamodb.json_text import dumps, one_line, quoted
from bulkload.exports.blocks import FEW, Columns, columns_of
from bulkload.shuffle.fast_text import CERTAIN, Keys, NameTexts, PlainItems, key_text
from rowferry.errors import UnusableChange
from rowferry.items.effects import places_of
from rowferry.items.keys import key_of
from rowferry.items.members import Members, members_of
from rowferry.items.requests import put_members
from rowferry.mapping import Layout, MapEntry, SetEntry, TableMapping
from rowferry.mapping.attribute_source import ColumnSource
from rowferry.values import Value

HOPELESS = 8 << 20
"""
Characters of DynamoDB JSON that are certainly more than an item of 400 KB: then MEMBERS is left out.
"""
_NOTHING = object()

type Line = tuple[str, str]
"""KEY and `ROWS MEMBERS`."""


def members_text(members: Members, *, whole: bool) -> str:
    """MEMBERS. Those that are None become `null`, except in a `whole` item."""
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
    """Makes the lines of one source table's rows. `unusable` gets the rows that cannot be part of an item."""

    def __init__(
        self, table: TableMapping, columns: Sequence[str], unusable: Callable[[Unusable], None]
    ) -> None:
        self.table = table
        self.columns = tuple(columns)
        self.unusable = unusable
        self.rows = 0
        """Rows so far."""
        self._group_places = [self.columns.index(column) for column in table.group_columns]
        self._keys = Keys(table, self.columns)
        self._names = NameTexts(table)
        self._plain_items = PlainItems(table, self._keys, self._group_places)
        self._outer = _outer(table.attribute)

    def lines(self, rows: Iterable[Sequence[Value]]) -> Iterator[Line]:
        """The lines of rows in any order. Consecutive rows of one item share a line."""
        return self.block_lines(columns_of(rows))

    def block_lines(self, blocks: Iterable[Columns]) -> Iterator[Line]:
        """As `lines`, faster, from blocks of rows; each block is held in memory."""
        if not self.table.simple or self.table.layout is Layout.ITEM_PER_ROW:
            yield from self._each(chain.from_iterable(map(_rows, blocks)))
        elif plain := self._plain():
            yield from chain.from_iterable(self._plain_block(block, *plain) for block in blocks)
        else:
            yield from self._runs(chain.from_iterable(map(_rows, blocks)))

    def _each(self, rows: Iterable[Sequence[Value]]) -> Iterator[Line]:
        for values in rows:
            self.rows += 1
            try:
                # All of a row's items before its first line: a row that fails is in no item.
                effects = places_of(self._row(values), self.table)
            except UnusableChange as error:
                self._refuse(values, str(error))
                continue
            for effect in effects:
                text = members_text(effect.members or {}, whole=effect.whole)
                yield _line(key_text(effect.key.attributes()), 1, text)

    def _runs(self, rows: Iterable[Sequence[Value]]) -> Iterator[Line]:
        """By the mapping's own code."""
        here, last, key = self._key_values(), _NOTHING, ""
        run: Members = {}
        for values in rows:
            self.rows += 1
            # FEW bounds a line; more rows of the item get another one.
            if (now := here(values)) != last or len(run) == FEW:
                if run:
                    yield _line(key, len(run), members_text(run, whole=False))
                key, run, last = self._keys.one(values), {}, now
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

    def _plain_block(self, block: Columns, name_at: int, value_at: int, null: str) -> Iterable[Line]:
        """
        As `_runs`, where name and value are columns' values: their text is joined, not encoded.
        """
        found = self._plain_items.of(block, block[name_at], block[value_at])
        if found is None:
            return self._plain_runs(_rows(block), name_at, value_at, null)
        self.rows += len(block[0])
        return map(self._plain_line, *found)

    def _plain_runs(
        self, rows: Iterable[Sequence[Value]], name_at: int, value_at: int, null: str
    ) -> Iterator[Line]:
        """Row by row, for blocks with several types of values, or with rows that are refused."""
        here, last, key = self._key_values(), _NOTHING, ""
        run: dict[str, str] = {}
        for values in rows:
            self.rows += 1
            if (now := here(values)) != last:
                if run:
                    yield self._of_run(key, run)
                key, run, last = self._keys.one(values), {}, now
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
            yield self._of_run(key, run)

    def _plain(self) -> tuple[int, int, str] | None:
        """The indexes of the name's and the value's column, and the text of NULL; None for other mappings."""
        name, value = self.table.member_name, self.table.member_value
        if self.table.layout is Layout.STRING_SET or not isinstance(name, str):
            return None
        if not isinstance(value, ColumnSource) or value.type is not None:
            return None
        null = '{"NULL":true}' if value.keep_null else "null"
        return self.columns.index(name), self.columns.index(value.column), null

    def _of_run(self, key: str, run: dict[str, str]) -> Line:
        return self._plain_line(key, len(run), ",".join(map(str.__add__, run, run.values())))

    def _plain_line(self, key: str, rows: int, members: str) -> Line:
        before, after = self._outer
        return _line(key, rows, one_line(f"{before}{members}{after}"))

    def _key_values(self) -> Callable[[Sequence[Value]], Any]:
        return itemgetter(*self._group_places) if self._group_places else lambda _values: ()

    def _refused_key(self, values: Sequence[Value]) -> Members:
        """Raises why the row has no key."""
        key_of(self._row(values), self.table)
        raise AssertionError("the row has a key")

    def _name(self, values: Sequence[Value], raw: Value) -> str:
        """The member's name with its colon. Raises UnusableChange when the row has none."""
        if type(raw) in CERTAIN and (name := self._names.one(raw)):
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


def _rows(block: Columns) -> Iterator[Sequence[Value]]:
    return zip(*block, strict=True)


def _outer(attribute: str | None) -> tuple[str, str]:
    """The texts before and after members."""
    return ("{", "}") if attribute is None else (f'{{{quoted(attribute)}:{{"M":{{', "}}}")


def _line(key: str, rows: int, members: str) -> Line:
    return key, f"{rows} {members if len(members) <= HOPELESS else ''}"
