"""
Asks the source again what preflight has demanded: at every connect, after DDL of a mapped table, and now and
then while capture runs.

Two mechanisms, because the server's state is of now, and a statement in the binlog is of then: what holds now
is asked over an ordinary connection; a foreign key that was made and dropped while the capturer was down is
seen in the statement. Where both speak, the statement's position is the better one to stop at.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, NamedTuple

import pymysql

from capturer.ddl.verdicts import RELOAD, Verdict
from capturer.source.binlog import ConnectionLost, ReplicationClient
from capturer.telemetry import say
from rowferry.errors import LOAD, PASS, CaptureStopped
from rowferry.mapping import Mapping, TableMapping
from rowferry.mysql import conditions, server, writers
from rowferry.mysql.conditions import Condition
from rowferry.mysql.foreign_keys import UNSEEN

EVERY = 60.0
"""Seconds between looks while capture runs: a dozen small queries each."""
TABLES_AT_ONCE = 20  # of a look: with more mapped tables, the next ones at the next
LOCK_SECONDS = 5  # to wait for an ALTER TABLE that holds a table's definition


class Lacking(NamedTuple):
    """What does not hold any more, as CaptureStopped takes it. `fix` may have `{at}` for the position."""

    found: str
    fix: str
    remedy: str
    tables: frozenset[str]


class Demands:
    """For one thread. `clock` returns seconds and never goes back."""

    def __init__(
        self,
        source: ReplicationClient,
        mapping: Mapping,
        clock: Callable[[], float],
        every: float = EVERY,
    ) -> None:
        self._source = source
        self._mapping = mapping
        self._clock = clock
        self._every = every
        self._due = clock() + every
        self._next_table = 0
        self._keys_logged = False
        self._advised: set[str] = set()

    def check_now(self) -> None:
        """
        Asks everything; for every connect.

        Raises CaptureStopped if a condition does not hold any more, ConnectionLost or SourceNotReady if it
        cannot be asked.
        """
        self._require(self._ask(self._mapping.tables))
        self._due = self._clock() + self._every

    def look(self) -> None:
        """Asks if it is time. Raises CaptureStopped or SourceNotReady; asks later if the source is away."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + self._every
        try:
            found = self._ask(self._turn(), sessions=True)
        except ConnectionLost:  # the connection that reads the binlog notices by itself
            return
        self._advise(found)
        self._require(found)

    def after(self, verdict: Verdict) -> Lacking | None:
        """
        What does not hold since this statement, which does not stop capture by itself.

        Raises ConnectionLost if that cannot be asked now: call it again after reconnecting.
        """
        if verdict.acting and not self._keys_logged:
            ((table, action), *_) = sorted(verdict.acting)
            fix = f"drop the key or make it again with RESTRICT; {RELOAD}"
            return Lacking(f"a foreign key of {table} with {action}: {UNSEEN}", fix, PASS, frozenset([table]))
        asked = [table for table in self._mapping.tables if table.source in verdict.asks]
        return self._lacking(self._ask(asked, only_tables=True)) if asked else None

    def _turn(self) -> Sequence[TableMapping]:
        tables = self._mapping.tables
        start, self._next_table = self._next_table, self._next_table + TABLES_AT_ONCE
        if self._next_table >= len(tables):
            self._next_table = 0
        return tables[start : start + TABLES_AT_ONCE]

    def _ask(
        self, tables: Sequence[TableMapping], *, only_tables: bool = False, sessions: bool = False
    ) -> list[Condition]:
        with closing(self._source.connect()) as connection:
            try:
                return list(self._asked(connection, tables, only_tables, sessions))
            except (pymysql.Error, OSError) as error:
                raise self._source.explain(error) from error

    def _asked(
        self, connection: Any, tables: Sequence[TableMapping], only_tables: bool, sessions: bool
    ) -> Iterator[Condition]:
        server.execute(connection, f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
        who, settings = server.identify(connection), conditions.settings_of(connection)
        self._keys_logged = conditions.logs_foreign_keys(who, settings)
        if not only_tables:
            yield from conditions.of_server(connection, who, self._mapping, settings)
        for table in tables:
            yield from conditions.of_table(connection, table, self._keys_logged)
        if sessions:
            # Only advice here: what such a session writes to a mapped table stops capture by itself.
            for one in writers.conditions(connection):
                if one.found != writers.NOT_SEEN:
                    yield replace(one, needed=False)

    def _advise(self, found: Iterable[Condition]) -> None:
        """Logs advice that was not given before."""
        lines = set(conditions.advice(found))
        for line in sorted(lines - self._advised):
            say(logging.WARNING, line)
        self._advised = lines

    def _require(self, found: Iterable[Condition]) -> None:
        if lacking := self._lacking(found):
            raise CaptureStopped(lacking.found, lacking.fix, lacking.remedy, lacking.tables)

    def _lacking(self, found: Iterable[Condition]) -> Lacking | None:
        # A table or column that is gone now may still be there in what is to be read; the statement that
        # removed it stops capture, with its position.
        broken = [one for one in conditions.broken(found) if not one.name.startswith(("table ", "column "))]
        if not broken:
            return None
        text, fix = conditions.summary(broken)
        losing = [one for one in broken if one.loses]
        tables = {source for one in losing for source in self._concerned(one)}
        return Lacking(f"{text}, which it was not before", fix, LOAD if losing else "", frozenset(tables))

    def _concerned(self, condition: Condition) -> list[str]:
        """The tables that have to be loaded again: the condition's own, or all for one of the server."""
        every = [table.source for table in self._mapping.tables]
        return [source for source in every if condition.name.endswith(f" of {source}")] or every
