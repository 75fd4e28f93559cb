"""Sessions of others whose own settings keep their changes out of the binlog, or out of its rows."""

from collections.abc import Iterator
from typing import Any

from rowferry.mysql.condition import Condition
from rowferry.mysql.server import Connection, rows

NOT_SEEN = "not visible"
_NOT_ALLOWED = frozenset([1044, 1142, 1143, 1227, 1146, 1109])
"""No right to the table, or none of that name: MariaDB does not show the settings of other sessions."""


def conditions(connection: Connection) -> Iterator[Condition]:
    """A session keeps the settings that were global when it began, or has set its own."""
    yield _sessions(
        connection,
        "sessions that log statements",
        "variable_name = 'binlog_format' AND variable_value <> 'ROW'",
        "SET GLOBAL binlog_format=ROW, and reconnect these sessions (SHOW PROCESSLIST)",
        needed=True,
    )
    yield _sessions(
        connection,
        "sessions that log parts of rows",
        "variable_name = 'binlog_row_image' AND variable_value <> 'FULL'",
        "SET GLOBAL binlog_row_image=FULL, and reconnect these sessions (SHOW PROCESSLIST)",
        needed=True,
    )
    yield _sessions(
        connection,
        "sessions without the binlog",
        "variable_name = 'sql_log_bin' AND variable_value = 'OFF'",
        "SET sql_log_bin=1 in them (SHOW PROCESSLIST): what they write to mapped tables is lost",
        needed=False,
    )


def _sessions(connection: Connection, name: str, which: str, fix: str, *, needed: bool) -> Condition:
    found = tried(
        connection, f"SELECT COUNT(*) AS n FROM performance_schema.variables_by_thread WHERE {which}"
    )
    if found is None:
        grant = "GRANT SELECT ON performance_schema.* to see them; MariaDB does not show them"
        return Condition(name, NOT_SEEN, False, grant, needed=False)
    return Condition(name, str(found[0]["n"]), not found[0]["n"], fix, needed)


def tried(connection: Connection, sql: str) -> list[dict[str, Any]] | None:
    """The rows; None where the user may not run the query, or the server does not have it."""
    try:
        return rows(connection, sql)
    except Exception as error:
        if not error.args or error.args[0] not in _NOT_ALLOWED:
            raise
        return None
