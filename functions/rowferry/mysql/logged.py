"""Whether the server's binlog has every change of the mapped tables, or leaves some out without a word."""

from collections.abc import Iterator, Mapping

from rowferry.mapping import Mapping as Tables
from rowferry.mapping import TableMapping
from rowferry.mysql.condition import Condition
from rowferry.mysql.filters import binlog_leaves_out, names, replica_leaves_out
from rowferry.mysql.replication import ACCESS_DENIED, Replication
from rowferry.mysql.server import Connection, Server, rows

_LOST = "; what changed meanwhile is missing for good: if a load has begun, `ferry load --again`"
_PRIMARY = "point --source and the capturer at the primary"
_ENGINES = frozenset([
    "innodb", "myisam", "aria", "memory", "archive", "csv", "rocksdb", "tokudb",
])  # fmt: skip
"""Those whose rows change only by statements of this server, and which log each changed row."""


def conditions(
    connection: Connection,
    server: Server,
    mapping: Tables,
    settings: Mapping[str, str],
    found: Replication,
) -> Iterator[Condition]:
    """Those of the server: what it applies, what it filters. `settings`: its global variables."""
    yield applied(server, found)
    yield _written(settings)
    if server.flavor == "mysql":
        yield _binlog_errors(settings)
    yield from _binlog_filters(connection, server, mapping)
    for table in mapping.tables:
        yield _replicated(found, table)


def applied(server: Server, found: Replication) -> Condition:
    """Changes that a replica takes over are in its binlog only with log_replica_updates."""
    name, setting = "log of replicated changes", found.setting
    if found.logs:
        return Condition(name, f"on ({setting}=ON)", holds=True, fix="")
    option = "log_slave_updates" if server.flavor == "mariadb" or server.version < (8, 0, 26) else setting
    fix = f"set {option}=ON in the server's configuration and restart it, or {_PRIMARY}{_LOST}"
    if found:
        return Condition(
            name, f"off: it replicates {found.described}, {setting} is OFF", False, fix, loses=True
        )
    if not found.visible:
        return Condition(
            name,
            f"off ({setting}=OFF), and a replication that is stopped would not be visible",
            holds=False,
            fix=f"GRANT SLAVE MONITOR ON *.* to see it; if this is a replica, {fix}",
            needed=False,
        )
    return Condition(
        name,
        f"off ({setting}=OFF); it replicates from no other server",
        holds=False,
        fix=f"as a replica it would log nothing of what it applies: {fix.partition(';')[0]}",
        needed=False,
    )


def _written(settings: Mapping[str, str]) -> Condition:
    """An Aurora reader shares its writer's storage: it never writes rows itself."""
    value = settings.get("innodb_read_only", "OFF")
    return Condition(
        "innodb_read_only",
        value,
        value.upper() in ("OFF", "0"),
        "this server writes no rows, so its binlog has none: use the cluster's writer endpoint, or restart it"
        " without innodb_read_only",
    )


def _binlog_errors(settings: Mapping[str, str]) -> Condition:
    value = settings.get("binlog_error_action", "ABORT_SERVER")
    return Condition(
        "binlog_error_action",
        value,
        value.upper() != "IGNORE_ERROR",
        "SET GLOBAL binlog_error_action=ABORT_SERVER: with IGNORE_ERROR the server goes on without a binlog"
        " when its disk is full",
        needed=False,
    )


def _binlog_filters(connection: Connection, server: Server, mapping: Tables) -> Iterator[Condition]:
    """They are options of the server's start, and only this statement shows them."""
    renamed = server.flavor == "mysql" and server.version >= (8, 2)
    try:
        found = rows(connection, f"SHOW {'BINARY LOG' if renamed else 'MASTER'} STATUS")
    except Exception as error:
        if error.args[:1] != (ACCESS_DENIED,):
            raise
        return  # the condition on the grant says so
    if not found:
        return  # log_bin is OFF
    do, ignore = str(found[0]["binlog_do_db"] or ""), str(found[0]["binlog_ignore_db"] or "")
    for schema in dict.fromkeys(table.schema for table in mapping.tables):
        why = binlog_leaves_out(do, ignore, schema)
        yield Condition(
            f"binlog of schema {schema}",
            f"without its rows: it is {why}" if why else "with its rows",
            not why,
            "remove binlog_do_db and binlog_ignore_db from the server's configuration and restart it"
            f" (a replica can filter instead){_LOST}",
            loses=True,
        )
    if names(do) or names(ignore):
        yield Condition(
            "filters of the binlog",
            f"binlog_do_db ({do})" if names(do) else f"binlog_ignore_db ({ignore})",
            holds=False,
            fix="remove them: statements go by the default schema, so a TRUNCATE or ALTER of a mapped table"
            " from another one is not logged; and a name with a comma, where a list was meant, is one schema",
            needed=False,
        )


def _replicated(found: Replication, table: TableMapping) -> Condition:
    """A replica may leave tables out of what it applies."""
    why = [
        left
        for channel in found.channels
        if (left := replica_leaves_out(channel.filters, table.schema, table.table))
    ]
    # With several sources the table may come from one of them.
    out = bool(why) and len(why) == len(found.channels)
    return Condition(
        f"replication of {table.source}",
        f"filtered out by {why[0]}" if out else "not filtered",
        not out,
        f"take the table out of the replica's filters, load it on the replica again, or {_PRIMARY}{_LOST}",
        loses=True,
    )


def engine(connection: Connection, table: TableMapping) -> Iterator[Condition]:
    """Whether every change of the table's rows is logged under its name. Nothing for what is no table."""
    found = rows(
        connection,
        "SELECT engine AS name FROM information_schema.tables"
        " WHERE table_schema = %s AND table_name = %s AND engine IS NOT NULL",
        (table.schema, table.table),
    )
    if not found:
        return
    name = str(found[0]["name"])
    yield Condition(
        f"engine of {table.source}",
        name,
        name.lower() in _ENGINES,
        "ALTER TABLE ... ENGINE=InnoDB: rows of this engine change without being logged, or elsewhere",
        loses=True,
    )
    if name.lower() == "memory":
        yield Condition(
            f"rows of {table.source}",
            "in memory only",
            holds=False,
            fix="ALTER TABLE ... ENGINE=InnoDB: a restart of the server empties the table, and stops capture",
            needed=False,
        )
    if name.lower() == "myisam":
        yield _merged(connection, table)


def _merged(connection: Connection, table: TableMapping) -> Condition:
    """Rows that are written through a MERGE table are logged under its name."""
    found = rows(
        connection,
        "SELECT table_schema AS s, table_name AS t FROM information_schema.tables"
        " WHERE engine LIKE 'MRG%MYISAM' ORDER BY table_schema, table_name",
    )
    return Condition(
        f"MERGE tables over {table.source}",
        ", ".join(f"{row['s']}.{row['t']}" for row in found) or "none",
        not found,
        "ALTER TABLE ... ENGINE=InnoDB, or drop the MERGE table if it is over this one: what is written"
        " through it is logged under its name",
        needed=False,
    )
