"""
Rows that cannot, or should not, become members and items: found by queries over whole tables, each with a
time limit.

Only where keys and names are columns' values; problems of templates and hooks are found by the load.
"""

from collections.abc import Iterator
from typing import Any

import pymysql

from rowferry.mapping import EXPIRES, POSITION, TableMapping
from rowferry.mysql.conditions import Condition
from rowferry.mysql.select import quoted
from rowferry.mysql.server import Connection, Server, rows

WORST = 10
LARGEST = 400 * 1024
"""Bytes of an item (DynamoDB developer guide, "Constraints")."""
HOT_SHARE, HOT_ROWS = 0.1, 10_000
"""
A hash key with a larger share of a table's rows is limited by one partition, 1,000 WCU/s, whatever the table
takes.
"""


class Data:
    """The queries over one table. `seconds`: the time limit of each."""

    def __init__(self, connection: Connection, server: Server, table: TableMapping, seconds: float) -> None:
        self._connection = connection
        self._server = server
        self._table = table
        self._seconds = seconds
        self._keys = [key.column for key in table.keys if key.column]
        self._member = table.member_name if isinstance(table.member_name, str) else None

    def conditions(self) -> Iterator[Condition]:
        """Conditions of a table whose keys and names are columns' values; none for other tables."""
        if not self._plain:
            return
        if self._member:
            yield self._named("two rows in one place", self.doubles(), True, "make the mapped columns unique")
            yield self._named(
                "groups over 400 KB", self.large(), True, "map it as item-per-row, or by another key"
            )
            yield self._named("names that are taken", self.taken(), True, 'give the members a prefix = "..."')
        yield self._named(
            "hot hash keys",
            self.hot(),
            False,
            "each is one partition, 1,000 WCU/s: use another column as the hash key, or load more slowly",
        )

    @property
    def _plain(self) -> bool:
        table = self._table
        named = self._member is not None or table.member_name is None
        return table.hook is None and len(self._keys) == len(table.keys) and named

    def _named(self, what: str, found: list[str] | None, needed: bool, fix: str) -> Condition:
        name = f"{what} of {self._table.source}"
        if found is None:
            return Condition(
                name,
                f"not known after {self._seconds:g} s",
                False,
                "raise --max-seconds, or run it at night",
                False,
            )
        return Condition(name, "; ".join(found) or "none", not found, fix, needed)

    def doubles(self) -> list[str] | None:
        """
        Places with several rows. Compared as bytes: values that only the collation finds equal make two
        items.
        """
        places = [*self._keys, str(self._member)]
        # The primary key is among them, so no two rows can be equal in all.
        if set(self._primary()) <= set(places):
            return []
        grouped = ", ".join(f"BINARY {quoted(column)}" for column in places)
        shown = ", ".join(f"MIN({quoted(column)}) AS {quoted(column)}" for column in places)
        return self._worst(
            f"SELECT {shown}, COUNT(*) AS n FROM {self._name} GROUP BY {grouped} HAVING COUNT(*) > 1", "rows"
        )

    def large(self) -> list[str] | None:
        """By the bytes of names and values in MySQL: a lower estimate of the item's."""
        value = self._table.member_value
        sized = [str(self._member), *(value.columns if value else ())]
        bytes_ = " + ".join(f"IFNULL(LENGTH({quoted(column)}), 0)" for column in sized)
        keys = ", ".join(map(quoted, self._keys))
        return self._worst(
            f"SELECT {keys}, SUM({bytes_}) AS n FROM {self._name} GROUP BY {keys} HAVING n > {LARGEST}",
            "bytes",
        )

    def hot(self) -> list[str] | None:
        """Hash keys with a large share of the rows of a large table."""
        key = quoted(self._keys[0])
        return self._worst(
            f"SELECT {key}, COUNT(*) AS n FROM {self._name} GROUP BY {key}"
            f" HAVING n > {HOT_ROWS} AND n > {HOT_SHARE} * (SELECT COUNT(*) FROM {self._name})",
            "rows",
        )

    def taken(self) -> list[str] | None:
        """Names of members that key attributes or Rowferry's own attributes have; and the empty name."""
        if self._table.attribute is not None:
            return []
        names = [key.attribute for key in self._table.keys] + [POSITION, EXPIRES]
        prefix = self._table.prefix
        inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        wanted = ", ".join(["%s"] * len(inside))
        member = quoted(str(self._member))
        # An IN without values is not SQL.
        if not inside:
            return []
        return self._worst(
            f"SELECT {member}, COUNT(*) AS n FROM {self._name} WHERE BINARY {member} IN ({wanted})"
            f" GROUP BY {member}",
            "rows",
            tuple(inside),
        )

    @property
    def _name(self) -> str:
        return f"{quoted(self._table.schema)}.{quoted(self._table.table)}"

    def _primary(self) -> list[str]:
        found = rows(
            self._connection,
            "SELECT column_name AS part FROM information_schema.statistics"
            " WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY'",
            (self._table.schema, self._table.table),
        )
        return [row["part"] for row in found] or [""]

    def _worst(self, sql: str, unit: str, values: tuple[Any, ...] = ()) -> list[str] | None:
        """The ten worst, by their keys; None where the query exceeds the time limit."""
        limited = f"{sql} ORDER BY n DESC LIMIT {WORST}"
        try:
            self._limit(self._seconds)
            found = rows(self._connection, limited, values)
        except (pymysql.err.OperationalError, pymysql.err.InternalError) as error:
            if error.args[0] not in (3024, 1969):  # MySQL's and MariaDB's number for the time limit
                raise
            return None
        finally:
            self._limit(0)  # no limit: the connection is used for other queries
        return [_line(row, unit) for row in found]

    def _limit(self, seconds: float) -> None:
        mysql = self._server.flavor == "mysql"
        limit = f"max_execution_time = {int(seconds * 1000)}" if mysql else f"max_statement_time = {seconds}"
        with self._connection.cursor() as cursor:
            cursor.execute(f"SET SESSION {limit}")


def _line(row: dict[str, Any], unit: str) -> str:
    keys = ", ".join(f"{name} {value!r}" for name, value in row.items() if name != "n")
    return f"{keys} ({int(row['n']):,} {unit})"
