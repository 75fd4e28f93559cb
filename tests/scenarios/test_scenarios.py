"""Every case over the roads that need no server: the applier, split and unsplit, the model, the rows."""

from typing import Any

import pytest

from rowferry.mapping import EXPIRES, POSITION, Mapping
from rowferry.position import Position
from tests.scenarios.model import item_of, replay
from tests.support.dynamo import Dynamo
from tests.support.scenarios import DAY, Case, Item, cases, deliver, load

CASES = cases()
NOW = 1_800_000_000.0
HIDDEN = {POSITION, EXPIRES}


def tables(mapping: Mapping) -> Dynamo:
    return Dynamo(**{table.target: tuple(key.attribute for key in table.keys) for table in mapping.tables})


def plain(item: Item) -> Item:
    return {name: value for name, value in item.items() if name not in HIDDEN}


def ordered(items: list[Item]) -> list[Item]:
    return sorted(map(plain, items), key=repr_of)


def repr_of(item: Item) -> str:
    return repr(sorted(item.items()))


@pytest.mark.parametrize("split", [True, False], ids=["split", "whole"])
@pytest.mark.parametrize("name", CASES)
def test_the_applier_gives_the_items(name: str, split: bool) -> None:
    case, dynamo = CASES[name], tables(CASES[name].mapping)
    played = deliver(case, dynamo, split=split, now=NOW)
    found = [item for table in dynamo.items.values() for item in table.values()]
    check(case, found)
    assert sorted(played.quarantined.elements()) == sorted(case.expected.get("quarantined", []))
    assert {name: sorted(lanes) for name, lanes in played.markers.items()} == case.expected.get("markers", {})
    assert all(item[EXPIRES] == {"N": str(int(NOW) + 30 * DAY)} for item in found if EXPIRES in item)


def check(case: Case, found: list[Item]) -> None:
    """The items and the tombstones are as expected, and whatever is live has no TTL."""
    live = [item for item in found if EXPIRES not in item and (plain_members(case, item) or whole(case))]
    assert ordered(live) == ordered(case.items("items"))
    assert ordered([item for item in found if item not in live]) == ordered(case.items("tombstones"))


def plain_members(case: Case, item: Item) -> set[str]:
    return set(item) - HIDDEN - {key.attribute for key in case.mapping.tables[0].keys}


def whole(case: Case) -> bool:
    return case.mapping.tables[0].whole


@pytest.mark.parametrize("name", CASES)
def test_the_model_gives_the_items(name: str) -> None:
    case = CASES[name]
    held = replay(case)
    live = [
        {**key_of(case, key), **item_of(members)} for key, (_, members) in held.items() if members is not None
    ]
    assert ordered(live) == ordered(case.items("items"))
    tombs = [key_of(case, key) for key, (_, members) in held.items() if members is None]
    assert ordered(tombs) == ordered(case.items("tombstones"))


def key_of(case: Case, place: tuple[str, ...]) -> dict[str, Any]:
    keys = next(table for table in case.mapping.tables if table.target == place[0]).keys
    return {key.attribute: {key.type: value} for key, value in zip(keys, place[1:], strict=True)}


@pytest.mark.parametrize("name", [name for name, c in CASES.items() if c.rows is not None or c.sources])
def test_the_rows_give_the_items(name: str) -> None:
    case, dynamo = CASES[name], tables(CASES[name].mapping)
    for mapped in case.mapping.tables:
        rows = case.sources.get(mapped.table, case.rows if mapped is case.mapping.tables[0] else None) or []
        for some in ([row] for row in rows) if mapped.load_merges else [rows]:
            load(mapped, some, Position(1, 4, 50), dynamo, Position(1, 4, 40))
    found = [item for table in dynamo.items.values() for item in table.values()]
    assert ordered(found) == ordered(case.items("items"))
