"""Checkpoint items, and connections to servers that are not there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bulkload.connection import Connect
from bulkload.direct.captured_source import OpenSource, PairedConnection
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import CHECKPOINT, ControlTable
from rowferry.mysql.server import Server, identify
from tests.support.dynamo import Dynamo

FILE, OFFSET, END = "binlog.000007", 500, 900


def captured(
    *servers: str, first: int = 1, files: Sequence[str] = (), history: str = "", **more: Any
) -> dict[str, Any]:
    """The checkpoint item of a capture that began on the first server and failed over to each further one."""
    names = files or (FILE,) * len(servers)
    last = len(servers) - 1
    return {
        "epoch": first + last, "first_epoch": first, "server": servers[-1], "file": names[-1],
        "offset": OFFSET, "tables": ["test.t"], "history": history,
        "epochs": [
            {
                "epoch": first + place, "server": server, "file": name, "offset": 100,
                "end": "" if place == last else f"{name}:{END}",
            }
            for place, (server, name) in enumerate(zip(servers, names, strict=True))
        ],
    } | more  # fmt: skip


def capture(*servers: str, **more: Any) -> Checkpoint:
    """The same, as it is read."""
    return Checkpoint.of(captured(*servers, **more))


def control(item: dict[str, Any]) -> ControlTable:
    """A control table with this checkpoint."""
    table = ControlTable(Dynamo(control=("pk",)), "control")
    table.put(CHECKPOINT, item)
    return table


def first_epoch(connect: Connect) -> OpenSource:
    """Connections to a server that counts as captured, in epoch 1."""

    def open_source() -> PairedConnection:
        connection = connect()
        return PairedConnection(connection, identify(connection), 1)

    return open_source


def server(identity: str) -> Server:
    return Server("mysql", (9, 7), identity)


@dataclass
class Asked:
    """A connection and its cursor in one. Answers each query whose beginning it knows; notes all."""

    answers: dict[str, list[dict[str, Any]]]
    queries: list[str] = field(default_factory=list)
    _found: list[dict[str, Any]] = field(default_factory=list)

    def cursor(self) -> "Asked":
        return self

    def execute(self, sql: str, _parameters: Any = None) -> None:
        self.queries.append(sql)
        self._found = next((rows for start, rows in self.answers.items() if sql.startswith(start)), [])

    @property
    def description(self) -> list[tuple[str]]:
        return [(name,) for name in (self._found[0] if self._found else ())]

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self._found]

    def close(self) -> None: ...


def connected(identity: str, file: str = FILE, offset: int = OFFSET, **answers: Any) -> Asked:
    """A connection to a MySQL server whose binlog ends there. `answers`: values of global variables."""
    return Asked(
        {
            "SELECT VERSION()": [{"version": "9.7.4"}],
            "SHOW GLOBAL VARIABLES": [
                {"variable_name": "server_uuid", "value": identity},
                {"variable_name": "server_id", "value": "1"},
            ],
            "SHOW BINARY LOG STATUS": [{"File": file, "Position": offset}],
            **{
                f"SELECT @@GLOBAL.{name} ": [{"found": value, "owned": value}]
                for name, value in answers.items()
            },
        }
    )
