"""
Questions to the MySQL or MariaDB server, over any DB-API connection.

What must hold before a byte is copied, and the watermark that a chunk starts from.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Protocol

from rowferry.errors import SourceNotReady
from rowferry.foreign_keys import actions
from rowferry.mapping import Mapping, TableMapping
from rowferry.position import Position, file_number
from rowferry.select import NOT_CARRIED, Column, described, reading

NO_SUCH_TABLE = 1146
SILENT_SECONDS = 5
LOOK_AGAIN = 0.01  # seconds: what is prepared has its outcome after a round trip or two


class Connection(Protocol):
    """What is used of a DB-API connection."""

    def cursor(self) -> Any:
        """A new cursor."""


@dataclass(frozen=True, slots=True)
class Server:
    """Who answers: flavor (`mysql` or `mariadb`), version, and what tells it from any other server."""

    flavor: str
    version: tuple[int, ...]
    identity: str


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One thing that must hold: what was found, whether it will do, and the fix if not.

    What is not `needed` is advice: a move goes without it, with what `fix` says it is good for.
    """

    name: str
    found: str
    holds: bool
    fix: str
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Watermark:
    """
    The binlog position that a snapshot shows everything up to.

    `file` is the binlog file's name, `offset` a transaction boundary in it.
    """

    file: str
    offset: int

    def position(self, epoch: int) -> Position:
        """Above every change in the snapshot's past, below every later one."""
        return Position(epoch, file_number(self.file), self.offset)


def rows(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """All rows of a query as dictionaries, names in lower case."""
    cursor = connection.cursor()
    try:
        cursor.execute(sql, tuple(parameters) or None)
        names = [column[0].lower() for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    finally:
        cursor.close()


def execute(connection: Connection, sql: str) -> None:
    """Runs a statement that returns nothing."""
    cursor = connection.cursor()
    try:
        cursor.execute(sql)
    finally:
        cursor.close()


def identify(connection: Connection) -> Server:
    """The server behind the connection."""
    text = rows(connection, "SELECT VERSION() AS version")[0]["version"]
    flavor = "mariadb" if "mariadb" in text.lower() else "mysql"
    version = tuple(map(int, re.findall(r"\d+", text.partition("-")[0])))
    variable = "server_uid" if flavor == "mariadb" and version >= (10, 11) else "server_uuid"
    found = rows(connection, f"SHOW GLOBAL VARIABLES WHERE variable_name IN ('{variable}', 'server_id')")
    values = {row["variable_name"]: row["value"] for row in found}
    return Server(flavor, version, values.get(variable) or f"server_id={values.get('server_id')}")


def current_offset(connection: Connection, server: Server) -> Watermark:
    """
    Where the binlog ends. It may be AHEAD of what a SELECT shows: a
    transaction stands in the binlog before the engine has committed it.
    """
    renamed = server.flavor == "mysql" and server.version >= (8, 2)
    found = rows(connection, f"SHOW {'BINARY LOG' if renamed else 'MASTER'} STATUS")
    if not found:
        raise SourceNotReady("the binlog is off", "set log_bin and restart the server")
    return Watermark(found[0]["file"], int(found[0]["position"]))


def begin_snapshot(
    connection: Connection, server: Server, tell: Callable[[str], None] = lambda _: None
) -> Watermark:
    """
    Starts a consistent read and returns its watermark: every change before it
    is visible in the transaction, changes after it may be.

    The end of the binlog alone would not do, because a transaction is in the
    binlog before it is visible; with sync_binlog=1 that gap lasts as long as
    the disk takes. Every transaction that was under way when the watermark was
    read is waited for; `tell` hears why, when that takes long.
    """
    if server.flavor == "mariadb":
        return _begin_on_mariadb(connection, tell)
    end = current_offset(connection, server)
    _wait_until_visible(connection, tell)
    execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    return end


def _begin_on_mariadb(connection: Connection, tell: Callable[[str], None]) -> Watermark:
    """
    MariaDB tells up to where the engine has committed, and the position of a snapshot
    (https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/), with two traps:
    an XA transaction is committed behind that, and all sessions that ask for status at the same time share
    one answer, so it may be another session's and too high. What was told before is never above the snapshot.
    """
    before = _committed(connection)
    _wait_until_decided(connection, tell)
    execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
    return min(before, _committed(connection), key=lambda watermark: watermark.position(0))


def _committed(connection: Connection) -> Watermark:
    """Up to where MariaDB's engine has committed everything but XA transactions; in a snapshot, its own."""
    found = rows(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'")
    status = {row["variable_name"].lower(): row["value"] for row in found}
    return Watermark(status["binlog_snapshot_file"], int(status["binlog_snapshot_position"]))


def _wait_until_decided(connection: Connection, tell: Callable[[str], None]) -> None:
    """Returns once every XA transaction that is prepared now has its outcome: one may be in the binlog."""
    waiting = _prepared(connection)
    for rounds in count(1):
        if not waiting:
            return
        rows(connection, f"SELECT SLEEP({LOOK_AGAIN}) AS slept")
        waiting &= _prepared(connection)
        if waiting and rounds % round(SILENT_SECONDS / LOOK_AGAIN) == 0:
            tell(
                f"waiting since {round(rounds * LOOK_AGAIN)} s for the outcome of XA transactions:"
                f" {' '.join(sorted(waiting))}. XA COMMIT or XA ROLLBACK those that nobody decides any more"
            )


def _prepared(connection: Connection) -> set[str]:
    """XA transactions of MariaDB that are prepared: listed until the engine has committed them."""
    return {row["data"] for row in rows(connection, "XA RECOVER FORMAT='SQL'")}


def _wait_until_visible(connection: Connection, tell: Callable[[str], None]) -> None:
    """Returns once the engine has committed, or rolled back, every transaction that owns a GTID now."""
    waiting = _owned(connection)
    for seconds in count(1):
        if not waiting:
            return
        gtids = ",".join(sorted(waiting))
        rows(connection, f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtids}', 1) AS timed_out")
        waiting &= _owned(connection)
        if waiting and seconds % SILENT_SECONDS == 0:
            tell(
                f"waiting since {seconds} s for transactions that the server has not committed yet:"
                f" {','.join(sorted(waiting))}. @@GLOBAL.gtid_owned names each one's thread (#),"
                " SHOW PROCESSLIST what it waits for: a semi-synchronous replica, a full disk, or a session"
                " that has set GTID_NEXT"
            )


def _owned(connection: Connection) -> set[str]:
    """
    GTIDs of transactions in the binlog that are not yet committed by the engine.

    A GTID is owned from just before its transaction is written to the binlog
    until the engine has committed it.
    """
    return parse_owned(rows(connection, "SELECT @@GLOBAL.gtid_owned AS owned")[0]["owned"] or "")


def parse_owned(text: str) -> set[str]:
    """
    The GTIDs in the text of gtid_owned: each is followed by its thread, a tag comes before its numbers.

    >>> sorted(parse_owned("3E11FA47-71CA-11E1-9E33-C80AA9429562:5#31:6#32:tag:7#33"))[-1]
    '3E11FA47-71CA-11E1-9E33-C80AA9429562:tag:7'
    """
    owned = set()
    for part in filter(None, map(str.strip, text.split(","))):
        uuid, *pieces = part.split(":")
        source = uuid
        for piece in pieces:
            number, is_owned, _ = piece.partition("#")
            if is_owned:
                owned.add(f"{source}:{number}")
            else:
                source = f"{uuid}:{piece.strip()}"
    return owned


def threads_running(connection: Connection) -> int:
    """Threads of the server that are not asleep; this one counts."""
    return int(rows(connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'")[0]["value"])


def replica_lag(connection: Connection) -> int | None:
    """Seconds that a replica is behind its source; None where it does not know, or is none."""
    found = rows(connection, "SHOW SLAVE STATUS" if _old_words(connection) else "SHOW REPLICA STATUS")
    behind = [row.get("seconds_behind_source", row.get("seconds_behind_master")) for row in found]
    known = [int(seconds) for seconds in behind if seconds is not None]
    return max(known) if known and len(known) == len(behind) else None


def _old_words(connection: Connection) -> bool:
    server = identify(connection)
    return server.flavor == "mariadb" or server.version < (8, 0, 22)


def columns(connection: Connection, table: TableMapping) -> list[Column]:
    """
    The table's columns in their order, with invisible ones. Empty when there is no such table.

    With lower_case_table_names the server finds `Purchase` though the binlog
    says `purchase`: a name that is not spelled as stored counts as none.
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
        Column(
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
    """Tables whose name differs from the mapping's in case only."""
    found = rows(
        connection,
        "SELECT table_schema AS s, table_name AS t FROM information_schema.tables"
        " WHERE LOWER(table_schema) = LOWER(%s) AND LOWER(table_name) = LOWER(%s)",
        (table.schema, table.table),
    )
    return sorted(f"{row['s']}.{row['t']}" for row in found)


def carried(table: TableMapping, found: Iterable[Column]) -> list[Column]:
    """The columns that a row of the table travels with."""
    return [column for column in found if table.travels(column.name)]


def check(connection: Connection, server: Server, mapping: Mapping) -> list[Condition]:
    """Everything that must hold at the source, whether it does or not."""
    settings = {
        row["variable_name"].lower(): str(row["value"])
        for row in rows(
            connection,
            "SHOW GLOBAL VARIABLES WHERE variable_name REGEXP"
            " 'log_bin$|^binlog|^gtid_mode$|^innodb_native_foreign_keys$'",
        )
    }
    conditions = [*_settings(settings, server), *_grants(connection)]
    logged = _logs_foreign_keys(server, settings)
    for table in mapping.tables:
        conditions += _table(connection, table, logged)
    return conditions


def require(conditions: Iterable[Condition]) -> None:
    """SourceNotReady with every needed condition that does not hold."""
    broken = [condition for condition in conditions if condition.needed and not condition.holds]
    if broken:
        raise SourceNotReady(
            "; ".join(f"{condition.name} is {condition.found}" for condition in broken),
            "; ".join(dict.fromkeys(condition.fix for condition in broken)),
        )


def advice(conditions: Iterable[Condition]) -> list[str]:
    """What does not hold and should, a sentence each."""
    return [
        f"{condition.name} is {condition.found}: {condition.fix}"
        for condition in conditions
        if not (condition.needed or condition.holds)
    ]


def _settings(settings: dict[str, str], server: Server) -> Iterator[Condition]:
    mysql = server.flavor == "mysql"
    wanted: list[tuple[str, tuple[str, ...], str]] = [
        ("log_bin", ("ON",), "set log_bin and restart the server"),
        ("binlog_format", ("ROW",), "SET GLOBAL binlog_format=ROW, then reconnect the writers"),
        ("binlog_row_image", ("FULL",), "SET GLOBAL binlog_row_image=FULL, then reconnect the writers"),
    ]
    if mysql:
        wanted += [
            ("gtid_mode", ("ON",), "turn GTIDs on (dev.mysql.com: Changing GTID Mode on Online Servers)")
        ]
    for name, accepted, fix in wanted:
        found = settings.get(name, "(absent)")
        yield Condition(name, found, found.upper() in {value.upper() for value in accepted}, fix)
    metadata = settings.get("binlog_row_metadata", "(absent)")
    yield Condition(
        "binlog_row_metadata",
        metadata,
        metadata.upper() == "FULL",
        "SET GLOBAL binlog_row_metadata=FULL: without it, an ALTER TABLE after rows that are not captured yet"
        " stops capture",
        needed=False,
    )


def _grants(connection: Connection) -> Iterator[Condition]:
    text = " ".join(str(value) for row in rows(connection, "SHOW GRANTS") for value in row.values()).upper()
    everything = "GRANT ALL PRIVILEGES ON *.*" in text
    # MariaDB shows REPLICATION CLIENT as BINLOG MONITOR
    for right, names in {
        "REPLICATION SLAVE": ("REPLICATION SLAVE", "REPLICATION REPLICA"),
        "REPLICATION CLIENT": ("REPLICATION CLIENT", "BINLOG MONITOR"),
    }.items():
        given = everything or any(name in text for name in names)
        yield Condition(
            f"grant {right}",
            "given" if given else "missing",
            given,
            f"GRANT {right} ON *.* TO the capture user",
        )


def _table(connection: Connection, table: TableMapping, logged: bool) -> Iterator[Condition]:
    found = columns(connection, table)
    if not found:
        others = spellings(connection, table)
        yield Condition(
            f"table {table.source}",
            f"spelled {' or '.join(others)} on the server" if others else "missing or not readable",
            False,
            f"write {others[0]} in the mapping's source"
            if others
            else "correct the mapping's source, or GRANT SELECT on it to the capture user",
        )
        return
    yield (kind := _kind(connection, table))
    yield _fractions(connection, table)
    if kind.holds and not logged:  # SHOW CREATE TABLE of a view asks for a right of its own
        yield _foreign_keys(connection, table)
    names = {column.name for column in found}
    for name in table.columns:
        yield Condition(
            f"column {table.source}.{name}",
            "there" if name in names else "missing",
            name in names,
            f"correct the column's name in the mapping; the table has {', '.join(sorted(names))}",
        )
    for column in carried(table, found):
        yield Condition(
            f"type of {table.source}.{column.name}",
            described(column),
            reading(column) is not None,
            NOT_CARRIED,
        )


def _kind(connection: Connection, table: TableMapping) -> Condition:
    """The binlog has no changes of a view, and those of a system-versioned table mixed with its history."""
    found = rows(
        connection,
        "SELECT table_type AS type FROM information_schema.tables"
        " WHERE table_schema = %s AND table_name = %s",
        (table.schema, table.table),
    )
    kind = str(found[0]["type"]) if found else "missing"
    return Condition(
        f"kind of {table.source}",
        kind.lower(),
        kind == "BASE TABLE",
        "map the tables behind a view; ALTER TABLE ... DROP SYSTEM VERSIONING, which deletes the history",
    )


def _fractions(connection: Connection, table: TableMapping) -> Condition:
    """Rows of MariaDB 5.3's temporal types do not say how long a fraction is, of columns left out neither."""
    found = rows(
        connection,
        "SELECT column_name AS name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s AND column_type LIKE '%%) /* mariadb-5.3 */'"
        " ORDER BY ordinal_position",
        (table.schema, table.table),
    )
    return Condition(
        f"fractions of {table.source}",
        f"in MariaDB 5.3's format in {found[0]['name']}" if found else "in today's format",
        not found,
        "SET GLOBAL mysql56_temporal_format=ON, then ALTER TABLE ... FORCE",
    )


def _logs_foreign_keys(server: Server, settings: dict[str, str]) -> bool:
    """Whether what a foreign key does to a child's rows is in the binlog: where the server does it itself."""
    native = settings.get("innodb_native_foreign_keys", "OFF").upper() == "ON"
    return server.flavor == "mysql" and server.version >= (9, 6) and not native


def _foreign_keys(connection: Connection, table: TableMapping) -> Condition:
    """Of keys that change or delete rows of this table inside the engine, unseen by the binlog."""
    address = ".".join("`" + name.replace("`", "``") + "`" for name in (table.schema, table.table))
    definition = list(rows(connection, f"SHOW CREATE TABLE {address}")[0].values())[1]
    acting = actions(str(definition), table.travels)
    return Condition(
        f"foreign keys of {table.source}",
        f"{', '.join(acting)}: the binlog does not have what that changes" if acting else "without actions",
        not acting,
        "drop the key or make it again with RESTRICT, and let the application change the child's rows itself"
        " (MySQL 9.6 and later log them, unless innodb_native_foreign_keys is ON)",
    )
