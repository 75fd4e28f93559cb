"""The lag of capture behind the source: bytes of binlog, and seconds."""

from capturer.replay import Replay
from rowferry.errors import RowferryError
from rowferry.mysql import server
from rowferry.mysql.address import Address
from rowferry.position import BinlogOffset, Position, file_number


def lag_bytes(connection: server.Connection, reached: Position) -> int:
    """Bytes of binlog that the source has written after the position."""
    files = {
        file_number(row["log_name"]): int(row["file_size"])
        for row in server.rows(connection, "SHOW BINARY LOGS")
    }
    later = sum(size for number, size in files.items() if number > reached.file)
    return later + max(0, files.get(reached.file, 0) - reached.offset)


def lag_seconds(connection: server.Connection, address: Address, reached: BinlogOffset) -> int | None:
    """
    The age, by the source's clock, of the first transaction after `reached` in its binlog; 0 without one,
    None where the binlog cannot be read there.
    """
    try:
        committed = Replay(address).first_commit(reached)
    except RowferryError:  # no privilege, or the file is purged: the state of capture shows that
        return None
    if committed is None:
        return 0
    (now,) = server.rows(connection, "SELECT UNIX_TIMESTAMP() AS now")
    return max(0, int(now["now"]) - committed)
