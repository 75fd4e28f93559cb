"""The rows of a chunk as items."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from rowferry.errors import UnusableChange
from rowferry.items import ItemKey, attributes_of, key_of
from rowferry.mapping import POSITION, Layout, TableMapping
from rowferry.position import Position
from rowferry.values import Attribute, Value, tag

MOST_MEMBERS = 204_800
"""More cannot be in an item of 400 KB, at two bytes each: a larger group is not held in memory."""
_CROWDED = "the item has more members than fit into 400 KB: map the table as item-per-row, or leave rows out"
_TWICE = "another row has the same place in the item: make the mapped columns unique in MySQL"


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row, or a whole item, that DynamoDB can never take. `key`: columns or attributes with values."""

    table: str
    key: dict[str, Any]
    reason: str
    rows: int = 1

    @property
    def hash(self) -> str:
        """Names the key without showing it: 16 hexadecimal digits, also in the file of unusable rows."""
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

    @staticmethod
    def _text(value: Any) -> str:
        return json.dumps(value, default=tag, ensure_ascii=False, sort_keys=True)


@dataclass(slots=True)
class Group:
    """The members of one item, and of how many rows; None when there are too many for an item."""

    members: dict[str, Attribute | None] | None = field(default_factory=dict)
    rows: int = 0


@dataclass(slots=True)
class Grouping:
    """Takes the rows of one chunk, in any order, and gives its items."""

    table: TableMapping
    columns: Sequence[str]
    rows: int = 0
    groups: dict[ItemKey, Group] = field(default_factory=dict)
    unusable: list[Unusable] = field(default_factory=list)

    def take(self, rows: Iterable[Sequence[Value]]) -> None:
        """Puts each row into its item."""
        columns, table = self.columns, self.table
        places = [columns.index(key.column) for key in table.keys]
        last: Any = None
        for values in rows:
            self.rows += 1
            row = dict(zip(columns, values, strict=True))
            try:
                # Most rows follow one of the same item: it is found once. Bytes and text are never equal.
                if (here := [values[place] for place in places]) != last:
                    group, last = self._group(key_of(row, table)), here
                self._place(group, attributes_of(row, table), row)
            except UnusableChange as error:
                self._refuse(row, str(error))

    def _group(self, key: ItemKey) -> Group:
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group()
        return group

    def _place(self, group: Group, attributes: dict[str, Attribute | None], row: dict[str, Value]) -> None:
        members = group.members
        if group.rows and (self._whole or (members and not members.keys().isdisjoint(attributes))):
            self._refuse(row, _TWICE)
            return
        group.rows += 1
        if members is not None:
            members.update(attributes)
            if len(members) > MOST_MEMBERS:
                group.members = None

    @property
    def _whole(self) -> bool:
        return self.table.layout is Layout.ITEM_PER_ROW

    def _refuse(self, row: dict[str, Value], reason: str) -> None:
        named = self.table.columns[:-1] if self.table.member_value else self.table.columns
        self.unusable.append(Unusable(self.table.source, {name: row.get(name) for name in named}, reason))

    def items(self, position: Position) -> Iterator[tuple[dict[str, Attribute], int]]:
        """Each item with its position, and how many rows it has. What cannot be one goes to `unusable`."""
        stamp = {POSITION: {"S": str(position)}}
        for key, group in self.groups.items():
            if not group.rows:
                continue  # none of its rows was usable
            if group.members is None:
                self.unusable.append(refused(self.table, key.attributes(), _CROWDED, group.rows))
            else:
                yield {**group.members, **key.attributes(), **stamp}, group.rows  # type: ignore[dict-item]


def refused(table: TableMapping, item: dict[str, Attribute], reason: str, rows: int) -> Unusable:
    """A whole item that DynamoDB does not take, by its key attributes."""
    key = {name.attribute: next(iter(item[name.attribute].values())) for name in table.keys}
    return Unusable(table.source, key, reason, rows)
