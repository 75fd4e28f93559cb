"""
Asks the server for what the binlog does not say about a table's columns.

The trap: the server's answer is of now, and the rows may be from before an ALTER TABLE. So each answer is
kept with its offset, the end of the binlog at that moment. The offset is exact, because the table's metadata
lock is held meanwhile and no DDL is half done. The answer is valid for rows after that offset until capture
reads DDL of the table, and for earlier rows if the binlog has no DDL of the table between them and that
offset. Tables are read when reading begins and after their DDL, so that rows are seldom earlier.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any, NamedTuple

import pymysql

from capturer.ddl.statements import judge
from capturer.ddl.type_changes import keeps_values
from capturer.decoder.rows.table_schema import Definition, RowsNotNeeded, labels
from capturer.source.binlog import ConnectionLost, ReplicationClient
from capturer.source.lookahead import statements
from capturer.telemetry import say
from rowferry.errors import LOAD, CaptureStopped
from rowferry.mapping import Mapping as Tables
from rowferry.mapping.source_name import source_of
from rowferry.mysql import server, snapshot
from rowferry.mysql.dialect import SqlDialect
from rowferry.position import BinlogOffset

LOCK_SECONDS = 5
"""
Seconds to wait for an ALTER TABLE that holds a table's definition; below the patience with a silent server.
"""
_LOCK_TIMEOUT, _NO_SUCH_TABLE, _NO_SUCH_SCHEMA = 1205, 1146, 1049
_FULL = (
    "SET GLOBAL binlog_row_metadata=FULL; `ferry switch off`, empty the target of the table, "
    "run `ferry load --again`"
)
_COLUMNS = """
SELECT column_name AS name, data_type AS type, column_type AS full, character_set_name AS charset,
is_nullable AS nullable, generation_expression AS expression, extra
FROM information_schema.columns WHERE table_schema = %s AND table_name = %s
ORDER BY ordinal_position
"""

type Floors = Callable[[], Mapping[str, str]]
"""By `schema.table`, the position up to which its load shows every change."""


class _Known(NamedTuple):
    """A table's columns as they were at an offset."""

    columns: Sequence[Definition]
    place: BinlogOffset


class Definitions:
    """
    The columns of mapped tables, for rows at or after `at()`, the boundary that was read last.

    Called only for a table map that has not been seen before, so it costs nothing while table maps stay the
    same.
    """

    def __init__(
        self,
        source: ReplicationClient,
        mapping: Tables,
        epoch: Callable[[], int],
        at: Callable[[], BinlogOffset],
        floors: Floors,
        dialect: SqlDialect = SqlDialect(),  # noqa: B008 - immutable
    ) -> None:
        self._source = source
        self._mapping = mapping
        self._epoch = epoch
        self._at = at
        self._floors = floors
        self.dialect = dialect
        """How the server reads SQL; set at every connect, because it may be another server."""
        self._named = {table.source: (table.schema, table.table) for table in mapping.tables}
        self._known: dict[str, _Known] = {}
        self._searched: BinlogOffset | None = None
        self._changes: list[tuple[BinlogOffset, frozenset[str]]] = []

    def learn(self) -> None:
        """
        Reads every table that is not known yet; what cannot be read now is left for later. Never raises.
        """
        with suppress(ConnectionLost):
            for name, table in self._named.items():
                if name not in self._known:
                    with suppress(CaptureStopped):
                        self._known[name] = self._read(*table)

    def forget(self) -> None:
        """Called when reading goes on in another binlog: offsets in the former one mean nothing there."""
        self._known.clear()
        self._changes.clear()
        self._searched = None

    def reshaped(self, tables: Iterable[str], end: int) -> None:
        """Called when DDL of these tables has been read that ends at offset `end` in the file of `at()`."""
        here = self._at()._replace(offset=end)
        for name in tables:
            # An answer from after this DDL is still right: it was given while capture lagged.
            if name in self._known and self._known[name].place.order < here.order:
                del self._known[name]
        self.learn()

    def same_values(self, name: str, columns: frozenset[str], end: BinlogOffset) -> bool:
        """
        Whether DDL that starts at `at()` and ends at `end` has kept every value of these columns.

        Raises ConnectionLost if that cannot be decided now: call it again after reconnecting.
        """
        before = self._known.get(name)
        # An answer from after the statement does not have the columns before it.
        if before is None or before.place.order > self._at().order:
            return False
        try:
            after = self._read(*self._named[name])
        except CaptureStopped:
            return False  # the table is gone
        # Another statement followed this one: `after` is not what it made.
        if self._changed(name, end, after.place):
            return False
        self._known[name] = after
        return keeps_values(before.columns, after.columns, columns)

    def __call__(self, schema: str, table: str) -> Sequence[Definition]:
        """
        The table's columns when the rows at `at()` were written.

        Raises CaptureStopped if that is not certain, RowsNotNeeded if a load since then shows these rows, and
        ConnectionLost while a statement is changing the table.
        """
        name, at = source_of(schema, table), self._at()
        if name not in self._known:
            self._known[name] = self._read(schema, table)
        found, place = self._known[name]
        later = self._changed(name, at, place)
        if not later:
            return found
        if self._is_loaded(name, later[-1]):  # the load has to be after the last one
            say(logging.INFO, "rows are skipped: the load shows them", table=name, up_to=str(later[0]))
            raise RowsNotNeeded
        raise CaptureStopped(
            f"the binlog does not name the columns of {name}, and at {later[0]} they were changed",
            f"{_FULL}, then start the capturer: it continues after that position",
            LOAD,
            [name],
        )

    def _changed(self, name: str, start: BinlogOffset, end: BinlogOffset) -> list[BinlogOffset]:
        """The offsets from `start` to `end` at which the table's columns may have changed."""
        self._search(start, end)
        return [
            place
            for place, tables in self._changes
            if name in tables and start.order <= place.order < end.order
        ]

    def _search(self, start: BinlogOffset, end: BinlogOffset) -> None:
        """
        Adds every change of columns from `start` to `end` to `_changes`; reads no part of the binlog twice.
        """
        start = max(start, self._searched or start, key=_order)
        if start.order >= end.order:
            return
        for place, query in statements(self._source, start, end):
            if tables := judge(
                query.sql, query.schema, self._mapping, self.dialect.under(query.sql_mode)
            ).reshapes:
                self._changes.append((place, tables))
        self._searched = end

    def _is_loaded(self, name: str, change: BinlogOffset) -> bool:
        place = change.position(self._epoch())
        return self._floors().get(name, "") > str(place)

    def _read(self, schema: str, table: str) -> _Known:
        """The columns as they are now, and the end of the binlog at that moment."""
        with closing(self._source.connect()) as connection:
            try:
                with _locked(connection, schema, table):  # over both queries: no DDL may come between
                    found = server.rows(connection, _COLUMNS, (schema, table))
                    end = snapshot.current_offset(connection, server.identify(connection))
            except pymysql.Error as error:
                raise self._explained(error, source_of(schema, table)) from error
        return _Known([_definition(row) for row in found], end)

    def _explained(self, error: pymysql.Error, name: str) -> Exception:
        if error.args[0] == _LOCK_TIMEOUT:
            return ConnectionLost(
                f"a statement holds the definition of {name}", "nothing to do: it is retried"
            )
        if error.args[0] in (_NO_SUCH_TABLE, _NO_SUCH_SCHEMA):
            return CaptureStopped(
                f"the binlog does not name the columns of {name}, and the table does not exist any more",
                f"bring the table back or leave it out of the mapping; {_FULL}, then start the capturer",
                LOAD,
                [name],
            )
        return self._source.explain(error)


def _order(place: BinlogOffset) -> tuple[int, int]:
    return place.order


@contextmanager
def _locked(connection: Any, schema: str, table: str) -> Iterator[None]:
    """Inside, no DDL of the table begins or ends: a SELECT's metadata lock is held until the COMMIT."""
    name = ".".join(f"`{part.replace('`', '``')}`" for part in (schema, table))
    server.execute(connection, f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
    server.execute(connection, "START TRANSACTION")
    server.rows(connection, f"SELECT 1 FROM {name} LIMIT 0")
    # No `finally`: the caller closes the connection, which ends the transaction.
    yield
    server.execute(connection, "COMMIT")


def _definition(row: Mapping[str, Any]) -> Definition:
    full = row["full"]
    computed = row["expression"] or ("auto_increment" if "auto_increment" in row["extra"] else "")
    return Definition(
        row["name"],
        row["type"],
        "unsigned" in full,
        row["charset"],
        labels(full),
        declared=full,
        nullable=row["nullable"] == "YES",
        computed=computed,
    )
