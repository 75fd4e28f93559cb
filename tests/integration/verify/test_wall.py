"""
The code that moves rows is broken on purpose, one part at a time: verify, the verify behind the fence, and
the check after a repair see what came of it.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apply_changes.applier import Applier
from apply_changes.store import DynamoStore
from bulkload.direct.grouping import Grouping
from bulkload.shuffle import lines
from capturer.replay import Replay
from ferry import cli
from ferry.context import Context
from ferry.verify.live import Live
from ferry.verify.oracle.mapping_entry import read_pairs
from ferry.verify.recheck import Recheck
from ferry.verify.tail import Tail
from lab.cloud import Cloud
from lab.database import Server
from rowferry.change import RowChange, encode_change, encode_record
from rowferry.errors import EmptyKey, Refused, UnusableChange
from rowferry.items import effects as effects_module
from rowferry.items import folding, keys
from rowferry.items.keys import ItemKey
from rowferry.mapping import Mapping, TableMapping
from rowferry.mapping.hooks import Hook
from rowferry.position import BinlogOffset
from rowferry.values import Row
from tests.support.mappings import PURCHASE
from tests.support.move_bed import Bed, make_bed
from tests.support.rows_to_items import bulk_road
from tests.support.verified import verified

pytestmark = pytest.mark.integration

BROKEN = ("c1", "o1")
"""The item that the broken code does not get right."""
TAGS = """
[[table]]
source = "test.product"
target = "tags"
layout = "attribute-per-row"
hash_key = { attribute = "tag" }
member_name = "id"
member_value = "name"
hook = "hooks.example:one_row_a_tag"
"""
PRODUCTS = [(1, "t1,t2", "one"), (2, "t2,t3", "two"), (3, None, "three")]
ROWS = [(f"c{number}", f"o{number}", f"p{part}", number) for number in range(4) for part in range(3)]


@dataclass
class World:
    """A move with its own load and consumer, in this process."""

    bed: Bed
    context: Context
    since: BinlogOffset

    @property
    def mapping(self) -> Mapping:
        return self.context.mapping

    def load(self) -> None:
        for target, items in bulk_road(self.bed.server, self.mapping).items.items():
            for item in items:
                item["_pos"] = {"S": str(self.since.position(1))}
                self.bed.dynamodb.put_item(TableName=target, Item=item)

    def consume(self) -> None:
        """Applies what the source's binlog has, in one batch."""
        changes = Replay(self.context.source).row_changes(self.mapping, 1, self.since)
        record = encode_record(0, 1, 1, [encode_change(change) for change in changes])
        store = DynamoStore(self.context.dynamodb, lambda: 0.0, 1)
        result = Applier(self.mapping, store, Discarding(), map, lambda: True).apply([record])
        assert result.failed is None, result.errors

    def differences(self) -> int:
        """That a verify of everything finds."""
        summary, _ = verified(self.context.mapping_file, self.context.source, self.context.dynamodb)
        return summary.left

    def tail(self) -> int:
        """That the verify behind the fence finds."""
        summary = Tail(self.context, self.since.position(1)).behind_fence(lambda: None)
        assert not summary.unsettled
        return summary.left

    def repair(self) -> tuple[int, int, int]:
        """How many differences there were; how many items, and differences, a repair says are right now."""
        self.bed.sql("CREATE TABLE afterwards (id INT)")  # items are older than where the repair reads
        live, pairs = Live(self.context), read_pairs(self.context.mapping_file)
        _, found = verified(self.context.mapping_file, self.context.source, self.context.dynamodb)
        with live.reading(pairs, lambda: None) as reading:
            suspects = list(dict.fromkeys(difference.member.key for difference in found))
            differing = list(Recheck(reading, lambda _: None).differences(suspects))
            items, corrected = live.repair(pairs, reading, differing)
        return sum(map(len, differing)), items, corrected


class Discarding:
    """A quarantine that loses what it is given."""

    def add(self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int) -> None:
        pass


@pytest.fixture
def world(
    mysql: Server, fresh_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[World]:
    bed = make_bed(mysql, fresh_cloud)
    for name in [name for name in os.environ if name.startswith(("AWS_", "ROWFERRY_"))]:
        monkeypatch.delenv(name)
    for name, value in bed.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE")
    return world_of(bed, PURCHASE, tmp_path / "mapping.toml")


@pytest.fixture
def tags(world: World, tmp_path: Path) -> World:
    """A hook makes several rows of each row, for items of their own."""
    world.bed.sql("CREATE TABLE product (id INT PRIMARY KEY, tags VARCHAR(60), name VARCHAR(60))")
    world.bed.table("tags", tag="S")
    return world_of(world.bed, TAGS, tmp_path / "tags.toml")


def world_of(bed: Bed, mapping: str, path: Path) -> World:
    path.write_text(mapping)
    context = Context(cli.parser().parse_args(["verify", "--mapping", str(path)]))
    context.stack.parameters["TombstoneDays"] = "1"
    bed.capture()
    checkpoint = bed.control.get("checkpoint")
    return World(bed, context, BinlogOffset(checkpoint["file"], checkpoint["offset"]))


def everywhere(monkeypatch: pytest.MonkeyPatch, function: Any, replacement: Any) -> None:
    """In each module that has the function by its name."""
    for module in list(sys.modules.values()):
        if getattr(module, function.__name__, None) is function:
            monkeypatch.setattr(module, function.__name__, replacement)


def is_broken(key: effects_module.ItemKey) -> bool:
    return tuple(part.value for part in key.values) == BROKEN


def wrong(members: Any) -> Any:
    return None if members is None else {name: {"N": "99"} for name in members}


def less(members: Any) -> Any:
    return None if members is None else {name: members[name] for name in members if name != "p1"}


# The parts, each broken in several ways


type Breaking = Callable[[pytest.MonkeyPatch], None]


def break_effects(how: Callable[[Any], Any] | None) -> Breaking:
    def breaking(monkeypatch: pytest.MonkeyPatch) -> None:
        original = effects_module.effects

        def effects(change: RowChange, mapping: Mapping, lane: int = 0) -> Any:
            found = original(change, mapping, lane)
            if how is None and any(is_broken(effect.key) for effect in found):
                raise EmptyKey("broken", "broken")
            return [
                effects_module.Effect(each.key, how(each.members), each.whole, each.target)
                if how and is_broken(each.key)
                else each
                for each in found
            ]

        everywhere(monkeypatch, original, effects)

    return breaking


def break_grouping(how: Callable[[Any], Any] | None) -> Breaking:
    def breaking(monkeypatch: pytest.MonkeyPatch) -> None:
        original = Grouping.members

        def members(self: Grouping) -> Iterator[Any]:
            for key, found, rows in original(self):
                if not is_broken(key):
                    yield key, found, rows
                elif how:
                    yield key, how(found), rows

        monkeypatch.setattr(Grouping, "members", members)

    return breaking


def break_folding(how: Callable[[Any], Any] | None) -> Breaking:
    def breaking(monkeypatch: pytest.MonkeyPatch) -> None:
        original = folding.writes

        def writes(steps: Any) -> Iterator[folding.Write]:
            for write in original(steps):
                if not is_broken(write.key):
                    yield write
                elif how:
                    yield folding.write_of(write.steps, how(write.members))

        everywhere(monkeypatch, original, writes)

    return breaking


def break_lines(how: Callable[[Any], Any] | None) -> Breaking:
    """The grouping of a repair, which is that of a load from files."""

    def breaking(monkeypatch: pytest.MonkeyPatch) -> None:
        original = lines.Liner.lines

        def broken(self: lines.Liner, rows: Any) -> Iterator[lines.Line]:
            names = self.columns
            kept = [dict(zip(names, values, strict=True)) for values in rows]
            for row in kept:
                if (row["customerid"], row["orderid"]) == BROKEN and how is wrong:
                    row["quantity"] = 99
            lost = [
                row
                for row in kept
                if (row["customerid"], row["orderid"]) == BROKEN
                and (how is None or (how is less and row["productid"] == "p1"))
            ]
            return original(self, [tuple(row.values()) for row in kept if row not in lost])

        monkeypatch.setattr(lines.Liner, "lines", broken)

    return breaking


def break_key(monkeypatch: pytest.MonkeyPatch, column: str, value: Any) -> None:
    """The key of the rows with this value is that of another item, wherever a key is made."""
    original = keys.key_of

    def key_of(row: Row, table: TableMapping) -> ItemKey:
        key = original(row, table)
        if row[column] != value:
            return key
        first, *rest = key.values
        return ItemKey(key.table, (first._replace(value="wrong"), *rest))

    everywhere(monkeypatch, original, key_of)


def break_hook(monkeypatch: pytest.MonkeyPatch, how: Callable[[list[Row]], list[Row]]) -> None:
    """What is made of the rows that the hook returns."""
    original = Hook.rows
    monkeypatch.setattr(Hook, "rows", lambda self, row: how(original(self, row)))


WAYS = {"refuses a key": None, "drops a member": less, "gives a wrong value": wrong}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("part", [break_effects, break_folding], ids=["effects", "folding"])
def test_a_broken_consumer_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch, part: Callable[[Any], Breaking], way: str
) -> None:
    part(WAYS[way])(monkeypatch)
    world.bed.fill(ROWS)
    world.consume()
    assert world.differences() > 0
    assert world.tail() == world.differences()
    differences, items, corrected = world.repair()
    assert differences - corrected == world.differences() == world.tail()
    assert items == (0 if world.differences() else 1)


@pytest.mark.parametrize("way", WAYS)
def test_a_broken_grouping_of_the_load_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    world.bed.fill(ROWS)
    with monkeypatch.context() as broken:
        break_grouping(WAYS[way])(broken)
        world.load()
        assert world.tail() == world.differences() > 0
        differences, items, corrected = world.repair()
        assert differences - corrected == world.differences() == world.tail()
        assert items == (0 if world.differences() else 1)


@pytest.mark.parametrize("way", WAYS)
def test_a_repair_with_a_broken_grouping_does_not_say_that_it_has_repaired(
    world: World, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    world.bed.fill(ROWS)
    world.load()
    assert world.tail() == world.differences() == 0
    key = {"customerid": {"S": BROKEN[0]}, "orderid": {"S": BROKEN[1]}}
    world.bed.dynamodb.update_item(TableName="purchase", Key=key, UpdateExpression="REMOVE p1")
    break_lines(WAYS[way])(monkeypatch)
    differences, items, corrected = world.repair()
    assert (differences, items) == (1, 0)
    assert differences - corrected == world.differences() == world.tail() > 0


@pytest.mark.parametrize("bring", [World.load, World.consume], ids=["load", "consumer"])
def test_a_wrong_key_of_one_row_is_seen(
    world: World, monkeypatch: pytest.MonkeyPatch, bring: Callable[[World], None]
) -> None:
    one = ("c1", "o7", "p8", 5)
    world.bed.fill([*ROWS, one])
    with monkeypatch.context() as broken:
        break_key(broken, "productid", one[2])
        bring(world)
        # The row's own item is missing. What it made is an item of no row: verify alone can know of that.
        assert (world.tail(), world.differences()) == (1, 2)
    assert (world.tail(), world.differences()) == (1, 2)


HOOK_WAYS = {"loses a row": lambda rows: rows[:1], "keeps none": lambda rows: []}


@pytest.mark.parametrize("bring", [World.load, World.consume], ids=["load", "consumer"])
@pytest.mark.parametrize("way", [*HOOK_WAYS, "makes a wrong key"])
def test_a_broken_path_of_a_hook_is_seen(
    tags: World, monkeypatch: pytest.MonkeyPatch, way: str, bring: Callable[[World], None]
) -> None:
    tags.bed.fill(PRODUCTS, "product")
    if how := HOOK_WAYS.get(way):
        break_hook(monkeypatch, how)
    else:
        break_key(monkeypatch, "tag", "t3")
    bring(tags)
    assert tags.tail() > 0 and tags.differences() > 0


@pytest.mark.parametrize("bring", [World.load, World.consume], ids=["load", "consumer"])
def test_a_hook_with_nothing_broken_is_no_difference(tags: World, bring: Callable[[World], None]) -> None:
    tags.bed.fill(PRODUCTS, "product")
    bring(tags)
    assert tags.bed.items("tags")
    assert tags.tail() == tags.differences() == 0


def test_nothing_broken_is_no_difference(world: World) -> None:
    world.bed.fill(ROWS)
    world.load()
    world.bed.sql("UPDATE purchase SET orderid = 'o9' WHERE productid = 'p1'", "DELETE FROM purchase LIMIT 2")
    assert world.tail() == world.differences() > 0
    world.consume()
    assert world.tail() == world.differences() == 0


def test_a_table_that_the_mapping_loses_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(self: Mapping, schema: str, table: str) -> TableMapping | None:
        return None

    monkeypatch.setattr(Mapping, "find", find)
    with pytest.raises(Refused, match=r"changes of test\.purchase are not read"):
        world.tail()
