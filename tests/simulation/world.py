"""
One schedule of everything that may happen, decided by a seed, with the real code in every part that decides:
transactions, lanes and checkpoints of the capturer, watermarks and grouping of the bulk load, the consumer's
applier and store. Only what they talk to is made here: the server, the stream, DynamoDB, the lease's counter.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from apply_changes import applier as applier_module
from apply_changes.applier import Applier
from apply_changes.store import DynamoStore
from bulkload.direct.grouping import Grouping
from capturer.decoder.events import Gtid
from capturer.source.place import Place
from capturer.source.transactions import Transactions
from capturer.stream.checkpoints import Checkpoints
from capturer.stream.encoding import encoded
from capturer.stream.lanes import Lanes, Parcel
from rowferry.change import Marker, RowChange, decode_record
from rowferry.errors import CaptureStopped
from rowferry.items import folding, requests
from rowferry.items.folding import Write
from rowferry.mapping import EXPIRES, POSITION, Mapping
from rowferry.mysql import snapshot
from rowferry.mysql.server import Server, execute
from rowferry.position import BinlogOffset, Position
from tests.simulation.source import MYSQL, ORDERS, Connection, Disconnected, Source, row
from tests.support.dynamo import Dynamo
from tests.support.mappings import PURCHASE_FILE
from tests.support.scenarios import Item

MAPPINGS = {
    layout: Mapping.parse(
        PURCHASE_FILE.read_text().replace(
            '"attribute-per-row"', f'"{layout}"\n' + 'attribute = "products"' * inside
        )
    )
    for layout, inside in (("attribute-per-row", False), ("nested-map", True), ("string-set", True))
}
LANES, SHARDS = 4, 2
RETENTION, TOMBSTONE = 100, 200  # seconds; the real ones are days, in the same proportion


class Wrong(Exception):
    """Something that must always hold does not."""


class Crash(Exception):
    """The function dies."""


# Broken on purpose: each has to be found, or the simulation proves nothing.


def unconnected(steps: Any) -> Iterator[Write]:
    """no-runs: everything folded into one write, whoever sent it."""
    every = list(steps)
    members: dict[str, Any] = {}
    for step in every:
        members.update(step.effect.members)
    newest = max(every, key=lambda step: step.position)
    yield Write(newest.effect.key, members, whole=False, position=newest.position, steps=[newest])


def gapped(steps: Any) -> Iterator[Write]:
    """gap-in-a-run: a run is applied where only its last change is new."""
    for write in folding.writes(steps):
        yield replace(write, steps=write.steps[-1:])


def positionless(steps: Any) -> Iterator[Write]:
    """no-position: whatever comes is written."""
    yield from folding.writes([replace(step, position=None) for step in steps])


def end_of_binlog(connection: Any, server: Server) -> BinlogOffset:
    """visibility-gap: a transaction stands in the binlog before a SELECT shows it."""
    end = snapshot.current_offset(connection, server)
    execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    return end


def late_watermark(connection: Any, server: Server) -> BinlogOffset:
    """late-watermark: read after the snapshot."""
    snapshot.begin_snapshot(connection, server)
    return snapshot.current_offset(connection, server)


WRITES: dict[str, Callable[[Any], Iterator[Write]]] = {
    "no-runs": unconnected,
    "gap-in-a-run": gapped,
    "no-position": positionless,
}
SNAPSHOTS: dict[str, Callable[[Any, Server], BinlogOffset]] = {
    "visibility-gap": end_of_binlog,
    "late-watermark": late_watermark,
}
BROKEN = (
    *WRITES,
    *SNAPSHOTS,
    "no-lane-order",
    "no-tombstone",
    "short-tombstone",
    "early-checkpoint",
    "no-epoch",
    "no-floor",
    "floor-over-items",
    "prepared-forgotten",
    "position-of-prepare",
)


@dataclass(slots=True)
class Capturer:
    """The real state machines of a capturer, and a thin loop around them."""

    world: "World"
    token: int
    epoch: int
    index: int
    restart: int
    server: int = 0
    since: float = 0.0
    transactions: Transactions = field(init=False)
    lanes: Lanes = field(init=False)
    checkpoints: Checkpoints[tuple[BinlogOffset, BinlogOffset]] = field(init=False)
    pending: list[Any] = field(default_factory=list)
    flying: list[Parcel] = field(default_factory=list)
    astray: list[Parcel] = field(default_factory=list)
    indexes: dict[BinlogOffset, int] = field(default_factory=dict)
    marker: Marker | None = None

    def __post_init__(self) -> None:
        start, restart = map(self.world.source.boundary, (self.index, self.restart))
        self.server = self.world.source.number
        self.indexes |= {start: self.index, restart: self.restart}
        self.index = self.restart
        self.transactions = Transactions(self.world.mapping, Place.of(self.epoch, start, restart))
        self.lanes = Lanes(LANES, random=self.world.random.random, linger=0.05)
        self.checkpoints = Checkpoints((start, restart))

    def read(self) -> None:
        """Feeds one event of the binlog; nothing from a server that is not in charge any more."""
        world = self.world
        if not self.pending:
            if self.server != world.source.number or self.index >= len(world.source.log):
                return
            self.pending = list(world.source.events(self.index, self.transactions.boundary))
        fed = self.pending.pop(0)
        for change in self.feed(fed):
            world.positions[change.position or ""] = self.index
            for lane, content in encoded(change, world.mapping, LANES):
                self.lanes.add(
                    lane, content, self.transactions.committed, self.transactions.number, world.now
                )
        if isinstance(fed, Gtid):
            self.indexes[self.transactions.boundary] = self.index
        if not self.pending:
            self.index += 1
            self.indexes[self.transactions.boundary] = self.index
            forgetful = world.broken == "prepared-forgotten"
            restart = self.transactions.boundary if forgetful else self.transactions.restart
            if not self.transactions.again:
                self.checkpoints.ended(self.transactions.number, (self.transactions.boundary, restart))

    def feed(self, event: Any) -> Sequence[RowChange]:
        """What may be sent."""
        try:
            changes = self.transactions.feed(event)
        except CaptureStopped as stopped:
            raise Wrong(f"capture stopped: {stopped}") from None
        transaction = self.world.source.log[self.index]
        if self.world.broken == "position-of-prepare" and transaction.outcome:
            there = Position(self.epoch, *self.world.source.boundary(transaction.prepared).order)
            return [
                change._replace(position=str(there._replace(row=n))) for n, change in enumerate(changes, 1)
            ]
        return changes

    def send(self) -> None:
        """Takes what is due into flight."""
        if not self.flying:
            self.flying = self.lanes.take(self.world.now, max_records=self.world.random.randint(1, LANES))

    def land(self) -> None:
        """One record of the request arrives, or not, and its answer does, or not."""
        world, random = self.world, self.world.random
        if self.astray and random.random() < 0.5:
            world.put(self.astray.pop().encode(self.token))
        if not self.flying:
            return
        parcel, chance = self.flying.pop(0), random.random()
        if chance < 0.6:
            world.put(parcel.encode(self.token))
            self.lanes.accepted(parcel.lane, world.now)
        elif world.broken == "no-lane-order":
            self.astray.append(parcel)
            self.lanes.accepted(parcel.lane, world.now)
        else:
            if chance < 0.75:  # the answer gets lost
                world.put(parcel.encode(self.token))
            elif chance < 0.85:  # given up, but it arrives some time later
                world.late.append(parcel.encode(self.token))
            self.lanes.failed(parcel.lane, world.now)

    def save(self) -> None:
        """The checkpoint, where the lease is still this capturer's."""
        if self.token != self.world.token:
            return
        reached, restart = self.checkpoints.reached(self.lanes.oldest)
        if self.world.broken == "early-checkpoint":
            reached = self.transactions.boundary
        index = self.indexes.get(reached)
        if index is not None and index >= self.world.checkpoint:
            self.world.checkpoint, self.world.restart = index, self.indexes[restart]

    def mark(self) -> None:
        """Sends a marker behind everything read, between two transactions."""
        if self.marker is None and not self.pending:
            self.marker = Marker(f"m{self.token}-{self.index}", str(self.transactions.boundary))
            self.world.marks[self.marker.id] = (self.index, self.epoch, set())
            self.lanes.mark(self.marker, 0, self.transactions.number, self.world.now)
        elif self.marker is not None and self.lanes.marked(self.marker.id):
            self.marker = None

    @property
    def idle(self) -> bool:
        """Everything there is has been read and sent."""
        read = self.index == len(self.world.source.log) and not self.pending
        return read and self.lanes.empty and not self.astray


class Trembling:
    """The DynamoDB client of the consumer: requests fail, lose their answer, or the function dies."""

    def __init__(self, dynamo: Dynamo, random: Random) -> None:
        self._dynamo, self._random = dynamo, random
        self.calm = False

    def get_item(self, **arguments: Any) -> Any:
        return self._do(self._dynamo.get_item, arguments)

    def put_item(self, **arguments: Any) -> Any:
        return self._do(self._dynamo.put_item, arguments)

    def update_item(self, **arguments: Any) -> Any:
        return self._do(self._dynamo.update_item, arguments)

    def _do(self, call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        chance = 1.0 if self.calm else self._random.random()
        if chance < 0.03:
            raise Crash
        if chance < 0.06:
            raise self._failure()
        answer = call(**arguments)
        if chance < 0.09:
            raise self._failure()
        return answer

    @staticmethod
    def _failure() -> ClientError:
        return ClientError({"Error": {"Code": "InternalServerError", "Message": ""}}, "UpdateItem")


class NoQuarantine:
    def add(self, error: Exception, change: Any, data: bytes, origin: int) -> None:
        raise Wrong(f"quarantined: {error}")


class World:
    """Everything. `broken` names what is made wrong."""

    def __init__(self, seed: int, broken: str = "", layout: str = "attribute-per-row") -> None:
        self.mapping = MAPPINGS[layout]
        self.random = Random(seed)
        self.broken = broken
        self.now = 0.0
        self.source = Source(self.random)
        self.epoch = self.token = 1
        self.checkpoint = 0
        self.shards: list[list[bytes]] = [[] for _ in range(SHARDS)]
        self.at = [0] * SHARDS
        self.late: list[bytes] = []
        self.positions: dict[str, int] = {}
        self.marks: dict[str, tuple[int, int, set[int]]] = {}
        self.dynamo = Dynamo(purchase=("customerid", "orderid"))
        self.client = Trembling(self.dynamo, self.random)
        seconds = 0 if broken == "short-tombstone" else TOMBSTONE
        store = DynamoStore(self.client, lambda: self.now, seconds)
        self.applier = Applier(self.mapping, store, NoQuarantine(), map, lambda: self.random.random() > 0.01)
        self.zombies: list[Capturer] = []
        for _ in range(self.random.randrange(12)):
            self.source.commit()
        self.source.resolve()
        self.source.visible = self.checkpoint = len(self.source.log)
        self.start = self.restart = self.checkpoint
        self.capturer = Capturer(self, self.token, self.epoch, self.checkpoint, self.restart)
        self.loading = False
        self.stop = 0
        self.floors: dict[str, str] = {}
        self.unload()

    def run(self, steps: int) -> None:
        """Lives for some steps, comes to rest, and compares. Wrong when something is not as it must be."""
        for _ in range(steps):
            self.step()
        self.rest()
        self.compare("at rest")

    def step(self) -> None:
        chance = self.random.random()
        for weight, act in ACTIONS:
            chance -= weight
            if chance < 0:
                act(self)
                break
        self.now += self.random.random() * 0.1

    # the source

    def commit(self) -> None:
        self.source.commit()

    def show(self) -> None:
        self.source.show()

    def fail_over(self) -> None:
        """The source is another server now, and a new capturer follows it by GTID."""
        self.source.fail_over()
        self.epoch += self.broken != "no-epoch"
        self.take_over()

    # the capturer

    def read(self) -> None:
        self.capturer.read()

    def send(self) -> None:
        self.capturer.send()

    def land(self) -> None:
        self.capturer.land()

    def save(self) -> None:
        self.capturer.save()

    def mark(self) -> None:
        self.capturer.mark()

    def crash(self) -> None:
        """The capturer dies, and another begins at the checkpoint."""
        self.begin()

    def take_over(self) -> None:
        """The capturer is paused and loses its lease; what it holds, it may still send."""
        self.capturer.since = self.now
        self.zombies.append(self.capturer)
        self.begin()

    def begin(self) -> None:
        self.token += 1
        self.capturer = Capturer(self, self.token, self.epoch, self.checkpoint, self.restart)

    def zombie(self) -> None:
        if self.zombies:
            stale = self.random.choice(self.zombies)
            self.random.choice([stale.read, stale.send, stale.land, stale.land, stale.save])()

    # the stream

    def put(self, data: bytes) -> None:
        self.shards[decode_record(data).lane % SHARDS].append(data)

    def straggle(self) -> None:
        if self.late:
            self.put(self.late.pop(self.random.randrange(len(self.late))))

    # the bulk load

    def unload(self) -> None:
        """Nothing is loaded, nothing planned, and the switch is OFF."""
        self.unloaded = [f"o{number}" for number in range(ORDERS)]
        self.random.shuffle(self.unloaded)
        self.planned = self.switch = False

    def load_again(self) -> None:
        """
        The operator loads again while changes still wait on the stream: over what is there, or emptied.

        Emptied after a TRUNCATE, once the capturer has reached it and was told to pass
        it over, or with a capture that begins anew where another server's
        binlog ends.
        """
        if self.loading:
            return
        if (chosen := self.random.random()) < 0.7:
            if chosen < 0.35:
                self.source.truncate()
                self.stop = len(self.source.log)
            else:
                self.source.resolve()
                self.checkpoint = self.restart = len(self.source.log)
                self.fail_over()
            self.dynamo.items["purchase"].clear()
        self.unload()

    def plan(self) -> None:
        """The floor, before the first chunk."""
        connection = Connection(self.source, self.meanwhile)
        floor = str(
            SNAPSHOTS.get(self.broken, snapshot.begin_snapshot)(connection, MYSQL).position(self.epoch)
        )
        emptied = all(EXPIRES in item for item in self.dynamo.items["purchase"].values())
        if self.broken != "no-floor" and (emptied or self.broken == "floor-over-items"):
            self.floors = {"test.purchase": floor}
        self.planned = True

    def load(self) -> None:
        """A chunk, possibly once more, possibly interrupted; then the switch."""
        if self.loading or self.switch or self.capturer.server != self.source.number:
            return
        if self.checkpoint < self.stop:
            return
        if not self.unloaded:
            self.switch = True
            return
        self.loading = True
        try:
            if not self.planned:
                self.plan()
            self.chunk(self.unloaded[: self.random.randint(1, 2)])
        except Disconnected:
            pass
        finally:
            self.loading = False

    def chunk(self, orders: list[str]) -> None:
        connection, epoch = Connection(self.source, self.meanwhile), self.epoch
        watermark = SNAPSHOTS.get(self.broken, snapshot.begin_snapshot)(connection, MYSQL)
        index = self.index_of(watermark)
        self.meanwhile()
        grouping = Grouping(self.mapping.tables[0], ["customerid", "orderid", "productid", "quantity"])
        shown = self.source.states[connection.snapshot]
        grouping.take(
            list(row(place, quantity).values()) for place, quantity in shown.items() if place[0] in orders
        )
        position = watermark.position(epoch)
        self.positions[str(position)] = index - 1
        for item, _ in grouping.items(position):
            if self.random.random() < 0.05:
                return  # interrupted: the chunk stays open
            self.dynamo.put_item(TableName="purchase", Item=item)
            self.meanwhile()
        if self.random.random() < 0.9:
            self.unloaded = [order for order in self.unloaded if order not in orders]

    def index_of(self, watermark: BinlogOffset) -> int:
        """How many transactions stand before the watermark."""
        end = BinlogOffset(watermark.file, watermark.offset)
        return sum(place[0].order < end.order for place in self.source.places)

    def meanwhile(self) -> None:
        """What others do while the loader waits for an answer."""
        for _ in range(self.random.choice([0, 0, 1, 3])):
            self.step()

    # the consumer

    def consume(self) -> None:
        """A shard's next batch."""
        if not self.switch:
            return
        shard = self.random.randrange(SHARDS)
        batch = self.shards[shard][self.at[shard] :][: self.random.randint(1, 8)]
        if batch:
            self.at[shard] += self.apply(batch)

    def apply(self, batch: Sequence[bytes]) -> int:
        """How many records are done."""
        try:
            result = self.applier.apply(batch, self.floors)
        except Crash:
            return 0
        if result.received != result.applied + result.repeats + result.quarantined + result.unapplied:
            raise Wrong(f"the counters do not balance: {result}")
        for marker, lanes in result.markers.items():
            self.marks[marker.id][2].update(lanes)
            self.judge(marker.id)
        if self.broken == "no-tombstone":
            self.sweep(lambda item: len(item) == 3 or EXPIRES in item)
        if self.broken == "short-tombstone":
            self.sweep(lambda item: EXPIRES in item)
        return len(batch) if result.failed is None else result.failed

    def judge(self, name: str) -> None:
        """
        A marker that was applied in every lane proves that everything before it has been applied.

        Not when the source has failed over since: what a stale capturer sent with the old epoch is
        skipped where the new one was first. Who waits for a marker has to look at the epoch afterwards.
        """
        index, epoch, lanes = self.marks[name]
        if len(lanes) < LANES or epoch != self.epoch:
            return
        held = {item["orderid"]["S"]: item for item in self.dynamo.items["purchase"].values()}
        for number in range(self.start, index):
            for order in self.source.log[number].orders:
                item = held.get(order)
                if item and POSITION in item and self.positions[item[POSITION]["S"]] < number:
                    raise Wrong(f"marker {name} came before a change of {order}")

    # time

    def days_pass(self) -> None:
        """Longer than a tombstone is kept. Nothing of a stream's age survives its retention."""
        self.settle()
        if self.switch:
            self.now += TOMBSTONE + 1
            self.sweep(lambda item: EXPIRES in item and int(item[EXPIRES]["N"]) <= self.now)

    def settle(self) -> None:
        """What is astray arrives, stale capturers end, and what is on the stream is applied."""
        for zombie in self.zombies:
            zombie.flying, zombie.pending = [], []
        self.zombies.clear()
        while self.late:
            self.straggle()
        while self.switch and any(at < len(shard) for at, shard in zip(self.at, self.shards, strict=True)):
            self.consume()

    def sweep(self, gone: Callable[[Item], bool]) -> None:
        items = self.dynamo.items["purchase"]
        for place in [place for place, item in items.items() if gone(item)]:
            del items[place]

    # the end

    def rest(self) -> None:
        """Writes stop; everything else goes on until there is nothing left to do."""
        self.calm()
        while not (self.switch and self.capturer.idle):
            self.now += 1
            self.load()
            self.calm()
            for act in (self.read, self.send, self.land, self.save, self.zombie):
                act()
            if self.capturer.server != self.source.number:
                self.crash()
        self.settle()
        self.save()
        if self.checkpoint != len(self.source.log):
            raise Wrong(f"checkpoint {self.checkpoint} of {len(self.source.log)} with everything sent")
        self.prove()

    def calm(self) -> None:
        """Every transaction has its outcome and is seen."""
        self.source.resolve()
        self.source.visible = len(self.source.log)

    def prove(self) -> None:
        """The cutover's marker: once it is applied in every lane, nothing is missing."""
        while self.capturer.marker is not None:
            self.now += 1
            for act in (self.send, self.land, self.mark):
                act()
        self.capturer.mark()
        name = f"m{self.token}-{self.capturer.index}"
        while len(self.marks[name][2]) < LANES:
            self.now += 1
            for act in (self.send, self.land, self.consume):
                act()

    def compare(self, when: str) -> None:
        want: dict[str, dict[str, str]] = {}
        for (order, product), quantity in self.source.states[-1].items():
            want.setdefault(order, {})[product] = str(quantity)
        found: dict[str, dict[str, str]] = {}
        for item in self.dynamo.items["purchase"].values():
            members = plain(requests.members_of(item, KEY, self.mapping.tables[0].into))
            if members and EXPIRES in item:
                raise Wrong(f"{when}: a live item has a TTL")
            if members:
                found[item["orderid"]["S"]] = members
        if want != found:
            raise Wrong(f"{when}: items are {found}, rows are {want}")


KEY: Any = type("Key", (), {"values": [type("K", (), {"name": name}) for name in ("customerid", "orderid")]})
ACTIONS: list[tuple[float, Callable[[World], None]]] = [
    (0.16, World.commit),
    (0.10, World.show),
    (0.22, World.read),
    (0.08, World.send),
    (0.14, World.land),
    (0.04, World.save),
    (0.02, World.mark),
    (0.012, World.crash),
    (0.008, World.take_over),
    (0.004, World.fail_over),
    (0.04, World.zombie),
    (0.03, World.straggle),
    (0.04, World.load),
    (0.002, World.days_pass),
    (0.10, World.consume),
    (0.004, World.load_again),
]


def plain(members: Item) -> dict[str, str]:
    """Quantities by products, wherever they lie."""
    if "products" not in members:
        return {name: value["N"] for name, value in members.items()}
    ((kind, inside),) = members["products"].items()
    if kind == "M":
        return {name: value["N"] for name, value in inside.items()}
    return dict(text.split(":") for text in inside)


def simulate(seed: int, broken: str = "", layout: str = "attribute-per-row") -> str | None:
    """What is wrong in the schedule of this seed; None when nothing is."""
    real = applier_module.writes
    applier_module.writes = WRITES.get(broken, real)
    try:
        World(seed, broken, layout).run(Random(seed).randint(60, 350))
    except Wrong as wrong:
        return str(wrong)
    finally:
        applier_module.writes = real
    return None


def hunt(seeds: Iterable[int], broken: str = "", layout: str = "attribute-per-row") -> tuple[int, str] | None:
    """The first seed whose schedule goes wrong, and how."""
    return next(((seed, found) for seed in seeds if (found := simulate(seed, broken, layout))), None)
