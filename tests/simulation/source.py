"""A MySQL server in memory: its binlog, what a SELECT shows, and a connection for the loader's questions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from capturer.decoder.events import Gtid, Query, Rotate, RowsEvent, XaPrepared, Xid
from capturer.source.events import Event
from rowferry.change import Kind
from rowferry.mysql.server import Server
from rowferry.position import BinlogOffset

ORDERS, PRODUCTS = 5, 3

type Place = tuple[str, str]
type Images = tuple[dict[str, Any] | None, dict[str, Any] | None]


def row(place: Place, quantity: int) -> dict[str, Any]:
    return {"customerid": "c", "orderid": place[0], "productid": place[1], "quantity": quantity}


def place_of(image: dict[str, Any]) -> Place:
    return image["orderid"], image["productid"]


type Changes = list[tuple[Kind, Images]]
type State = dict[Place, int]


@dataclass(frozen=True, slots=True)
class Transaction:
    """
    Row changes that are committed together.

    A prepared one (XA) has none: `held` are those that its outcome commits, a transaction of its own.
    """

    changes: Changes
    xid: str = ""
    outcome: str = ""
    held: Changes = field(default_factory=list)
    prepared: int = 0
    """Number of the transaction that prepared this one."""

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
    places: list[tuple[BinlogOffset, int]] = field(default_factory=list)
    visible: int = 0
    states: list[State] = field(default_factory=lambda: [{}])
    prepared: dict[str, int] = field(default_factory=dict)
    end: BinlogOffset = field(default_factory=lambda: BinlogOffset("binlog.000001", 157))

    def commit(self) -> None:
        """Writes a transaction into the binlog."""
        if self.prepared and self.random.random() < 0.3:
            self._resolve(self.random.choice(list(self.prepared)))
        elif len(self.prepared) < 2 and self.random.random() < 0.1:
            held = self._changes(dict(self.states[-1]), self.random.choice([1, 2]))
            xid = f"X'{len(self.log):08x}',X'',1"
            self.prepared[xid] = len(self.log)
            self._append(Transaction([], xid, held=held), self.states[-1])
        else:
            state = dict(self.states[-1])
            self._append(Transaction(self._changes(state, self.random.choice([1, 1, 1, 2, 4]))), state)

    def resolve(self) -> None:
        """Gives everything that is prepared its outcome."""
        for xid in list(self.prepared):
            self._resolve(xid)

    def _resolve(self, xid: str) -> None:
        number = self.prepared.pop(xid)
        if self.random.random() < 0.3:
            self._append(Transaction([], xid, "ROLLBACK"), self.states[-1])
            return
        state, changes = dict(self.states[-1]), self.log[number].held
        for _, (before, after) in changes:
            if before:
                del state[place_of(before)]
            if after:
                state[place_of(after)] = after["quantity"]
        self._append(Transaction(changes, xid, "COMMIT", prepared=number), state)

    def truncate(self) -> None:
        """All rows are gone, and no row change says so."""
        self.resolve()
        self._append(Transaction([]), {})

    def _append(self, transaction: Transaction, state: State) -> None:
        self.log.append(transaction)
        self.states.append(state)
        self._write()

    def _changes(self, state: State, count: int) -> Changes:
        return [self._change(state) for _ in range(count)]

    def _change(self, state: State) -> tuple[Kind, Images]:
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
        """A place that no prepared transaction holds a lock of."""
        held = [images for number in self.prepared.values() for _, images in self.log[number].held]
        locked = {place_of(image) for images in held for image in images if image}
        while (
            place := (f"o{self.random.randrange(ORDERS)}", f"p{self.random.randrange(PRODUCTS)}")
        ) in locked:
            pass
        return place

    def _write(self) -> None:
        if self.random.random() < 0.05:
            self.end = BinlogOffset(f"binlog.{int(self.end.file[-6:]) + 1:06d}", 157)
        size = self.random.randrange(100, 900)
        self.places.append((self.end, size))
        self.end = BinlogOffset(self.end.file, self.end.offset + size)

    def show(self) -> None:
        """The engine commits the oldest transaction that nobody sees yet."""
        self.visible = min(self.visible + 1, len(self.log))

    def fail_over(self) -> None:
        """Another server takes over: it has every transaction, at other coordinates."""
        self.number += 1
        self.visible = len(self.log)
        self.end = BinlogOffset(f"binlog.{self.random.randrange(1, 9):06d}", 157)
        self.places = []
        for _ in self.log:
            self._write()

    def boundary(self, index: int) -> BinlogOffset:
        """Where transaction number `index` starts on this server, or will."""
        return self.places[index][0] if index < len(self.places) else self.end

    def events(self, index: int, at: BinlogOffset) -> Iterator[Event]:
        """What the binlog holds of a transaction, for a reader that stands at `at`."""
        start, size = self.places[index]
        if start.file != at.file:
            yield Rotate(start.file, 4)
        yield Gtid(start.offset, start.offset + 20, None, 1_700_000_000_000_000)
        transaction, end = self.log[index], start.offset + size
        if transaction.outcome:
            yield Query(start.offset + 20, end, "test", f"XA {transaction.outcome} {transaction.xid}")
            return
        begin = f"XA START {transaction.xid}" if transaction.xid else "BEGIN"
        yield Query(start.offset + 20, start.offset + 30, "test", begin)
        for number, (kind, images) in enumerate(transaction.held or transaction.changes):
            yield RowsEvent(
                start.offset + 30 + number, start.offset + 31 + number, "test", "purchase", kind, [images], 1
            )
        if transaction.xid:
            yield XaPrepared(start.offset + 60, end, False, transaction.xid)
        else:
            yield Xid(start.offset + 60, end)


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
