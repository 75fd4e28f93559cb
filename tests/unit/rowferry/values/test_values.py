import json
import sys
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.errors import ValueOutOfRange
from rowferry.values import Json, attribute, number, parse_time, tag, text, time_text, untag
from rowferry.values.numeric import json_number
from tests.support.dynamo import check_number

LONGEST = timedelta(hours=838, minutes=59, seconds=59)
DECIMALS = st.decimals(
    allow_nan=False, allow_infinity=False, min_value=-(10**35), max_value=10**35, places=30
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
DOCUMENTS = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        TEXT,
        st.floats(allow_nan=False, allow_infinity=False).map(json_number),
        st.decimals(allow_nan=False, allow_infinity=False).map(json_number),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=10,
)
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
    DECIMALS,
    st.dates(),
    st.datetimes(),
    st.timedeltas(-LONGEST, LONGEST),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1)).map(tuple),
    DOCUMENTS.map(Json),
)


@given(VALUES)
def test_a_value_survives_its_way_over_json(value: Any) -> None:
    sent = json.loads(json.dumps(value, default=tag))
    found = untag(sent)
    assert found == value and type(found) is type(value)
    assert str(found) == str(value)  # 1.10 stays 1.10


@given(st.timedeltas(-LONGEST, LONGEST))
def test_a_time_is_read_as_it_was_written(value: timedelta) -> None:
    assert parse_time(time_text(value)) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (timedelta(0), "00:00:00"),
        (timedelta(microseconds=-1), "-00:00:00.000001"),
        (timedelta(hours=838, minutes=59, seconds=59), "838:59:59"),
        (-timedelta(hours=1, seconds=1, microseconds=500_000), "-01:00:01.500000"),
    ],
)
def test_a_time_is_written_as_mysql_prints_it(value: timedelta, written: str) -> None:
    assert time_text(value) == written


@pytest.mark.parametrize("printed", ["01:02", "a:b:c", "", "1:2:3:4"])
def test_a_text_that_is_no_time_is_refused(printed: str) -> None:
    with pytest.raises(ValueError):
        parse_time(printed)


@pytest.mark.parametrize(
    "value", [{"$unknown": "1"}, {}, {"$date": 3}, {"$date": "1", "$time": "1"}, [1], ["a", None]]
)
def test_what_is_not_a_tagged_value_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        untag(value)


@pytest.mark.parametrize("value", [object(), {1}, (1,)])
def test_what_is_no_value_has_no_tag(value: Any) -> None:
    with pytest.raises(TypeError):
        tag(value)


@given(st.one_of(st.integers(-(2**63), 2**64 - 1), st.floats(), st.decimals()))
def test_a_number_is_exact_and_within_dynamodbs_range_or_refused(value: Any) -> None:
    try:
        written = number(value)
    except ValueOutOfRange:
        return
    check_number(written)
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    assert Decimal(written) == exact


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (1.0, "1"),
        (0.1, "0.1"),
        (-0.0, "0"),
        (Decimal("-0.00"), "0"),
        (1e20, "1" + "0" * 20),
        (1e22, "10000000000000000000000"),
        (Decimal("1.50"), "1.5"),
        (Decimal("0.000"), "0"),
        (Decimal(-100), "-100"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-130"), "1E-130"),
        (2**64 - 1, "18446744073709551615"),
    ],
)
def test_numbers_are_written_the_same_however_they_came(value: Any, written: str) -> None:
    assert number(value) == written


@pytest.mark.parametrize(
    "value",
    [1e126, -1e200, 1e-131, 5e-324, sys.float_info.max, float("nan"), float("inf"), Decimal("1" * 39)],
)
def test_numbers_that_dynamodb_lacks_are_refused(value: Any) -> None:
    with pytest.raises(ValueOutOfRange):
        number(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", {"S": ""}),
        (None, {"NULL": True}),
        (b"\xff", {"B": b"\xff"}),
        (7, {"N": "7"}),
        (Decimal("9" * 38), {"N": "9" * 38}),
        (Decimal("9" * 39), {"S": "9" * 39}),
        (date(2020, 1, 2), {"S": "2020-01-02"}),
        (datetime(2020, 1, 2, 3, 4, 5), {"S": "2020-01-02 03:04:05"}),  # noqa: DTZ001
        (datetime(2020, 1, 2, 3, 4, 5, 60), {"S": "2020-01-02 03:04:05.000060"}),  # noqa: DTZ001
        (timedelta(hours=-1), {"S": "-01:00:00"}),
        (1.5, {"N": "1.5"}),
        ((), {"L": []}),
        (("b", "a"), {"L": [{"S": "b"}, {"S": "a"}]}),
        (Json(None), {"NULL": True}),
        (Json(True), {"BOOL": True}),
        (
            Json({"a": [1, "", {}], "b": None}),
            {"M": {"a": {"L": [{"N": "1"}, {"S": ""}, {"M": {}}]}, "b": {"NULL": True}}},
        ),
        (Json(Decimal("2.50")), {"N": "2.5"}),
        (
            Json([10**40, Decimal("1E+300"), 10**37]),
            {"L": [{"N": "1" + "0" * 40}, {"S": "1E+300"}, {"N": "1" + "0" * 37}]},
        ),
        (Json(int("12" * 20)), {"S": "12" * 20}),
    ],
)
def test_each_kind_of_value_has_its_attribute(value: Any, expected: dict[str, Any]) -> None:
    assert attribute(value) == expected


@pytest.mark.parametrize("value", [b"x", None, Json("a"), Json(None)])
def test_what_has_no_text_is_refused_as_a_key(value: Any) -> None:
    with pytest.raises(ValueOutOfRange):
        text(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("1" * 65), "1" * 65),
        (Decimal("1.50"), "1.5"),
        (1e300, "1E+300"),
        (-0.0, "0"),
        (("b", "a"), "b,a"),
        ((), ""),
    ],
)
def test_a_key_shows_every_number_and_a_set(value: Any, expected: str) -> None:
    assert text(value) == expected


def nested(levels: int) -> Any:
    document: Any = 1
    for level in range(levels):
        document = [document] if level % 2 else {"a": document}
    return document


def test_json_is_nested_as_deeply_as_dynamodb_takes_it() -> None:
    assert attribute(Json(nested(31)))
    with pytest.raises(ValueOutOfRange):
        attribute(Json(nested(32)))


def test_a_json_member_without_a_name_is_refused() -> None:
    with pytest.raises(ValueOutOfRange):
        attribute(Json({"a": [{"": 1}]}))
