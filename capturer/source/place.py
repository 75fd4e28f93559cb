"""How far a source has been read, and what that is true of."""

from typing import NamedTuple, Self

from rowferry.errors import SourceNotReady
from rowferry.history import NOTHING, History
from rowferry.position import BinlogOffset


class ContinuityLost(SourceNotReady):
    """
    The binlog does not go on as it was. `renamed_to`: the next file is one of another log of the same server
    (`--log-bin` was given another name); empty: the number falls, and the next connection has to decide.
    """

    def __init__(self, found: str, fix: str, renamed_to: str = "") -> None:
        super().__init__(found, fix)
        self.renamed_to = renamed_to


class Past(NamedTuple):
    """
    What a boundary in a binlog is true of: proved again at every connection.

    `server`: its identity. `history`: what was captured of it; `restart_history`: the same at the place
    where reading has to begin for prepared XA transactions. `created`: when the boundary's file was made (s
    since 1970), 0 if that is not known yet. `last` is the newest transaction in the history, `committed` its
    original commit time (µs since 1970), which replicas keep. `shared`: in this binlog, transactions before
    that place may be in the history already, because another server's log had them; None: none is.
    """

    server: str = ""
    history: History = NOTHING
    restart_history: History = NOTHING
    created: int = 0
    last: str = ""
    committed: int = 0
    shared: BinlogOffset | None = None


class Place(NamedTuple):
    """
    A transaction boundary of an epoch: everything before it has been read.

    `restart` is where a new capturer has to begin reading for XA transactions without an outcome; equal to
    `boundary` if there are none.
    """

    epoch: int
    boundary: BinlogOffset
    restart: BinlogOffset
    past: Past = Past()

    @classmethod
    def of(
        cls,
        epoch: int,
        boundary: BinlogOffset,
        restart: BinlogOffset | None = None,
        past: Past = Past(),  # noqa: B008 - immutable
    ) -> Self:
        """Without `restart`, nothing is prepared."""
        return cls(epoch, boundary, restart or boundary, past)
