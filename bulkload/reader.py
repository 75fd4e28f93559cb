"""The rows of chunks, each with the watermark that they show everything up to."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pymysql
from pymysql.cursors import SSCursor

from bulkload import chunks
from bulkload.chunks import Chunk, Table
from bulkload.connection import HALVES, Connect
from bulkload.grouping import Grouping
from bulkload.writer import Patience
from rowferry import source
from rowferry.errors import Refused, SourceNotReady
from rowferry.select import selection
from rowferry.source import Server
from rowferry.values import Value

ROWS_AT_ONCE = 1000


def rows_of(connection: Any, table: Table, chunk: Chunk) -> Iterator[Iterable[Sequence[Value]]]:
    """The values of a chunk's rows, in the order of the table's selection, some at a time."""
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(*chunks.select(table, chunk))
        while some := cursor.fetchmany(ROWS_AT_ONCE):
            yield table.selection.values(some)


def _refuse_altered(connection: Any, table: Table) -> None:
    """
    Refused where the table has other columns than when it was described.

    Asked behind the watermark: what an ALTER TABLE after that brings is in later changes.
    """
    now = selection(source.carried(table.mapping, source.columns(connection, table.mapping)))
    if (now.names, now.listed) != (table.selection.names, table.selection.listed):
        raise Refused(
            f"{table.mapping.source} got other columns during the load",
            "run `ferry load` again: it goes on with them",
        )


class Reader:
    """Reads chunks over one connection, and over a new one when that breaks."""

    def __init__(
        self,
        connect: Connect,
        server: Server,
        patience: Patience,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._connect = connect
        self._server = server
        self._patience = patience
        self._tell = tell
        self._connection: Any = None
        self._encoding: str | None = None

    def read(self, table: Table, chunk: Chunk) -> tuple[Grouping, source.Watermark]:
        """The chunk's rows in their groups, and the watermark that they show everything up to."""
        for pause in self._patience.pauses():
            try:
                return self._read(table, chunk)
            except (pymysql.err.OperationalError, pymysql.err.InterfaceError):
                self.close()
                self._patience.sleep(pause)
        return self._read(table, chunk)

    def _read(self, table: Table, chunk: Chunk) -> tuple[Grouping, source.Watermark]:
        connection = self._ready()
        watermark = source.begin_snapshot(connection, self._server, self._tell)
        _refuse_altered(connection, table)
        grouping = Grouping(table.mapping, table.selection.names)
        try:
            for some in rows_of(connection, table, chunk):
                grouping.take(some)
        except UnicodeDecodeError:
            self._read_halves(table)
            return self._read(table, chunk)
        connection.commit()
        return grouping, watermark

    def _read_halves(self, table: Table) -> None:
        """Looks through every text from now on, which is slower. SourceNotReady where that was not it."""
        if self._encoding is not None:
            raise SourceNotReady(
                f"a text in {table.mapping.source} is no text in its character set",
                "find it (LENGTH(column) and CHAR_LENGTH(column) do not fit) and mend it in MySQL",
            ) from None
        self._encoding = HALVES
        self.close()

    def _ready(self) -> Any:
        if self._connection is None:
            connection = self._connect()
            if source.identify(connection) != self._server:
                connection.close()
                raise SourceNotReady(
                    "the source is another server now", "see `ferry status`, then run the load again"
                )
            connection.encoding = self._encoding or connection.encoding
            self._connection = connection
        return self._connection

    def close(self) -> None:
        """Closes the connection where there is one; a broken one counts as closed."""
        if self._connection is not None:
            with contextlib.suppress(pymysql.err.Error):
                self._connection.close()
            self._connection = None
