from pathlib import Path

import pytest

from rowferry.errors import MappingError
from rowferry.mapping import Layout, Mapping
from tests.support.mappings import PURCHASE, PURCHASE_FILE, purchase_of
from tests.support.paths import FUNCTIONS

GOOD = PURCHASE.replace('"customerid" }', '"customerid", type = "S" }')


def test_the_example_says_what_the_readme_says() -> None:
    (table,) = Mapping.load(PURCHASE_FILE).tables
    assert (table.source, table.target, table.layout) == (
        "test.purchase",
        "purchase",
        Layout.ATTRIBUTE_PER_ROW,
    )
    assert table.columns == ("customerid", "orderid", "productid", "quantity")
    assert table.reserved == {"_pos", "_ttl", "customerid", "orderid"}


def test_every_mapping_that_is_shipped_can_be_read() -> None:
    for path in FUNCTIONS.glob("*.toml"):
        assert Mapping.load(path).tables


def test_a_table_is_found_by_schema_and_name() -> None:
    mapping = Mapping.parse(GOOD)
    assert mapping.find("test", "purchase") is mapping.tables[0]
    assert mapping.find("other", "purchase") is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (GOOD, "", "no [[table]]"),
        (GOOD, "x =", "not TOML"),
        (GOOD, "table = 7", "no [[table]]"),
        (GOOD, "table = [7]", "table 1"),
        ("source", "sauce", "unknown name 'sauce'"),
        ('"test.purchase"', '"purchase"', "no dot"),
        ('"test.purchase"', "7", "source is missing"),
        ('target = "purchase"', "", "target is missing"),
        ("attribute-per-row", "columns", "layout is 'columns'"),
        ("attribute-per-row", "item-per-row", "has no members"),
        ('member_value = "quantity"', "", "without members"),
        ('type = "S"', 'type = "BOOL"', "type is 'BOOL'"),
        ('type = "S"', 'type = ["S"]', "type is ['S']"),
        ('"orderid"', '"customerid"', "occurs twice"),
        ('"orderid"', '"_pos"', "_pos"),
        ('{ attribute = "orderid" }', '"orderid"', "range_key is missing or not a table"),
        (GOOD, GOOD + GOOD, "occurs twice"),
        (GOOD, GOOD + purchase_of("test.other"), "may both write names that begin"),
    ],
)
def test_a_wrong_mapping_is_refused_with_what_is_wrong(old: str, new: str, said: str) -> None:
    with pytest.raises(MappingError) as refused:
        Mapping.parse(GOOD.replace(old, new))
    assert said in refused.value.found and refused.value.fix


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'x = "\xe9"')
    (tmp_path / "wrong").write_text("x =")
    for name in ("missing", "latin", "wrong"):
        with pytest.raises(MappingError, match=name):
            Mapping.load(tmp_path / name)


def test_the_mapping_of_the_tests_is_the_one_that_is_shipped() -> None:
    assert Mapping.parse(PURCHASE).tables == Mapping.load(PURCHASE_FILE).tables
