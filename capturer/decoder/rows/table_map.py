"""
TABLE_MAP: which columns the row events that follow have.

https://dev.mysql.com/doc/dev/mysql-server/latest/classbinary__log_1_1Table__map__event.html
Names, labels, signs and character sets are in it with binlog_row_metadata=FULL; without, see
`table_schema.described`.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import IntEnum
from itertools import accumulate

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.rows.table_schema import TableColumn, TableMap
from capturer.decoder.rows.types import (
    CHARACTER,
    CHOICE,
    MARIADB_CHARACTER,
    METADATA_SIZE,
    NUMERIC,
    ColumnType,
)
from capturer.decoder.wire import bits, damaged, packed_bytes, packed_int, taken

_HASH = re.compile(r"DB_ROW_HASH_\d+")


class Field(IntEnum):
    """Optional metadata fields."""

    SIGNEDNESS = 1
    DEFAULT_CHARSET = 2
    COLUMN_CHARSET = 3
    COLUMN_NAME = 4
    SET_LABELS = 5
    ENUM_LABELS = 6
    GEOMETRY_TYPE = 7
    SIMPLE_PRIMARY_KEY = 8
    PRIMARY_KEY_WITH_PREFIX = 9
    CHOICE_DEFAULT_CHARSET = 10
    CHOICE_COLUMN_CHARSET = 11
    VISIBILITY = 12
    DIMENSIONS = 13


def table_names(body: bytes) -> tuple[str, str]:
    """Schema and table of a table map's body. Raises ValueError or IndexError if damaged."""
    schema, at = packed_bytes(body, 0)
    table, _ = packed_bytes(body, at + 1)
    return schema.decode(), table.decode()


def table_map(body: bytes, *, mariadb: bool = False) -> TableMap:
    """
    The table map in an event's body, after its table id and flags.

    Raises ValueError, IndexError or struct.error if damaged, UnreadableColumn for an unknown type.
    """
    schema, at = packed_bytes(body, 0)
    table, at = packed_bytes(body, at + 1)  # names end in a zero that their length does not count
    count, at = packed_int(body, at + 1)
    types, at = taken(body, at, count)
    metadata, at = packed_bytes(body, at)
    nullable, at = taken(body, at, (count + 7) // 8)
    if not count:
        damaged("a table without columns")
    columns = [
        TableColumn(kind, value, null)
        for (kind, value), null in zip(_typed(types, metadata), bits(nullable, count), strict=True)
    ]
    fields = dict(_fields(body, at))
    characters = MARIADB_CHARACTER if mariadb else CHARACTER
    columns = list(_with_names(_with_charsets(_with_signs(columns, fields), fields, characters), fields))
    columns = list(_with_rest(_with_labels(columns, fields), fields))
    if mariadb:
        columns = list(_with_hidden(columns))  # last: it looks at the names
    return TableMap(schema.decode(), table.decode(), tuple(columns), _primary_key(fields))


def _typed(types: bytes, metadata: bytes) -> Iterator[tuple[ColumnType, int]]:
    at = 0
    for code in types:
        if code not in METADATA_SIZE:
            raise UnreadableColumn(f"a column has the type {code}, which is not known", "leave the table out")
        value, at = taken(metadata, at, METADATA_SIZE[ColumnType(code)])
        yield _real_type(ColumnType(code), value)
    if at != len(metadata):
        damaged("column metadata of another length")


def _real_type(kind: ColumnType, value: bytes) -> tuple[ColumnType, int]:
    """
    ENUM and SET are announced as STRING, and two bits of a long CHAR's length are among those of its type.
    """
    if kind not in (ColumnType.STRING, ColumnType.VAR_STRING):
        # Two values of a byte each, not one number; "big" keeps them in their order.
        big = kind in (ColumnType.NEWDECIMAL, ColumnType.ENUM, ColumnType.SET)
        return kind, int.from_bytes(value, "big" if big else "little")
    real, size = value
    if real & 0x30 != 0x30:
        return ColumnType.STRING, size | ((real & 0x30) ^ 0x30) << 4
    if real in CHOICE:
        return ColumnType(real), size
    if real not in (ColumnType.STRING, ColumnType.VAR_STRING):
        damaged("not a kind of string")
    return ColumnType.STRING, size


def _fields(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at < len(body):
        kind = body[at]
        value, at = packed_bytes(body, at + 1)
        yield kind, value


def _ints(data: bytes) -> list[int]:
    found, at = [], 0
    while at < len(data):
        number, at = packed_int(data, at)
        found.append(number)
    return found


def _texts(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        text, at = packed_bytes(data, at)
        found.append(text)
    return found


def _each(
    columns: Sequence[TableColumn],
    chosen: Callable[[TableColumn], bool],
    values: Sequence[Mapping[str, object]],
) -> list[TableColumn]:
    """
    The columns, with the chosen ones changed by one value each. Raises ValueError if the numbers differ.
    """
    if sum(map(chosen, columns)) != len(values):
        damaged("metadata of another number of columns")
    rest = iter(values)
    return [
        replace(column, **next(rest)) if chosen(column) else column  # type: ignore[arg-type]
        for column in columns
    ]


def _with_signs(columns: Sequence[TableColumn], fields: Mapping[int, bytes]) -> Sequence[TableColumn]:
    if Field.SIGNEDNESS not in fields:
        return columns
    count = sum(column.type in NUMERIC for column in columns)
    data, _ = taken(fields[Field.SIGNEDNESS], 0, (count + 7) // 8)
    # The highest bit of each byte first, unlike in the bitmaps of `wire.bits`.
    signs = [{"unsigned": bool(data[n >> 3] & 0x80 >> (n & 7))} for n in range(count)]
    return _each(columns, lambda column: column.type in NUMERIC, signs)


def _with_charsets(
    columns: Sequence[TableColumn], fields: Mapping[int, bytes], characters: frozenset[ColumnType]
) -> Sequence[TableColumn]:
    columns = _collated(columns, fields, characters, Field.DEFAULT_CHARSET, Field.COLUMN_CHARSET)
    return _collated(columns, fields, CHOICE, Field.CHOICE_DEFAULT_CHARSET, Field.CHOICE_COLUMN_CHARSET)


def _collated(
    columns: Sequence[TableColumn],
    fields: Mapping[int, bytes],
    types: frozenset[ColumnType],
    default: Field,
    single: Field,
) -> Sequence[TableColumn]:
    """Either a default collation and the columns with another one, or the collation of every column."""
    if default in fields:
        usual, *rest = _ints(fields[default])
        other = dict(zip(rest[::2], rest[1::2], strict=True))
        # Columns of other types are not counted. `accumulate` has one number more than there are columns.
        numbers = accumulate((column.type in types for column in columns), initial=0)
        return [
            replace(column, collation=other.get(number, usual)) if column.type in types else column
            for number, column in zip(numbers, columns, strict=False)
        ]
    if single in fields:
        collations = [{"collation": collation} for collation in _ints(fields[single])]
        return _each(columns, lambda column: column.type in types, collations)
    return columns


def _with_names(columns: Sequence[TableColumn], fields: Mapping[int, bytes]) -> Sequence[TableColumn]:
    if Field.COLUMN_NAME not in fields:
        return columns
    names = [{"name": name.decode()} for name in _texts(fields[Field.COLUMN_NAME])]
    return _each(columns, lambda _: True, names)


def _with_labels(columns: Sequence[TableColumn], fields: Mapping[int, bytes]) -> Sequence[TableColumn]:
    for kind, field in ((ColumnType.SET, Field.SET_LABELS), (ColumnType.ENUM, Field.ENUM_LABELS)):
        if field in fields:
            labels = [{"labels": labels} for labels in _label_lists(fields[field])]
            columns = _each(columns, lambda column, kind=kind: column.type is kind, labels)  # type: ignore[misc]
    return columns


def _label_lists(data: bytes) -> Iterator[tuple[bytes, ...]]:
    at = 0
    while at < len(data):
        count, at = packed_int(data, at)
        labels = []
        for _ in range(count):
            label, at = packed_bytes(data, at)
            labels.append(label)
        yield tuple(labels)


def _with_rest(columns: Sequence[TableColumn], fields: Mapping[int, bytes]) -> Sequence[TableColumn]:
    for field, name, kind in (
        (Field.GEOMETRY_TYPE, "geometry", ColumnType.GEOMETRY),
        (Field.DIMENSIONS, "dimensions", ColumnType.VECTOR),
    ):
        if field in fields:
            values = [{name: value} for value in _ints(fields[field])]
            columns = _each(columns, lambda column, kind=kind: column.type is kind, values)  # type: ignore[misc]
    if Field.VISIBILITY in fields:
        data = fields[Field.VISIBILITY]
        columns = [
            replace(column, visible=bool(data[number >> 3] & 0x80 >> (number & 7)))
            for number, column in enumerate(columns)
        ]
    return columns


def _with_hidden(columns: Sequence[TableColumn]) -> Iterator[TableColumn]:
    """MariaDB adds a hash column for each UNIQUE over long columns, after all others: it is hidden."""
    last = max((n for n, column in enumerate(columns) if not _is_hash(column)), default=0)
    yield from columns[: last + 1]
    yield from (replace(column, hidden=True) for column in columns[last + 1 :])


def _is_hash(column: TableColumn) -> bool:
    return column.type is ColumnType.LONGLONG and bool(_HASH.fullmatch(column.name or ""))


def _primary_key(fields: Mapping[int, bytes]) -> tuple[tuple[int, int], ...]:
    if Field.SIMPLE_PRIMARY_KEY in fields:
        return tuple((number, 0) for number in _ints(fields[Field.SIMPLE_PRIMARY_KEY]))
    numbers = iter(_ints(fields.get(Field.PRIMARY_KEY_WITH_PREFIX, b"")))
    return tuple(zip(numbers, numbers, strict=True))  # pairs: column and characters
