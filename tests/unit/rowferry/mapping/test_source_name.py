"""Any schema and any table can be named, and one table has one name."""

import pytest

from rowferry.mapping import Mapping
from rowferry.mapping.source_name import parsed, source_of
from tests.support.mappings import purchase_of

NAMES = [
    ("shop.purchase", "shop", "purchase"),
    ("`my.shop`.purchase", "my.shop", "purchase"),
    ("`my.shop`.`t``1`", "my.shop", "t`1"),
    ("shop.a.b", "shop", "a.b"),
    ("shop.`a#1`", "shop", "a#1"),
    ("my shop.ลูกค้า €", "my shop", "ลูกค้า €"),
    ("1st.2/3%", "1st", "2/3%"),
    ("`.`.`#mysql50#x`", ".", "#mysql50#x"),
    ("````.````", "`", "`"),
]


@pytest.mark.parametrize(("text", "schema", "table"), NAMES)
def test_a_name_is_written_and_read_without_loss(text: str, schema: str, table: str) -> None:
    assert source_of(schema, table) == text
    assert parsed(text) == (schema, table)
    (entry,) = Mapping.parse(purchase_of(text.replace("\\", "\\\\"))).tables
    assert (entry.schema, entry.table, entry.source) == (schema, table, text)


def test_quotes_that_are_not_needed_are_left_out() -> None:
    assert parsed("`shop`.`purchase`") == ("shop", "purchase")
    (entry,) = Mapping.parse(purchase_of("`shop`.`purchase`")).tables
    assert entry.source == "shop.purchase"
    assert entry.is_called("shop.`purchase`") and not entry.is_called("shop.Purchase")


@pytest.mark.parametrize(
    "text", ["", ".", "shop", "shop.", ".purchase", "`shop`", "`shop.purchase", "``.x", "a.`b", "`a`b.c"]
)
def test_what_names_no_table_is_refused(text: str) -> None:
    assert parsed(text) is None


def test_the_chunks_of_a_table_are_not_those_of_another() -> None:
    keys = [f"chunk#{source_of('shop', table)}#" for table in ("t", "t#1", "t#1#000001", "#")]
    assert not [(a, b) for a in keys for b in keys if a != b and a.startswith(b)]
