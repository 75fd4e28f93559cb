"""The statements in a part of the binlog, read over a connection of its own."""

from collections.abc import Generator, Iterator

import pymysql

from capturer.decoder.events import Query, Rotate
from capturer.decoder.framing import EventType
from capturer.decoder.stream import EventStream
from capturer.source.binlog import LARGEST_START, ReplicationClient
from capturer.source.raw_connection import RawConnection
from rowferry.position import FIRST_EVENT, BinlogOffset

NOT_A_REPLICA = 0
"""The server id that mysqlbinlog uses: with a replica's, the server would end the capturer's connection."""
_KIND = 5  # offset of the type in a packet: after the status byte and the time
# Besides statements, the events that say where they are; rows are skipped without being decoded.
_READ = frozenset([
    EventType.QUERY, EventType.QUERY_COMPRESSED, EventType.ROTATE, EventType.FORMAT_DESCRIPTION,
    EventType.GTID, EventType.ANONYMOUS_GTID, EventType.TAGGED_GTID, EventType.MARIADB_GTID,
])  # fmt: skip


def statements(
    source: ReplicationClient, start: BinlogOffset, end: BinlogOffset
) -> Iterator[tuple[BinlogOffset, Query]]:
    """
    The statements from `start` up to `end`, each with the offset where it begins.

    Raises what ReplicationClient.explain makes of the driver's errors, and CaptureStopped for a damaged
    event.
    """
    yield from _within(packets(source, start), start, end)


def packets(source: ReplicationClient, start: BinlogOffset) -> Generator[bytes]:
    """
    The binlog from `start` to where it ends now: a status byte, then the event. Disconnects no replica.

    Raises what ReplicationClient.explain makes of the driver's errors.
    """
    connection = RawConnection(source.connect())
    try:
        offset = start.offset if start.offset <= LARGEST_START else FIRST_EVENT
        yield from connection.binlog(start.file, offset, NOT_A_REPLICA)
    except (pymysql.Error, OSError) as error:
        raise source.explain(error) from error
    finally:
        connection.drop()  # the server may be in the middle of a packet


def _within(
    packets: Iterator[bytes], start: BinlogOffset, end: BinlogOffset
) -> Iterator[tuple[BinlogOffset, Query]]:
    stream, file = EventStream(lambda _schema, _table: None), start.file
    for packet in packets:
        for event in stream.feed(packet, 1) if packet[_KIND] in _READ else ():
            if isinstance(event, Rotate):
                file = event.file
            # A format description has no start.
            at = BinlogOffset(file, stream.end if isinstance(event, Rotate) else getattr(event, "start", 0))
            if at.order >= end.order:
                return
            if isinstance(event, Query) and at.order >= start.order:
                yield at, event
