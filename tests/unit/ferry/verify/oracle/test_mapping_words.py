"""Verify's own reading of values, names, keys and filters, from what MySQL prints."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest

from ferry.verify.oracle import hooks, mapping_words, members
from ferry.verify.oracle import values as oracle_values
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.mapping_words import EntryWords, Row
from rowferry.errors import ValueOutOfRange
from rowferry.items import keys
from rowferry.mapping import attribute_source
from rowferry.mapping.table import KeyAttribute
from rowferry.mapping.template import Template
from rowferry.values import Json, values

BASE64 = "base64:type15:" + "/wA=" * 19

NATURAL: list[tuple[str, Any, dict[str, Any]]] = [
    ("tinyint", "-128", {"N": "-128"}),
    ("int", "00007", {"N": "7"}),
    ("year", "2026", {"N": "2026"}),
    ("year", "0000", {"N": "0"}),
    ("bit", "9223372036854775809", {"N": "9223372036854775809"}),
    ("decimal", "000007.10", {"N": "7.1"}),
    ("decimal", "0.00", {"N": "0"}),
    ("decimal", f"{'9' * 36}.9900", {"N": f"{'9' * 36}.99"}),
    ("decimal", f"{'9' * 37}.9900", {"S": f"{'9' * 37}.9900"}),
    ("decimal", "1" + "0" * 64, {"N": "1e64"}),
    ("float", "1.1", {"N": "1.1"}),
    ("float", "-3.4e38", {"N": "-3.4E38"}),
    ("float", "-0", {"N": "0"}),
    ("double", "1.2345678901234568e17", {"N": "123456789012345680"}),
    ("double", "-0", {"N": "0"}),
    ("varchar", "", {"S": ""}),
    ("char", "a", {"S": "a"}),
    ("binary", b"\1\0", {"B": b"\1\0"}),
    ("varbinary", b"", {"B": b""}),
    ("point", b"\0\0\0\0\1", {"B": b"\0\0\0\0\1"}),
    ("geomcollection", b"\0", {"B": b"\0"}),
    ("geometrycollection", b"\0", {"B": b"\0"}),
    ("vector", b"\0\0\x80?", {"B": b"\0\0\x80?"}),
    ("enum", "", {"S": ""}),
    ("set", "", {"L": []}),
    ("set", "a", {"L": [{"S": "a"}]}),
    ("set", "x,,z", {"L": [{"S": "x"}, {"S": "z"}]}),
    ("date", "2026-00-10", {"S": "2026-00-10"}),
    ("datetime", "2026-02-31 01:02:03.040", {"S": "2026-02-31 01:02:03.040000"}),
    ("timestamp", "0000-00-00 00:00:00.000", {"S": "0000-00-00 00:00:00"}),
    ("time", "-00:00:00.5", {"S": "-00:00:00.500000"}),
    ("inet6", "::1", {"S": "::1"}),
    ("uuid", "123e4567-e89b-12d3-a456-426655440000", {"S": "123e4567-e89b-12d3-a456-426655440000"}),
    ("json", "null", {"NULL": True}),
    ("json", "true", {"BOOL": True}),
    ("json", '""', {"S": ""}),
    ("json", "-0.0", {"N": "0"}),
    ("json", "1.0", {"N": "1"}),
    ("json", "-1.10", {"N": "-1.1"}),
    ("json", "1e125", {"N": "1e125"}),
    ("json", "1e126", {"S": "1E+126"}),
    ("json", "5e-324", {"S": "5E-324"}),
    ("json", "1" * 39, {"S": "1" * 39}),
    ("json", f"0.{'1' * 39}0", {"S": f"0.{'1' * 39}"}),
    ("json", '"2026-01-02 03:04:05.000000"', {"S": "2026-01-02 03:04:05.000000"}),
    ("json", f'"{BASE64}\\n/w=="', {"S": f"{BASE64}\n/w=="}),
    (
        "json",
        '{"b": [], "a": {"": [1, null]}}',
        {"M": {"a": {"M": {"": {"L": [{"N": "1"}, {"NULL": True}]}}}, "b": {"L": []}}},
    ),
]


@pytest.mark.parametrize(("kind", "cell", "attribute"), NATURAL)
def test_what_is_printed_and_its_attribute(kind: str, cell: Any, attribute: dict[str, Any]) -> None:
    assert oracle_values.content(kind, cell) == oracle_values.found_content(attribute)


@pytest.mark.parametrize(
    ("kind", "cell", "made", "content"),
    [
        ("int", "007", "string", "S:7"),
        ("bit", "5", "string", "S:5"),
        ("year", "2026", "string", "S:2026"),
        ("decimal", "1.10", "string", "S:1.1"),
        ("float", "16777200", "string", "S:16777200"),
        ("double", "1.1e300", "string", "S:1.1E+300"),
        ("double", "-0", "string", "S:0"),
        ("double", "1.1e300", "number", "N:1.1E+300"),
        ("set", "b,,a", "string", "S:b,a"),
        (
            "json",
            '{"b": 1.0, "a": [2.50, true, "é", 1e300]}',
            "string",
            'S:{"b": 1, "a": [2.5, true, "é", 1E+300]}',
        ),
        ("json", '"x"', "string", 'S:"x"'),
        ("json", "[1]", "binary", "B:WzFd"),
        ("json", "[1]", "json", 'L:["N:1"]'),
        ("longtext", '{"a": 1.0}', "json", 'M:{"a": "N:1"}'),
        ("blob", b"[1]", "json", 'L:["N:1"]'),
        ("longtext", "[1, NaN]", "json", "json:!"),
        ("longtext", '"\\ud800"', "json", "json:!"),
        ("longtext", "[" * 100_000, "json", "json:!"),
        ("longtext", "[1e9999999999999999999]", "json", "json:!"),
        ("date", "2026-01-02", "json", "S:2026-01-02"),
        ("time", "-00:00:01.50", "json", "S:-00:00:01.500000"),
        ("set", "a", "json", 'L:["S:a"]'),
        ("bit", "0", "boolean", "BOOL:False"),
        ("year", "2026", "boolean", "BOOL:True"),
        ("double", "-0", "boolean", "BOOL:False"),
        ("vector", b"\0\0", "boolean", "BOOL:False"),
        ("varchar", " 1.50 ", "number", "N:1.5"),
        ("varchar", "1" + "0" * 90 + "1", "number", f"N:1{'0' * 90}1"),
        ("varchar", "1e9999999999999999999", "number", "number:!"),
        ("varbinary", b"\xff", "string", "string:!"),
        ("varbinary", b"5", "number", "number:!"),
        ("float", "1.5", "binary", "B:MS41"),
    ],
)
def test_what_is_printed_made_another_type(kind: str, cell: Any, made: str, content: str) -> None:
    assert oracle_values.content(kind, cell, made) == content


NO_KEYS = (1e300, Decimal("9" * 40 + ".50"))
"""Numbers that DynamoDB lacks."""
VALUES: list[Any] = [
    *NO_KEYS,
    0,
    -7,
    2**64 - 1,
    Decimal("1.10"),
    Decimal("-0.00"),
    1.1,
    -0.0,
    16777200.0,
    1.4013e-45,
    "",
    "abc",
    " 1.5 ",
    "NO",
    '{"a": [1.0, 2.50]}',
    "::1",
    b"",
    b"\0",
    b"[2]",
    b"\xff",
    date(2026, 1, 2),
    datetime(2026, 1, 2, 3, 4, 5),
    datetime(2026, 1, 2, 3, 4, 5, 40),
    timedelta(hours=-26, microseconds=-5),
    "2026-00-10",
    (),
    ("a", "b"),
    Json(None),
    Json(True),
    Json(""),
    Json(5),
    Json(Decimal("2.5")),
    Json(10**50),
    Json(Decimal("1E+300")),
    Json({"a": [1, None, {"b": Decimal("1E-7")}], "é": "x\n"}),
    Json([]),
]


@pytest.mark.parametrize(
    ("value", "kind"), list(product(VALUES, [None, *attribute_source.AttributeType])), ids=repr
)
def test_both_readings_of_a_value_agree(value: Any, kind: attribute_source.AttributeType | None) -> None:
    content = oracle_values.content(*hooks.cell_of(value), kind and str(kind))
    try:
        attribute = attribute_source.stored(value, kind, "c", keep_null=False)
    except ValueOutOfRange:
        return  # such a row has no place: what verify expects of it is not there
    assert attribute is not None and content == oracle_values.found_content(attribute)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_both_readings_of_a_text_agree(value: Any) -> None:
    kind, cell = hooks.cell_of(value)
    row = Row({"c": cell}, {"c": kind})
    try:
        text = values.text(value)
    except ValueOutOfRange:
        assert mapping_words.key_of("S", "c", row) is None
        with pytest.raises(ValueError, match="no text"):
            mapping_words.name_of("${c}", row)
        assert EntryWords({}).value("a${c}", row) == "S:!"
    else:
        assert mapping_words.key_of("S", "c", row) == mapping_words.name_of("${c}", row) == text
        assert EntryWords({}).value("a${c}", row) == f"S:a{text}"


@pytest.mark.parametrize(("value", "kind", "template"), list(product(VALUES, "NB", [False, True])), ids=repr)
def test_both_readings_of_a_key_agree(value: Any, kind: str, template: bool) -> None:
    key = KeyAttribute("k", kind, None, Template.parse("${c}")) if template else KeyAttribute("k", kind, "c")
    type_, cell = hooks.cell_of(value)
    read = mapping_words.key_of(kind, "${c}" if template else "c", Row({"c": cell}, {"c": type_}))
    try:
        content = keys._written(value, key)
    except ValueOutOfRange:
        assert read is None or value in NO_KEYS
        return
    assert [kind, read] == oracle_values.found_content({kind: content}).split(":", 1)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("year", "0000", 0),
        ("bit", "5", 5),
        ("float", "1.1", 1.1),
        ("decimal", "1.10", Decimal("1.10")),
        ("set", "a,,b", ("a", "b")),
        ("set", "", ()),
        ("json", "null", Json(None)),
        ("json", '{"a": [1.0, 2.50]}', Json({"a": [1, Decimal("2.5")]})),
        ("point", b"\0", b"\0"),
        ("vector", b"\0", b"\0"),
        ("datetime", "0000-00-00 00:00:00.000", "0000-00-00 00:00:00"),
        ("datetime", "2026-02-31 01:02:03.5", "2026-02-31 01:02:03.500000"),
        ("date", "2026-00-10", "2026-00-10"),
        ("time", "-00:00:00.5", timedelta(milliseconds=-500)),
        ("json", None, None),
    ],
)
def test_what_a_hook_sees(kind: str, cell: Any, value: Any) -> None:
    seen = hooks.value_of(kind, cell)
    assert (type(seen), repr(seen)) == (type(value), repr(value))


@pytest.mark.parametrize(
    ("kind", "cell", "attribute"),
    [case for case in NATURAL if case[0] != "json" or len(str(case[1])) < 200],
)
def test_a_hook_that_changes_nothing_changes_nothing(kind: str, cell: Any, attribute: dict[str, Any]) -> None:
    (row,) = hooks.rows(lambda row: row, Row({"c": cell}, {"c": kind}))
    assert row is not None
    assert oracle_values.content(row.types["c"], row.cells["c"]) == oracle_values.found_content(attribute)


@pytest.mark.parametrize("made", [5, [5], "text", {"c": Json({1})}])
def test_a_row_of_which_a_hook_makes_no_rows_has_no_place(made: Any) -> None:
    assert hooks.rows(lambda _: made, Row({"c": "1"}, {"c": "int"})) == [None]


@pytest.mark.parametrize(
    ("condition", "kind", "cell", "passes"),
    [
        ({"eq": 5}, "bit", "5", True),
        ({"ge": 2026}, "year", "2026", True),
        ({"lt": 1901}, "year", "0000", True),
        ({"eq": 1.1}, "float", "1.1", True),
        ({"eq": 1e23}, "double", "99999999999999991611392", True),
        ({"eq": True}, "int", "1", True),
        ({"eq": True}, "varchar", "1", True),
        ({"eq": 1.5}, "varchar", "1.5", True),
        ({"eq": "a,b"}, "set", "a,,b", True),
        ({"eq": ""}, "set", "", True),
        ({"prefix": "a"}, "set", "a,b", True),
        ({"eq": "ab"}, "binary", b"ab", True),
        ({"lt": "b"}, "point", b"a", True),
        ({"lt": date(2026, 1, 11)}, "date", "2026-01-10", True),
        ({"lt": date(2026, 1, 1)}, "date", "2026-00-10", True),
        ({"eq": datetime(2026, 1, 1, 0, 0, 0, 500_000)}, "datetime", "2026-01-01 00:00:00.5", True),
        ({"lt": "00:00:00"}, "time", "-00:00:00.5", True),
        ({"null": False}, "json", "null", True),
        ({"eq": "x"}, "json", None, False),
    ],
)
def test_filters_know_every_type(condition: dict[str, Any], kind: str, cell: Any, passes: bool) -> None:
    assert mapping_words.carried({"column": "c", **condition}, Row({"c": cell}, {"c": kind})) is passes


@pytest.mark.parametrize(
    ("condition", "kind", "cell"),
    [
        ({"eq": "1"}, "json", "1"),
        ({"prefix": "a"}, "blob", b"a"),
        ({"lt": 5}, "blob", b"a"),
        ({"eq": "a"}, "bit", "1"),
    ],
)
def test_a_row_that_a_filter_cannot_judge_has_no_place(
    condition: dict[str, Any], kind: str, cell: Any
) -> None:
    entry = {"where": {"column": "c", **condition}}
    pair = Pair("s", "t", "t", (("id", "N", "id"),), None, None, entry)
    (member,) = members.expected(pair, {"id": "int", "c": kind}, iter([("1", cell)]))
    assert member == ('[["N",null]]', "", "")


@pytest.mark.parametrize(
    ("kind", "cell", "seconds"),
    [
        ("bit", "5", 5),
        ("year", "2026", 2026),
        ("date", "2026-01-02", 1767312000),
        ("date", "2026-02-31", None),
        ("datetime", "2026-00-10 00:00:00.000", None),
        ("timestamp", "1970-01-01 00:00:01.900000", 1),
    ],
)
def test_the_time_to_live_of_every_type(kind: str, cell: str, seconds: int | None) -> None:
    words = EntryWords({"ttl": {"attribute": "t", "column": "c"}})
    found = dict(words.ttl(Row({"c": cell}, {"c": kind})))
    assert found == ({} if seconds is None else {"t": f"N:{seconds}"})
