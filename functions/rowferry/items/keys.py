"""The key of the item that a row belongs to, and the lane in which the item's changes are sent."""

import zlib
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from rowferry.errors import EmptyKey, MissingColumn, ValueOutOfRange
from rowferry.mapping.table import MAX_HASH_KEY, MAX_RANGE_KEY, KeyAttribute, TableMapping
from rowferry.values import Attribute, Row, Value, number, text

_WIDEST = 4  # bytes of a character in UTF-8


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
        """The key as an argument of the low-level client."""
        return {name: {kind: value} for name, kind, value in self.values}


def key_of(row: Row, table: TableMapping) -> ItemKey:
    """
    The key of the item that a row belongs to. Filter and hook have been applied already.

    Raises EmptyKey if a part is NULL, empty or longer than DynamoDB allows, MissingColumn if the row lacks a
    column, ValueOutOfRange if a value does not fit the key's type.
    """
    first = _key_value(row, table.hash_key, table, MAX_HASH_KEY)
    if table.range_key is None:
        return ItemKey(table.target, (first,))
    return ItemKey(table.target, (first, _key_value(row, table.range_key, table, MAX_RANGE_KEY)))


def lane_of(key: ItemKey, lanes: int) -> int:
    """
    The item's lane, 0 to lanes - 1: the same in every process and version.

    A change of this function, or of the number of lanes, lets changes of one item overtake each other: it is
    safe only with an empty stream.
    """
    data = key.table.encode()
    for _, _, value in key.values:
        data += b"\0" + (value.encode() if isinstance(value, str) else value)
    return zlib.crc32(data) % lanes  # not hash(), which differs in each process


def straight_lane(row: Row, before: Row | None, table: TableMapping, lanes: int) -> int | None:
    """
    The lane of the one item that both images of a row belong to, for simple keys: a fast path.

    None if `key_of` has to decide. Otherwise the same as lane_of(key_of(row)), in a third of the time.
    """
    if not table.straight_keys:
        return None
    data = table.target
    for column, longest in table.straight_keys:
        value = row.get(column)
        if type(value) is str:
            if not 0 < len(value) * _WIDEST <= longest:  # its bytes have to be counted: `key_of` does
                return None
        elif type(value) is not int:
            return None
        if before is not None and before.get(column) != value:
            return None
        data = f"{data}\0{value}"
    return zlib.crc32(data.encode()) % lanes


def column_of(row: Row, column: str, table: TableMapping) -> Value:
    """The row's value. Raises MissingColumn if the row does not have the column."""
    try:
        return row[column]
    except KeyError:
        raise MissingColumn(
            f"a row of {table.source} has no column {column!r}",
            "correct the name in the mapping, or set binlog_row_image=FULL and binlog_row_metadata=FULL",
        ) from None


def _key_value(row: Row, key: KeyAttribute, table: TableMapping, limit: int) -> KeyValue:
    value: Value
    alone = key.column if key.template is None else key.template.alone
    if alone is not None:
        value = column_of(row, alone, table)
    else:
        assert key.template is not None  # the mapping has one of the two
        value = key.template.key(row)
    if type(value) is str and key.type == "S" and 0 < len(value) <= limit // _WIDEST:
        return KeyValue(key.attribute, "S", value)  # nearly always, and decided without encoding the text
    written = None if value is None else _written(value, key)
    if not written:
        raise EmptyKey(
            f"key attribute {key.attribute!r} of {table.source} is empty or NULL",
            "DynamoDB refuses an empty key: fill the column or choose another one",
        )
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
    if key.template is not None:
        return _from_text(text(value), key)
    raise _unfit(key)


def _from_text(value: str, key: KeyAttribute) -> str | bytes:
    if key.type == "B":
        return value.encode()
    try:
        return number(Decimal(value))
    except InvalidOperation:
        raise _unfit(key) from None


def _unfit(key: KeyAttribute) -> ValueOutOfRange:
    return ValueOutOfRange(
        f"{key.column or str(key.template)!r} does not hold a value for key type {key.type}",
        "change the key's type in the mapping",
    )
