"""A MySQL server in memory: its binlog, what a SELECT shows, and a connection for the loader's questions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from capturer.decoder.events import Gtid, Query, Rotate, Rows, Xid
from capturer.events import Boundary, Event
from rowferry.change import Kind
from rowferry.source import Server

ORDERS, PRODUCTS = 5, 3

type Place = tuple[str, str]
type Images = tuple[dict[str, Any] | None, dict[str, Any] | None]


def row(place: Place, quantity: int) -> dict[str, Any]:
    return {"customerid": "c", "orderid": place[0], "productid": place[1], "quantity": quantity}


@dataclass(frozen=True, slots=True)
class Transaction:
    """Row changes that are committed together."""

    changes: list[tuple[Kind, Images]]

    @property
    def orders(self) -> set[str]:
        return {image["orderid"] for _, images in self.changes for image in images if image}


class Disconnected(Exception):
    """The server has gone away."""


@dataclass(slots=True)
class Source:
    """
    All transactions in commit order, and where they stand in the binlog of the server that is in charge.

    The newest ones may stand in the binlog without a SELECT showing them yet.
    """

    random: Random
    number: int = 1
    log: list[Transaction] = field(default_factory=list)
    places: list[tuple[Boundary, int]] = field(default_factory=list)
    visible: int = 0
    states: list[dict[Place, int]] = field(default_factory=lambda: [{}])
    end: Boundary = field(default_factory=lambda: Boundary("binlog.000001", 157))

    def commit(self) -> None:
        """Writes a transaction into the binlog."""
        state = dict(self.states[-1])
        changes = [self._change(state) for _ in range(self.random.choice([1, 1, 1, 2, 4]))]
        self.log.append(Transaction(changes))
        self.states.append(state)
        self._write()

    def truncate(self) -> None:
        """All rows are gone, and no row change says so."""
        self.log.append(Transaction([]))
        self.states.append({})
        self._write()

    def _change(self, state: dict[Place, int]) -> tuple[Kind, Images]:
        place, chance = self._somewhere(), self.random.random()
        if place not in state:
            state[place] = self.random.randrange(10**6)
            return Kind.INSERT, (None, row(place, state[place]))
        before = row(place, state.pop(place))
        if chance < 0.4:
            return Kind.DELETE, (before, None)
        target = self._somewhere() if chance < 0.6 else place
        if target in state:
            target = place
        state[target] = self.random.randrange(10**6)
        return Kind.UPDATE, (before, row(target, state[target]))

    def _somewhere(self) -> Place:
        return f"o{self.random.randrange(ORDERS)}", f"p{self.random.randrange(PRODUCTS)}"

    def _write(self) -> None:
        if self.random.random() < 0.05:
            self.end = Boundary(f"binlog.{int(self.end.file[-6:]) + 1:06d}", 157)
        size = self.random.randrange(100, 900)
        self.places.append((self.end, size))
        self.end = Boundary(self.end.file, self.end.offset + size)

    def show(self) -> None:
        """The engine commits the oldest transaction that nobody sees yet."""
        self.visible = min(self.visible + 1, len(self.log))

    def fail_over(self) -> None:
        """Another server takes over: it has every transaction, at other coordinates."""
        self.number += 1
        self.visible = len(self.log)
        self.end = Boundary(f"binlog.{self.random.randrange(1, 9):06d}", 157)
        self.places = []
        for _ in self.log:
            self._write()

    def boundary(self, index: int) -> Boundary:
        """Where transaction number `index` starts on this server, or will."""
        return self.places[index][0] if index < len(self.places) else self.end

    def events(self, index: int, at: Boundary) -> Iterator[Event]:
        """What the binlog holds of a transaction, for a reader that stands at `at`."""
        start, size = self.places[index]
        if start.file != at.file:
            yield Rotate(start.file, 4)
        yield Gtid(start.offset, start.offset + 20, None, 1_700_000_000_000_000)
        yield Query(start.offset + 20, start.offset + 30, "test", "BEGIN")
        for number, (kind, images) in enumerate(self.log[index].changes):
            yield Rows(
                start.offset + 30 + number, start.offset + 31 + number, "test", "purchase", kind, [images], 1
            )
        yield Xid(start.offset + 60, start.offset + size)


@dataclass(slots=True)
class Connection:
    """
    A DB-API connection. Between two statements the world goes on: `meanwhile` is called.

    `snapshot` is the number of transactions that its consistent read shows.
    """

    source: Source
    meanwhile: Callable[[], None]
    snapshot: int = -1
    server: int = 0
    _found: list[tuple[Any, ...]] = field(default_factory=list)
    description: Any = None

    def __post_init__(self) -> None:
        self.server = self.source.number

    def cursor(self) -> "Connection":
        return self

    def close(self) -> None:
        """It is a cursor too."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._found

    def execute(self, sql: str, parameters: Any = None) -> None:
        self.meanwhile()
        if self.server != self.source.number:
            raise Disconnected
        self._found = []
        if sql.startswith("SHOW BINARY LOG STATUS"):
            self._answer(("File", "Position"), tuple(self.source.end))
        elif "gtid_owned" in sql:
            owned = range(self.source.visible + 1, len(self.source.log) + 1)
            self._answer(("owned",), (",".join(f"uuid:{number}#7" for number in owned),))
        elif "WAIT_FOR_EXECUTED_GTID_SET" in sql:
            self.source.show()
            self._answer(("timed_out",), (self.source.random.randrange(2),))
        elif sql.startswith("START TRANSACTION"):
            self.snapshot = self.source.visible
        else:
            raise AssertionError(sql)

    def _answer(self, names: tuple[str, ...], values: tuple[Any, ...]) -> None:
        self.description = [(name,) for name in names]
        self._found = [values]


MYSQL = Server("mysql", (9, 0, 0), "uuid")
