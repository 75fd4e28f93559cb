from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from ferry.verify.oracle import values
from rowferry import errors
from rowferry.change import Kind, RowChange
from rowferry.items.effects import Effect, by_lane, effects, key_of, lane_of, places_of
from rowferry.mapping import Mapping
from tests.support.mappings import PURCHASE_FILE

ORDERS = Mapping.load(PURCHASE_FILE)
CUSTOMERS = Mapping.parse("""
[[table]]
source = "test.customer"
target = "customer"
layout = "item-per-row"
hash_key = { attribute = "pk", type = "N", column = "id" }
""")
EXPIRING = """
[[table]]
source = "s.t"
target = "t"
layout = "item-per-row"
hash_key = { attribute = "id", type = "N" }
exclude = ["placed"]
ttl = { attribute = "expires", column = "placed" }
"""
LANES = 256


def row(order: Any = "o1", product: Any = "p1", quantity: Any = 1) -> dict[str, Any]:
    return {"customerid": "c", "orderid": order, "productid": product, "quantity": quantity}


def purchase(before: Any, after: Any) -> RowChange:
    kind = Kind.INSERT if before is None else Kind.DELETE if after is None else Kind.UPDATE
    return RowChange("test", "purchase", kind, before, after)


def customer(before: Any, after: Any) -> RowChange:
    return purchase(before, after)._replace(table="customer")


def told(found: list[Effect]) -> list[tuple[str, Any]]:
    """Each effect's order and its members with their bare values."""
    return [
        (
            str(effect.key.values[-1].value),
            {n: v and next(iter(v.values())) for n, v in (effect.members or {}).items()},
        )
        for effect in found
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, row(), [("o1", {"p1": "1"})]),
        (row(), None, [("o1", {"p1": None})]),
        (row(), row(quantity=2), [("o1", {"p1": "2"})]),
        (row(), row(product="p2"), [("o1", {"p1": None, "p2": "1"})]),
        (row(), row(order="o2"), [("o1", {"p1": None}), ("o2", {"p1": "1"})]),
        (None, row(product=7, order=Decimal("1.50")), [("1.5", {"7": "1"})]),
        (None, row(product=date(2020, 1, 2)), [("o1", {"2020-01-02": "1"})]),
        (row(quantity=1e300), None, [("o1", {"p1": None})]),
        (row(quantity=1e300), row(quantity=2), [("o1", {"p1": "2"})]),
        (row(product="_pos"), row(product="p2"), [("o1", {"p2": "1"})]),
        (row(order=""), row(), [("o1", {"p1": "1"})]),
    ],
)
def test_a_change_has_these_effects(before: Any, after: Any, expected: list[Any]) -> None:
    assert told(effects(purchase(before, after), ORDERS)) == expected


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        (row(order=""), errors.EmptyKey),
        (row(order=None), errors.EmptyKey),
        (row(product=None), errors.EmptyKey),
        (row(product=""), errors.EmptyKey),
        (row(order="x" * 1025), errors.EmptyKey),
        (row(order="é" * 513), errors.EmptyKey),
        (row(product="x" * 65_536), errors.EmptyKey),
        (row(order=()), errors.EmptyKey),
        (row(product=()), errors.EmptyKey),
        (row(product="_pos"), errors.ReservedName),
        (row(product="_ttl"), errors.ReservedName),
        (row(product="orderid"), errors.ReservedName),
        (row(order=b"x"), errors.ValueOutOfRange),
        (row(product=b"x"), errors.ValueOutOfRange),
        (row(quantity=1e300), errors.ValueOutOfRange),
        ({"customerid": "c", "orderid": "o"}, errors.MissingColumn),
    ],
)
def test_a_row_that_has_no_place_is_refused(changed: dict[str, Any], error: type[Exception]) -> None:
    for change in (purchase(None, changed), purchase(row(), changed)):
        with pytest.raises(error) as refused:
            effects(change, ORDERS)
        assert "xxx" not in str(refused.value)


@pytest.mark.parametrize("order", ["", b"x"])
def test_a_delete_of_a_row_that_had_no_place_is_refused_too(order: Any) -> None:
    with pytest.raises(errors.UnusableChange):
        effects(purchase(row(order=order), None), ORDERS)


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(errors.UnknownTable):
        effects(customer(None, row()), ORDERS)


def test_a_row_of_its_own_item_has_its_columns_and_no_nulls() -> None:
    (found,) = effects(customer(None, {"id": 7, "name": "Ann", "email": None}), CUSTOMERS)
    assert found.whole and found.members == {"name": {"S": "Ann"}}
    assert found.key.attributes() == {"pk": {"N": "7"}}


def test_a_row_whose_item_key_changes_leaves_one_and_makes_another() -> None:
    gone, made = effects(customer({"id": 7, "name": 1e300}, {"id": 8, "name": "Ann"}), CUSTOMERS)
    assert (gone.members, gone.whole) == (None, True)
    assert [made] == places_of({"id": 8, "name": "Ann"}, CUSTOMERS.tables[0])


@pytest.mark.parametrize("value", ["7", b"7", float("nan")])
def test_a_numeric_key_takes_numbers_only(value: Any) -> None:
    with pytest.raises(errors.ValueOutOfRange):
        key_of({"id": value}, CUSTOMERS.tables[0])


@pytest.mark.parametrize("name", ["pk", "_pos"])
def test_a_column_with_a_reserved_name_is_refused(name: str) -> None:
    with pytest.raises(errors.ReservedName):
        effects(customer(None, {"id": 7, name: 1}), CUSTOMERS)


@pytest.mark.parametrize(("key", "lane"), [("o1", 218), ("o2", 96), ("größe", 54)])
def test_the_lane_of_an_item_never_changes(key: str, lane: int) -> None:
    assert lane_of(key_of(row(order=key), ORDERS.tables[0]), LANES) == lane


def test_lanes_are_used_evenly() -> None:
    lanes = [lane_of(key_of(row(order=f"o{n}"), ORDERS.tables[0]), LANES) for n in range(25_600)]
    assert all(60 < lanes.count(lane) < 140 for lane in range(LANES))


def test_a_move_travels_in_two_lanes_and_does_the_same() -> None:
    move = purchase(row(), row(order="o2", quantity=5))
    parts = list(by_lane(move, ORDERS, LANES))
    assert [part.kind for _, part in parts] == [Kind.DELETE, Kind.INSERT]
    assert [effect for _, part in parts for effect in effects(part, ORDERS)] == effects(move, ORDERS)
    assert [lane for lane, _ in parts] == [lane_of(e.key, LANES) for e in effects(move, ORDERS)]


@pytest.mark.parametrize(
    "change", [purchase(None, row()), purchase(row(), None), purchase(row(), row(product="p2"))]
)
def test_any_other_change_travels_as_it_is(change: RowChange) -> None:
    lane = lane_of(key_of(row(), ORDERS.tables[0]), LANES)
    assert list(by_lane(change, ORDERS, LANES)) == [(lane, change)]


def test_a_row_that_gets_its_place_travels_in_the_lane_of_that_place() -> None:
    change = purchase(row(order=""), row())
    assert list(by_lane(change, ORDERS, LANES)) == [(lane_of(key_of(row(), ORDERS.tables[0]), LANES), change)]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (date(2026, 1, 2), "1767312000"),
        (datetime(2026, 1, 2, 3, 4, 5), "1767323045"),  # noqa: DTZ001
        (Decimal("1.9"), "1"),
        (None, None),
        ("0000-00-00", None),
        ("2026-00-10", None),
        ("2026-02-31", None),
        ("2026-02-31 03:04:05.500000", None),
    ],
)
def test_a_day_that_no_calendar_has_gives_no_time_to_live(value: Any, seconds: str | None) -> None:
    (table,) = Mapping.parse(EXPIRING).tables
    (effect,) = places_of({"id": 1, "placed": value}, table)
    assert (effect.members or {}).get("expires") == (seconds and {"N": seconds})
    kind = {date: "date", Decimal: "decimal"}.get(type(value), "datetime")
    assert values.seconds(kind, value and str(value)) == (seconds and int(seconds))


@pytest.mark.parametrize("value", ["2026-01-02", "soon", "a-00", b"1", ()])
def test_what_is_no_time_has_no_time_to_live(value: Any) -> None:
    (table,) = Mapping.parse(EXPIRING).tables
    with pytest.raises(errors.ValueOutOfRange, match="does not hold a time for a ttl"):
        places_of({"id": 1, "placed": value}, table)
