"""The snapshot that a chunk is read in, and the watermark that it shows everything up to."""

from collections.abc import Callable
from itertools import count

from rowferry.errors import SourceNotReady
from rowferry.mysql.server import Connection, Server, execute, rows
from rowferry.position import BinlogOffset

SILENT_SECONDS = 5


LOOK_AGAIN = 0.01  # seconds: what is prepared has its outcome after a round trip or two


def current_offset(connection: Connection, server: Server) -> BinlogOffset:
    """
    Where the binlog ends. It may be AHEAD of what a SELECT shows: a
    transaction stands in the binlog before the engine has committed it.
    """
    renamed = server.flavor == "mysql" and server.version >= (8, 2)
    found = rows(connection, f"SHOW {'BINARY LOG' if renamed else 'MASTER'} STATUS")
    if not found:
        raise SourceNotReady("the binlog is off", "set log_bin and restart the server")
    return BinlogOffset(found[0]["file"], int(found[0]["position"]))


def begin_snapshot(
    connection: Connection, server: Server, tell: Callable[[str], None] = lambda _: None
) -> BinlogOffset:
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


def _begin_on_mariadb(connection: Connection, tell: Callable[[str], None]) -> BinlogOffset:
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


def _committed(connection: Connection) -> BinlogOffset:
    """Up to where MariaDB's engine has committed everything but XA transactions; in a snapshot, its own."""
    found = rows(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'")
    status = {row["variable_name"].lower(): row["value"] for row in found}
    return BinlogOffset(status["binlog_snapshot_file"], int(status["binlog_snapshot_position"]))


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
