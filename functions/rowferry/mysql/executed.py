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
    return before_file(connection, oldest_file) or History()


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


def before_file(connection: Connection, file: str) -> History | None:
    """
    What the files before this one had: its Previous_gtids event, MariaDB's Gtid_list event. None without one.

    Needs the right REPLICATION SLAVE (MariaDB: BINLOG MONITOR).
    """
    # The second event of a file; with encryption another one comes before it.
    for row in rows(connection, f"SHOW BINLOG EVENTS IN '{file}' LIMIT 4"):
        if row["event_type"] in ("Previous_gtids", "Gtid_list"):
            return History.parse(str(row["info"]).strip("[]"))
    return None


def owned(connection: Connection, server: Server) -> History:
    """MySQL: transactions that are being executed; those that the binlog has already included."""
    if server.flavor != "mysql":
        return History()
    return History().plus(*parse_owned(_variable(connection, "gtid_owned")))


def parse_owned(text: str) -> set[str]:
    """
    The GTIDs in the text of gtid_owned: each is followed by `#` and its thread; a tag precedes its numbers.

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


def _variable(connection: Connection, name: str) -> str:
    return str(rows(connection, f"SELECT @@GLOBAL.{name} AS found")[0]["found"] or "")
