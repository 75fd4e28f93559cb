"""The consistent snapshot in which a chunk is read, and its low watermark in the binlog."""

from collections.abc import Callable
from functools import reduce
from itertools import count

from rowferry.errors import SourceNotReady
from rowferry.history import History
from rowferry.mysql.executed import executed, parse_owned
from rowferry.mysql.server import Connection, Server, execute, rows
from rowferry.position import BinlogOffset

SILENT_SECONDS = 5  # a wait is reported every so many seconds

LOOK_AGAIN = 0.01  # seconds; a prepared transaction is mostly decided after one or two round trips


def current_offset(connection: Connection, server: Server) -> BinlogOffset:
    """
    Where the binlog ends. Raises SourceNotReady if the binlog is off.

    NOT a watermark for a SELECT: a transaction is in the binlog before the engine has committed it, so a
    SELECT that follows may not show it. Use `begin_snapshot` for that.
    """
    renamed = server.flavor == "mysql" and server.version >= (8, 2)  # 8.4 no longer has the old name
    found = rows(connection, f"SHOW {'BINARY LOG' if renamed else 'MASTER'} STATUS")
    if not found:
        raise SourceNotReady("the binlog is off", "set log_bin and restart the server")
    return BinlogOffset(found[0]["file"], int(found[0]["position"]))


def begin_snapshot(
    connection: Connection, server: Server, report: Callable[[str], None] = lambda _: None
) -> BinlogOffset:
    """
    Starts a consistent read and returns its low watermark: every change before it is visible in the
    transaction; changes after it may be.

    The end of the binlog alone is not enough, because a transaction is in the binlog before it is visible;
    with sync_binlog=1 that gap lasts as long as a write to the disk. So it waits, without a limit, for every
    transaction that was in progress when the watermark was read; `report` gets a line on what it waits for
    every SILENT_SECONDS.
    """
    if server.flavor == "mariadb":
        return _begin_on_mariadb(connection, report)
    end = current_offset(connection, server)  # before the wait: in the other order rows would be lost
    _wait_until_visible(connection, report)
    execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    return end


def shown(connection: Connection, server: Server) -> History:
    """At least the transactions that a snapshot shows which was begun before this call."""
    if server.flavor == "mariadb":
        return executed(connection, server)  # written before the engine commits
    # A transaction is visible before it counts as executed. In the other order, one that is owned at the
    # first look and executed at the second would be in neither.
    owned = _owned(connection)
    return reduce(History.plus, sorted(owned), executed(connection, server))


def _begin_on_mariadb(connection: Connection, report: Callable[[str], None]) -> BinlogOffset:
    """
    MariaDB has status variables for the offset up to which the engine has committed, and for that of a
    snapshot (https://mariadb.com/kb/en/enhancements-for-start-transaction-with-consistent-snapshot/), with
    two traps: an XA transaction is committed by the engine later than that, and all sessions that ask for
    status at the same time share one answer, so it may be another session's and too high. An offset read
    before the snapshot is never above it: hence the lower of the two.
    """
    before = _committed(connection)
    _wait_until_decided(connection, report)
    execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
    # Of any epoch: file and offset decide.
    return min(before, _committed(connection), key=lambda watermark: watermark.position(0))


def _committed(connection: Connection) -> BinlogOffset:
    """
    The offset up to which MariaDB's engine has committed all but XA transactions; the snapshot's inside one.
    """
    found = rows(connection, "SHOW STATUS LIKE 'binlog_snapshot_%'")
    status = {row["variable_name"].lower(): row["value"] for row in found}
    return BinlogOffset(status["binlog_snapshot_file"], int(status["binlog_snapshot_position"]))


def _wait_until_decided(connection: Connection, report: Callable[[str], None]) -> None:
    """
    Waits for the outcome of every XA transaction that is prepared now: its XA COMMIT may be in the binlog.
    """
    waiting = _prepared(connection)
    for rounds in count(1):
        if not waiting:
            return
        rows(connection, f"SELECT SLEEP({LOOK_AGAIN}) AS slept")
        waiting &= _prepared(connection)  # those of the first answer only: later ones are after the watermark
        if waiting and rounds % round(SILENT_SECONDS / LOOK_AGAIN) == 0:
            report(
                f"waiting since {round(rounds * LOOK_AGAIN)} s for the outcome of XA transactions:"
                f" {' '.join(sorted(waiting))}. XA COMMIT or XA ROLLBACK those that nobody decides any more"
            )


def _prepared(connection: Connection) -> set[str]:
    """Prepared XA transactions of MariaDB, which lists them until the engine has committed them."""
    return {row["data"] for row in rows(connection, "XA RECOVER FORMAT='SQL'")}


def _wait_until_visible(connection: Connection, report: Callable[[str], None]) -> None:
    """Waits until the engine has committed, or rolled back, every transaction that owns a GTID now."""
    waiting = _owned(connection)
    for seconds in count(1):
        if not waiting:
            return
        gtids = ",".join(sorted(waiting))
        rows(connection, f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{gtids}', 1) AS timed_out")
        # Asked again, because a GTID that was rolled back is never executed; only of the first answer,
        # because later transactions are after the watermark.
        waiting &= _owned(connection)
        if waiting and seconds % SILENT_SECONDS == 0:
            report(
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
