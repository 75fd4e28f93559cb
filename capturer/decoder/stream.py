"""From the raw events of a binlog dump, or of a binlog file, to decoded events."""

import struct
import traceback
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from pathlib import Path
from zlib import crc32

from capturer.decoder import framing
from capturer.decoder.dispatch import SIMPLE, Reader
from capturer.decoder.errors import DamagedEvent, DecoderFault, UnknownEvent
from capturer.decoder.events import Event, Passed, Rotate, RowsEvent
from capturer.decoder.framing import (
    ARTIFICIAL,
    CHECKSUM,
    HARMLESS,
    HEADER,
    IGNORABLE,
    EventType,
    unpack_checksum,
    unpack_frame,
)
from capturer.decoder.payload import inner_events
from capturer.decoder.rows.decoder import RowDecoder
from capturer.decoder.rows.row_events import AFTER_TABLE_ID, FLAGS, OPENING, ROWS, DecodedTable, prepared
from capturer.decoder.rows.table_map import table_map, table_names
from capturer.decoder.rows.table_schema import (
    Definition,
    RowsNotNeeded,
    TableMap,
    described,
    is_incomplete,
    refuse_lookalikes,
)
from capturer.decoder.values.mariadb import inflated
from capturer.decoder.wire import Malformed, damaged
from rowferry.errors import CaptureStopped

type Wanted = Callable[[str, str], Container[str] | None]
"""(schema, table) to the columns that images shall have, or EVERY_COLUMN; None to skip its rows."""
type Required = Callable[[str, str], Iterable[str]]
"""(schema, table) to columns without which its rows cannot be read."""
type Definitions = Callable[[str, str], Sequence[Definition] | None]

# What damaged bytes or a fault of ours may raise in a reader (tests/unit/capturer/decoder/test_damage.py).
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
_KIND = 4  # offset of the type in an event
_WRAP, _HALF = 0xFFFF_FFFF, 1 << 31
_FORMAT_DESCRIPTION = int(EventType.FORMAT_DESCRIPTION)
_DUMMY_TABLE = bytes([255, 255, 255, 0, 0, 0])
"""Id of the table in the rows event with which MySQL ends a statement that changed no row."""
_MAX_TABLES = 4096  # decoders in memory; each ALTER TABLE adds one
_NEVER_INSIDE = frozenset([EventType.FORMAT_DESCRIPTION, EventType.ROTATE, EventType.TRANSACTION_PAYLOAD])


class EventStream:
    """
    Decodes events in their order; keeps what later ones need: checksums, file offset, table maps.

    `wanted` chooses tables and columns, `required` the columns that a table must have. `definitions` returns
    what table maps leave out, and is called only if that is needed, which includes MariaDB's BINARY(16),
    because it looks like UUID; it may raise RowsNotNeeded. `checksums` says whether events have them, if that
    is known before the first event says so; with `verify` each is checked. Events may come from a dump, a
    file or a test. Each connection needs an EventStream of its own.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        required: Required = lambda _schema, _table: (),
        definitions: Definitions | None = None,
        checksums: bool | None = None,
        verify: bool = True,
    ) -> None:
        self._wanted = wanted
        self._required = required
        self._definitions = definitions
        self._verify = verify
        self._checksums = checksums
        self._mariadb = False
        self.end = 0
        """End of the newest event, in bytes from the start of its file."""
        self._tables: dict[bytes, DecodedTable] = {}
        self._known: dict[bytes, DecodedTable] = {}
        self._readers = self._all_readers()

    def _all_readers(self) -> dict[int, Reader]:
        readers: dict[int, Reader] = {
            **dict.fromkeys(ROWS, self._rows),
            EventType.TABLE_MAP: self._table_map,
            **SIMPLE,
            EventType.FORMAT_DESCRIPTION: self._format_description,
            EventType.ROTATE: self._rotate,
            EventType.TRANSACTION_PAYLOAD: self._payload,
        }
        return {int(kind): reader for kind, reader in readers.items()}  # an int finds an int faster

    def forget(self) -> None:
        """Makes it call `wanted` and `definitions` again for every table. Call it after DDL."""
        self._known.clear()

    def feed(self, packet: bytes, at: int = 0) -> Iterable[Event]:
        """
        The events in a packet from offset `at` on (1 in a dump, after the OK byte): one, or those of a
        compressed transaction, which are decoded while they are consumed.

        Raises DamagedEvent, UnknownEvent, RowImageNotFull or UnreadableColumn; then nothing of the event has
        been returned, except perhaps the first events of a compressed transaction.
        """
        try:
            kind, size, position, flags = unpack_frame(packet, at)
            if size != len(packet) - at or size < HEADER:
                damaged(f"it has {len(packet) - at} bytes and says {size}")
            if kind != _FORMAT_DESCRIPTION and (self._checksums or self._tells_checksum(packet, at)):
                data = packet[at:-CHECKSUM]
                if self._verify and (crc32(data),) != unpack_checksum(packet, -CHECKSUM):
                    damaged("its checksum differs")
            else:
                data = packet[at:]
            if not position or flags & ARTIFICIAL:
                start = end = self.end  # made for the reader: it takes no place in the file
            else:
                # Only the low 32 bits, of an offset near the last one: an event has at most 1 GiB.
                end = self.end + ((position - self.end + _HALF) & _WRAP) - _HALF
                start = end - size
                self.end = end
            reader = self._readers.get(kind)
            return reader(data, kind, start, end) if reader else _passed(kind, flags, start, end)
        except _DAMAGE as error:
            raise self._explained(error, packet, at) from error

    def _explained(self, error: BaseException, packet: bytes, at: int) -> CaptureStopped:
        """Only our own text: Python's messages may hold row values."""
        if type(error) is Malformed:
            return DamagedEvent(str(error))
        # Its checksum is counted again here, on the rare way: it may not be known yet whether there are any.
        whole = len(packet) - at >= HEADER + CHECKSUM
        if whole and self._checksums is not False and framing.is_verified(packet, at):
            return _fault(error, packet[at + _KIND])
        return DamagedEvent(type(error).__name__)

    def _tells_checksum(self, packet: bytes, at: int) -> bool:
        """Before the format description has said whether there are checksums, only the bytes can show it."""
        return self._checksums is None and framing.is_verified(packet, at)

    def _format_description(self, data: bytes, _kind: int, _start: int, _end: int) -> Iterable[Event]:
        found = framing.format_description(data)
        self._checksums = found.checksums
        if ("MariaDB" in found.server) is not self._mariadb:
            self._mariadb = not self._mariadb
            self._known.clear()  # the other flavor describes other columns by the same bytes
        self._tables.clear()  # in another file, a table id may mean another table
        return (found,)

    def _rotate(self, data: bytes, _kind: int, _start: int, _end: int) -> Iterable[Event]:
        file, self.end = framing.rotate(data)  # 64 bit; the ends in event headers wrap at 4 GiB
        return (Rotate(file, self.end),)

    def _payload(self, data: bytes, _kind: int, start: int, end: int) -> Iterator[Event]:
        try:
            # Inner events have no checksum, and no offset in a file: the outer one's are used.
            for event in inner_events(data):
                inner, _, _, flags = unpack_frame(event)
                reader = None if inner in _NEVER_INSIDE else self._readers.get(inner)
                yield from reader(event, inner, start, end) if reader else _passed(inner, flags, start, end)
        except _DAMAGE as error:
            if type(error) is Malformed:
                raise DamagedEvent(str(error)) from error
            # The checksum of the event around it has been compared, if there is one.
            kind = int(EventType.TRANSACTION_PAYLOAD)
            raise (
                _fault(error, kind)
                if self._checksums and self._verify
                else DamagedEvent(type(error).__name__)
            ) from error

    def _table_map(self, data: bytes, _kind: int, _start: int, _end: int) -> Iterable[Event]:
        # Without the id, which changes: the same content has the same decoder.
        content = data[AFTER_TABLE_ID:]
        self._tables[data[HEADER:AFTER_TABLE_ID]] = self._known.get(content) or self._learned(content)
        return ()

    def _learned(self, content: bytes) -> DecodedTable:
        """Not cached, this takes about a millisecond, and every transaction announces its tables again."""
        if len(self._known) >= _MAX_TABLES:
            self._known.clear()
        body = content[FLAGS:]
        schema, table = table_names(body)
        wanted = self._wanted(schema, table)
        found = DecodedTable(schema, table, 0, None, {})
        if wanted is not None:
            try:
                parsed = self._completed(table_map(body, mariadb=self._mariadb), wanted)
            except RowsNotNeeded:
                pass
            else:
                decoder = RowDecoder(parsed, wanted, self._required(schema, table))
                found = DecodedTable(schema, table, len(parsed.columns), decoder, {})
        self._known[content] = found
        return found

    def _completed(self, table: TableMap, wanted: Container[str]) -> TableMap:
        if self._definitions and is_incomplete(table, wanted, mariadb=self._mariadb):
            definitions = self._definitions(table.schema, table.table)
            if definitions is not None:
                table = described(table, definitions)
        if self._mariadb:
            refuse_lookalikes(table, wanted)
        return table

    def _rows(self, data: bytes, kind: int, start: int, end: int) -> Iterable[Event]:
        table = self._tables.get(data[HEADER:AFTER_TABLE_ID])
        if table is None and data[HEADER:AFTER_TABLE_ID] != _DUMMY_TABLE:
            damaged("rows of a table that was not announced")
        if table is None or table.decoder is None:
            return (Passed(start, end, kind),)
        ready = table.ready.get(kind)
        # Compared for every event: each session has a binlog_row_image of its own, and the opening holds its
        # columns.
        if ready is None or not data.startswith(ready.opening, OPENING):
            ready = table.ready[kind] = prepared(data, kind, table, table.decoder)
        at = OPENING + len(ready.opening)
        if ready.compressed:
            data, at = inflated(data[at:]), 0
        # Latin-1 has one character for each byte, so that offsets are the same in both.
        images = ready.decode(data, data.decode("latin-1"), at, len(data))
        return (RowsEvent(start, end, table.schema, table.table, ready.kind, images, len(data)),)


def _passed(kind: int, flags: int, start: int, end: int) -> Iterable[Event]:
    if kind in HARMLESS or flags & IGNORABLE:
        return (Passed(start, end, kind),)
    raise UnknownEvent(kind)


def _fault(error: BaseException, kind: int) -> DecoderFault:
    *_, last = traceback.extract_tb(error.__traceback__)
    return DecoderFault(kind, type(error).__name__, f"{Path(last.filename).name}:{last.lineno}")
