"""
What must hold at the MySQL or MariaDB server before a byte is copied.

Checked by preflight, and again by the load and the capturer when they start.
"""

from collections.abc import Iterator

from rowferry.mapping import Mapping, TableMapping
from rowferry.mysql import logged
from rowferry.mysql.condition import Condition, advice, broken, require, summary
from rowferry.mysql.foreign_keys import UNSEEN, actions
from rowferry.mysql.replication import ASKED, replication
from rowferry.mysql.select import NOT_CARRIED, described, reading
from rowferry.mysql.server import Connection, Server, carried, columns, rows, spellings

__all__ = [
    "Condition", "advice", "broken", "check", "logs_foreign_keys", "of_server", "of_table", "require",
    "settings_of", "summary",
]  # fmt: skip

_WANTED = ", ".join(
    f"'{name}'" for name in (*ASKED, "log_bin", "gtid_mode", "innodb_native_foreign_keys", "innodb_read_only")
)


def check(connection: Connection, server: Server, mapping: Mapping) -> list[Condition]:
    """
    All conditions of the source server and the mapped tables, whether they hold or not.

    Raises no error for one that does not hold: `require` does. That all hold does not mean that every session
    writes as the global settings say (old sessions keep their binlog_format), nor that the binlog is kept
    long enough.
    """
    settings = settings_of(connection)
    found = list(of_server(connection, server, mapping, settings))
    for table in mapping.tables:
        found += of_table(connection, table, logs_foreign_keys(server, settings))
    return found


def of_server(
    connection: Connection, server: Server, mapping: Mapping, settings: dict[str, str]
) -> Iterator[Condition]:
    """Those of the server as a whole: a few small queries. `settings` is `settings_of`."""
    yield from _settings(settings, server)
    yield from _grants(connection)
    replicates = replication(connection, server, settings)
    yield from logged.conditions(connection, server, mapping, settings, replicates)


def settings_of(connection: Connection) -> dict[str, str]:
    """The global variables that conditions ask for, by name in lower case. Visible to every user."""
    found = rows(
        connection,
        f"SHOW GLOBAL VARIABLES WHERE variable_name IN ({_WANTED})"
        " OR variable_name LIKE 'binlog%' OR variable_name LIKE 'replicate%'",
    )
    return {row["variable_name"].lower(): str(row["value"]) for row in found}


def _settings(settings: dict[str, str], server: Server) -> Iterator[Condition]:
    mysql = server.flavor == "mysql"
    wanted: list[tuple[str, tuple[str, ...], str]] = [
        ("log_bin", ("ON",), "set log_bin and restart the server (RDS: turn automated backups on)"),
        ("binlog_format", ("ROW",), "SET GLOBAL binlog_format=ROW, then reconnect the writers"),
        ("binlog_row_image", ("FULL",), "SET GLOBAL binlog_row_image=FULL, then reconnect the writers"),
    ]
    if mysql:  # `begin_snapshot` waits by GTID there; on MariaDB it has another way
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


def of_table(connection: Connection, table: TableMapping, keys_logged: bool) -> Iterator[Condition]:
    """Those of one mapped table. `keys_logged`: what its foreign keys change is logged."""
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
    yield from logged.engine(connection, table)
    yield _fractions(connection, table)
    if kind.holds and not keys_logged:  # SHOW CREATE TABLE of a view asks for a right of its own
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
    """The binlog has no changes of a view, and mixes those of a system-versioned table with its history."""
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
    """
    MariaDB 5.3's temporal types do not say in the binlog how many bytes a fraction takes.

    Excluded columns count as well: a row can only be read across them if their length is known.
    """
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


def logs_foreign_keys(server: Server, settings: dict[str, str]) -> bool:
    """
    Whether the binlog has the changes that a foreign key makes to a child's rows.

    It has them where the server executes the action (MySQL 9.6 and later), not where InnoDB does.
    """
    native = settings.get("innodb_native_foreign_keys", "OFF").upper() == "ON"
    return server.flavor == "mysql" and server.version >= (9, 6) and not native


def _foreign_keys(connection: Connection, table: TableMapping) -> Condition:
    """Foreign keys that change or delete rows of this table inside the engine, without a binlog entry."""
    address = ".".join("`" + name.replace("`", "``") + "`" for name in (table.schema, table.table))
    definition = list(rows(connection, f"SHOW CREATE TABLE {address}")[0].values())[1]
    acting = actions(str(definition), table.travels)
    return Condition(
        f"foreign keys of {table.source}",
        f"{', '.join(acting)}: {UNSEEN}" if acting else "without actions",
        not acting,
        "drop the key or make it again with RESTRICT, and let the application change the child's rows itself"
        " (MySQL 9.6 and later log them, unless innodb_native_foreign_keys is ON)",
        loses=True,
    )
