"""
What the binlog does not tell of a table's columns: the server is asked.

Its answer is of now, and the rows may be of before an ALTER TABLE. So it counts only when the binlog holds
no statement that may have given the table other columns, from the rows up to the place at which the answer
was true. That place is known because the table's metadata lock is held while both are read: no DDL is
half done then. Events that name their columns need none of this.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

import pymysql

from capturer.ahead import statements
from capturer.binlog import ConnectionLost, Source
from capturer.decoder.schema import Definition, RowsNotNeeded, labels
from capturer.events import Boundary
from capturer.statements import judge
from capturer.telemetry import say
from rowferry import source as questions
from rowferry.errors import LOAD, CaptureStopped
from rowferry.mapping import Mapping as Tables
from rowferry.position import Position, file_number

LOCK_SECONDS = 5
"""How long an ALTER TABLE may hold a table's definition; below the patience with a silent server."""
_LOCK_TIMEOUT, _NO_SUCH_TABLE, _NO_SUCH_SCHEMA = 1205, 1146, 1049
_FULL = "SET GLOBAL binlog_row_metadata=FULL; empty the target of the table and load it again"
_COLUMNS = """
SELECT column_name AS name, data_type AS type, column_type AS full, character_set_name AS charset
FROM information_schema.columns WHERE table_schema = %s AND table_name = %s
ORDER BY ordinal_position
"""

type Floors = Callable[[], Mapping[str, str]]
"""For `schema.table`, the position up to which its load shows every change."""


class Definitions:
    """
    The columns of mapped tables, for rows that stand at or behind `at()`, the boundary read last.

    Costs nothing while table maps stay the same: then nobody asks.
    """

    def __init__(
        self, source: Source, mapping: Tables, epoch: int, at: Callable[[], Boundary], floors: Floors
    ) -> None:
        self._source = source
        self._mapping = mapping
        self._epoch = epoch
        self._at = at
        self._floors = floors
        self._searched: Boundary | None = None
        self._changes: list[tuple[Boundary, frozenset[str]]] = []

    def __call__(self, schema: str, table: str) -> Sequence[Definition]:
        """
        The table's columns when the rows at hand were written.

        CaptureStopped where that is not certain, RowsNotNeeded where a load since then shows these rows,
        ConnectionLost while a statement is changing the table.
        """
        found, end = self._read(schema, table)
        at = self._at()
        self._search(at, end)
        name = f"{schema}.{table}"
        later = [place for place, tables in self._changes if name in tables and place.order >= at.order]
        if not later:
            return found
        if self._is_loaded(name, later[-1]):
            say(logging.INFO, "rows are passed over: the load shows them", table=name, up_to=str(later[0]))
            raise RowsNotNeeded
        raise CaptureStopped(
            f"the binlog does not name the columns of {name}, and at {later[0]} they were changed",
            f"{_FULL}, then start the capturer: it goes on behind that place",
            LOAD,
            [name],
        )

    def _search(self, start: Boundary, end: Boundary) -> None:
        """Knows afterwards every change of columns from `start` to `end`, and reads nothing twice."""
        start = max(start, self._searched or start, key=_order)
        if start.order >= end.order:
            return
        for place, query in statements(self._source, start, end):
            if tables := judge(query.sql, query.schema, self._mapping).reshapes:
                self._changes.append((place, tables))
        self._searched = end

    def _is_loaded(self, name: str, change: Boundary) -> bool:
        place = Position(self._epoch, file_number(change.file), change.offset)
        return self._floors().get(name, "") > str(place)

    def _read(self, schema: str, table: str) -> tuple[Sequence[Definition], Boundary]:
        """The columns as they are now, and the end of the binlog at that moment."""
        with closing(self._source.connect()) as connection:
            try:
                with _locked(connection, schema, table):
                    found = questions.rows(connection, _COLUMNS, (schema, table))
                    end = questions.current_offset(connection, questions.identify(connection))
            except pymysql.Error as error:
                raise self._explained(error, f"{schema}.{table}") from error
        return [_definition(row) for row in found], Boundary(end.file, end.offset)

    def _explained(self, error: pymysql.Error, name: str) -> Exception:
        if error.args[0] == _LOCK_TIMEOUT:
            return ConnectionLost(
                f"a statement holds the definition of {name}", "nothing to do: it is tried again"
            )
        if error.args[0] in (_NO_SUCH_TABLE, _NO_SUCH_SCHEMA):
            return CaptureStopped(
                f"the binlog does not name the columns of {name}, and the table is not there any more",
                f"bring the table back or leave it out of the mapping; {_FULL}, then start the capturer",
                LOAD,
                [name],
            )
        return self._source.explain(error)


def _order(place: Boundary) -> tuple[int, int]:
    return place.order


@contextmanager
def _locked(connection: Any, schema: str, table: str) -> Iterator[None]:
    """Meanwhile no DDL of the table begins or ends: a SELECT's metadata lock stays up to the COMMIT."""
    name = ".".join(f"`{part.replace('`', '``')}`" for part in (schema, table))
    questions.execute(connection, f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
    questions.execute(connection, "START TRANSACTION")
    questions.rows(connection, f"SELECT 1 FROM {name} LIMIT 0")
    yield
    questions.execute(connection, "COMMIT")


def _definition(row: Mapping[str, Any]) -> Definition:
    unsigned = "unsigned" in row["full"]
    return Definition(row["name"], row["type"], unsigned, row["charset"], labels(row["full"]))
