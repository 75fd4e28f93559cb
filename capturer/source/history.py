"""Asks a server about its history, on the connection that then sends its binlog."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from capturer.decoder.events import Event, FormatDescription, Gtid, Rotate
from capturer.decoder.framing import EventType
from capturer.decoder.stream import EventStream
from capturer.source import lookahead
from capturer.source.binlog import ConnectionLost, ReplicationClient
from capturer.source.continuity import SourceState, goes_on, lacking, refuse_lacking
from capturer.source.place import Past, Place
from rowferry.errors import CaptureStopped
from rowferry.history import NOTHING, History
from rowferry.mysql.executed import applied_elsewhere, before_file, executed, never_logged, owned, purged
from rowferry.mysql.server import Connection, Server, rows
from rowferry.mysql.snapshot import current_offset
from rowferry.position import FIRST_EVENT, BinlogOffset

LOOK_AGAIN = 0.05  # seconds; a transaction in the binlog is mostly committed after one flush of the disk
_KIND = 5  # offset of the type in a packet: after the status byte and the time
_GTIDS = frozenset([
    EventType.GTID, EventType.TAGGED_GTID, EventType.MARIADB_GTID, EventType.ROTATE,
    EventType.FORMAT_DESCRIPTION,
])  # fmt: skip


class Proven(NamedTuple):
    """
    The server's history contains what was captured. `start`: where reading begins. In a new epoch (`begins`),
    what the history has before `shared` is left out; `last_is_there`: the binlog has the newest captured
    transaction.
    """

    server: Server
    begins: bool
    start: BinlogOffset
    shared: BinlogOffset
    last_is_there: bool = False


type Report = Callable[[History], None]
"""Takes the captured transactions for which `prove` begins to wait."""


def prove(
    connection: Connection, server: Server, place: Place, partly: str, patience: float, report: Report
) -> Proven:
    """
    Compares the server's history with what was captured up to `place`; `partly` as in `lacking`.

    Waits up to `patience` seconds for captured transactions that the server has not executed yet: those that
    it is committing, or that a replica has in its relay log. Raises CaptureStopped; the driver's errors come
    through.
    """
    state = _state(connection, server)
    waited = 0.0
    if lost := lacking(place, partly, state):
        report(lost)
    while (lost := lacking(place, partly, state)) and waited < patience:
        rows(connection, f"SELECT SLEEP({LOOK_AGAIN}) AS slept")
        waited += LOOK_AGAIN
        state = _state(connection, server)
    if lost and lost.within(owned(connection, server)):
        raise ConnectionLost(
            f"the server has not committed what its binlog has already: {lost.listing()}",
            "nothing to do; if it lasts, the server waits for a semi-synchronous replica, or for its disk",
        )
    if lost:
        raise refuse_lacking(place, lost, state)
    if goes_on(place, state):
        return Proven(server, False, place.restart, state.end)
    start = BinlogOffset(_first_file(connection, place, state), FIRST_EVENT)
    last = place.past.last
    return Proven(server, True, start, state.end, bool(last) and last not in state.purged)


def past_at(source: ReplicationClient, connection: Connection, server: Server, place: BinlogOffset) -> Past:
    """
    What had been executed at an offset of this server's binlog: what its file begins with, and the GTIDs in
    the file before it. Reads the file up to there over another connection.
    """
    # What a server was made with, from a dump or a copy, has never been in its binlog.
    history = (before_file(connection, place.file) or NOTHING).union(never_logged(connection, server))
    past = Past(server.identity, history)
    for event in _events(source, place):
        if isinstance(event, FormatDescription):
            past = past._replace(created=event.created)
        elif isinstance(event, Gtid) and event.gtid:
            past = past._replace(
                history=past.history.plus(event.gtid),
                last=event.gtid,
                committed=event.original or event.committed,
            )
    return past._replace(restart_history=past.history)


def _events(source: ReplicationClient, place: BinlogOffset) -> Iterator[Event]:
    """Of the place's file its first event, and the beginnings of the transactions before the place."""
    stream = EventStream(lambda _schema, _table: None)
    for packet in lookahead.packets(source, BinlogOffset(place.file, FIRST_EVENT)):
        if packet[_KIND] not in _GTIDS:
            continue
        for event in stream.feed(packet, 1):
            if isinstance(event, Rotate) and event.file != place.file:
                return
            if isinstance(event, Gtid) and event.start >= place.offset:
                return
            yield event


def _state(connection: Connection, server: Server) -> SourceState:
    has = executed(connection, server)
    # After that: what is executed meanwhile is then before the end, and not the other way round.
    end = current_offset(connection, server)
    files = {str(row["log_name"]): int(row["file_size"]) for row in rows(connection, "SHOW BINARY LOGS")}
    return SourceState(
        server.identity,
        files,
        end,
        has,
        purged(connection, server, next(iter(files), end.file)),
        applied_elsewhere(connection) if server.flavor == "mariadb" else NOTHING,
    )


def _first_file(connection: Connection, place: Place, state: SourceState) -> str:
    """
    The newest file before which there is nothing but what was captured.

    Also before the newest captured transaction, so that its commit time is seen and compared, and before all
    that is prepared.
    """
    last = place.past.last
    for file, before in _newest_first(connection, state):
        if before is None:  # nothing says what is before it
            continue
        if before.newest().within(place.past.restart_history) and not (last and last in before):
            return file
    oldest = next(iter(state.files))
    if place.restart != place.boundary and not state.purged.newest().within(place.past.restart_history):
        raise CaptureStopped(
            "purged: the server's binlog does not have the XA transactions any more that were prepared and"
            " have no outcome yet",
            "XA COMMIT or XA ROLLBACK them, and load the targets again",
        )
    return oldest


def _newest_first(connection: Connection, state: SourceState) -> Iterator[tuple[str, History | None]]:
    for file in reversed(list(state.files)):
        yield file, before_file(connection, file)
