"""The short way to a lane leads where the long one does, or nowhere."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.errors import UnusableChange
from rowferry.items.keys import key_of, lane_of, straight_lane
from rowferry.mapping import Mapping

LANES = 256


def table(first: str = "S", second: str = "S", more: str = "") -> Any:
    mapping = Mapping.parse(f"""
[[table]]
source = "test.t"
target = "t"
layout = "attribute-per-row"
hash_key = {{ attribute = "a", type = "{first}" }}
range_key = {{ attribute = "b", type = "{second}" }}
member_name = "m"
member_value = "v"
{more}
""")
    return mapping.tables[0]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=4),
    st.sampled_from(["é" * 300, "x" * 256, "x" * 600]),
    st.binary(max_size=2),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
    st.just(()),
)


@given(VALUES, VALUES, st.sampled_from(["SS", "SN", "NS", "NN", "BS"]))
def test_it_is_the_lane_of_the_key(a: Any, b: Any, types: str) -> None:
    mapped, row = table(*types), {"a": a, "b": b}
    lane = straight_lane(row, None, mapped, LANES)
    if lane is not None:
        assert lane == lane_of(key_of(row, mapped), LANES)


@given(VALUES, VALUES)
def test_it_takes_no_row_that_has_no_key(a: Any, b: Any) -> None:
    mapped, row = table(), {"a": a, "b": b}
    try:
        key_of(row, mapped)
    except UnusableChange:
        assert straight_lane(row, None, mapped, LANES) is None


@pytest.mark.parametrize("value", ["c1", 7])
def test_texts_and_integers_go_the_short_way(value: Any) -> None:
    assert straight_lane({"a": value, "b": value}, None, table(), LANES) is not None


def test_a_move_to_another_item_goes_the_long_way() -> None:
    row = {"a": "c1", "b": "o1"}
    assert straight_lane(row, row | {"m": "p1"}, table(), LANES) is not None
    assert straight_lane(row, row | {"b": "o2"}, table(), LANES) is None
    assert straight_lane(row, {"b": "o1"}, table(), LANES) is None


@pytest.mark.parametrize(
    ("types", "row"),
    [
        ("SS", {"a": "c1"}),
        ("SN", {"a": "c1", "b": "1"}),
        ("SS", {"a": "c1", "b": Decimal("1.0")}),
        ("BB", {"a": b"1", "b": b"1"}),
    ],
)
def test_what_has_to_be_worked_out_goes_the_long_way(types: str, row: Any) -> None:
    assert straight_lane(row, None, table(*types), LANES) is None


def test_a_row_that_may_not_be_carried_goes_the_long_way() -> None:
    filtered = table(more='where = { column = "v", eq = 1 }')
    assert straight_lane({"a": "c1", "b": "o1", "v": 2}, None, filtered, LANES) is None
