"""Which server it is, and small queries to it, over any DB-API connection."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rowferry.mapping import TableMapping
from rowferry.mapping.source_name import source_of
from rowferry.mysql.dialect import SqlDialect
from rowferry.mysql.select import SourceColumn


class Connection(Protocol):
    """The part of a DB-API connection that is used. Drivers' own errors come through."""

    def cursor(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Server:
    """
    A server: flavor (`mysql` or `mariadb`), version, and what distinguishes it from other servers.

    `identity` is server_uuid (from MariaDB 10.11 on server_uid), or `server_id=N` if there is none. `dialect`
    is that of a session without a sql_mode.
    """

    flavor: str
    version: tuple[int, ...]
    identity: str
    lower_case_table_names: int = 0

    @property
    def dialect(self) -> SqlDialect:
        return SqlDialect(self.flavor, self.version, self.lower_case_table_names)


def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """All rows of a query as dictionaries, with column names in lower case. For small results only."""
    cursor = connection.cursor()
    try:
        # Without parameters, % is no placeholder to the driver.
        cursor.execute(sql, tuple(parameters) or None)
        names = [column[0].lower() for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        cursor.close()


def execute(connection: Connection, sql: str) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
    finally:
        cursor.close()


def identify(connection: Connection) -> Server:
    text = rows(connection, "SELECT VERSION() AS version")[0]["version"]
    flavor = "mariadb" if "mariadb" in text.lower() else "mysql"
    # Only what precedes the dash: `8.4.3-log`, `10.11.6-MariaDB-1:10.11.6`.
    version = tuple(map(int, re.findall(r"\d+", text.partition("-")[0])))
    variable = "server_uid" if flavor == "mariadb" and version >= (10, 11) else "server_uuid"
    asked = f"'{variable}', 'server_id', 'lower_case_table_names'"
    found = rows(connection, f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({asked})")
    values = {row["variable_name"]: row["value"] for row in found}
    identity = values.get(variable) or f"server_id={values.get('server_id')}"
    return Server(flavor, version, identity, int(values.get("lower_case_table_names") or 0))


def threads_running(connection: Connection) -> int:
    """Threads of the server that are not sleeping, this session's own included."""
    return int(rows(connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'")[0]["value"])


def replica_lag(connection: Connection) -> int | None:
    """Seconds that a replica is behind its source; None if it does not know, or is not a replica."""
    found = rows(connection, "SHOW SLAVE STATUS" if _says_slave(connection) else "SHOW REPLICA STATUS")
    behind = [row.get("seconds_behind_source", row.get("seconds_behind_master")) for row in found]
    known = [int(seconds) for seconds in behind if seconds is not None]
    return max(known) if known and len(known) == len(behind) else None  # one unknown channel: all unknown


def _says_slave(connection: Connection) -> bool:
    server = identify(connection)
    return server.flavor == "mariadb" or server.version < (8, 0, 22)  # SHOW REPLICA STATUS came with 8.0.22


def columns(connection: Connection, table: TableMapping) -> list[SourceColumn]:
    """
    The table's columns in their order, invisible ones included. Empty if there is no such table.

    With lower_case_table_names the server finds `Purchase` though the binlog says `purchase`: a name that is
    not spelled as stored counts as missing, because no change would ever match it.
    """
    found = rows(
        connection,
        "SELECT table_schema AS s, table_name AS t,"
        " column_name AS name, data_type AS type, character_set_name AS charset, collation_name AS collation,"
        " is_nullable AS nullable, numeric_precision AS digits"
        " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " ORDER BY ordinal_position",
        (table.schema, table.table),
    )
    return [
        SourceColumn(
            row["name"],
            row["type"].lower(),
            row["charset"],
            row["collation"],
            row["nullable"] == "YES",
            row["digits"],
        )
        for row in found
        if (row["s"], row["t"]) == (table.schema, table.table)
    ]


def spellings(connection: Connection, table: TableMapping) -> list[str]:
    """Tables whose name differs from the mapping's only in upper and lower case."""
    found = rows(
        connection,
        "SELECT table_schema AS s, table_name AS t FROM information_schema.tables"
        " WHERE LOWER(table_schema) = LOWER(%s) AND LOWER(table_name) = LOWER(%s)",
        (table.schema, table.table),
    )
    return sorted(source_of(row["s"], row["t"]) for row in found)


def carried(table: TableMapping, found: Iterable[SourceColumn]) -> list[SourceColumn]:
    """The columns of the table that the mapping carries."""
    return [column for column in found if table.travels(column.name)]
