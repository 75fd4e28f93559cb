"""
The load of several tables into one item, against live changes, in schedules decided by a seed.

The real mapping, grouping, merger, folding and store; what is made here is the source: a log of changes
and the state after each. The rows of one table lie in several chunks, each with a snapshot of its own.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from apply_changes.store import DynamoStore
from bulkload.direct.grouping import Grouping
from bulkload.direct.merger import Merger
from bulkload.dynamodb.batch_writer import RetryPolicy, Writer
from rowferry.change import Kind, RowChange
from rowferry.items.effects import effects
from rowferry.items.folding import FoldStep, writes
from rowferry.mapping import EXPIRES, POSITION, Mapping
from rowferry.position import Position
from tests.support.dynamo import Dynamo, Item

LAYOUTS = ("attribute-per-row", "nested-map", "string-set")
TABLES = {"orders": ("id", "status"), "lines": ("id", "product", "quantity")}
ITEMS, PRODUCTS = 3, 3


def mapping(layout: str) -> Mapping:
    inside = "" if layout == "attribute-per-row" else 'attribute = "lines"'
    return Mapping.parse(f"""
    [[table]]
    source = "shop.orders"
    target = "orders"
    layout = "item-per-row"
    hash_key = {{ attribute = "id" }}
    include = ["status"]
    [[table]]
    source = "shop.lines"
    target = "orders"
    layout = "{layout}"
    hash_key = {{ attribute = "id" }}
    member_name = "product"
    member_value = "quantity"
    prefix = "p_"
    {inside}
    """)


type Rows = dict[tuple[str, ...], dict[str, Any]]


@dataclass
class World:
    random: Random
    mapping: Mapping
    broken: str = ""
    states: list[Rows] = field(default_factory=lambda: [{}])
    log: list[RowChange] = field(default_factory=list)
    dynamo: Dynamo = field(default_factory=lambda: Dynamo(orders=("id",)))

    def commit(self) -> None:
        """One change of one row."""
        state = dict(self.states[-1])
        table = self.random.choice(list(TABLES))
        order = f"o{self.random.randrange(ITEMS)}"
        key = (table, order) if table == "orders" else (table, order, f"{self.random.randrange(PRODUCTS)}")
        before = state.pop(key, None)
        if before is None or self.random.random() < 0.5:
            value = self.random.randrange(100)
            last = {"status": f"s{value}"} if table == "orders" else {"product": key[2], "quantity": value}
            state[key] = {"id": order, **last}
        after = state.get(key)
        kind = Kind.INSERT if before is None else Kind.DELETE if after is None else Kind.UPDATE
        self.log.append(RowChange("shop", table, kind, before, after, self.position(len(self.log) + 1)))
        self.states.append(state)

    def position(self, index: int) -> str:
        return str(Position(1, 1, index, 1))

    def watermark(self, index: int) -> str:
        """Above the change of that number, below the next."""
        return str(Position(1, 1, index + 1, 0))

    def load(self, first: str | None = None) -> str:
        """Every table's chunks, in any order, some of them twice, with commits between."""
        start = first or self.watermark(len(self.log))
        chunks = [(table, number) for table in range(2) for number in range(4)]
        chunks += self.random.sample(chunks, 3)
        self.random.shuffle(chunks)
        for table, number in chunks:
            for _ in range(self.random.randrange(4)):
                self.commit()
            self.chunk(table, number, start)
        return start

    def chunk(self, table: int, number: int, start: str) -> None:
        """A quarter of a table's rows, whatever items they are in."""
        mapped, index = self.mapping.tables[table], len(self.log)
        seen = self.watermark(index)
        columns = TABLES[mapped.table]
        rows = [
            row
            for key, row in self.states[index].items()
            if key[0] == mapped.table and sum(map(ord, "".join(key))) % 4 == number
        ]
        for _ in range(self.random.randrange(3)):
            self.commit()
        grouping = Grouping(mapped, columns)
        grouping.take([row[column] for column in columns] for row in rows)
        writer = Writer(self.dynamo, mapped.target, lambda: None, RetryPolicy(sleep=lambda _: None))
        merger = Merger(writer, mapped.into, seen if self.broken == "own-watermark" else start, seen)
        for key, members, _ in grouping.members():
            assert merger.merge(key, members) is None
            if self.broken == "newest-watermark":
                self.raise_position(key.values[0].value, seen)

    def raise_position(self, order: Any, seen: str) -> None:
        for item in self.dynamo.items["orders"].values():
            if item["id"] == {"S": order}:
                item[POSITION] = {"S": max(seen, item[POSITION]["S"])}

    def apply(self, start: int, floor: str = "") -> None:
        """The stream, from somewhere before the load, in batches, some of them twice."""
        store = DynamoStore(self.dynamo, lambda: 0.0, 1)
        at = start
        while at < len(self.log):
            batch = self.log[at : at + self.random.randint(1, 6)]
            by_item: dict[Any, list[FoldStep]] = {}
            for change in batch:
                for effect in effects(change, self.mapping) if str(change.position) > floor else ():
                    by_item.setdefault(effect.key, []).append(FoldStep(effect, change.position, 1))
            for steps in by_item.values():
                for write in writes(steps):
                    store.write(write)
            at += len(batch) if self.random.random() < 0.8 else 0

    def found(self) -> dict[str, Item]:
        """The live items by id; an empty map counts as absent."""
        items = {}
        for item in self.dynamo.items["orders"].values():
            hidden = {POSITION, EXPIRES, "id"}
            live = {name: value for name, value in item.items() if name not in hidden and value != {"M": {}}}
            if live and EXPIRES not in item:
                items[item["id"]["S"]] = live
        return items

    def wanted(self, layout: str) -> dict[str, Item]:
        items: dict[str, Item] = {}
        for key, row in sorted(self.states[-1].items()):
            item = items.setdefault(row["id"], {})
            if key[0] == "orders":
                item["status"] = {"S": row["status"]}
            elif layout == "attribute-per-row":
                item[f"p_{row['product']}"] = {"N": str(row["quantity"])}
            elif layout == "nested-map":
                item.setdefault("lines", {"M": {}})["M"][f"p_{row['product']}"] = {"N": str(row["quantity"])}
            else:
                item.setdefault("lines", {"SS": []})["SS"].append(f"p_{row['product']}:{row['quantity']}")
        return items


def live(seed: int, layout: str, broken: str = "") -> bool:
    """One schedule; whether the items end as they must."""
    world = World(Random(seed), mapping(layout), broken)
    for _ in range(world.random.randrange(20)):
        world.commit()
    start = world.random.randint(0, len(world.log))
    world.load()
    for _ in range(world.random.randrange(10)):
        world.commit()
    world.apply(start)
    return world.found() == world.wanted(layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_merging_load_and_the_stream_end_in_the_rows(layout: str) -> None:
    assert [seed for seed in range(150) if not live(seed, layout)] == []


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("broken", ["own-watermark", "newest-watermark"])
def test_a_later_position_is_found_to_lose_changes(layout: str, broken: str) -> None:
    assert not all(live(seed, layout, broken) for seed in range(150))


def again(seed: int, layout: str, broken: str = "") -> bool:
    """A load, the stream, and a load once more over live items, while changes wait."""
    world = World(Random(seed), mapping(layout), broken)
    start = world.load()
    world.apply(0)
    for _ in range(world.random.randrange(10)):
        world.commit()
    floor = world.watermark(len(world.log)) if broken == "floor-over-items" else ""
    world.load(start)
    for _ in range(world.random.randrange(10)):
        world.commit()
    world.apply(0, floor)
    return world.found() == world.wanted(layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_load_again_over_live_items_ends_in_the_rows(layout: str) -> None:
    assert [seed for seed in range(100) if not again(seed, layout)] == []
    assert not all(again(seed, layout, "floor-over-items") for seed in range(100))
