"""How each column is read: its size in the row, and the expression that makes its value."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.rows.table_schema import TableColumn
from capturer.decoder.rows.types import INTEGERS, ColumnType
from capturer.decoder.values import decimals, temporal
from capturer.decoder.values.charsets import charset_of, keeps_ascii, reader
from capturer.decoder.values.jsonbinary import document
from capturer.decoder.values.mariadb import inet4, inet6, inflated, uuid
from capturer.decoder.wire import damaged
from rowferry.values import Json


class Fixed(NamedTuple):
    """
    A value of `size` bytes in every row.

    `code` is the format of `struct` that reads it (little-endian). `make` is an expression over `{raw}`, the
    result of struct, and `{use}`, the name of `helper` in the generated code.
    """

    size: int
    code: str
    make: str = "{raw}"
    helper: Any = None


class Sized(NamedTuple):
    """
    A value preceded by its length, in `prefix` bytes.

    `make` is an expression over `{bytes}`, `{text}` (the same bytes as Latin-1) and `{use}`.
    """

    prefix: int
    make: str = "{bytes}"
    helper: Any = None


type Plan = Fixed | Sized

_CALL, _CALL_BYTES, _LOOK_UP = "{use}({raw})", "{use}({bytes})", "{use}[{raw}]"
# Most text is ASCII, and the fastest way to it is a slice of text that was decoded once for the whole event.
_ASCII_FIRST = "s if (s := {text}).isascii() else {use}({bytes})"
_SIGNED = {1: "b", 2: "h", 4: "i", 8: "q"}
_TEMPORAL_BYTES = {ColumnType.TIMESTAMP2: 4, ColumnType.DATETIME2: 5, ColumnType.TIME2: 3}
_TEMPORAL: dict[ColumnType, Callable[[int], Callable[[bytes], Any]]] = {
    ColumnType.TIMESTAMP2: temporal.timestamp2,
    ColumnType.DATETIME2: temporal.datetime2,
    ColumnType.TIME2: temporal.time2,
}
_SIMPLE = {
    ColumnType.FLOAT: Fixed(4, "f", "float('%.6g' % {raw})"),  # what SELECT prints: FLT_DIG digits
    ColumnType.DOUBLE: Fixed(8, "d"),
    ColumnType.YEAR: Fixed(1, "B", "1900 + {raw} if {raw} else 0"),
    ColumnType.DATE: Fixed(3, "3s", _CALL, temporal.date3),
    ColumnType.TIMESTAMP: Fixed(4, "I", _CALL, temporal.old_timestamp),
    ColumnType.DATETIME: Fixed(8, "Q", _CALL, temporal.old_datetime),
    ColumnType.TIME: Fixed(3, "3s", _CALL, temporal.old_time),
}


def plan(column: TableColumn, *, wanted: bool = True) -> Plan:
    """
    How the column is read; for one that is not wanted, only how it is skipped.

    Raises UnreadableColumn if the event does not say how to read a wanted value, ValueError for impossible
    metadata.
    """
    place = _place(column)
    if not wanted:
        return place
    if isinstance(place, Fixed):
        return _fixed(column, place)
    if column.type is ColumnType.JSON:
        return place._replace(make=_CALL_BYTES, helper=lambda data: Json(document(data)))
    if column.type in (ColumnType.GEOMETRY, ColumnType.VECTOR):
        return place
    return _text(column, place)


def _place(column: TableColumn) -> Plan:
    kind, metadata = column.type, column.metadata
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if kind in (ColumnType.VARCHAR, ColumnType.STRING, ColumnType.VARCHAR_COMPRESSED):
        return Sized(1 if metadata < 256 else 2)  # by the most bytes of the column, not of the value
    if kind in _FIXED_SIZE:
        size = _FIXED_SIZE[kind](column)
        return Fixed(size, f"{size}s")
    if not 1 <= metadata <= 4:
        damaged("not the size of a length")
    return Sized(metadata)


def _bit_size(column: TableColumn) -> int:
    """Metadata has the number of whole bytes, and that of the remaining bits."""
    size = (column.metadata >> 8) + bool(column.metadata & 0xFF)
    return size if 1 <= size <= 8 else damaged("not the size of a BIT")


def _temporal_size(column: TableColumn) -> int:
    if column.metadata > 6:
        damaged("more than six fractional digits")
    return _TEMPORAL_BYTES[column.type] + (column.metadata + 1) // 2


def _choice_size(column: TableColumn) -> int:
    sizes = (1, 2) if column.type is ColumnType.ENUM else (1, 2, 3, 4, 8)
    size = column.metadata & 0xFF
    return size if size in sizes else damaged("not the size of an ENUM or SET")


_FIXED_SIZE: dict[ColumnType, Callable[[TableColumn], int]] = {
    **{kind: lambda column: INTEGERS[column.type] for kind in INTEGERS},
    ColumnType.NEWDECIMAL: lambda column: decimals.size(column.metadata >> 8, column.metadata & 0xFF),
    ColumnType.BIT: _bit_size,
    **dict.fromkeys(_TEMPORAL, _temporal_size),
    ColumnType.ENUM: _choice_size,
    ColumnType.SET: _choice_size,
}


def _fixed(column: TableColumn, place: Fixed) -> Fixed:
    kind, size = column.type, place.size
    if kind in INTEGERS:
        return _integer(column, size)
    if kind in _TEMPORAL:
        return place._replace(make=_CALL, helper=_TEMPORAL[kind](column.metadata))
    if kind is ColumnType.NEWDECIMAL:
        return place._replace(
            make=_CALL, helper=decimals.reader(column.metadata >> 8, column.metadata & 0xFF)
        )
    if kind is ColumnType.BIT:
        return place._replace(make="from_bytes({raw}, 'big')")
    if kind is ColumnType.ENUM:
        # 0 is the empty text of an invalid value: https://dev.mysql.com/doc/refman/8.4/en/enum.html.
        return Fixed(size, "BH"[size - 1], _LOOK_UP, ("", *_labels(column)))
    if kind is ColumnType.SET:
        return place._replace(make=_LOOK_UP, helper=_Members(_labels(column)))
    return place


def _integer(column: TableColumn, size: int) -> Fixed:
    if column.unsigned is None:
        raise _unknown(column, "whether it is UNSIGNED")
    if size == 3:  # `struct` has no letter for it
        return Fixed(3, "3s", f"from_bytes({{raw}}, 'little', signed={not column.unsigned})")
    return Fixed(size, _SIGNED[size].upper() if column.unsigned else _SIGNED[size])


def _labels(column: TableColumn) -> tuple[str, ...]:
    if column.labels is None:
        raise _unknown(column, "its labels")
    read = reader(_charset(column)) if isinstance(column.labels[0], bytes) else str
    return tuple(map(read, column.labels))  # type: ignore[arg-type]


class _Members(dict[bytes, tuple[str, ...]]):
    """
    Cache from the stored bits of a SET to its labels. An empty label is dropped: a SELECT cannot show it.
    """

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._labels = labels

    def __missing__(self, data: bytes) -> tuple[str, ...]:
        value = int.from_bytes(data, "little")
        if value >> len(self._labels):
            damaged("a SET without labels")
        if len(self) > 4096:  # bounds the memory: a SET may have 2^64 values
            self.clear()
        self[data] = tuple(
            label for number, label in enumerate(self._labels) if value >> number & 1 and label
        )
        return self[data]


def _charset(column: TableColumn) -> str:
    if column.charset is not None:
        return column.charset
    if column.collation is None:
        raise _unknown(column, "its character set")
    return charset_of(column.collation)


def _text(column: TableColumn, place: Sized) -> Sized:
    charset = _charset(column)
    if column.type in (ColumnType.BLOB_COMPRESSED, ColumnType.VARCHAR_COMPRESSED):
        read = bytes if charset == "binary" else reader(charset)
        return place._replace(make=_CALL_BYTES, helper=lambda data: read(inflated(data)))
    if charset == "binary":
        return _binary(column, place)
    if not keeps_ascii(charset):
        return place._replace(make=_CALL_BYTES, helper=reader(charset))
    return place._replace(make=_ASCII_FIRST, helper=reader(charset))


def _binary(column: TableColumn, place: Sized) -> Sized:
    if column.type is not ColumnType.STRING:
        return place
    padded = f"{{bytes}}.ljust({column.metadata}, b'\\0')"  # the binlog omits trailing zeros
    printed = {"inet4": inet4, "inet6": inet6, "uuid": uuid}.get(column.declared or "")
    if printed is None:
        return place._replace(make=padded)
    return place._replace(make=f"{{use}}({padded})", helper=printed)


def _unknown(column: TableColumn, what: str) -> UnreadableColumn:
    return UnreadableColumn(
        f"the event does not say of column {column.name}: {what}",
        "SET GLOBAL binlog_row_metadata=FULL, then reconnect the writers",
    )
