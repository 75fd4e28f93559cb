"""Which items a verify of what changed compares."""

from collections.abc import Iterator

import pytest

from ferry.verify.changed import changed_keys, count
from ferry.verify.oracle.mapping_entry import Pair
from rowferry.change import Kind, RowChange
from rowferry.errors import CaptureStopped, Refused

ORDERS = Pair("shop", "orders", "orders", (("id", "N", "id"),), shared=True)
LINES = Pair("shop", "lines", "orders", (("id", "N", "order_id"),), "product", "quantity", shared=True)
CUSTOMERS = Pair("shop", "customers", "customers", (("id", "S", "id"),))
PAIRS = [ORDERS, LINES, CUSTOMERS]


def insert(table: str, **row: object) -> RowChange:
    return RowChange("shop", table, Kind.INSERT, None, row)  # type: ignore[arg-type]


def test_changes_of_all_sources_of_a_target_come_together() -> None:
    changes = [insert("orders", id=1), insert("lines", order_id=1), insert("lines", order_id=2),
               insert("customers", id="a")]  # fmt: skip
    found = changed_keys(changes, PAIRS)
    assert found == {"orders": {'[["N","1"]]', '[["N","2"]]'}, "customers": {'[["S","a"]]'}}
    assert count(found) == 3


@pytest.mark.parametrize(("schema", "table"), [("shop", "Orders"), ("Shop", "orders"), ("shop", "others")])
def test_a_change_of_another_table_is_refused(schema: str, table: str) -> None:
    change = RowChange(schema, table, Kind.INSERT, None, {"id": 1})
    with pytest.raises(Refused, match=f"the changes of {schema}.{table} are read"):
        changed_keys([change], PAIRS)


def test_a_binlog_that_cannot_be_read_is_refused() -> None:
    def changes() -> Iterator[RowChange]:
        yield insert("orders", id=1)
        raise CaptureStopped("the file is gone", "nothing")

    with pytest.raises(Refused, match="the file is gone"):
        changed_keys(changes(), PAIRS)
