"""
Reads a part of the source's binlog again, in parallel with the capturer. The one face of the decoder for
commands.

`ferry verify` uses it to find which rows changed, `ferry status` for the age of the oldest change that is not
captured yet. The connection does not register as a replica, so it disconnects nobody.
"""

import struct
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from capturer.decoder.framing import ARTIFICIAL, HARMLESS, EventType
from capturer.source import lookahead
from capturer.source.binlog import ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.place import Place
from capturer.source.reach import StatementReach
from capturer.source.transactions import Transactions
from capturer.source.translation import Translation
from rowferry.change import RowChange
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address
from rowferry.position import BinlogOffset

_HEADER = struct.Struct("<xIBxxxxxxxxxxxxH")
"""After a status byte: the commit time (s since 1970), the type; server, length and next offset; flags."""
_NO_CHANGE = HARMLESS | {
    EventType.ROTATE, EventType.FORMAT_DESCRIPTION, EventType.HEARTBEAT, EventType.HEARTBEAT_V2
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replay:
    """
    Reads from an offset to where the binlog ends when the reading begins.

    Every method raises what the capturer itself would stop with: SourceNotReady if the account may not read
    the binlog, ConnectionLost if the server cannot be reached, CaptureStopped if the file is gone or holds
    something that cannot be captured.
    """

    address: Address

    def row_changes(
        self, mapping: Mapping, epoch: int, start: BinlogOffset, skip: Sequence[BinlogOffset] = ()
    ) -> Iterator[RowChange]:
        """
        Row changes of mapped tables in binlog order, from `start` on; transactions at `skip` are skipped.

        Columns that the binlog does not name are read from the server, as in the capturer. That a change is
        returned does not mean that the capturer has sent it.
        """
        client = self._client
        dialect = client.dialect()
        transactions = Transactions(
            mapping, Place.of(epoch, start), skip, dialect=dialect, leads=StatementReach(client, mapping)
        )
        # `dict` has no floors: rows whose columns are not certain stop the reading, where the capturer might
        # skip them.
        definitions = Definitions(
            client, mapping, lambda: epoch, lambda: transactions.boundary, dict, dialect
        )
        definitions.learn()
        translation = Translation(
            mapping, start, definitions=definitions, reshaped=definitions.reshaped, dialect=dialect
        )
        for event in translation.events(self.packets(start)):
            yield from transactions.feed(event)

    def packets(self, start: BinlogOffset) -> Generator[bytes]:
        """The events as the server sends them: a status byte, then the event."""
        return lookahead.packets(self._client, start)

    def first_commit(self, start: BinlogOffset) -> int | None:
        """
        Commit time of the first transaction at or after `start`, in seconds since 1970 by the source's clock.

        None if there is none.
        """
        with closing(self.packets(start)) as packets:
            return _first_commit(packets)

    @property
    def _client(self) -> ReplicationClient:
        at = self.address
        return ReplicationClient(at.host, at.port, at.user, at.password, lookahead.NOT_A_REPLICA, at.ca)


def _first_commit(packets: Iterable[bytes]) -> int | None:
    for packet in packets:
        committed, kind, flags = _HEADER.unpack_from(packet)
        if kind not in _NO_CHANGE and not flags & ARTIFICIAL:
            return int(committed)
    return None
