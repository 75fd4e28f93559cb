"""
The checkpoint as everybody but the capturer reads it: which server is captured, and in which epoch.

An epoch is the binlog of one server, under one base name. It rises by itself when the source fails over, and
by a reset of capture. A failover leaves what older epochs have loaded and planned as it is; a reset does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rowferry.control_table import CHECKPOINT, ControlTable
from rowferry.errors import NotCaptured, Refused
from rowferry.history import History
from rowferry.mysql.executed import executed
from rowferry.mysql.server import Connection, Server
from rowferry.mysql.snapshot import current_offset
from rowferry.position import BinlogOffset, Position, base_name

_NOWHERE = BinlogOffset("", 0)
_CAPTURED = "the server that the capturer reads (its parameter SourceHost)"


@dataclass(frozen=True, slots=True)
class Epoch:
    """
    One epoch: the server's identity, and where its binlog begins to be captured.

    `end`: how far it was captured when the next epoch began, FILE:OFFSET; empty for the present one.
    """

    number: int
    server: str
    start: BinlogOffset
    end: str = ""

    @property
    def base(self) -> str:
        """What the files of this binlog are named like."""
        return base_name(self.start.file)

    @property
    def fields(self) -> dict[str, Any]:
        """As in the checkpoint item."""
        return {
            "epoch": self.number, "server": self.server, "file": self.start.file,
            "offset": self.start.offset, "end": self.end,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    The item CHECKPOINT. `epochs`: those of this capture, which began at its first start or at the last reset,
    oldest first; empty before any capture. Everything before `reached` is on the stream; `history` is the
    GTID set of that (rowferry.history), empty where the source has none.
    """

    epochs: tuple[Epoch, ...] = ()
    reached: BinlogOffset = _NOWHERE
    tables: frozenset[str] = frozenset()
    since: Position | None = None
    history: str = ""

    @classmethod
    def read(cls, control: ControlTable) -> Self:
        """As it is now."""
        return cls.of(control.get(CHECKPOINT))

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Of the item, or of an empty one. Versions before 0.3 know the present epoch only."""
        if not item:
            return cls()
        reached, present = BinlogOffset(item["file"], item["offset"]), int(item["epoch"])
        # The capturer adds the next epoch before the checkpoint comes to it.
        epochs = tuple(one for one in map(_epoch, item.get("epochs", ())) if one.number <= present)
        return cls(
            epochs or (Epoch(present, item["server"], reached),),
            reached,
            frozenset(item.get("tables", ())),
            Position.parse(item["since"]) if "since" in item else None,
            item.get("history", ""),
        )

    def __bool__(self) -> bool:
        return bool(self.epochs)

    @property
    def epoch(self) -> int:
        """The present one, 0 before any capture."""
        return self.epochs[-1].number if self.epochs else 0

    @property
    def first_epoch(self) -> int:
        """The one in which this capture began."""
        return self.epochs[0].number if self.epochs else 0

    @property
    def server(self) -> str:
        """The identity of the server that is captured."""
        return self.epochs[-1].server

    @property
    def position(self) -> Position:
        """Everything before it is on the stream."""
        return self.reached.position(self.epoch)

    def has(self, epoch: int | None) -> bool:
        """Whether what is of that epoch is of this capture: since then nothing was reset."""
        return epoch is not None and bool(self.epochs) and self.first_epoch <= epoch <= self.epoch

    def server_of(self, epoch: int) -> str | None:
        """The server of an epoch of this capture."""
        return next((one.server for one in self.epochs if one.number == epoch), None)

    def refuse_none(self) -> Self:
        """Raises Refused before any capture."""
        if not self.epochs:
            raise Refused("no capturer has run yet", "start the capturer (CapturerCount=1)")
        return self

    def position_at(self, connection: Connection, server: Server) -> Position:
        """
        The present end of the binlog of `server`, to which the connection leads, as a position.

        Read the checkpoint after `server` was identified on this connection, which leads to the same process
        as long as it lives: later offsets there may then be paired with this epoch, too. Where capture has
        gone on to another server since, that makes their positions lower than they could be, which is safe.

        Raises NotCaptured where the server, or the name of its binlog, is not the one that is captured, or
        the binlog ends before the checkpoint.
        """
        if server.identity != self.server:
            raise self._other_server(connection, server)
        end = current_offset(connection, server)
        if base_name(end.file) != base_name(self.reached.file):
            raise NotCaptured(
                f"the source's binlog is named {base_name(end.file)} now, captured is"
                f" {base_name(self.reached.file)}",
                "capture has not followed yet: wait until `ferry status` shows the new name",
            )
        if end.order < self.reached.order:
            raise NotCaptured(
                f"the source's binlog ends at {end}, before the checkpoint {self.reached}",
                "the server was restored or reset: set CapturerReset (or --reset) to a new word, then load"
                " again",
            )
        return end.position(self.epoch)

    def _other_server(self, connection: Connection, server: Server) -> NotCaptured:
        found = f"the source is server {server.identity}, but {self.server} is being captured"
        former = next((one for one in reversed(self.epochs) if one.server == server.identity), None)
        if former:
            return NotCaptured(
                f"{found}: the source failed over from the first to the second",
                f"let the address in --source lead to server {self.server}; if the source has failed over"
                f" back to it, wait until `ferry status` shows server {server.identity}",
            )
        return self._unknown(found, connection, server)

    def _unknown(self, found: str, connection: Connection, server: Server) -> NotCaptured:
        named = f"name in --source {_CAPTURED}"
        if not self.history:  # without GTIDs capture follows no failover
            return NotCaptured(found, named)
        if missing := History.parse(self.history).minus(executed(connection, server)):
            return NotCaptured(
                f"{found}, and the first lacks transactions that were captured: {missing.listing(3)}",
                f"{named}; where it has taken over nevertheless, capture stops: see `ferry status`",
            )
        return NotCaptured(
            f"{found}: capture has not followed the failover yet",
            f"wait until `ferry status` shows server {server.identity} (restart the capturer where the former"
            f" primary stays up); if it is only a replica, {named}",
        )


def _epoch(fields: Mapping[str, Any]) -> Epoch:
    start = BinlogOffset(fields["file"], fields["offset"])
    return Epoch(int(fields["epoch"]), fields["server"], start, fields.get("end", ""))
