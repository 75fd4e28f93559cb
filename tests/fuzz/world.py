"""A mapped table on a real server, others beside it, and capture reading what statements do to them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pymysql

from capturer.decoder.events import Heartbeat
from capturer.source.binlog import Binlog, ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.events import Event
from capturer.source.place import Place
from capturer.source.reach import StatementReach
from capturer.source.transactions import Transactions
from lab.server import Server
from rowferry.errors import CaptureStopped
from rowferry.mysql import snapshot
from rowferry.position import BinlogOffset
from tests.fuzz.kinds import KINDS, MARIADB, StatementKind
from tests.fuzz.tables import FuzzTables, quoted
from tests.fuzz.words import NAMES, SqlWriter

EPISODE = 40
"""Statements with the same names, before others are chosen."""
_MODES = ("", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES", "STRICT_ALL_TABLES")


class _Client(ReplicationClient):
    """Without encryption: a connection for every other statement would spend most of the time on it."""

    @property
    def settings(self) -> dict[str, Any]:
        return {**super().settings, "ssl": None, "ssl_disabled": True}


@dataclass(slots=True)
class FuzzTally:
    """What was run: statements by line, how many the server refused, what capture did, what was wrong."""

    done: int = 0
    refused: int = 0
    stopped: int = 0
    changed: int = 0
    lines: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    abandoned: int = 0


class Episode:
    """Statements on the same tables, and capture reading what they do."""

    def __init__(self, server: Server, random: Random, tally: FuzzTally) -> None:
        self.random, self.tally, self.flavor = random, tally, server.flavor
        self.tables = FuzzTables(server, random)
        self.server = self.tables.server
        self.hidden = (f"`{self.tables.table}`".replace("``", ""), self.tables.table, "purchase")
        account = server.capture
        self.source = _Client(server.host, server.port, account.user, account.password, 4790)
        self.reach = StatementReach(self.source, self.tables.mapping)
        self._begin()

    # Capture

    def _begin(self) -> None:
        self._define()
        start = snapshot.current_offset(self.tables.connection, self.server)
        self.transactions = self._transactions(start)
        self.binlog = Binlog(
            self.source,
            self.tables.mapping,
            start,
            self._defined,
            self._reshaped,
            self.server.dialect,
        )
        self.events = self.binlog.events()
        self.definitions.learn()

    def _transactions(self, start: BinlogOffset) -> Transactions:
        return Transactions(
            self.tables.mapping,
            Place.of(1, start),
            same_values=self._same_values,
            dialect=self.server.dialect,
            leads=self.reach,
        )

    def _define(self) -> None:
        self.made = self.tables.made
        self.definitions = Definitions(
            self.source,
            self.tables.mapping,
            lambda: 1,
            lambda: self.transactions.boundary,
            dict,
            self.server.dialect,
        )

    # `definitions` is another one each time that the table has been made again.

    def _defined(self, schema: str, table: str) -> Any:
        return self.definitions(schema, table)

    def _reshaped(self, tables: Any, end: int) -> None:
        self.definitions.reshaped(tables, end)

    def _same_values(self, table: str, columns: frozenset[str], end: BinlogOffset) -> bool:
        return self.definitions.same_values(table, columns, end)

    def captured(self) -> str:
        """Feeds capture to the end of the binlog; why it stopped, empty if it did not."""
        end = snapshot.current_offset(self.tables.connection, self.server)
        if self.transactions.boundary.order >= end.order:
            return ""
        why = ""
        for event in self._until(end):
            if not why:
                try:
                    self.transactions.feed(event)
                except CaptureStopped as stopped:
                    why = stopped.found
        if why:
            self.transactions = self._transactions(end)
        return why

    def _until(self, end: BinlogOffset) -> Iterator[Event]:
        for event in self.events:
            yield event
            # An idle server says how far it has read.
            place = event.offset if isinstance(event, Heartbeat) else getattr(event, "end", 0)
            if place >= end.offset:
                return

    def close(self) -> None:
        self.binlog.close()
        self.tables.quietly()
        self.tables.sql(
            *(f"DROP DATABASE IF EXISTS {quoted(one)}" for one in {self.tables.schema, self.tables.beside})
        )
        self.tables.connection.close()

    # Statements

    def step(self) -> None:
        """One random statement."""
        kind = self.random.choice([one for one in KINDS if one.on(self.flavor)])
        mode = self.random.choice(_MODES)
        default = self.random.choice([self.tables.schema, self.tables.beside, self.tables.beside])
        if kind.as_statement and not kind.names_mapped:
            default = self.tables.beside  # elsewhere a column called like the mapped table may be that table
        text = self._text(kind, mode, default)
        self.tables.restore()
        if self.tables.made != self.made:
            self._define()
        before = self.tables.before
        if kind.missing:
            self.tables.sql(f"DROP TABLE IF EXISTS {self.tables.main}")
            before = []
        self.definitions.learn()
        self.tables.sql(
            f"USE {quoted(default)}",
            f"SET sql_log_bin = 1, sql_mode = '{mode}'",
            f"SET SESSION binlog_format = '{'STATEMENT' if kind.as_statement else 'ROW'}'",
        )
        self.tally.done += 1
        self.tally.lines[kind.line] += 1
        try:
            self.tables.sql(text)
        except pymysql.Error:
            self.tally.refused += 1
        self.tables.temporary = self.alike if "TEMPORARY" in text else ""
        self.tables.sql("SET sql_mode = ''")
        why, after = self.captured(), self.tables.items()
        self.tally.stopped += bool(why)
        self.tally.changed += after != before
        wrong = "goes on, but the rows changed" if after != before and not why else ""
        if why and not kind.names_mapped:
            wrong = f"stops ({why})"
        if wrong:
            self.tally.failures.append(
                f"{wrong}: {text!r} in {default!r} under {mode!r}; {self.tables}: {before} -> {after}"
            )

    def _text(self, kind: StatementKind, mode: str, default: str) -> str:
        writer = SqlWriter(
            self.random,
            self.flavor == MARIADB,
            "ANSI" in mode,
            "BACKSLASH" not in mode,
            self.hidden,
        )
        taken = {
            self.tables.table,
            self.tables.other,
            self.tables.label,
            self.tables.column,
            self.tables.unsent,
            "id",
        }
        free = self.random.choice([name for name in NAMES if not {name.lower(), name.upper(), name} & taken])
        alike = self.tables.table if self.tables.apart else f"{self.tables.table}2"
        if (
            self.random.random() < 0.3
            and self.tables.table.swapcase().lower()
            == self.tables.table.lower()
            != self.tables.table.swapcase()
        ):
            alike = self.tables.table.swapcase()
        if alike in {self.tables.other, self.tables.label}:
            alike = f"{alike}3"
        names = {
            "{T}": self._where(writer, self.tables.schema, self.tables.table, default),
            "{O}": self._where(writer, self.tables.beside, self.tables.other, default),
            "{S}": writer.name(self.tables.beside),
            "{M}": writer.name(self.tables.schema),
            "{C}": writer.name(self.tables.column),
            "{N}": writer.name(self.tables.unsent),
            "{L}": writer.name(self.tables.label),
            "{W}": writer.name(free),
            "{D}": writer.name(alike),
            "{Q}": writer.dotted(
                *self.random.choice([(self.tables.table,), (self.tables.schema, self.tables.table)])
            ),
            "{P}": writer.name(self.tables.other),
        }
        words = self.random.choice(kind.on(self.flavor)).split(" ")
        self.alike = alike
        return writer.join([writer.text() if word == "{X}" else names.get(word, word) for word in words])

    def _where(self, writer: SqlWriter, schema: str, table: str, default: str) -> str:
        if schema == default and self.random.random() < 0.6:
            return writer.name(table)
        return writer.dotted(schema, table)


def run(server: Server, seed: int, statements: int, report: Any = None) -> FuzzTally:
    """Runs so many statements; the same seed gives the same ones. `report` takes the tally now and then."""
    tally, episode = FuzzTally(), 0
    while tally.done < statements:
        try:
            _episode(server, Random(f"{seed}/{episode}"), tally, statements)
        except pymysql.Error:
            # What a statement left behind, such as the file of a discarded partition, the server itself trips
            # over when the table is made again.
            tally.abandoned += 1
            if tally.abandoned > 3 + episode // 10:
                raise
        episode += 1
        if report:
            report(tally)
    return tally


def _episode(server: Server, random: Random, tally: FuzzTally, statements: int) -> None:
    episode = Episode(server, random, tally)
    try:
        for _ in range(min(EPISODE, statements - tally.done)):
            episode.step()
    finally:
        episode.close()
