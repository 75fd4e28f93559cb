"""Connections to the server that is captured, each with the epoch of the positions that are read over it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bulkload.connection import Connect
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import ControlTable
from rowferry.mysql.server import Server, identify


@dataclass(frozen=True, slots=True)
class PairedConnection:
    """
    A connection, the server at its other end, and the epoch of that server's binlog.

    With the epoch of another server, a watermark may be far too high: the changes below it would be skipped.
    """

    connection: Any
    server: Server
    epoch: int


type OpenSource = Callable[[], PairedConnection]
"""Raises as CapturedSource."""


@dataclass(frozen=True, slots=True)
class CapturedSource:
    """
    Opens connections to the captured server. `checkpoint` reads the checkpoint as it is now.

    Raises NotCaptured where `connect` leads to another server, as between a failover and the moment when
    capture has followed it, and what the driver raises where there is no server.
    """

    connect: Connect
    checkpoint: Callable[[], Checkpoint]

    def __call__(self) -> PairedConnection:
        connection = self.connect()
        try:
            server = identify(connection)
            # After the server was identified: the checkpoint may have changed since the last connection, and
            # this one leads to the same process as long as it lives.
            checkpoint = self.checkpoint().refuse_none()
            return PairedConnection(connection, server, checkpoint.position_at(connection, server).epoch)
        except BaseException:
            connection.close()
            raise


@dataclass(frozen=True, slots=True)
class CheckpointOf:
    """Reads the checkpoint in whatever process it is called: picklable. `table`: the control table's name."""

    client: Callable[[], Any]
    table: str

    def __call__(self) -> Checkpoint:
        return Checkpoint.read(ControlTable(self.client(), self.table))
