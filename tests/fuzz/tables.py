"""The tables of one episode: a mapped one, another one, and what leads from others to the mapped one."""

from dataclasses import replace
from random import Random
from typing import Any

import pymysql

from lab.server import Server
from rowferry.mapping import Mapping
from rowferry.mysql.dialect import folded
from rowferry.mysql.server import identify
from tests.fuzz.kinds import MARIADB
from tests.fuzz.words import NAMES
from tests.support.matrix_bed import rows_as_items

_PARTS = "(PARTITION p0 VALUES LESS THAN (2), PARTITION p1 VALUES LESS THAN (9999))"
_BASE = Mapping.parse(rows_as_items(["t"])).tables[0]


def quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


class FuzzTables:
    """
    Random names, and tables with them on the server, all made outside of the binlog.

    `schema`.`table` is the mapped one, with the column `column`, and `unsent`, which does not travel.
    `beside`.`other` is not mapped; its column and its index are called `label`.
    """

    def __init__(self, server: Server, random: Random) -> None:
        self.random, self.flavor = random, server.flavor
        self.temporary = ""
        self.made = 0  # how often the mapped table was made
        self.connection = server.connect(database=None, charset="utf8mb4", ssl_disabled=True)
        self.server = identify(self.connection)
        # Apart also where case does not count.
        names = list({folded(name): name for name in random.sample(NAMES, 18)}.values())
        self.schema, self.table, self.column, self.unsent, self.other = names[:5]
        # Two schemas most of the time; a column of the other table is often called like the mapped table.
        self.beside = self.schema if random.random() < 0.3 else names[5]
        self.apart = self.beside != self.schema
        self.label = self.table if self.apart and random.random() < 0.6 else names[6]
        self.partitioned = random.random() < 0.3
        if self.flavor == MARIADB and "/" in self.table:
            self.partitioned = False  # MariaDB 10.11 loses such a table at DROP PARTITION, with an error
        narrow = {"include": (self.column,), "exclude": frozenset[str]()}
        wide = {"exclude": frozenset([self.unsent])}
        chosen: dict[str, Any] = narrow if random.random() < 0.4 else wide
        (self.mapped,) = Mapping((replace(_BASE, schema=self.schema, table=self.table, **chosen),)).tables
        self.mapping = Mapping((self.mapped,))
        self.build()

    def __str__(self) -> str:
        names = self.schema, self.table, self.column, self.unsent, self.beside, self.other, self.label
        return "mapped {!r}.{!r} ({!r}, {!r}), beside {!r}.{!r} ({!r})".format(*names)

    def sql(self, *statements: str) -> None:
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def rows(self, statement: str) -> tuple[Any, ...]:
        with self.connection.cursor(pymysql.cursors.Cursor) as cursor:
            cursor.execute(statement)
            self.names = [column[0] for column in cursor.description]
            return tuple(cursor.fetchall())

    @property
    def main(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.table)}"

    def _there(self, name: str) -> str:
        return f"{quoted(self.beside)}.{quoted(name)}"

    def build(self) -> None:
        self.quietly()
        self.sql(*(f"DROP DATABASE IF EXISTS {quoted(one)}" for one in {self.schema, self.beside}))
        self.sql(*(f"CREATE DATABASE {quoted(one)}" for one in {self.schema, self.beside}))
        self._build_main()
        self._build_other()
        on = f"FOR EACH ROW UPDATE {self.main} SET id = id + 100"
        self.sql(
            f"CREATE TABLE {self._there('parts')} LIKE {self.main}",
            f"CREATE TABLE {self._there('led')} (id INT)",
            f"CREATE TRIGGER {self._there('led_trigger')} AFTER INSERT ON {self._there('led')} {on}",
            f"CREATE VIEW {self._there('view')} AS SELECT * FROM {self.main}",
            f"CREATE FUNCTION {self._there('routine')}() RETURNS INT DETERMINISTIC"
            f" BEGIN DELETE FROM {self.main} WHERE id = 1; RETURN 77; END",
        )
        if not self.partitioned:
            self.sql(f"ALTER TABLE {self._there('parts')} PARTITION BY RANGE (id) {_PARTS}")
        self.expected = self._all_tables()

    def _build_main(self) -> None:
        parts = f" PARTITION BY RANGE (id) {_PARTS}" if self.partitioned else ""
        self.sql(
            f"DROP TABLE IF EXISTS {self.main}",
            f"CREATE TABLE {self.main} (id INT PRIMARY KEY, {quoted(self.column)} INT,"
            f" {quoted(self.unsent)} VARCHAR(20)){parts}",
            f"INSERT INTO {self.main} VALUES (1, 1000, 'a'), (2, NULL, NULL), (3, 5, 'c')",
        )
        self.made += 1
        self.before, self.main_made = self.items(), self._made(self.main)

    def _build_other(self) -> None:
        there = self._there(self.other)
        self.sql(
            f"DROP TABLE IF EXISTS {there}",
            f"CREATE TABLE {there} (id INT PRIMARY KEY, {quoted(self.label)} INT,"
            f" KEY {quoted(self.label)} (id))",
            f"INSERT INTO {there} VALUES (1, 1), (4, 4)",
        )
        self.other_made = self._made(there)

    def quietly(self) -> None:
        self.sql("SET sql_log_bin = 0, sql_mode = ''")

    def _made(self, table: str) -> Any:
        try:
            return self.rows(f"SHOW CREATE TABLE {table}"), self.rows(
                f"SELECT COUNT(*), SUM(id) FROM {table}"
            )
        except pymysql.Error:
            return None

    def _all_tables(self) -> frozenset[tuple[str, str]]:
        both = ", ".join(self.connection.escape(one) for one in (self.schema, self.beside))
        return frozenset(
            self.rows(
                "SELECT table_schema, table_name FROM information_schema.tables"
                f" WHERE table_schema IN ({both})"
            )
        )

    def items(self) -> Any:
        """The rows as the target has them; none if the table cannot be read."""
        try:
            found = self.rows(f"SELECT * FROM {self.main}")
        except pymysql.Error:
            return []
        return sorted(
            repr(
                sorted(
                    (k, v)
                    for k, v in zip(self.names, row, strict=True)
                    if v is not None and self.mapped.travels(k)
                )
            )
            for row in found
        )

    def restore(self) -> None:
        """What a statement has done to the tables is undone, outside of the binlog."""
        self.quietly()
        if self.temporary:
            self.sql(f"DROP TEMPORARY TABLE IF EXISTS {self._there(self.temporary)}")
        self.sql("SET SESSION binlog_format = ROW")
        tables = self._all_tables()
        for schema, table in tables - self.expected:
            name = f"{quoted(schema)}.{quoted(table)}"
            for kind in ("VIEW", "SEQUENCE", "TABLE") if self.flavor == MARIADB else ("VIEW", "TABLE"):
                try:
                    self.sql(f"DROP {kind} IF EXISTS {name}")
                except pymysql.Error:
                    continue
        lost = self.expected - tables - {(self.schema, self.table), (self.beside, self.other)}
        if lost or not self._is_led():
            self.build()
            return
        if self._made(self.main) != self.main_made or self.items() != self.before:
            self._build_main()
        if self._made(self._there(self.other)) != self.other_made:
            self._build_other()

    def _is_led(self) -> bool:
        """The trigger and the routine are there: a schema may have been dropped and made again."""
        found = self.rows(
            "SELECT (SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_name = 'led_trigger')"
            " + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_name = 'routine')"
        )
        there = {row[0] for row in self.rows("SHOW DATABASES")}
        return bool(found == ((2,),)) and {self.schema, self.beside} <= there
