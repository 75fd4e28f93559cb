"""
A stretch of the source's binlog, read again beside the capturer: what commands may use of its reading.

`ferry verify` asks which rows changed, `ferry status` how old the oldest change is that capture has not
reached. The connection is no replica, so it throws none out and may be opened next to the capturer's.
"""

import struct
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from capturer.decoder.framing import ARTIFICIAL, HARMLESS, EventType
from capturer.source import lookahead
from capturer.source.binlog import ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.transactions import Transactions
from capturer.source.translation import Translation
from rowferry.change import RowChange
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address
from rowferry.position import BinlogOffset

_NOT_A_REPLICA = 0
_HEADER = struct.Struct("<xIBxxxxxxxxxxxxH")
"""After a status byte the commit's time (s since 1970), the type; server, length and next place; flags."""
_NO_CHANGE = HARMLESS | {
    EventType.ROTATE, EventType.FORMAT_DESCRIPTION, EventType.HEARTBEAT, EventType.HEARTBEAT_V2
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replay:
    """
    Reads from a place to where the binlog ends when the reading begins.

    Every method raises what the capturer itself would stop with: SourceNotReady where the account may not
    read the binlog, ConnectionLost where the server cannot be reached, CaptureStopped where the file is gone
    or holds what cannot be carried.
    """

    address: Address

    def row_changes(
        self, mapping: Mapping, epoch: int, start: BinlogOffset, skip: Sequence[BinlogOffset] = ()
    ) -> Iterator[RowChange]:
        """
        Row changes of mapped tables in their order, `start` included; transactions at `skip` are passed over.

        Columns that the binlog does not name are asked of the server, as the capturer does.
        """
        client = self._client
        transactions = Transactions(mapping, epoch, start, skip)
        definitions = Definitions(client, mapping, lambda: epoch, lambda: transactions.boundary, dict)
        definitions.learn()
        translation = Translation(mapping, start, definitions=definitions, reshaped=definitions.reshaped)
        for event in translation.events(self.packets(start)):
            yield from transactions.feed(event)

    def packets(self, start: BinlogOffset) -> Generator[bytes]:
        """The events as the server sends them: a status byte, then the event."""
        return lookahead.packets(self._client, start)

    def first_commit(self, start: BinlogOffset) -> int | None:
        """
        When the first transaction at or after `start` was committed, in seconds since 1970 by the source's
        clock; None without one.
        """
        with closing(self.packets(start)) as packets:
            return _first_commit(packets)

    @property
    def _client(self) -> ReplicationClient:
        at = self.address
        return ReplicationClient(at.host, at.port, at.user, at.password, _NOT_A_REPLICA, at.ca)


def _first_commit(packets: Iterable[bytes]) -> int | None:
    for packet in packets:
        committed, kind, flags = _HEADER.unpack_from(packet)
        if kind not in _NO_CHANGE and not flags & ARTIFICIAL:
            return int(committed)
    return None
