import json
from typing import Any

from bulkload.direct import grouping
from bulkload.direct.grouping import Grouping, Unusable
from rowferry.mapping import Mapping
from rowferry.position import Position
from tests.support.mappings import PURCHASE

PURCHASES = Mapping.parse(PURCHASE).tables[0]
CUSTOMER = Mapping.parse(
    """
    [[table]]
    source = "test.customer"
    target = "customer"
    layout = "item-per-row"
    hash_key = { attribute = "id", type = "N" }
    """
).tables[0]
AT = Position(1, 2, 3)


def taken(*rows: tuple[Any, ...]) -> Grouping:
    group = Grouping(PURCHASES, PURCHASES.columns)
    group.take(rows)
    return group


def test_rows_of_one_key_are_one_item_with_the_watermark() -> None:
    group = taken(("c", "o", "p1", 1), ("c", "o", "p2", 2), ("C", "o", "p1", 3))
    key = {"customerid": {"S": "c"}, "orderid": {"S": "o"}, "_pos": {"S": str(AT)}}
    other = {**key, "customerid": {"S": "C"}, "p1": {"N": "3"}}
    assert list(group.items(AT)) == [({**key, "p1": {"N": "1"}, "p2": {"N": "2"}}, 2), (other, 1)]
    assert group.rows == 3


def test_an_unusable_row_is_named_and_the_others_of_its_item_stay() -> None:
    group = taken(("c", "o", "orderid", 1), ("c", "o", "p", 2), (None, "o", "p", 3), ("c", "", "p", 4))
    assert [row for _, row in group.items(AT)] == [1]
    assert [row.key for row in group.unusable] == [
        {"customerid": "c", "orderid": "o", "productid": "orderid"},
        {"customerid": None, "orderid": "o", "productid": "p"},
        {"customerid": "c", "orderid": "", "productid": "p"},
    ]


def test_two_rows_with_one_place_are_not_silently_one() -> None:
    group = taken(("c", "o", "p", 1), ("c", "o", "p", 2))
    ((item, rows),) = group.items(AT)
    assert (item["p"], rows) == ({"N": "1"}, 1)
    assert "same place" in group.unusable[0].reason


def test_two_rows_with_one_item_are_not_silently_one() -> None:
    group = Grouping(CUSTOMER, ("id", "name"))
    group.take([(1, "a"), (1, "b")])
    assert [item["name"] for item, _ in group.items(AT)] == [{"S": "a"}]
    assert group.unusable[0].key == {"id": 1}


def test_a_group_that_no_item_can_hold_is_not_held_in_memory(monkeypatch: Any) -> None:
    monkeypatch.setattr(grouping, "MOST_MEMBERS", 3)
    group = taken(*(("c", "o", f"p{n}", n) for n in range(10)), ("d", "o", "p", 1))
    assert [item["customerid"] for item, _ in group.items(AT)] == [{"S": "d"}]
    (crowded,) = group.unusable
    assert (crowded.key, crowded.rows) == ({"customerid": "c", "orderid": "o"}, 10)
    assert [len(held.members or ()) for held in group.groups.values()] == [0, 1]


def test_the_hash_names_the_key_without_showing_it() -> None:
    row = Unusable("test.purchase", {"customerid": "alice", "b": b"\xff"}, "because", 2)
    assert json.loads(row.line())["hash"] == row.hash
    assert len(row.hash) == 16 and "alice" not in row.hash
    assert row.hash != Unusable("test.purchase", {"customerid": "bob"}, "because").hash
