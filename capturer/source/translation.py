"""
The packets of one binlog connection as events; what cannot be decoded is an event too. No I/O.

So the operator's word about a transaction also counts for one that cannot be read.
"""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from capturer.ddl.statements import RELOAD, judge
from capturer.decoder.events import FormatDescription, Heartbeat, Query, Rotate
from capturer.decoder.framing import EventType
from capturer.decoder.rows.table_schema import Definition
from capturer.decoder.stream import EventStream
from capturer.source.events import Event, Unreadable
from rowferry.errors import CaptureStopped
from rowferry.mapping import Mapping, TableMapping
from rowferry.position import BinlogOffset

type Definitions = Callable[[str, str], Sequence[Definition] | None]
"""(schema, table) to its columns as the server has them now; None when it has no such table."""
type Reshaped = Callable[[frozenset[str], int], None]
"""Takes the source tables that may have other columns from here on, and the offset of here."""

_KIND = 5  # the type's place in a packet: behind the status byte and the time
_PAYLOAD = bytes([EventType.TRANSACTION_PAYLOAD])
_NO_DDL = re.compile(
    r"\s*(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|XA|INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE
)


class _Travelling:
    """The columns of a table that travel, also such as it gets later."""

    def __init__(self, table: TableMapping) -> None:
        self._table = table

    def __contains__(self, column: object) -> bool:
        return self._table.travels(str(column))


class Translation:
    """
    Reads the packets of one connection, in order, from `start` on.

    `checksums` says whether events end in a checksum, until the first format description tells. `reshaped` is
    told of DDL, once what stands before it has been taken.
    """

    def __init__(
        self,
        mapping: Mapping,
        start: BinlogOffset,
        *,
        checksums: bool | None = None,
        definitions: Definitions | None = None,
        reshaped: Reshaped = lambda _tables, _end: None,
    ) -> None:
        self._mapping = mapping
        self._reshaped = reshaped
        self._start = start
        self._before = 0
        self._stream = EventStream(
            self._wanted, required=self._required, definitions=definitions, checksums=checksums
        )

    def events(self, packets: Iterable[bytes]) -> Iterator[Event]:
        """
        The events in packets (a status byte, then the event).

        Beyond 4 GiB the server sends the file from its beginning: what stands before the start is left out.
        """
        stream = self._stream
        for packet in packets:
            start = stream.end
            try:
                for event in stream.feed(packet, 1):
                    if self._before or type(event) is Rotate:
                        yield from self._behind(event)
                    else:
                        yield event
                    if type(event) is Query and (tables := self._reshaped_by(event)):
                        stream.forget()
                        self._reshaped(tables, event.end)
            except CaptureStopped as error:
                last = packet[_KIND : _KIND + 1] == _PAYLOAD
                yield from self._behind(self._unreadable(error, start, last=last))

    def _reshaped_by(self, query: Query) -> frozenset[str]:
        """The mapped tables that may have other columns from here on."""
        if _NO_DDL.match(query.sql):
            return frozenset()
        return judge(query.sql, query.schema, self._mapping).reshapes

    def _unreadable(self, error: CaptureStopped, start: int, *, last: bool) -> Unreadable:
        end = self._stream.end
        if error.remedy:
            return Unreadable(start, end, error.found, error.fix, last, error.remedy, error.tables)
        return Unreadable(start, end, error.found, f"{error.fix}; {RELOAD}", last)

    def _behind(self, event: Event) -> Iterator[Event]:
        """The event, unless it stands before the start: one that ends there may have been skipped."""
        if type(event) is Rotate:
            self._before = self._start.offset if event.file == self._start.file else 0
            yield Rotate(event.file, max(event.offset, self._before))
        elif self._place(event) >= self._before:
            self._before = 0
            yield event

    @staticmethod
    def _place(event: Event) -> int:
        if isinstance(event, FormatDescription):
            return 0  # of no transaction
        return event.offset if isinstance(event, Heartbeat | Rotate) else event.start

    def _wanted(self, schema: str, table: str) -> Container[str] | None:
        found = self._mapping.find(schema, table)
        return None if found is None else _Travelling(found)

    def _required(self, schema: str, table: str) -> Iterable[str]:
        found = self._mapping.find(schema, table)
        return () if found is None else found.columns
