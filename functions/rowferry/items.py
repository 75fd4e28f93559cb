"""What a row change does to which item, and the lane that the item's changes travel in."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from rowferry.change import Kind, RowChange, refuse_oversized
from rowferry.errors import EmptyKey, MissingColumn, ReservedName, UnknownTable, ValueOutOfRange
from rowferry.mapping import KeyAttribute, Layout, Mapping, TableMapping
from rowferry.values import Attribute, Row, Value, attribute, number, text

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_HASH_KEY, MAX_RANGE_KEY = 2048, 1024  # bytes
MAX_NAME = 65_535  # bytes of an attribute name


class KeyValue(NamedTuple):
    """One key attribute of one item: name, type (S, N or B), value (bytes for B, else text)."""

    name: str
    type: str
    value: str | bytes


class ItemKey(NamedTuple):
    """One item: its DynamoDB table and its key, hash key first."""

    table: str
    values: tuple[KeyValue, ...]

    def attributes(self) -> dict[str, Attribute]:
        """The key as the low-level client takes it."""
        return {name: {kind: value} for name, kind, value in self.values}


@dataclass(frozen=True, slots=True)
class Effect:
    """
    What one row change does to one item.

    `members` holds the attributes that change: a value, or None where the
    member goes away. With `whole` the item has these attributes and no
    others; then `members` itself is None when the row is gone.
    """

    key: ItemKey
    members: dict[str, Attribute | None] | None
    whole: bool = False


def effects(change: RowChange, mapping: Mapping) -> list[Effect]:
    """
    One effect, or two when an update moves the row to another item: first the
    item that it leaves.

    Raises an UnusableChange when the change can never be applied.
    """
    refuse_oversized(change)
    table = table_of(change, mapping)
    old = _before(change, table, _leaving)
    new = member_of(change.after, table) if change.after is not None else None
    if old is None or new is None or old.key != new.key:
        return [effect for effect in (old, new) if effect is not None]
    if new.whole:
        return [new]
    return [Effect(new.key, {**(old.members or {}), **(new.members or {})})]


def _before[T](change: RowChange, table: TableMapping, read: Callable[[Row, TableMapping], T]) -> T | None:
    """
    What `read` finds in the before image. None also where the row could have no
    place: then it was quarantined, and the update that mends it only adds.
    """
    if change.before is None:
        return None
    try:
        return read(change.before, table)
    except (EmptyKey, ReservedName, ValueOutOfRange):
        if change.after is None:
            raise
        return None


def _leaving(row: Row, table: TableMapping) -> Effect:
    """What goes away with the row. Its value does not count: a row with an unusable one can be deleted."""
    key = key_of(row, table)
    if table.layout is Layout.ITEM_PER_ROW:
        return Effect(key, None, whole=True)
    return Effect(key, {_member_name(row, table): None})


def table_of(change: RowChange, mapping: Mapping) -> TableMapping:
    """The mapping's entry for the change. UnknownTable when there is none."""
    table = mapping.find(change.schema, change.table)
    if table is None:
        raise UnknownTable(
            f"table {change.schema}.{change.table} is not in the mapping",
            "add it to the mapping file, deploy, then retry what was quarantined",
        )
    return table


def member_of(row: Row, table: TableMapping) -> Effect:
    """The place and the value of one row: what both the bulk load and the stream write for it."""
    return Effect(key_of(row, table), attributes_of(row, table), table.layout is Layout.ITEM_PER_ROW)


def attributes_of(row: Row, table: TableMapping) -> dict[str, Attribute | None]:
    """What one row puts into its item besides the key: its member, or all its columns."""
    if table.layout is Layout.ITEM_PER_ROW:
        return dict(_columns(row, table))
    assert table.member_value is not None  # Mapping.parse saw to it
    return {_member_name(row, table): attribute(_column(row, table.member_value, table))}


def key_of(row: Row, table: TableMapping) -> ItemKey:
    """
    The key of the item that a row belongs to.

    EmptyKey when a part is NULL, empty or too long; MissingColumn when the row lacks it.
    """
    limits = (MAX_HASH_KEY, MAX_RANGE_KEY)
    return ItemKey(
        table.target,
        tuple(
            _key_value(_column(row, key.column, table), key, table, limit)
            for key, limit in zip(table.keys, limits, strict=False)
        ),
    )


def lane_of(key: ItemKey, lanes: int) -> int:
    """
    The item's lane, 0 to lanes - 1: the same in every process and version.

    Changing it, or the number of lanes, lets changes of one item overtake
    each other: only with an empty stream.
    """
    parts = [key.table.encode(), *(v.encode() if isinstance(v, str) else v for _, _, v in key.values)]
    return zlib.crc32(b"\0".join(parts)) % lanes


def by_lane(change: RowChange, mapping: Mapping, lanes: int) -> Iterator[tuple[int, RowChange]]:
    """
    The lanes that a change travels in. A move to another item is a delete in
    the old item's lane and an insert in the new one's.

    Raises an UnusableChange when the row has no key.
    """
    table = table_of(change, mapping)
    old = _before(change, table, key_of)
    new = key_of(change.after, table) if change.after is not None else None
    if old and new and old != new:
        yield lane_of(old, lanes), change._replace(kind=Kind.DELETE, after=None)
        yield lane_of(new, lanes), change._replace(kind=Kind.INSERT, before=None)
    elif key := old or new:
        yield lane_of(key, lanes), change


def _column(row: Row, column: str, table: TableMapping) -> Value:
    try:
        return row[column]
    except KeyError:
        raise MissingColumn(
            f"a row of {table.source} has no column {column!r}",
            "correct the name in the mapping, or set binlog_row_image=FULL and binlog_row_metadata=FULL",
        ) from None


def _columns(row: Row, table: TableMapping) -> Iterator[tuple[str, Attribute]]:
    keys = {key.column for key in table.keys}
    for column, value in row.items():
        if column in keys or value is None:
            continue
        if column in table.reserved:
            raise ReservedName(f"column {column!r} of {table.source} is a reserved name", "rename the column")
        yield column, attribute(value)


def _key_value(value: Value, key: KeyAttribute, table: TableMapping, limit: int) -> KeyValue:
    if value is None or value in ("", b""):
        raise EmptyKey(
            f"key attribute {key.attribute!r} of {table.source} is empty or NULL",
            "DynamoDB takes no empty key: fill the column or choose another one",
        )
    written = _written(value, key)
    if len(written if isinstance(written, bytes) else written.encode()) > limit:
        raise EmptyKey(
            f"key attribute {key.attribute!r} of {table.source} is longer than {limit} bytes",
            "choose another column for the key",
        )
    return KeyValue(key.attribute, key.type, written)


def _written(value: Value, key: KeyAttribute) -> str | bytes:
    if key.type == "S":
        return text(value)
    if key.type == "N" and isinstance(value, int | float | Decimal):
        return number(value)
    if key.type == "B" and isinstance(value, bytes):
        return value
    raise ValueOutOfRange(
        f"column {key.column!r} does not hold what key type {key.type} needs",
        "change the key's type in the mapping",
    )


def _member_name(row: Row, table: TableMapping) -> str:
    assert table.member_name is not None  # Mapping.parse saw to it
    value = _column(row, table.member_name, table)
    if value is None or value == "":
        raise EmptyKey(
            f"member name of {table.source} is empty or NULL", "an attribute needs a name: fill the column"
        )
    name = text(value)
    if name in table.reserved:
        raise ReservedName(
            f"a member of {table.source} has the name of a key attribute or of {sorted(table.reserved)}",
            "rename the row, or choose other key attribute names",
        )
    if len(name.encode()) > MAX_NAME:
        raise EmptyKey(f"a member name of {table.source} is longer than {MAX_NAME} bytes", "shorten it")
    return name
