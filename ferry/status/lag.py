"""How far capture is behind the source: bytes of binlog, and seconds."""

import struct
from collections.abc import Iterable
from contextlib import closing

from bulkload.connection import Address
from capturer.decoder.framing import ARTIFICIAL, HARMLESS, EventType
from capturer.source import lookahead
from capturer.source.binlog import ReplicationClient
from rowferry.errors import RowferryError
from rowferry.mysql import server
from rowferry.position import BinlogOffset, Position, file_number

_NOT_A_REPLICA = 0
_HEADER = struct.Struct("<xIBxxxxxxxxxxxxH")
"""Behind a status byte the commit's time (s since 1970), the type; server, length and next place; flags."""
_NO_CHANGE = HARMLESS | {
    EventType.ROTATE,
    EventType.FORMAT_DESCRIPTION,
    EventType.HEARTBEAT,
    EventType.HEARTBEAT_V2,
}


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
    from_here = ReplicationClient(
        address.host, address.port, address.user, address.password, _NOT_A_REPLICA, address.ca
    )
    try:
        with closing(lookahead.packets(from_here, reached)) as packets:
            committed = _first(packets)
    except RowferryError:  # the user may not, or the file is gone: `capture` says so
        return None
    if committed is None:
        return 0
    (now,) = server.rows(connection, "SELECT UNIX_TIMESTAMP() AS now")
    return max(0, int(now["now"]) - committed)


def _first(packets: Iterable[bytes]) -> int | None:
    for packet in packets:
        committed, kind, flags = _HEADER.unpack_from(packet)
        if kind not in _NO_CHANGE and not flags & ARTIFICIAL:
            return int(committed)
    return None
