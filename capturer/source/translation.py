"""
The packets of one binlog connection as events; what cannot be decoded becomes an event, too. No I/O.

So an operator can also skip a transaction that cannot be decoded.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from capturer.ddl.statements import judge
from capturer.ddl.verdicts import RELOAD
from capturer.decoder.events import FormatDescription, Heartbeat, Query, Rotate, RowsEvent
from capturer.decoder.framing import EventType
from capturer.decoder.rows.table_schema import Definition
from capturer.decoder.stream import EventStream
from capturer.source.events import Event, Unreadable
from rowferry.errors import CaptureStopped
from rowferry.mapping import Mapping, TableMapping
from rowferry.mysql.dialect import SqlDialect
from rowferry.position import BinlogOffset

type Definitions = Callable[[str, str], Sequence[Definition] | None]
"""(schema, table) to its columns as the server has them now; None if it has no such table."""
type Reshaped = Callable[[frozenset[str], int], None]
"""Takes the source tables that may have other columns from an offset on, and that offset."""

_KIND = 5  # offset of the type in a packet: after the status byte and the time
_PAYLOAD = bytes([EventType.TRANSACTION_PAYLOAD])
# A quick test before `judge`: a miss only costs time, but a match of DDL would leave columns as they were.
_NO_DDL = re.compile(
    r"\s*(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|XA|INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE
)


class _Carried:
    """The columns of a table that are carried, those that it gets later included."""

    def __init__(self, table: TableMapping) -> None:
        self._table = table

    def __contains__(self, column: object) -> bool:
        return self._table.travels(str(column))


class Translation:
    """
    Reads the packets of one connection, in order, from `start` on.

    `checksums` says whether events end in a checksum, until the first format description says so itself.
    `reshaped` is called for DDL, after the events before it have been taken.
    """

    def __init__(
        self,
        mapping: Mapping,
        start: BinlogOffset,
        *,
        checksums: bool | None = None,
        definitions: Definitions | None = None,
        reshaped: Reshaped = lambda _tables, _end: None,
        dialect: SqlDialect = SqlDialect(),  # noqa: B008 - immutable
    ) -> None:
        self._mapping = mapping
        self._dialect = dialect
        self._reshaped = reshaped
        self._start = start
        self._before = 0
        self._tables = {(dialect.name(one.schema), dialect.name(one.table)): one for one in mapping.tables}
        self._respelled: dict[tuple[str, str], tuple[str, str]] = {}
        self._definitions = definitions
        self._stream = EventStream(
            self._wanted,
            required=self._required,
            definitions=self._defined if definitions else None,
            checksums=checksums,
        )

    def events(self, packets: Iterable[bytes]) -> Iterator[Event]:
        """
        The events in packets (a status byte, then the event). Raises nothing for a damaged one: see
        Unreadable.

        The dump command cannot name an offset beyond 4 GiB, so the server sends such a file from its
        beginning: events before the start are left out.
        """
        stream = self._stream
        for packet in packets:
            # Before `feed` moves it: an event that cannot be decoded does not say where it starts.
            start = stream.end
            try:
                for read in stream.feed(packet, 1):
                    event = self._as_mapped(read) if self._respelled and type(read) is RowsEvent else read
                    if self._before or type(event) is Rotate:
                        yield from self._from_start(event)
                    else:
                        yield event
                    if type(event) is Query and (tables := self._reshaped_by(event)):
                        stream.forget()
                        self._reshaped(tables, event.end)
            except CaptureStopped as error:
                # A slice: the packet may be cut off before its type.
                last = packet[_KIND : _KIND + 1] == _PAYLOAD
                yield from self._from_start(self._unreadable(error, start, last=last))

    def _as_mapped(self, event: RowsEvent) -> RowsEvent:
        """The rows under the names in the mapping: everybody after capture compares letter by letter."""
        where = event.schema, event.table
        schema, table = self._respelled.get(where, where)
        return event._replace(schema=schema, table=table)

    def _reshaped_by(self, query: Query) -> frozenset[str]:
        """The mapped tables that may have other columns from here on."""
        if _NO_DDL.match(query.sql):
            return frozenset()
        return judge(query.sql, query.schema, self._mapping, self._dialect.under(query.sql_mode)).reshapes

    def _unreadable(self, error: CaptureStopped, start: int, *, last: bool) -> Unreadable:
        end = self._stream.end
        if error.remedy:
            return Unreadable(start, end, error.found, error.fix, last, error.remedy, error.tables)
        return Unreadable(start, end, error.found, f"{error.fix}; {RELOAD}", last)

    def _from_start(self, event: Event) -> Iterator[Event]:
        """The event, unless it is before the start: one that ends there may have been skipped."""
        if isinstance(event, Rotate):
            self._before = self._start.offset if event.file == self._start.file else 0
            yield Rotate(event.file, max(event.offset, self._before))
        elif isinstance(event, FormatDescription):
            yield event  # of the file, wherever in it reading begins: it says when the file was made
        elif (event.offset if isinstance(event, Heartbeat) else event.start) >= self._before:
            self._before = 0
            yield event

    def _wanted(self, schema: str, table: str) -> Container[str] | None:
        found = self._find(schema, table)
        return None if found is None else _Carried(found)

    def _required(self, schema: str, table: str) -> Iterable[str]:
        found = self._find(schema, table)
        return () if found is None else found.columns

    def _find(self, schema: str, table: str) -> TableMapping | None:
        """The entry of a table as the binlog spells it, which may not be as the mapping does."""
        found = self._tables.get((self._dialect.name(schema), self._dialect.name(table)))
        if found is not None and (found.schema, found.table) != (schema, table):
            self._respelled[schema, table] = (found.schema, found.table)
        return found

    def _defined(self, schema: str, table: str) -> Sequence[Definition] | None:
        assert self._definitions
        return self._definitions(*self._respelled.get((schema, table), (schema, table)))
