"""
The binlog's bytes as events. No I/O.

mysql-replication's reader is not used: it reconnects by itself at the last
event, which inside a transaction loses the rest of it, hides the events that
it does not know, misreads zero dates and empty bytes, and takes ten times as long.
"""

import struct
from collections.abc import Callable, Iterator

from capturer.columns import NotCarried
from capturer.events import Began, Ended, Event, Moved, Passed, Rows, Statement, Unreadable
from capturer.tablemaps import Cursor, RowReader, name_of, row_reader
from rowferry.change import Kind
from rowferry.mapping import Mapping
from rowferry.values import Row

# https://dev.mysql.com/doc/dev/mysql-server/latest/namespacemysql_1_1binlog_1_1event.html (Log_event_type);
# from 160 on https://mariadb.com/kb/en/2-binlog-event-header/
QUERY, ROTATE, FORMAT, XID, EXECUTE_LOAD, TABLE_MAP, INCIDENT, HEARTBEAT = 2, 4, 15, 16, 18, 19, 26, 27
GTID, ANONYMOUS_GTID, XA_PREPARE, PARTIAL_UPDATE, PAYLOAD, TAGGED_GTID, MARIADB_GTID = (
    33,
    34,
    38,
    39,
    40,
    42,
    162,
)
KINDS = {
    23: Kind.INSERT, 24: Kind.UPDATE, 25: Kind.DELETE, 30: Kind.INSERT, 31: Kind.UPDATE, 32: Kind.DELETE,
    PARTIAL_UPDATE: Kind.UPDATE,
}  # fmt: skip
_FIRST_V2 = 30  # from here on row events have a variable part in their head
_COMPRESSED = range(165, 172)  # MariaDB's statements and rows under log_bin_compress
# End of file, variables, parts of LOAD DATA (18 holds its statement), notes, GTID sets, encryption
_PASSED = frozenset([3, 5, 9, 11, 13, 14, 17, 28, 29, 35, 36, 37, 160, 161, 163, 164, FORMAT, HEARTBEAT])
_IGNORABLE, _ARTIFICIAL = 0x80, 0x20  # flags of any event
_STANDALONE, _PREPARED = 0x01, 0x40  # flags of a MariaDB GTID event

_HEADER = struct.Struct("<IBIIIH")  # time, type, server id, size, end, flags
_QUERY = struct.Struct("<IIBHH")  # thread, seconds, length of the schema, error, length of the status
_WRAP = 1 << 32
_COMMIT_TIME = (
    1 + 16 + 8 + 1 + 16
)  # where it stands: behind flags, source id, number, clock type, logical clock

_RELOAD = "empty the target of the table and load it again, then start the capturer with --skip {at}"
_RELOAD_ALL = (
    "empty the targets of all mapped tables and load them again, then start the capturer with --skip {at}"
)


class Decoder:
    """
    Reads the packets of one binlog connection, in order.

    `checksum` says whether events end in a checksum, until the first format description tells.
    """

    def __init__(self, mapping: Mapping, *, checksum: bool) -> None:
        self._mapping = mapping
        self._checksum = checksum
        self._mariadb = False
        self._at = 0
        self._tables: dict[int, RowReader | None] = {}
        self._known: dict[bytes, RowReader] = {}
        self._readers: dict[int, Callable[[int, int, bytes, int], Event]] = {
            QUERY: self._statement,
            EXECUTE_LOAD: self._load,
            XID: self._ended,
            XA_PREPARE: self._ended,
            GTID: self._gtid,
            ANONYMOUS_GTID: self._gtid,
            TAGGED_GTID: self._tagged_gtid,
            MARIADB_GTID: self._mariadb_gtid,
            TABLE_MAP: self._table_map,
        }

    def decode(self, data: bytes) -> Event:
        """The event in a packet: a status byte, the header of 19 bytes, the body."""
        seconds, kind, _, size, low, flags = _HEADER.unpack_from(data, 1)
        if kind == FORMAT:
            self._checksum = data[-5] == 1  # its own checksum stands behind in any case
            self._mariadb = b"MariaDB" in data[22:72]  # the server's version
        body = data[20:-4] if self._checksum else data[20:]
        if kind == ROTATE:
            return self._moved(body)
        start, end = self._place(kind, size, low, flags)
        if kind in KINDS:
            return self._rows(start, end, body, kind)
        if (reader := self._readers.get(kind)) is not None:
            return reader(start, end, body, seconds)
        if kind in _PASSED or flags & _IGNORABLE:
            return Passed(start, end)
        return Unreadable(start, end, *_unreadable(kind))

    def _place(self, kind: int, size: int, low: int, flags: int) -> tuple[int, int]:
        """Start and end as 64 bit. Artificial events stand nowhere; a heartbeat only tells where it is."""
        ahead = (low - self._at) % _WRAP
        if low == 0 or flags & _ARTIFICIAL or ahead >= _WRAP // 2:
            return self._at, self._at
        self._at += ahead
        return self._at - (0 if kind == HEARTBEAT else size), self._at

    def _moved(self, body: bytes) -> Event:
        self._at = int.from_bytes(body[:8], "little")
        return Moved(body[8:].decode(), self._at)

    def _statement(self, start: int, end: int, body: bytes, _seconds: int, head: int = 13) -> Event:
        _, _, schema, _, status = _QUERY.unpack_from(body)
        at = head + status
        text = body[at + schema + 1 :].decode(errors="backslashreplace")
        return Statement(start, end, body[at : at + schema].decode(errors="backslashreplace"), text)

    def _load(self, start: int, end: int, body: bytes, seconds: int) -> Event:
        return self._statement(start, end, body, seconds, head=26)

    def _ended(self, start: int, end: int, _body: bytes, _seconds: int) -> Event:
        return Ended(start, end)

    def _gtid(self, start: int, end: int, body: bytes, seconds: int) -> Event:
        """MySQL 8 gives the commit time in us as 7 bytes; a top bit says that another time follows."""
        micros = int.from_bytes(body[_COMMIT_TIME : _COMMIT_TIME + 7], "little") & ~(1 << 55)
        return Began(start, end, micros // 1_000 or seconds * 1_000)

    def _tagged_gtid(self, start: int, end: int, _body: bytes, seconds: int) -> Event:
        return Began(start, end, seconds * 1_000)

    def _mariadb_gtid(self, start: int, end: int, body: bytes, seconds: int) -> Event:
        flags = body[12]
        return Began(start, end, seconds * 1_000, not flags & _STANDALONE, bool(flags & _PREPARED))

    def _table_map(self, start: int, end: int, body: bytes, _seconds: int) -> Event:
        number, content = body[:6], body[6:]
        found = self._known.get(content)
        if found is None:
            table = self._mapping.find(*name_of(body))
            if table is not None:
                found = self._known[content] = row_reader(body, table, mariadb=self._mariadb)
        self._tables[int.from_bytes(number, "little")] = found
        return Passed(start, end)

    def _rows(self, start: int, end: int, body: bytes, kind: int) -> Event:
        number = int.from_bytes(body[:6], "little")
        if number not in self._tables:
            return Unreadable(start, end, "row changes of a table that the binlog does not name", _RELOAD_ALL)
        reader = self._tables[number]
        if reader is None:
            return Passed(start, end)
        source = reader.table.source
        if reader.fault:
            return Unreadable(
                start, end, f"rows of {source} cannot be read: {reader.fault}", _mend(reader.fault)
            )
        if kind == PARTIAL_UPDATE:
            return Unreadable(
                start,
                end,
                f"an update of {source} holds JSON in parts",
                f"SET GLOBAL binlog_row_value_options=''; {_RELOAD}",
            )
        try:
            images = list(_images(reader, body, kind))
        except NotCarried as error:
            return Unreadable(start, end, f"a row of {source}: {error}", _mend(str(error)))
        except (LookupError, ValueError, struct.error) as error:
            found = f"a row of {source} is not in the format of its columns ({type(error).__name__})"
            return Unreadable(start, end, found, _RELOAD)
        return Rows(start, end, reader.table.schema, reader.table.table, KINDS[kind], images)


def _images(reader: RowReader, body: bytes, kind: int) -> Iterator[tuple[Row | None, Row | None]]:
    """The images of each row in a row event's body: flags, a variable part, column bitmaps, then the rows."""
    head = 8 + (int.from_bytes(body[8:10], "little") if kind >= _FIRST_V2 else 0)
    cursor = Cursor(body, head)
    size = (cursor.integer() + 7) // 8
    change, read = KINDS[kind], reader.read
    first = int.from_bytes(cursor.take(size), "little")
    second = int.from_bytes(cursor.take(size), "little") if change is Kind.UPDATE else 0
    at, length = cursor.at, len(body)
    while at < length:
        image, at = read(body, at, first)
        if change is Kind.UPDATE:
            after, at = read(body, at, second)
            yield image, after
        else:
            yield (None, image) if change is Kind.INSERT else (image, None)
    if at != length:
        raise IndexError("a row goes beyond the event")


def _mend(fault: str) -> str:
    if "row image" in fault:
        return f"SET GLOBAL binlog_row_image=FULL and reconnect the writers; {_RELOAD}"
    if "column names" in fault:
        return f"SET GLOBAL binlog_row_metadata=FULL; {_RELOAD}"
    return (
        f"correct the value or the column's type in MySQL, or leave the column out of the mapping; {_RELOAD}"
    )


def _unreadable(kind: int) -> tuple[str, str]:
    """What an event is that holds or hides changes of any table, and the fix."""
    if kind == PAYLOAD:
        return (
            "a compressed transaction",
            f"SET GLOBAL binlog_transaction_compression=OFF and reconnect the writers; {_RELOAD_ALL}",
        )
    if kind in _COMPRESSED:
        return "a compressed event", f"SET GLOBAL log_bin_compress=OFF; {_RELOAD_ALL}"
    if kind == INCIDENT:
        return "an incident: the server could not log some changes", _RELOAD_ALL
    return f"an event of unknown type {kind}", f"use a server version that Rowferry knows, or {_RELOAD_ALL}"
