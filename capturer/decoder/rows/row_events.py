"""The head of WRITE_ROWS, UPDATE_ROWS and DELETE_ROWS: what precedes the rows."""

from typing import NamedTuple

from capturer.decoder.errors import RowImageNotFull
from capturer.decoder.framing import HEADER, EventType
from capturer.decoder.rows.decoder import Decode, RowDecoder
from capturer.decoder.wire import damaged, packed_int, taken
from rowferry.change import Kind

AFTER_TABLE_ID = HEADER + 6  # offset; a table id has 6 bytes
FLAGS = 2  # bytes
OPENING = AFTER_TABLE_ID + FLAGS


class RowsType(NamedTuple):
    """A type of rows event: the kind of change, the method of RowDecoder, the version of its head."""

    kind: Kind
    method: str
    version: int
    compressed: bool = False


_INSERT, _UPDATE, _DELETE = (Kind.INSERT, "insert"), (Kind.UPDATE, "update"), (Kind.DELETE, "delete")
ROWS: dict[int, RowsType] = {
    EventType.WRITE_ROWS_V1: RowsType(*_INSERT, 1),
    EventType.UPDATE_ROWS_V1: RowsType(*_UPDATE, 1),
    EventType.DELETE_ROWS_V1: RowsType(*_DELETE, 1),
    EventType.WRITE_ROWS: RowsType(*_INSERT, 2),
    EventType.UPDATE_ROWS: RowsType(*_UPDATE, 2),
    EventType.DELETE_ROWS: RowsType(*_DELETE, 2),
    EventType.PARTIAL_UPDATE_ROWS: RowsType(Kind.UPDATE, "partial_update", 2),
    EventType.WRITE_ROWS_COMPRESSED_V1: RowsType(*_INSERT, 1, True),
    EventType.UPDATE_ROWS_COMPRESSED_V1: RowsType(*_UPDATE, 1, True),
    EventType.DELETE_ROWS_COMPRESSED_V1: RowsType(*_DELETE, 1, True),
    EventType.WRITE_ROWS_COMPRESSED: RowsType(*_INSERT, 2, True),
    EventType.UPDATE_ROWS_COMPRESSED: RowsType(*_UPDATE, 2, True),
    EventType.DELETE_ROWS_COMPRESSED: RowsType(*_DELETE, 2, True),
}


class Ready(NamedTuple):
    """How rows events of one type are read; `opening`, the bytes between flags and rows, is constant."""

    kind: Kind
    decode: Decode
    opening: bytes
    compressed: bool


class DecodedTable(NamedTuple):
    """A table as its table map announced it; `decoder` is None if its rows are not wanted."""

    schema: str
    table: str
    columns: int
    decoder: RowDecoder | None
    ready: dict[int, Ready]


def prepared(data: bytes, kind: int, table: DecodedTable, decoder: RowDecoder) -> Ready:
    """
    How the rows in an event like this one are read.

    Raises RowImageNotFull, ValueError or IndexError if they cannot be.
    """
    form = ROWS[kind]
    at = _rows_start(data, table, form.version, 1 + (form.kind is Kind.UPDATE))
    decode = getattr(decoder, form.method)
    return Ready(form.kind, decode, data[OPENING:at], form.compressed)


def _rows_start(data: bytes, table: DecodedTable, version: int, bitmaps: int) -> int:
    """The offset of the rows, after the check that they have all columns."""
    at = OPENING
    if version == 2:
        extra = data[at] | data[at + 1] << 8  # counts its own two bytes
        if extra < 2:
            damaged("not a length")
        at += extra
    count, at = packed_int(data, at)
    if count != table.columns:
        damaged("rows with another number of columns than their table")
    every = (1 << count) - 1
    for _ in range(bitmaps):
        present, at = taken(data, at, (count + 7) // 8)
        if int.from_bytes(present, "little") & every != every:
            raise RowImageNotFull(f"{table.schema}.{table.table}")
    return at
