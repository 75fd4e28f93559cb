"""What is reported of a mapping before a row is copied, from the types of the source's columns."""

import pytest

from rowferry.mapping import Mapping
from rowferry.mysql import type_check
from rowferry.mysql.select import SourceColumn

COLUMNS = {
    "id": "int", "name": "varchar", "placed": "datetime", "day": "date", "clock": "time", "data": "blob",
    "doc": "json", "tags": "set", "kind": "enum", "price": "decimal", "place": "point",
}  # fmt: skip
TABLE = """
[[table]]
source = "s.t"
target = "t"
layout = "item-per-row"
hash_key = { attribute = "pk", column = "id", type = "N" }
"""


def problem(text: str, **columns: str) -> str:
    (table,) = Mapping.parse(text).tables
    found = type_check.problems(
        table, [SourceColumn(name, kind) for name, kind in {**COLUMNS, **columns}.items()]
    )
    return "; ".join(map(str, found))


@pytest.mark.parametrize(
    "line",
    [
        "",
        'where = { column = "clock", ge = 03:04:05 }',
        'where = { column = "placed", lt = "2026-01-02 03:04:05.5" }',
        'where = { and = [{ column = "id", in = ["1", 2] }, { column = "kind", eq = "a" }] }',
        'where = { column = "doc", null = true }',
        'where = { column = "day", prefix = "2026-" }',
        'columns.name = { type = "number" }\ncolumns.data = { type = "json" }',
        'ttl = { attribute = "expires", column = "day" }',
        'attributes.text = "${name} ${tags} ${price}"',
    ],
)
def test_what_fits_says_nothing(line: str) -> None:
    assert problem(TABLE + line) == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('where = { column = "name", eq = 03:04:05 }', "'name' is compared with a constant of another type"),
        ('where = { column = "placed", eq = 03:04:05 }', "'placed' is compared with a constant of another"),
        ('where = { column = "placed", ge = "2.1.2026" }', "write 2026-01-02"),
        ('where = { or = [{ column = "id", eq = 1 }, { column = "id", eq = "x" }] }', "'id' is compared"),
        ('where = { column = "doc", eq = "x" }', "JSON document has no text"),
        ('where = { column = "data", prefix = "x" }', "binary value has no text"),
        ('columns.day = { type = "number" }', "'day' is not a number"),
        ('columns.name = { name = "price" }', "'price' of s.t is a reserved name or occurs twice"),
        (
            'attribute = "all"\ncolumns.name = { name = "price" }',
            "'price' of s.t is a reserved name or occurs",
        ),
        ('ttl = { attribute = "day", column = "day" }', "'day' of s.t is a reserved name or occurs twice"),
        ('ttl = { attribute = "expires", column = "name" }', "does not hold a time for a ttl"),
        ('attributes.text = "${name} ${doc}"', "JSON document has no text"),
    ],
)
def test_what_can_never_fit_is_reported_with_the_fix(line: str, said: str) -> None:
    assert said in problem(TABLE + line)


def test_a_key_of_the_wrong_type_or_a_column_with_a_reserved_name() -> None:
    assert "'id' does not hold a value for key type N" in problem(TABLE, id="varchar")
    assert "'_pos' of s.t is a reserved name" in problem(TABLE, _pos="int")
