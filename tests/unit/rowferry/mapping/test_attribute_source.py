"""What a mapping's `type` makes of each kind of value."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from rowferry.errors import ValueOutOfRange
from rowferry.mapping.attribute_source import AttributeType, ColumnSource
from rowferry.mapping.filters import parse
from rowferry.values import Json

DOCUMENT = Json({"b": [1, Decimal("2.5"), None], "a": "é"})
AS_MAP = {"M": {"b": {"L": [{"N": "1"}, {"N": "2.5"}, {"NULL": True}]}, "a": {"S": "é"}}}
TEXT = '{"b": [1, 2.5, null], "a": "é"}'


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", 1e300, {"S": "1E+300"}),
        ("string", -0.0, {"S": "0"}),
        ("string", Decimal("9" * 65), {"S": "9" * 65}),
        ("string", DOCUMENT, {"S": TEXT}),
        ("string", Json(None), {"S": "null"}),
        ("string", Json({"": 1}), {"S": '{"": 1}'}),
        ("string", ("b", "a"), {"S": "b,a"}),
        ("string", (), {"S": ""}),
        ("string", b"\xc3\xa9", {"S": "é"}),
        ("binary", DOCUMENT, {"B": TEXT.encode()}),
        ("binary", ("b", "a"), {"B": b"b,a"}),
        ("json", TEXT, AS_MAP),
        ("json", TEXT.encode(), AS_MAP),
        ("json", "[1.0, 1e300, 123456789012345678901234567890123456789]", {
            "L": [{"N": "1"}, {"S": "1E+300"}, {"S": "123456789012345678901234567890123456789"}]
        }),
        ("json", DOCUMENT, AS_MAP),
        ("json", ("a",), {"L": [{"S": "a"}]}),
    ],
)  # fmt: skip
def test_a_type_makes_of_a_value(kind: str, value: Any, expected: dict[str, Any]) -> None:
    assert ColumnSource("c", AttributeType(kind)).attribute_of({"c": value}) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (None, 1e300),
        (None, Json({"": 1})),
        ("number", 1e300),
        ("number", Json(1)),
        ("number", ("1",)),
        ("boolean", DOCUMENT),
        ("string", b"\xff"),
        ("json", "{"),
        ("json", '"\\ud800"'),
        ("json", '{"": 1}'),
        ("json", "[" * 40 + "]" * 40),
    ],
)
def test_what_a_type_cannot_make_of_a_value_is_refused(kind: str | None, value: Any) -> None:
    with pytest.raises(ValueOutOfRange):
        ColumnSource("c", AttributeType(kind) if kind else None).attribute_of({"c": value})


@pytest.mark.parametrize("keep", [True, False])
def test_the_null_of_json_is_not_null(keep: bool) -> None:
    assert ColumnSource("c", keep_null=keep).attribute_of({"c": Json(None)}) == {"NULL": True}


def test_a_set_is_compared_as_it_is_printed() -> None:
    condition = parse({"column": "c", "in": ["a,b", ""]}, "where")
    assert [condition.matches({"c": value}) for value in (("a", "b"), (), ("a",))] == [True, True, False]


def test_a_document_is_compared_with_nothing_but_null() -> None:
    assert not parse({"column": "c", "null": True}, "where").matches({"c": Json(None)})
    with pytest.raises(ValueOutOfRange):
        parse({"column": "c", "eq": "x"}, "where").matches({"c": Json("x")})


def test_a_time_is_text() -> None:
    assert ColumnSource("c", AttributeType.STRING).attribute_of({"c": timedelta(hours=-26)}) == {
        "S": "-26:00:00"
    }
