"""The keys that row changes touch, from images of every kind of value."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.row_images import ImageKeys
from rowferry.errors import Refused
from rowferry.values import Json


def pair(*keys: tuple[str, Any], **entry: Any) -> Pair:
    """Each key is its type and what it is made of."""
    named = tuple((f"k{number}", kind, made) for number, (kind, made) in enumerate(keys))
    return Pair("test", "t", "t", named, entry=entry)


def keys(pair: Pair, before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[list[Any]]:
    return [json.loads(key) for key in ImageKeys(pair).of(before, after)]


@pytest.mark.parametrize(
    ("kind", "value", "content"),
    [
        ("S", "한글 ", "한글 "),
        ("S", 7, "7"),
        ("N", -(2**63), str(-(2**63))),
        ("N", 2**64 - 1, str(2**64 - 1)),
        ("N", Decimal("-1.50"), "-1.5"),
        ("S", Decimal("0.00"), "0"),
        ("N", 1.1, "1.1"),
        ("S", -0.0, "0"),
        ("N", 1e300, None),
        ("N", Decimal("9" * 39), None),
        ("N", "7", None),
        ("B", b"\x00\xff", "AP8="),
        ("S", b"a", None),
        ("B", "a", None),
        ("S", date(2026, 11, 23), "2026-11-23"),
        ("S", "2026-00-10", "2026-00-10"),
        ("S", datetime(2026, 11, 23, 1, 2, 3), "2026-11-23 01:02:03"),
        ("S", datetime(2026, 11, 23, 1, 2, 3, 500_000), "2026-11-23 01:02:03.500000"),
        ("S", -timedelta(hours=26, microseconds=500), "-26:00:00.000500"),
        ("S", ("a", "b"), "a,b"),
        ("S", (), None),
        ("S", Json({"a": 1}), None),
        ("S", "", None),
        ("B", b"", None),
        ("S", None, None),
        ("S", "x" * 2048, "x" * 2048),
        ("S", "x" * 2049, None),
        ("S", "한" * 683, None),
        ("B", b"x" * 2049, None),
    ],
)
def test_a_value_of_every_kind(kind: str, value: Any, content: str | None) -> None:
    found = keys(pair((kind, "c")), None, {"c": value})
    assert found == ([] if content is None else [[[kind, content]]])


def test_a_range_key_takes_half_as_much() -> None:
    assert keys(pair(("S", "a"), ("S", "b")), None, {"a": "x" * 2048, "b": "x" * 1025}) == []
    assert len(keys(pair(("S", "a"), ("S", "b")), None, {"a": "x" * 2048, "b": "x" * 1024})) == 1


def test_texts_and_constants() -> None:
    made = pair(("S", "${a}|$${b}${b}"), ("N", {"constant": "7"}))
    assert keys(made, None, {"a": 1, "b": "x"}) == [[["S", "1|${b}x"], ["N", "7"]]]
    assert keys(made, None, {"a": 1, "b": None}) == []
    assert keys(pair(("N", "${a}")), None, {"a": "nan"}) == []
    assert keys(pair(("B", "${a}")), {"a": b"\0"}, None) == [[["B", "AA=="]]]


def test_an_update_has_the_keys_of_both_images() -> None:
    one, other = {"c": "a", "v": 1}, {"c": "b", "v": 1}
    made = pair(("S", "c"))
    assert keys(made, one, other) == [[["S", "a"]], [["S", "b"]]]
    assert keys(made, one, {**one, "v": 2}) == [[["S", "a"]]]
    assert keys(made, one, None) == [[["S", "a"]]]
    assert keys(made, {"c": None}, other) == [[["S", "b"]]]
    assert keys(made, one, {"c": None}) == [[["S", "a"]]]


def test_a_row_that_the_filter_holds_back_counts() -> None:
    """Whether it enters or leaves the filter, or never passes it."""
    made = pair(("S", "c"), where={"column": "v", "eq": 1})
    assert keys(made, {"c": "a", "v": 1}, {"c": "b", "v": 2}) == [[["S", "a"]], [["S", "b"]]]
    assert keys(made, None, {"c": "b", "v": 2}) == [[["S", "b"]]]


def test_every_row_that_a_hook_makes_has_a_key() -> None:
    made = pair(("S", "tag"), hook="hooks.example:one_row_a_tag")
    before, after = {"id": 1, "tags": "red,large"}, {"id": 1, "tags": "red,small"}
    found = keys(made, before, after)
    assert {content for ((_, content),) in found} == {"red", "large", "small"}
    assert keys(made, {"id": 1, "tags": None}, None) == []
    assert keys(made, {"id": 1}, None) == []  # the hook fails: the row is in quarantine


def test_a_hook_sees_the_values_as_they_are() -> None:
    made = pair(("N", "price"), hook="hooks.example:cents")
    assert keys(made, {"price": Decimal("1.10")}, None) == [[["N", "110"]]]


def test_a_row_of_a_hook_without_the_key_has_no_item() -> None:
    assert keys(pair(("S", "other"), hook="hooks.example:cents"), {"price": None}, None) == []


def test_an_image_without_a_key_column_is_refused() -> None:
    with pytest.raises(Refused, match=r"a row change of test\.t lacks the column c"):
        keys(pair(("S", "c")), {"v": 1}, {"c": "a", "v": 1})
    assert keys(pair(("S", "c")), {"c": "a"}, {"c": "a", "v": 1}) == [[["S", "a"]]]
