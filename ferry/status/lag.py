"""How far capture is behind the source: bytes of binlog, and seconds."""

from capturer.replay import Replay
from rowferry.errors import RowferryError
from rowferry.mysql import server
from rowferry.mysql.address import Address
from rowferry.position import BinlogOffset, Position, file_number


def lag_bytes(connection: server.Connection, reached: Position) -> int:
    """Bytes of binlog that the source has written beyond the position."""
    files = {
        file_number(row["log_name"]): int(row["file_size"])
        for row in server.rows(connection, "SHOW BINARY LOGS")
    }
    later = sum(size for number, size in files.items() if number > reached.file)
    return later + max(0, files.get(reached.file, 0) - reached.offset)


def lag_seconds(connection: server.Connection, address: Address, reached: BinlogOffset) -> int | None:
    """
    For how long, by the source's clock, the first transaction beyond `reached` has been in its binlog; 0
    without one, None where the binlog cannot be read there.
    """
    try:
        committed = Replay(address).first_commit(reached)
    except RowferryError:  # the user may not, or the file is gone: `capture` says so
        return None
    if committed is None:
        return 0
    (now,) = server.rows(connection, "SELECT UNIX_TIMESTAMP() AS now")
    return max(0, int(now["now"]) - committed)
