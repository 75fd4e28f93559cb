"""Conditions of the source server that the load and the capturer do not check themselves."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymysql

from rowferry.mapping import TableMapping
from rowferry.mysql import conditions as mysql_conditions
from rowferry.mysql import writers
from rowferry.mysql.conditions import Condition
from rowferry.mysql.replication import PROMOTE, replication
from rowferry.mysql.server import Connection, Server, rows

HOUR = 3600
_NOT_SEEN = "not visible"


def conditions(
    connection: Connection,
    server: Server,
    tables: Sequence[TableMapping],
    hours: float,
    server_id: int | None,
) -> Iterator[Condition]:
    """
    The conditions of the server and its tables. `hours`: the load's expected time; `server_id`: the
    capturer's, None where it runs already.
    """
    yield version(server)
    yield retention(connection, hours)
    if server_id is not None:
        yield free_id(connection, server, server_id)
    yield encrypted(connection)
    yield from role(connection, server)
    yield synced(connection)
    yield at_connect(connection)
    yield from writers.conditions(connection)
    yield prepared(connection)
    for table in tables:
        yield primary_key(connection, table)


def version(server: Server) -> Condition:
    """The oldest version that the tests run with."""
    oldest = (8, 0) if server.flavor == "mysql" else (10, 11)
    return Condition(
        "version",
        f"{server.flavor} {'.'.join(map(str, server.version))}",
        server.version >= oldest,
        "MySQL 8.0 or MariaDB 10.11, or later: older ones were not tried",
    )


def retention(connection: Connection, hours: float) -> Condition:
    """Binlogs have to outlast the load, with a margin for a capturer that is down."""
    wanted = max(24.0, 2 * hours)
    found, fix = _retention(connection)
    return Condition(
        "binlog retention",
        "unlimited" if found is None else f"{found:g} hours",
        found is None or found >= wanted,
        f"{fix} (at least {wanted:.0f} hours: twice the load, and a day)",
    )


def _retention(connection: Connection) -> tuple[float | None, str]:
    """The retention in hours, None: unlimited; and the statement that sets it."""
    amazon = _tried(
        connection, "SELECT value FROM mysql.rds_configuration WHERE name = 'binlog retention hours'"
    )
    if amazon:
        hours = amazon[0]["value"]
        fix = "CALL mysql.rds_set_configuration('binlog retention hours', 168)"
        # NULL is Amazon's default: a binlog is deleted as soon as possible.
        return (0.0 if hours is None else float(hours)), fix
    found = rows(
        connection,
        "SHOW GLOBAL VARIABLES WHERE variable_name IN ('binlog_expire_logs_seconds', 'expire_logs_days')",
    )
    seconds = {row["variable_name"]: float(row["value"]) for row in found}
    most = max(seconds.get("binlog_expire_logs_seconds", 0), seconds.get("expire_logs_days", 0) * 24 * HOUR)
    return (most / HOUR if most else None), "SET GLOBAL binlog_expire_logs_seconds = 604800"


def free_id(connection: Connection, server: Server, server_id: int) -> Condition:
    """Two replicas with one id disconnect each other."""
    own = int(rows(connection, "SELECT @@GLOBAL.server_id AS id")[0]["id"])
    # SHOW REPLICAS came with MySQL 8.0.22; 8.4 has no SHOW SLAVE HOSTS any more.
    new = server.flavor == "mysql" and server.version >= (8, 0, 22)
    found = _tried(connection, "SHOW REPLICAS" if new else "SHOW SLAVE HOSTS") or []
    taken = {own, *(int(row["server_id"]) for row in found)}
    return Condition(
        f"server id {server_id}",
        "in use" if server_id in taken else "free",
        server_id not in taken,
        "give the capturer another one: parameter SourceServerId",
    )


def encrypted(connection: Connection) -> Condition:
    """TLS of this connection; the capturer and the load connect in the same way."""
    found = rows(connection, "SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    cipher = str(found[0]["value"]) if found else ""
    return Condition(
        "TLS to the source",
        cipher or "none",
        bool(cipher),
        "add ?ca=FILE to --source, and the capturer's parameter: otherwise rows are sent unencrypted",
        needed=False,
    )


def role(connection: Connection, server: Server) -> Iterator[Condition]:
    """Capture may read a replica, but writes are fenced at its primary, which proves nothing about it."""
    found = replication(connection, server, mysql_conditions.settings_of(connection))
    if found.visible or found:
        yield Condition(
            "replication",
            f"replicates {found.described}" if found else "from no other server",
            not found,
            f"for capture and load it will do, but before the cutover: {PROMOTE}",
            needed=False,
        )
        return
    yield Condition(
        "replication",
        "not visible",
        holds=False,
        fix="GRANT SLAVE MONITOR ON *.* to see whether this is a replica: the cutover refuses one",
        needed=False,
    )


def synced(connection: Connection) -> Condition:
    """After a crash of its machine, the server may have rows whose changes its binlog has not."""
    found = rows(connection, "SHOW GLOBAL VARIABLES LIKE 'sync_binlog'")
    value = str(found[0]["value"]) if found else "1"
    return Condition(
        "sync_binlog",
        value,
        value == "1",
        "SET GLOBAL sync_binlog=1: else a crash of the machine loses the binlog's end, and not the rows",
        needed=False,
    )


def at_connect(connection: Connection) -> Condition:
    """The statement that the server runs in each session of those who are no administrators."""
    found = rows(connection, "SHOW GLOBAL VARIABLES LIKE 'init_connect'")
    text = str(found[0]["value"]) if found else ""
    bad = [name for name in ("sql_log_bin", "binlog_format", "binlog_row_image") if name in text.lower()]
    return Condition(
        "init_connect",
        f"sets {', '.join(bad)}" if bad else "sets nothing of the binlog",
        not bad,
        "take it out of init_connect and reconnect the writers: their changes are not in the binlog as rows",
    )


def prepared(connection: Connection) -> Condition:
    """Changes prepared before capture begins may be committed after it."""
    found = _tried(connection, "XA RECOVER")
    name = "XA transactions that are prepared"
    if found is None:
        return Condition(name, _NOT_SEEN, False, "GRANT XA_RECOVER_ADMIN to see them", needed=False)
    return Condition(
        name,
        str(len(found)),
        not found,
        "XA COMMIT or XA ROLLBACK them before capture begins, or it may stop there",
        needed=False,
    )


def primary_key(connection: Connection, table: TableMapping) -> Condition:
    """Without one two rows may be equal, and a table cannot be cut into chunks by it."""
    found = rows(
        connection,
        "SELECT COUNT(*) AS n FROM information_schema.statistics"
        " WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY'",
        (table.schema, table.table),
    )
    there = bool(found[0]["n"])
    return Condition(
        f"primary key of {table.source}",
        "there" if there else "missing",
        there,
        "ALTER TABLE ... ADD PRIMARY KEY, of the columns that make key and member",
    )


def rate(connection: Connection, seconds: float, sleep: Callable[[float], None]) -> float:
    """The source's write rate: bytes of binlog a second, measured for so many seconds."""
    before = _written(connection)
    sleep(seconds)
    return (_written(connection) - before) / seconds


def _written(connection: Connection) -> int:
    return sum(int(row["file_size"]) for row in rows(connection, "SHOW BINARY LOGS"))


def _tried(connection: Connection, sql: str) -> list[dict[str, Any]] | None:
    """The rows; None where the user may not run the query, or the server does not have it."""
    try:
        return rows(connection, sql)
    except (pymysql.err.OperationalError, pymysql.err.ProgrammingError, pymysql.err.InternalError):
        return None


def least(user: str, tables: Sequence[TableMapping]) -> list[str]:
    """SQL that grants a user what capturer, load and verify need, and no more."""
    names = [[f"`{part.replace('`', '``')}`" for part in (table.schema, table.table)] for table in tables]
    selects = [f"GRANT SELECT ON {'.'.join(name)} TO {user}" for name in names]
    return [
        f"CREATE USER {user} IDENTIFIED BY '...' REQUIRE SSL",
        f"GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO {user}",
        *dict.fromkeys(selects),
    ]
