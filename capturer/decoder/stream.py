"""From the raw events of a binlog dump, or of a binlog file, to decoded events."""

import struct
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

from capturer.decoder import framing
from capturer.decoder.columns import inflated
from capturer.decoder.errors import DamagedEvent, RowImageNotFull
from capturer.decoder.events import (
    Event,
    Heartbeat,
    Incident,
    Passed,
    Query,
    Rotate,
    Rows,
    XaPrepared,
    Xid,
)
from capturer.decoder.framing import ARTIFICIAL, CHECKSUM, HEADER, Type, unpack_header
from capturer.decoder.gtids import mariadb_gtid, mysql_gtid, tagged_gtid
from capturer.decoder.payload import inner_events
from capturer.decoder.queries import query
from capturer.decoder.rows import Decode, RowDecoder
from capturer.decoder.tablemap import Definition, described, table_map, table_names
from capturer.decoder.wire import Malformed, damaged, packed_int, taken
from rowferry.change import Kind

type Wanted = Callable[[str, str], Collection[str] | None]
"""(schema, table) to the columns that images shall have; None to pass over the table's rows."""
type Definitions = Callable[[str, str], Sequence[Definition] | None]

_DAMAGE = (
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    RecursionError,
    MemoryError,
    EOFError,
    struct.error,
    zlib.error,
)
_WRAP = 0xFFFF_FFFF
_AFTER_TABLE_ID = HEADER + 6
_FLAGS = 2
_OPENING = _AFTER_TABLE_ID + _FLAGS
_TYPE = 4
_FORMAT_DESCRIPTION = int(Type.FORMAT_DESCRIPTION)
_DUMMY_TABLE = bytes([255, 255, 255, 0, 0, 0])
"""MySQL ends a statement with a rows event of this table where it changed none."""
_MAX_TABLES = 4096
_NEVER_INSIDE = frozenset([Type.FORMAT_DESCRIPTION, Type.ROTATE, Type.TRANSACTION_PAYLOAD])

type _Reader = Callable[[bytes, int, int, int], Iterable[Event]]
"""(event without checksum, its type, start, end) to what it is."""


class _RowsType(NamedTuple):
    kind: Kind
    method: str
    version: int
    compressed: bool = False


_INSERT, _UPDATE, _DELETE = (Kind.INSERT, "insert"), (Kind.UPDATE, "update"), (Kind.DELETE, "delete")
_ROWS: dict[int, _RowsType] = {
    Type.WRITE_ROWS_V1: _RowsType(*_INSERT, 1),
    Type.UPDATE_ROWS_V1: _RowsType(*_UPDATE, 1),
    Type.DELETE_ROWS_V1: _RowsType(*_DELETE, 1),
    Type.WRITE_ROWS: _RowsType(*_INSERT, 2),
    Type.UPDATE_ROWS: _RowsType(*_UPDATE, 2),
    Type.DELETE_ROWS: _RowsType(*_DELETE, 2),
    Type.PARTIAL_UPDATE_ROWS: _RowsType(Kind.UPDATE, "partial_update", 2),
    Type.WRITE_ROWS_COMPRESSED_V1: _RowsType(*_INSERT, 1, True),
    Type.UPDATE_ROWS_COMPRESSED_V1: _RowsType(*_UPDATE, 1, True),
    Type.DELETE_ROWS_COMPRESSED_V1: _RowsType(*_DELETE, 1, True),
    Type.WRITE_ROWS_COMPRESSED: _RowsType(*_INSERT, 2, True),
    Type.UPDATE_ROWS_COMPRESSED: _RowsType(*_UPDATE, 2, True),
    Type.DELETE_ROWS_COMPRESSED: _RowsType(*_DELETE, 2, True),
}


class _Ready(NamedTuple):
    """How rows events of one type are read: `opening` is all between flags and rows, which is always the same."""

    kind: Kind
    decode: Decode
    opening: bytes
    compressed: bool


class _Table(NamedTuple):
    """A table as it was announced; `decoder` None where nobody wants its rows."""

    schema: str
    table: str
    columns: int
    decoder: RowDecoder | None
    ready: dict[int, _Ready]


class EventStream:
    """
    Decodes events in their order; keeps what later ones need: checksums, file offset, table maps.

    `wanted` chooses tables and columns, `definitions` tells what table maps leave out, `verify` has every
    CRC32 checked. Nothing else is known of the server: it can be fed from a dump, a file or a test.
    """

    def __init__(
        self, wanted: Wanted, *, definitions: Definitions = lambda schema, table: None, verify: bool = True
    ) -> None:
        self._wanted = wanted
        self._definitions = definitions
        self._verify = verify
        self._checksums: bool | None = None
        self._mariadb = False
        self._end = 0
        self._tables: dict[bytes, _Table] = {}
        self._known: dict[bytes, _Table] = {}
        self._readers = self._all_readers()

    def _all_readers(self) -> dict[int, _Reader]:
        readers: dict[int, _Reader] = {
            **dict.fromkeys(_ROWS, self._rows),
            Type.TABLE_MAP: self._table_map,
            Type.GTID: _gtid,
            Type.ANONYMOUS_GTID: _gtid,
            Type.TAGGED_GTID: _tagged_gtid,
            Type.MARIADB_GTID: _mariadb_gtid,
            Type.QUERY: _query,
            Type.QUERY_COMPRESSED: _query_compressed,
            Type.XID: _xid,
            Type.XA_PREPARE: _xa_prepare,
            Type.INCIDENT: _incident,
            Type.HEARTBEAT: _heartbeat,
            Type.HEARTBEAT_V2: _heartbeat_v2,
            Type.FORMAT_DESCRIPTION: self._format_description,
            Type.ROTATE: self._rotate,
            Type.TRANSACTION_PAYLOAD: self._payload,
        }
        return {int(kind): reader for kind, reader in readers.items()}  # an int finds an int faster

    def forget(self) -> None:
        """Ask `wanted` and `definitions` again for every table: call it after DDL."""
        self._known.clear()

    def feed(self, packet: bytes, at: int = 0) -> Iterable[Event]:
        """
        The events in a packet from offset `at` on (1 in a dump: the OK byte): one, or those of a compressed
        transaction, decoded while they are asked for.

        DamagedEvent, RowImageNotFull or UnreadableColumn: nothing of the event has been given then.
        """
        try:
            _, kind, _, size, position, flags = unpack_header(packet, at)
            if size != len(packet) - at or size < HEADER:
                damaged(f"it has {len(packet) - at} bytes and says {size}")
            if self._has_checksum(packet, at, kind, position):
                data = packet[at:-CHECKSUM]
                if self._verify and crc32(data) != int.from_bytes(packet[-CHECKSUM:], "little"):
                    damaged("its checksum differs")
            else:
                data = packet[at:]
            if not position or flags & ARTIFICIAL:
                start = end = self._end  # made up for the reader, it stands between two others
            else:
                # 32 bits that wrap: no two events are 4 GiB apart
                self._end = end = self._end + ((position - self._end) & _WRAP)
                start = end - size
            reader = self._readers.get(kind)
            return reader(data, kind, start, end) if reader else (Passed(start, end, kind),)
        except _DAMAGE as error:
            raise _damaged(error) from error

    def _has_checksum(self, packet: bytes, at: int, kind: int, position: int) -> bool:
        """Before a file's first event, only the bytes themselves tell."""
        if kind == _FORMAT_DESCRIPTION:
            return False
        if self._checksums is None or not position:
            return framing.is_verified(packet, at)
        return self._checksums

    def _format_description(self, data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
        found = framing.format_description(data)
        self._checksums = found.checksums
        if ("MariaDB" in found.server) is not self._mariadb:
            self._mariadb = not self._mariadb
            self._known.clear()
        self._tables.clear()
        return (found,)

    def _rotate(self, data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
        file, self._end = framing.rotate(data)
        return (Rotate(file, self._end),)

    def _payload(self, data: bytes, kind: int, start: int, end: int) -> Iterator[Event]:
        try:
            for event in inner_events(data):
                inner = event[_TYPE]
                reader = None if inner in _NEVER_INSIDE else self._readers.get(inner)
                yield from reader(event, inner, start, end) if reader else (Passed(start, end, inner),)
        except _DAMAGE as error:
            raise _damaged(error) from error

    def _table_map(self, data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
        content = data[_AFTER_TABLE_ID:]
        self._tables[data[HEADER:_AFTER_TABLE_ID]] = self._known.get(content) or self._learned(content)
        return ()

    def _learned(self, content: bytes) -> _Table:
        """Parsing and compiling take about a millisecond; a table is announced again in every transaction."""
        if len(self._known) >= _MAX_TABLES:
            self._known.clear()
        body = content[_FLAGS:]
        schema, table = table_names(body)
        wanted = self._wanted(schema, table)
        found = _Table(schema, table, 0, None, {})
        if wanted is not None:
            parsed = table_map(body, mariadb=self._mariadb)
            definitions = self._definitions(schema, table)
            if definitions is not None:
                parsed = described(parsed, definitions)
            found = _Table(schema, table, len(parsed.columns), RowDecoder(parsed, wanted), {})
        self._known[content] = found
        return found

    def _rows(self, data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
        table = self._tables.get(data[HEADER:_AFTER_TABLE_ID])
        if table is None and data[HEADER:_AFTER_TABLE_ID] != _DUMMY_TABLE:
            damaged("rows of a table that was not announced")
        if table is None or table.decoder is None:
            return (Passed(start, end, kind),)
        ready = table.ready.get(kind)
        if ready is None or not data.startswith(ready.opening, _OPENING):
            ready = table.ready[kind] = _prepared(data, kind, table, table.decoder)
        at = _OPENING + len(ready.opening)
        if ready.compressed:
            data, at = inflated(data[at:]), 0
        images = ready.decode(data, data.decode("latin-1"), at, len(data))
        return (Rows(start, end, table.schema, table.table, ready.kind, images),)


def _prepared(data: bytes, kind: int, table: _Table, decoder: RowDecoder) -> _Ready:
    form = _ROWS[kind]
    at = _rows_start(data, table, form.version, 1 + (form.kind is Kind.UPDATE))
    decode = getattr(decoder, form.method)
    return _Ready(form.kind, decode, data[_OPENING:at], form.compressed)


def _rows_start(data: bytes, table: _Table, version: int, bitmaps: int) -> int:
    """Where the rows start, once their columns are known to be all there."""
    at = _OPENING
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


def _gtid(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (mysql_gtid(data, kind, start, end),)


def _tagged_gtid(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (tagged_gtid(data, start, end),)


def _mariadb_gtid(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (mariadb_gtid(data, start, end),)


def _query(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (Query(start, end, *query(data)),)


def _query_compressed(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (Query(start, end, *query(data, compressed=True)),)


def _xid(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    if len(data) != HEADER + 8:
        damaged("not a transaction number")
    return (Xid(start, end),)


def _xa_prepare(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (XaPrepared(start, end, framing.xa_prepare(data)),)


def _incident(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (Incident(start, end, framing.incident(data)),)


def _heartbeat(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (Heartbeat(data[HEADER:].decode(), end),)


def _heartbeat_v2(data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
    return (Heartbeat(*framing.heartbeat_v2(data)),)


def _damaged(error: BaseException) -> DamagedEvent:
    """Only our own words: those of Python could hold row values."""
    return DamagedEvent(str(error) if type(error) is Malformed else type(error).__name__)
