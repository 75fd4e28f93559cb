"""What a mapping may say, and how it is reported that it may not."""

import tomllib
from typing import Any

import pytest

from ferry.verify.oracle import hooks
from ferry.verify.oracle.mapping_words import Row
from rowferry.errors import HookFailed, MappingError, ReservedName
from rowferry.items.members import members_of
from rowferry.mapping import Mapping
from rowferry.mapping.hooks import Hook
from rowferry.values import Json
from tests.support.paths import ROOT

GROUPED = """[[table]]
source = "s.lines"
target = "orders"
layout = "nested-map"
attribute = "lines"
hash_key = { attribute = "id", column = "order_id" }
member_name = "product"
member_value = "quantity"
"""
ROWS = """[[table]]
source = "s.orders"
target = "orders"
layout = "item-per-row"
hash_key = { attribute = "id" }
"""


@pytest.mark.parametrize(
    ("text", "old", "new", "said"),
    [
        (GROUPED, 'attribute = "lines"\n', "", "without attribute"),
        (GROUPED, "nested-map", "attribute-per-row", "attribute has no meaning"),
        (GROUPED, '"quantity"', "7", "member_value is not understood"),
        (GROUPED, '"quantity"', '{ column = "a", template = "b" }', "not understood"),
        (GROUPED, '"quantity"', '{ column = "a", types = "b" }', "unknown name 'types'"),
        (GROUPED, '"quantity"', '{ column = "a", type = "text" }', "type is 'text'"),
        (GROUPED, '"quantity"', '{ map = ["a"] }', "map has the wrong value"),
        (GROUPED, '"quantity"', '"${quantity"', "not closed"),
        (GROUPED, '"quantity"\n', '"quantity"\ninclude = ["a"]\n', "without columns to store"),
        (GROUPED, '"quantity"\n', '"quantity"\nseparator = "-"\n', "separator has no meaning"),
        (GROUPED, '"quantity"\n', '"quantity"\nttl = { attribute = "e", column = "d" }\n', "may disagree"),
        (GROUPED, "nested-map", 'string-set"\nseparator = "--', "one character"),
        (GROUPED, "nested-map", 'string-set"\nnull = "attribute', "cannot hold NULL"),
        (GROUPED.replace("nested-map", "string-set"), '"quantity"', '"*"', "let member_value be"),
        (GROUPED, '"product"', '{ constant = "" }', "constant is ''"),
        (GROUPED, 'column = "order_id"', 'template = "${order_id"', "not closed"),
        (GROUPED, 'column = "order_id"', 'column = "${order_id}"', "write template"),
        (GROUPED, 'column = "order_id"', 'column = "x", constant = "y"', "together"),
        (ROWS, '" }\n', '" }\nseparator = ":"\n', "has no members"),
        (ROWS, '" }\n', '" }\ninclude = ["a"]\nexclude = ["b"]\n', "include and exclude together"),
        (ROWS, '" }\n', '" }\ninclude = "a"\n', "not a list of columns"),
        (ROWS, '" }\n', '" }\ninclude = ["id", "a"]\n', "'id' occurs twice, is a key"),
        (ROWS, '" }\n', '" }\ninclude = ["a", "b"]\ncolumns.a = { name = "b" }\n', "'b' occurs twice"),
        (ROWS, '" }\n', '" }\nattribute = "doc"\nprefix = "a"\n', "prefix has no meaning"),
        (ROWS, '" }\n', '" }\nnull = "none"\n', "null is 'none'"),
        (ROWS, '" }\n', '" }\ncolumns.a = { rename = "b" }\n', "unknown name 'rename'"),
        (ROWS, '" }\n', '" }\ncolumns.a = { name = "id" }\n', "'id' occurs twice"),
        (ROWS, '" }\n', '" }\ncolumns.a = { name = "x" }\ncolumns.b = { name = "x" }\n', "'x' occurs twice"),
        (ROWS, '" }\n', '" }\nattribute = "doc"\nprefix = "p_"\n', "prefix has no meaning"),
        (ROWS, '" }\n', '" }\nattributes._pos = "a"\n', "'_pos'"),
        (ROWS, '" }\n', '" }\nattribute = "doc"\nattributes.doc = "a"\n', "'doc' occurs twice"),
        (ROWS, '" }\n', '" }\nttl = { attribute = "_ttl", column = "a" }\n', "'_ttl'"),
        (ROWS, '" }\n', '" }\nttl = { attribute = "e", column = "a", days = "3" }\n', "days is '3'"),
        (ROWS, '" }\n', '" }\nwhere = { column = "a" }\n', "one operator"),
        (ROWS, '" }\n', '" }\nwhere = { column = "a", eq = nan }\n', "not a number"),
        (ROWS, '" }\n', '" }\nwhere = { column = "a", eq = 2026-01-02T03:04:05Z }\n', "a time with a zone"),
        (ROWS, '" }\n', '" }\nattributes.a = { constant = inf }\n', "cannot store the constant"),
        (ROWS, '" }\n', '" }\nattributes.a = { constant = 03:04:05 }\n', "cannot store the constant"),
        (ROWS, '" }\n', '" }\nhook = "os:system"\n', "functions/hooks/"),
        (ROWS, '" }\n', '" }\nhook = "hooks.example"\n', "functions/hooks/"),
        (ROWS, '" }\n', '" }\nhook = "hooks.nowhere:x"\n', "cannot be loaded (ModuleNotFoundError"),
        (ROWS, '" }\n', '" }\nhook = "hooks.example:nothing"\n', "cannot be loaded (AttributeError"),
        (ROWS, '" }\n', '" }\nhook = "hooks.example:__doc__"\n', "not a function"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_fix(text: str, old: str, new: str, said: str) -> None:
    assert old in text
    with pytest.raises(MappingError) as refused:
        Mapping.parse(text.replace(old, new, 1))
    assert said in str(refused.value)


def both(one: str, other: str) -> str:
    return ROWS.replace('" }\n', f'" }}\n{one}\n') + GROUPED.replace('attribute = "lines"\n', other, 1)


def per_row(words: str) -> str:
    return f'layout = "attribute-per-row"\n{words}'


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('include = ["status"]', 'attribute = "lines"\n'),
        ('attribute = "doc"', 'attribute = "lines"\n'),
        ('prefix = "o_"', 'attribute = "lines"\n'),
        ('prefix = "o_"\nttl = { attribute = "e", column = "at" }', 'attribute = "lines"\n'),
    ],
)
def test_sources_with_names_of_their_own_share_a_target(one: str, other: str) -> None:
    orders, lines = Mapping.parse(both(one, other)).tables
    assert orders.shared and lines.shared and not orders.whole
    assert orders.into.maps == lines.into.maps == {"lines"}
    assert orders.load_merges and lines.load_merges


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("", 'attribute = "lines"\n', "'lines'"),
        ('include = ["status", "lines"]', 'attribute = "lines"\n', "'lines'"),
        ('attribute = "lines"', 'attribute = "lines"\n', "'lines'"),
        ('prefix = "li"', 'attribute = "lines"\n', "'lines'"),
        ('include = ["a"]\nttl = { attribute = "lines", column = "at" }', 'attribute = "lines"\n', "'lines'"),
        ('include = ["a"]\ncolumns.a = { name = "lines" }', 'attribute = "lines"\n', "'lines'"),
        ('prefix = "a"\ncolumns.a = { name = "lines" }', 'attribute = "lines"\n', "'lines'"),
    ],
)
def test_sources_that_may_write_one_name_are_refused(one: str, other: str, clash: str) -> None:
    with pytest.raises(MappingError, match="prefix") as refused:
        Mapping.parse(both(one, other))
    assert clash in refused.value.found


def test_two_sources_fill_one_map_under_prefixes() -> None:
    other = GROUPED.replace("s.lines", "s.gifts")
    with pytest.raises(MappingError, match="names that begin with ''"):
        Mapping.parse(GROUPED + other)
    Mapping.parse(
        GROUPED.replace("[[table]]", '[[table]]\nprefix = "l_"')
        + other.replace("[[table]]", '[[table]]\nprefix = "g_"')
    )
    with pytest.raises(MappingError, match="'lines'"):
        Mapping.parse(GROUPED + other.replace("nested-map", "string-set"))


def test_sources_of_one_target_have_one_key() -> None:
    with pytest.raises(MappingError, match="not its key"):
        Mapping.parse(
            both('include = ["a"]', 'attribute = "lines"\n').replace(
                '{ attribute = "id" }', '{ attribute = "pk" }'
            )
        )


def test_a_row_carries_what_the_mapping_needs_and_no_more() -> None:
    (table,) = Mapping.parse(
        GROUPED.replace('"quantity"', '"${a}${b}"\nwhere = { column = "c", eq = 1 }')
    ).tables
    assert [name for name in "abcdq" if table.travels(name)] == ["a", "b", "c"]
    (table,) = Mapping.parse(ROWS + 'exclude = ["a", "b"]\nattributes.x = "${a}"\n').tables
    assert [name for name in "abcd" if table.travels(name)] == ["a", "c", "d"] and table.every_column
    (table,) = Mapping.parse(ROWS + 'include = ["a"]\nttl = { attribute = "e", column = "b" }\n').tables
    assert [name for name in "abcd" if table.travels(name)] == ["a", "b"] and not table.every_column
    (table,) = Mapping.parse(ROWS + 'include = ["a"]\nhook = "hooks.example:cents"\n').tables
    assert table.travels("anything") and table.columns == ()


@pytest.mark.parametrize(
    ("text", "merges"),
    [
        (GROUPED, False),
        (GROUPED.replace('column = "order_id"', 'template = "o#${order_id}"'), False),
        (GROUPED.replace('column = "order_id"', 'template = "${a}|${b}"'), True),
        (GROUPED.replace('column = "order_id"', 'constant = "all"'), True),
        (GROUPED.replace('column = "order_id"', 'type = "N", template = "${a}"'), True),
        (GROUPED + 'hook = "hooks.example:cents"\n', True),
        (ROWS, False),
        (ROWS + 'hook = "hooks.example:cents"\n', False),
        (ROWS.replace('"id" }', '"id", template = "${a}|${b}" }'), False),
    ],
)
def test_the_load_puts_items_only_where_a_chunk_has_them_whole(text: str, merges: bool) -> None:
    assert Mapping.parse(text).tables[0].load_merges is merges


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (ROWS + 'ttl = { attribute = "a", column = "at" }\n', "a"),
        (ROWS + 'attributes.a = "at"\n', "a"),
        (ROWS + 'columns.at = { name = "a" }\n', "a"),
        (ROWS + 'attribute = "doc"\ncolumns.at = { name = "a" }\n', "a"),
        (GROUPED.replace('"quantity"', '"*"') + 'attributes.a = "at"\n', "a"),
    ],
)
def test_of_two_values_with_one_name_none_is_lost_silently(text: str, name: str) -> None:
    row = {"id": 1, "order_id": 1, "product": 1, "a": 1, "at": 2}
    with pytest.raises(ReservedName, match=f"'{name}'"):
        members_of(row, Mapping.parse(text).tables[0])


@pytest.mark.parametrize(
    "made",
    [
        *(7, "row", [7], [{"a": object()}], {1: 2}, {"a": {"b": 1}}),
        *({"a": "\ud800"}, {"a": Json(object())}, {"a": Json(["\ud800"])}),
    ],
)
def test_a_hook_that_gives_no_rows_has_failed(made: Any) -> None:
    with pytest.raises(HookFailed, match="returned something that is not a row"):
        Hook("hooks.x:y", lambda row: made).rows({"a": 1})


@pytest.mark.parametrize("value", ["\ud800", Json(["\ud800"]), Json(object())])
def test_what_no_item_can_hold_has_no_place_for_verify_either(value: Any) -> None:
    assert hooks.rows(lambda row: {"a": value}, Row({"a": "1"}, {"a": "int"})) == [None]


def test_a_hook_has_a_row_of_its_own_and_its_errors_hold_no_values() -> None:
    row = {"a": 1, "secret": "s3cret"}

    def hook(own: dict[str, Any]) -> None:
        own.clear()
        raise ValueError(row["secret"])

    with pytest.raises(HookFailed, match="ValueError") as failed:
        Hook("hooks.x:y", hook).rows(row)
    assert row["a"] == 1 and "s3cret" not in str(failed.value)
    assert Hook("hooks.x:y", lambda row: None).rows(row) == []


def test_what_a_hook_does_to_a_document_stays_with_the_hook() -> None:
    row = {"doc": Json({"a": [1]})}
    (made,) = Hook("hooks.x:y", lambda own: own["doc"].document["a"].clear() or own).rows(row)
    assert made == {"doc": Json({"a": []})} and row == {"doc": Json({"a": [1]})}


def test_every_example_in_the_documentation_can_be_read() -> None:
    text = (ROOT / "docs" / "mapping.md").read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in text.split("```toml\n")[1:]]
    assert len(examples) == 5
    for example in examples:
        assert tomllib.loads(example)
        Mapping.parse(example if "[[table]]" in example else ROWS + example)
    for path in [*(ROOT / "docs" / "mappings").glob("*"), *(ROOT / "functions").glob("*.json")]:
        assert Mapping.load(path).tables
