"""What a server has executed, and what of it its binlog still has."""

from rowferry.history import History
from rowferry.mysql.server import Connection, Server, rows


def executed(connection: Connection, server: Server) -> History:
    """
    Everything that the server has executed; on MariaDB, everything that its binlog had.

    MySQL: a transaction that has just been written to the binlog may not be in it yet.
    """
    name = "gtid_binlog_state" if server.flavor == "mariadb" else "gtid_executed"
    return History.parse(_variable(connection, name))


def purged(connection: Connection, server: Server, oldest_file: str) -> History:
    """What is no longer in the binlog, or never was; `oldest_file` is the first one that the server lists."""
    if server.flavor == "mysql":
        return History.parse(_variable(connection, "gtid_purged"))
    return before_file(connection, oldest_file)


def never_logged(connection: Connection, server: Server) -> History:
    """
    What the server has from elsewhere, and its binlog may never have had: it was made from a dump or a copy.
    """
    if server.flavor == "mysql":
        return History.parse(_variable(connection, "gtid_purged"))
    return applied_elsewhere(connection)


def applied_elsewhere(connection: Connection) -> History:
    """MariaDB: what the server has applied as a replica, whether its binlog has it or not."""
    return History.parse(_variable(connection, "gtid_slave_pos"))


def before_file(connection: Connection, file: str) -> History:
    """
    What the files before this one had: its Previous_gtids event, MariaDB's Gtid_list event.

    Needs the right REPLICATION SLAVE (MariaDB: BINLOG MONITOR).
    """
    # The second event of a file; with encryption another one comes before it.
    for row in rows(connection, f"SHOW BINLOG EVENTS IN '{file}' LIMIT 4"):
        if row["event_type"] in ("Previous_gtids", "Gtid_list"):
            return History.parse(str(row["info"]).strip("[]"))
    return History()


def _variable(connection: Connection, name: str) -> str:
    return str(rows(connection, f"SELECT @@GLOBAL.{name} AS found")[0]["found"] or "")
