"""
Whether a server's history contains what was captured, and how capture goes on there. Pure.

Decided at every connection, by what the server says on that very connection:

goes on    the same server, the file is there and long enough
new epoch  another server, or the file is gone; all that was captured is in the server's history, and nothing
           else has been purged
stops      everything else; the reason has a name, and the fix is its own
"""

from collections.abc import Mapping
from dataclasses import dataclass

from capturer.source.place import Place
from capturer.state.status import START_OVER
from rowferry.errors import CaptureStopped
from rowferry.history import NOTHING, History
from rowferry.position import BinlogOffset, base_name, file_number


@dataclass(frozen=True, slots=True)
class SourceState:
    """
    What a server says of itself: identity, the sizes of its binlog files in their order, where the binlog
    ends, what it has executed, what of that is not in the binlog any more. `elsewhere` is what a MariaDB
    server has applied as a replica.
    """

    server: str
    files: Mapping[str, int]
    end: BinlogOffset
    executed: History
    purged: History
    elsewhere: History = NOTHING


def lacking(place: Place, partly: str, state: SourceState) -> History:
    """
    What was captured and the server does not have (yet). `partly`: a transaction of which a part was sent.
    """
    captured = place.past.history.newest()
    if partly:
        captured = captured.plus(partly)
    lost = captured.minus(state.executed)
    # What a server was made with has never been in its own binlog; of another one, nothing else is proved.
    return lost.minus(state.elsewhere) if place.past.server == state.server else lost


def goes_on(place: Place, state: SourceState) -> bool:
    """
    Whether capture goes on at the same file and offset; False: in a new epoch.

    Call it when nothing is lacking. Raises CaptureStopped.
    """
    boundary, past = place.boundary, place.past
    same_server = past.server == state.server
    same_log = same_server and base_name(boundary.file) == base_name(state.end.file)
    if same_server and (size := state.files.get(boundary.file)) is not None:
        if size < boundary.offset:
            raise CaptureStopped(
                f"{boundary.file} on the server ends at {size}, captured was {boundary.offset}: the server"
                " lost the end of its binlog in a crash (sync_binlog is not 1), or was restored from a copy",
                START_OVER,
            )
        return True
    if same_log and file_number(boundary.file) > file_number(state.end.file):
        raise CaptureStopped(_fell(place, state), START_OVER)
    if lost := state.purged.newest().minus(past.history):
        raise CaptureStopped(
            "binlog purged: it does not have transactions any more that were not captured, or never had them"
            f" (log_replica_updates is OFF): {lost.listing()}",
            f"keep binlogs for longer (binlog_expire_logs_seconds); {START_OVER}",
        )
    return False


def refuse_lacking(place: Place, lost: History, state: SourceState) -> CaptureStopped:
    """The error for a server that does not have what was captured."""
    names = lost.listing()
    if lost.within(state.elsewhere):
        return CaptureStopped(
            f"server {state.server} has applied {names} as a replica, but its binlog does not have them"
            " (log_slave_updates is OFF)",
            f"set log_slave_updates=ON on every replica that may be promoted; {START_OVER}",
        )
    if place.past.server != state.server:
        return CaptureStopped(
            f"server {state.server}, which SOURCE_HOST names now, lacks captured transactions: {names}",
            "if it is a replica that still applies them, start the capturer again when it has; if they are"
            f" lost, point SOURCE_HOST at a server that has them; where there is none, {START_OVER}",
        )
    if base_name(place.boundary.file) == base_name(state.end.file) and place.boundary.file in state.files:
        return CaptureStopped(
            "the server was restored from an older copy, or lost its last transactions in a crash"
            f" (sync_binlog is not 1): it lacks captured transactions: {names}",
            START_OVER,
        )
    return CaptureStopped(f"{_fell(place, state)}; it lacks {names}", START_OVER)


def _fell(place: Place, state: SourceState) -> str:
    return (
        "the server's binlog was reset (RESET BINARY LOGS AND GTIDS, RESET MASTER), or the server was"
        f" restored from a copy: it ends at {state.end}, captured was {place.boundary}"
    )
