"""The rows of chunks, each with its watermark: the rows show every change up to it."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pymysql
from pymysql.cursors import SSCursor

from bulkload.connection import HALVES
from bulkload.direct import chunks
from bulkload.direct.captured_source import OpenSource, PairedConnection
from bulkload.direct.chunks import Chunk, CutTable
from bulkload.direct.grouping import Grouping
from bulkload.direct.patience import TRIED_AGAIN, Patience
from bulkload.dynamodb.batch_writer import RetryPolicy
from rowferry.errors import Refused, SourceNotReady
from rowferry.mysql import snapshot
from rowferry.mysql.select import selection
from rowferry.mysql.server import carried, columns
from rowferry.position import Position
from rowferry.values import Value

ROWS_AT_ONCE = 1000
MOST_UNCUT = 64 << 20
"""Bytes of a table that cannot be cut, and so is held in memory as a whole."""


def rows_of(connection: Any, table: CutTable, chunk: Chunk) -> Iterator[list[Sequence[Value]]]:
    """The values of a chunk's rows, in the order of the table's selection, up to ROWS_AT_ONCE at a time."""
    # Unbuffered: the default cursor would hold all rows of the chunk in the driver as well.
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(*chunks.select(table, chunk))
        while some := cursor.fetchmany(ROWS_AT_ONCE):
            yield list(table.selection.values(some))


def _refuse_altered(connection: Any, table: CutTable) -> None:
    """
    Raises Refused where the table has other columns than when it was described.

    Check after the watermark was read: the effect of an ALTER TABLE after that is in later changes.
    """
    now = selection(carried(table.mapping, columns(connection, table.mapping)))
    if (now.names, now.listed) != (table.selection.names, table.selection.listed):
        raise Refused(
            f"{table.mapping.source} got other columns during the load",
            "run `ferry load` again: it resumes with them",
        )


class RowSink(Protocol):
    """What takes a chunk's rows."""

    def take(self, rows: Iterable[Sequence[Value]]) -> None: ...


class _Uncut(Grouping):
    """All rows of a table that cannot be cut. Raises Refused when they do not fit into memory."""

    _held = 0

    def take(self, rows: Iterable[Sequence[Value]]) -> None:
        some = list(rows)
        self._held += sum(map(sys.getsizeof, (value for row in some for value in row)))
        if self._held > MOST_UNCUT:
            raise Refused(
                f"{self.table.source} can be cut along none of its key columns, and does not fit into memory"
                f" ({MOST_UNCUT >> 20} MiB)",
                "load it with `ferry export` and `ferry load --from`, which groups on disk",
            )
        super().take(some)


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What a chunk's rows show: every change before `position`, which is one of `server`'s, and nothing that is
    not in `history`, a GTID set as text; empty where the source has none.
    """

    position: Position
    server: str = ""
    history: str = ""


class ChunkReader:
    """
    Reads chunks over one connection, and over a new one when that breaks: to the server that is captured
    then. For one thread.

    Raises Refused where the table was altered, or capture does not follow a failover.
    """

    def __init__(
        self,
        source: OpenSource,
        retry: RetryPolicy,
        reading: Callable[[int], None] = lambda _rows: None,
        report: Callable[[str], None] = lambda _: None,
        command: str = "ferry load",
    ) -> None:
        """
        `reading` is called with the number of rows before they are used, and may wait (rate limit); `report`
        gets the reason why a chunk has to wait; `command` is the one that resumes after an error.
        """
        self._source = source
        self._retry = retry
        self._reading = reading
        self._report = report
        self._command = command
        self._open: PairedConnection | None = None
        self._encoding: str | None = None

    def read(self, table: CutTable, chunk: Chunk) -> tuple[Grouping, Seen]:
        """The chunk's rows, grouped, and what they show."""
        grouping = Grouping if table.keys else _Uncut
        return self.read_into(table, chunk, lambda: grouping(table.mapping, table.selection.names))

    def read_into[S: RowSink](self, table: CutTable, chunk: Chunk, begin: Callable[[], S]) -> tuple[S, Seen]:
        """
        The chunk's rows in a sink from `begin`, which is called again for each retry, and what they show.
        """
        patience = Patience(self._retry, self._report, self._command)
        while True:
            try:
                return self._read(table, chunk, begin)
            except TRIED_AGAIN as error:
                self.close()
                patience.wait(error)

    def _read[S: RowSink](self, table: CutTable, chunk: Chunk, begin: Callable[[], S]) -> tuple[S, Seen]:
        open_ = self._ready()
        connection, server = open_.connection, open_.server
        # The watermark before the first row: in the other order changes between the two would be lost.
        watermark = snapshot.begin_snapshot(connection, server, self._report)
        # After the snapshot: before it, a transaction that it shows could be missing.
        history = str(snapshot.shown(connection, server))
        _refuse_altered(connection, table)
        sink = begin()
        try:
            for some in rows_of(connection, table, chunk):
                self._reading(len(some))
                sink.take(some)
        except UnicodeDecodeError:
            # The rows so far are dropped: the new connection has another snapshot, and so another watermark.
            self._read_halves(table)
            return self._read(table, chunk, begin)
        connection.commit()
        return sink, Seen(watermark.position(open_.epoch), server.identity, history)

    def _read_halves(self, table: CutTable) -> None:
        """
        Accepts unpaired surrogates from now on, which is slower. SourceNotReady where that did not help.
        """
        if self._encoding is not None:
            raise SourceNotReady(
                f"a text in {table.mapping.source} is not valid in its character set",
                "find it (LENGTH(column) and CHAR_LENGTH(column) do not match) and repair it in MySQL",
            ) from None
        self._encoding = HALVES
        self.close()

    def _ready(self) -> PairedConnection:
        if self._open is None:
            self._open = self._source()
            self._open.connection.encoding = self._encoding or self._open.connection.encoding
        return self._open

    def close(self) -> None:
        """Closes the connection where there is one; errors of a broken one are ignored."""
        if self._open is not None:
            with contextlib.suppress(pymysql.err.Error):
                self._open.connection.close()
            self._open = None
