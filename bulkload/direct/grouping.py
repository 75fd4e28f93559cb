"""The rows of a chunk as items."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self

from rowferry.errors import UnusableChange
from rowferry.items.effects import ItemKey, key_of, places_of
from rowferry.items.members import Members, members_of
from rowferry.items.requests import put_members
from rowferry.mapping import POSITION, Layout, TableMapping
from rowferry.position import Position
from rowferry.values import Attribute, Row, Value, tag, untag

MOST_MEMBERS = 204_800
"""No item of 400 KB has more, at two bytes each: a larger group is not held in memory."""
CROWDED = "the item has more members than fit into 400 KB: map the table as item-per-row, or leave rows out"
TWICE = "another row has the same place in the item: make the mapped columns unique in MySQL"


@dataclass(frozen=True, slots=True)
class Unusable:
    """
    A row, or a whole item, that DynamoDB can never take.

    `key`: columns or attributes with their values, for the operator's file only; logs name `hash` instead.
    """

    table: str
    key: dict[str, Any]
    reason: str
    rows: int = 1

    @property
    def hash(self) -> str:
        """Identifies the key without showing it: 16 hexadecimal digits, also in the file of unusable rows."""
        return blake2b(self._text(self.key).encode(), digest_size=8).hexdigest()

    def line(self) -> str:
        """One JSON line for the operator's file."""
        return self._text(
            {
                "table": self.table,
                "hash": self.hash,
                "key": self.key,
                "rows": self.rows,
                "reason": self.reason,
            }
        )

    @classmethod
    def parse(cls, line: str) -> Self:
        found = json.loads(line)
        key = {name: untag(value) for name, value in found["key"].items()}
        return cls(found["table"], key, found["reason"], found["rows"])

    @staticmethod
    def _text(value: Any) -> str:
        # Sorted: `hash` must not depend on the order of the columns.
        return json.dumps(value, default=tag, ensure_ascii=False, sort_keys=True)


@dataclass(slots=True)
class Group:
    """The members of one item (None: too many for an item), and the number of their rows."""

    members: Members | None = field(default_factory=dict)
    rows: int = 0


@dataclass(slots=True)
class Grouping:
    """
    Takes the rows of one chunk, in any order, and gives its items.

    All rows of an item have to be taken before `items` or `members` is called. Two rows with one place in an
    item: the first stays, the second goes to `unusable`.
    """

    table: TableMapping
    columns: Sequence[str]
    rows: int = 0
    groups: dict[ItemKey, Group] = field(default_factory=dict)
    unusable: list[Unusable] = field(default_factory=list)

    def take(self, rows: Iterable[Sequence[Value]]) -> None:
        """Puts each row into its item, or its items."""
        place = self._placer()
        for values in rows:
            self.rows += 1
            row = dict(zip(self.columns, values, strict=True))
            try:
                place(values, row)
            except UnusableChange as error:
                self._refuse(row, str(error))

    def _placer(self) -> Callable[[Sequence[Value], dict[str, Value]], None]:
        columns, table = self.columns, self.table
        if not table.simple:
            return self._place_each
        places = [columns.index(column) for column in table.group_columns]
        last: Any = None
        group = Group()

        def place(values: Sequence[Value], row: dict[str, Value]) -> None:
            # Most rows follow one of the same item, which is then looked up once. Bytes never equal text.
            nonlocal last, group
            if (here := [values[place] for place in places]) != last:
                group, last = self._group(key_of(row, table)), here
            self._place(group, members_of(row, table), row)

        return place

    def _place_each(self, _values: Sequence[Value], row: dict[str, Value]) -> None:
        for effect in places_of(row, self.table):
            self._place(self._group(effect.key), effect.members or {}, row)

    def _group(self, key: ItemKey) -> Group:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group()
        return group

    def _place(self, group: Group, found: Members, row: dict[str, Value]) -> None:
        members = group.members
        whole = self.table.layout is Layout.ITEM_PER_ROW
        # By its rows, not its members: an item that is a row may have no member at all, and be taken.
        if group.rows and (whole or (members and not members.keys().isdisjoint(found))):
            self._refuse(row, TWICE)
            return
        # Counted also where the members are no longer kept: the refusal says how many rows it concerns.
        group.rows += 1
        if members is not None:
            members.update(found)
            if len(members) > MOST_MEMBERS:
                group.members = None

    def _refuse(self, row: dict[str, Value], reason: str) -> None:
        self.unusable.append(unusable_row(self.table, row, reason))

    def members(self) -> Iterator[tuple[ItemKey, Members, int]]:
        """Each item's members, and its number of rows. A group that cannot be an item goes to `unusable`."""
        for key, group in self.groups.items():
            if group.members is None:
                self.unusable.append(refused(self.table, key.attributes(), CROWDED, group.rows))
            elif group.rows:  # else none of its rows was usable
                yield key, group.members, group.rows

    def items(self, position: Position) -> Iterator[tuple[dict[str, Attribute], int]]:
        """
        Each item with its position, and its number of rows. A group that cannot be one goes to `unusable`.
        """
        stamp = {POSITION: {"S": str(position)}}
        for key, members, rows in self.members():
            item: dict[str, Attribute] = {}
            put_members(item, members)
            if item or self.table.whole:  # members that are all NULL and left out make no item
                yield {**item, **key.attributes(), **stamp}, rows


def unusable_row(table: TableMapping, row: Row, reason: str) -> Unusable:
    """A row that cannot be part of an item, by the columns that identify its place."""
    named = [name for name in table.place_columns if name in row] or list(row)
    return Unusable(table.source, {name: row[name] for name in named}, reason)


def refused(table: TableMapping, item: dict[str, Attribute], reason: str, rows: int) -> Unusable:
    """A whole item that DynamoDB does not take, by its key attributes."""
    key = {name.attribute: next(iter(item[name.attribute].values())) for name in table.keys}
    return Unusable(table.source, key, reason, rows)
