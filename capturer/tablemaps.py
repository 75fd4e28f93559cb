"""
A table map event as a reader of the table's rows.

A table map says how the rows that follow it are laid out. The server writes
the same one for every transaction, so what is made of it is kept by its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from capturer import columns
from capturer.columns import ColumnType, NotCarried, Read
from rowferry.mapping import TableMapping
from rowferry.values import Row, Value

_SIGNEDNESS, _DEFAULT_CHARSET, _COLUMN_CHARSET, _NAMES, _ENUM_LABELS = 1, 2, 3, 4, 6
_BINARY = 63  # the collation of bytes
_TWO_BYTES = frozenset([
    columns.VARCHAR, columns.BIT, columns.DECIMAL, columns.ENUM, columns.SET, columns.VAR_STRING,
    columns.STRING, columns.VARCHAR_COMPRESSED,
])  # fmt: skip
_ONE_BYTE = frozenset([
    columns.FLOAT, columns.DOUBLE, columns.TIMESTAMP2, columns.DATETIME2, columns.TIME2, columns.BLOB,
    columns.GEOMETRY, columns.JSON, columns.VECTOR, columns.BLOB_COMPRESSED,
])  # fmt: skip
_NUMERIC = frozenset([
    columns.TINY, columns.SHORT, columns.INT24, columns.LONG, columns.LONGLONG, columns.DECIMAL,
    columns.FLOAT, columns.DOUBLE, columns.YEAR,
])  # fmt: skip
# Columns for which a character set is given: also for VECTOR, and by MariaDB for GEOMETRY.
_TEXTUAL = frozenset([
    columns.STRING, columns.VAR_STRING, columns.VARCHAR, columns.BLOB, columns.VARCHAR_COMPRESSED,
    columns.BLOB_COMPRESSED, columns.VECTOR,
])  # fmt: skip


class Cursor:
    """Reads the binlog's integers and texts one after another."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, size: int) -> bytes:
        """The next bytes. IndexError beyond the end."""
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise IndexError("the event is cut off")
        return self.data[start : self.at]

    def integer(self) -> int:
        """A length-encoded integer."""
        first = self.take(1)[0]
        return int.from_bytes(self.take({252: 2, 253: 3, 254: 8}[first]), "little") if first > 250 else first

    def text(self) -> bytes:
        """Bytes behind their length."""
        return self.take(self.integer())

    def rest(self) -> list[int]:
        """Length-encoded integers up to the end."""
        found = []
        while self.at < len(self.data):
            found.append(self.integer())
        return found


def name_of(body: bytes) -> tuple[str, str]:
    """Schema and table of a table map event's body."""
    cursor = Cursor(body, 8)
    schema = cursor.text().decode()
    cursor.take(1)
    return schema, cursor.text().decode()


@dataclass(frozen=True, slots=True)
class RowReader:
    """
    Reads the rows of one table as the binlog lays them out now.

    `names` has the column's name where the column travels, else None.
    """

    table: TableMapping
    names: Sequence[str | None]
    reads: Sequence[Read]
    fault: str = ""
    """Why no row can be read."""
    _fields: list[tuple[int, str | None, Read]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        fields = [
            (index, name, read) for index, (name, read) in enumerate(zip(self.names, self.reads, strict=True))
        ]
        object.__setattr__(self, "_fields", fields)

    def read(self, data: bytes, at: int, present: int) -> tuple[Row, int]:
        """
        The row's image at the offset, and the offset behind it.

        Bit n of `present` says that column n stands in the image. NotCarried for
        a value or an image that cannot be carried.
        """
        size = (present.bit_count() + 7) // 8
        null = int.from_bytes(data[at : at + size], "little")
        at += size
        row: dict[str, Value] = {}
        for index, name, read in self._fields:
            if not present >> index & 1:
                if name is not None:
                    raise NotCarried(f"column {name} is not in the row image")
                continue
            if null & 1:
                value: Value = None
            else:
                try:
                    value, at = read(data, at)
                except NotCarried as error:
                    if name is not None:
                        raise NotCarried(f"column {name} holds {error}") from None
                    raise
            null >>= 1
            if name is not None:
                row[name] = value
        return row, at


def row_reader(body: bytes, table: TableMapping, *, mariadb: bool) -> RowReader:
    """The reader for the rows that follow this table map. One with a fault where they cannot be read."""
    textual = _TEXTUAL | {columns.GEOMETRY} if mariadb else _TEXTUAL
    try:
        return _row_reader(body, table, textual)
    except NotCarried as error:
        return RowReader(table, (), (), str(error))
    except (LookupError, ValueError, StopIteration) as error:
        return RowReader(
            table, (), (), f"its columns are described in an unknown way ({type(error).__name__})"
        )


def _row_reader(body: bytes, table: TableMapping, textual: frozenset[int]) -> RowReader:
    cursor = Cursor(body, 8)
    for _ in range(2):
        cursor.text()
        cursor.take(1)
    codes = cursor.text()
    found = _types(codes, Cursor(cursor.text()))
    cursor.take((len(codes) + 7) // 8)  # which columns may be NULL
    extra = _extra(cursor)
    if _NAMES not in extra:
        raise NotCarried("the binlog has no column names")
    names = [name.decode() for name in _texts(extra[_NAMES])]
    described = _described(found, extra, textual)
    travels = {name for name in names if table.travels(name)}
    if missing := set(table.columns) - set(names):
        raise NotCarried(f"it has no column {min(missing)}")
    reads = [
        _reader(name, column) if name in travels else columns.stepper(column)
        for name, column in zip(names, described, strict=True)
    ]
    return RowReader(table, [name if name in travels else None for name in names], reads)


def _reader(name: str, column: ColumnType) -> Read:
    try:
        return columns.reader(column)
    except NotCarried as error:
        raise NotCarried(f"column {name} has a type that is not carried ({error})") from None


def _types(codes: bytes, meta: Cursor) -> list[ColumnType]:
    found = []
    for code in codes:
        given = meta.take(2 if code in _TWO_BYTES else code in _ONE_BYTE)
        hidden = code == columns.STRING and given[0] in (columns.ENUM, columns.SET)
        found.append(ColumnType(given[0] if hidden else code, given))
    return found


def _extra(cursor: Cursor) -> dict[int, bytes]:
    """The optional metadata by its kind; unknown kinds do no harm."""
    extra = {}
    while cursor.at < len(cursor.data):
        kind = cursor.take(1)[0]
        extra[kind] = cursor.text()
    return extra


def _texts(data: bytes) -> list[bytes]:
    cursor = Cursor(data)
    found = []
    while cursor.at < len(data):
        found.append(cursor.text())
    return found


def _described(
    found: Sequence[ColumnType], extra: dict[int, bytes], textual: frozenset[int]
) -> list[ColumnType]:
    """The columns with signedness, character set and labels, each given for the columns that can have it."""
    bits = extra.get(_SIGNEDNESS, b"")
    unsigned = (bits[index // 8] >> (7 - index % 8) & 1 for index in range(len(bits) * 8))
    collations = iter(_collations(sum(column.code in textual for column in found), extra))
    labels = iter(_labels(extra.get(_ENUM_LABELS, b"")))

    def describe(column: ColumnType) -> ColumnType:
        if column.code in _NUMERIC:
            return column._replace(unsigned=bool(next(unsigned)))
        if column.code in textual:
            return column._replace(binary=next(collations) == _BINARY)
        if column.code == columns.ENUM:
            return column._replace(labels=next(labels))
        return column

    return [describe(column) for column in found]


def _collations(count: int, extra: dict[int, bytes]) -> list[int]:
    """One collation for each textual column, or a default and the exceptions from it."""
    if _COLUMN_CHARSET in extra:
        given_each = Cursor(extra[_COLUMN_CHARSET]).rest()
        if len(given_each) != count:
            raise NotCarried("its character sets are not those of its columns")
        return given_each
    default, *exceptions = Cursor(extra.get(_DEFAULT_CHARSET, b"\0")).rest()
    given = dict(zip(exceptions[::2], exceptions[1::2], strict=True))
    return [given.get(index, default) for index in range(count)]


def _labels(data: bytes) -> list[list[bytes]]:
    cursor = Cursor(data)
    found = []
    while cursor.at < len(data):
        found.append([cursor.text() for _ in range(cursor.integer())])
    return found
