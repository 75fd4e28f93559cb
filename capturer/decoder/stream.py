"""From the raw events of a binlog dump, or of a binlog file, to decoded events."""

import struct
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

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
from capturer.decoder.framing import ARTIFICIAL, CHECKSUM, HEADER, Header, Type, header
from capturer.decoder.gtids import mariadb_gtid, mysql_gtid, tagged_gtid
from capturer.decoder.payload import inner_events
from capturer.decoder.queries import query
from capturer.decoder.rows import RowDecoder
from capturer.decoder.tablemap import Definition, described, table_map, table_names
from capturer.decoder.wire import Malformed, damaged, packed_int
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
_DUMMY_TABLE = (1 << 24) - 1
"""MySQL ends a statement with a rows event of this table where it changed none."""
_MAX_TABLES = 4096
_NEVER_INSIDE = frozenset([Type.FORMAT_DESCRIPTION, Type.ROTATE, Type.TRANSACTION_PAYLOAD])

type _Reader = Callable[[bytes, Header, int, int], Iterable[Event]]


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


class _Table(NamedTuple):
    """A table as it was announced; `decoder` None where nobody wants its rows."""

    schema: str
    table: str
    columns: int = 0
    decoder: RowDecoder | None = None


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
        self._tables: dict[int, _Table] = {}
        self._known: dict[bytes, _Table] = {}
        self._readers = self._all_readers()

    def _all_readers(self) -> dict[int, _Reader]:
        return {
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
            head = header(packet, at)
            if head.size != len(packet) - at or head.size < HEADER:
                damaged(f"it has {len(packet) - at} bytes and says {head.size}")
            data = packet[at:-CHECKSUM] if self._has_checksum(packet, at, head) else packet[at:]
            start, end = self._span(head)
            reader = self._readers.get(head.type)
            return reader(data, head, start, end) if reader else (Passed(start, end, head.type),)
        except _DAMAGE as error:
            raise _damaged(error) from error

    def _has_checksum(self, packet: bytes, at: int, head: Header) -> bool:
        """Whether there is one, checked. Before the file's first event only the bytes themselves can tell."""
        if head.type == Type.FORMAT_DESCRIPTION:
            return False
        if self._checksums is None or (head.type == Type.ROTATE and not head.end):
            return framing.is_verified(packet, at)
        if self._checksums and self._verify and not framing.is_verified(packet, at):
            damaged("its checksum differs")
        return self._checksums

    def _span(self, head: Header) -> tuple[int, int]:
        """
        Where the event stands, its 32 bit offset unwrapped: no two are 4 GiB apart.

        Made-up events stand nowhere, between two others.
        """
        if not head.end or head.flags & ARTIFICIAL:
            return self._end, self._end
        self._end += (head.end - self._end) & _WRAP
        return self._end - head.size, self._end

    def _format_description(self, data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
        found = framing.format_description(data)
        self._checksums = found.checksums
        if ("MariaDB" in found.server) is not self._mariadb:
            self._mariadb = not self._mariadb
            self._known.clear()
        self._tables.clear()
        return (found,)

    def _rotate(self, data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
        file, self._end = framing.rotate(data)
        return (Rotate(file, self._end),)

    def _payload(self, data: bytes, head: Header, start: int, end: int) -> Iterator[Event]:
        try:
            for event in inner_events(data):
                inner = header(event)
                reader = None if inner.type in _NEVER_INSIDE else self._readers.get(inner.type)
                yield from reader(event, inner, start, end) if reader else (Passed(start, end, inner.type),)
        except _DAMAGE as error:
            raise _damaged(error) from error

    def _table_map(self, data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
        content = data[_AFTER_TABLE_ID:]
        self._tables[_table_id(data)] = self._known.get(content) or self._learned(content)
        return (Passed(start, end, head.type),)

    def _learned(self, content: bytes) -> _Table:
        """Parsing and compiling take about a millisecond; a table is announced again in every transaction."""
        if len(self._known) >= _MAX_TABLES:
            self._known.clear()
        body = content[_FLAGS:]
        schema, table = table_names(body)
        wanted = self._wanted(schema, table)
        found = _Table(schema, table)
        if wanted is not None:
            parsed = table_map(body, mariadb=self._mariadb)
            definitions = self._definitions(schema, table)
            if definitions is not None:
                parsed = described(parsed, definitions)
            found = _Table(schema, table, len(parsed.columns), RowDecoder(parsed, wanted))
        self._known[content] = found
        return found

    def _rows(self, data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
        table = self._tables.get(_table_id(data))
        if table is None and _table_id(data) != _DUMMY_TABLE:
            damaged("rows of a table that was not announced")
        if table is None or table.decoder is None:
            return (Passed(start, end, head.type),)
        kind, method, version, compressed = _ROWS[head.type]
        at = _rows_start(data, table, version, 1 + (kind is Kind.UPDATE))
        if compressed:
            data, at = inflated(data[at:]), 0
        images = getattr(table.decoder, method)(data, data.decode("latin-1"), at, len(data))
        return (Rows(start, end, table.schema, table.table, kind, images),)


def _table_id(data: bytes) -> int:
    return int.from_bytes(data[HEADER:_AFTER_TABLE_ID], "little")


def _rows_start(data: bytes, table: _Table, version: int, bitmaps: int) -> int:
    """Where the rows start, once their columns are known to be all there."""
    at = _AFTER_TABLE_ID + _FLAGS
    if version == 2:
        extra = data[at] | data[at + 1] << 8  # counts its own two bytes
        if extra < 2:
            damaged("not a length")
        at += extra
    count, at = packed_int(data, at)
    if count != table.columns:
        damaged("rows with another number of columns than their table")
    every, size = (1 << count) - 1, (count + 7) // 8
    for _ in range(bitmaps):
        if int.from_bytes(data[at : at + size], "little") & every != every:
            raise RowImageNotFull(f"{table.schema}.{table.table}")
        at += size
    return at


def _gtid(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (mysql_gtid(data, head, start, end),)


def _tagged_gtid(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (tagged_gtid(data, start, end),)


def _mariadb_gtid(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (mariadb_gtid(data, head, start, end),)


def _query(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (Query(start, end, *query(data)),)


def _query_compressed(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (Query(start, end, *query(data, compressed=True)),)


def _xid(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    if len(data) != HEADER + 8:
        damaged("not a transaction number")
    return (Xid(start, end),)


def _xa_prepare(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (XaPrepared(start, end, framing.xa_prepare(data)),)


def _incident(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (Incident(start, end, framing.incident(data)),)


def _heartbeat(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (Heartbeat(data[HEADER:].decode(), end),)


def _heartbeat_v2(data: bytes, head: Header, start: int, end: int) -> Iterable[Event]:
    return (Heartbeat(*framing.heartbeat_v2(data)),)


def _damaged(error: BaseException) -> DamagedEvent:
    """Only our own words: those of Python could hold row values."""
    return DamagedEvent(str(error) if type(error) is Malformed else type(error).__name__)
