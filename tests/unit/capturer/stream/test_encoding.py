"""A change on its way into a record: lanes, oversized and keyless changes."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from capturer.stream.encoding import encoded
from capturer.stream.lanes import MAX_RECORD
from rowferry.change import Kind, RowChange, decode_record
from rowferry.items.effects import lane_of
from rowferry.mapping import Mapping

MAPPING = Mapping.parse("""
[[table]]
source = "shop.purchase"
target = "purchase"
layout = "attribute-per-row"
hash_key = { attribute = "c" }
range_key = { attribute = "o" }
member_name = "p"
member_value = "q"
""")


POSITION = "0001.00000001.0000000000000004.00000001"


def row(**values: Any) -> dict[str, Any]:
    return {"c": "c", "o": "o", "p": "p", "q": 1} | values


def sent(kind: Kind, before: Any, after: Any) -> list[tuple[int, RowChange]]:
    change = RowChange("shop", "purchase", kind, before, after, POSITION)
    return [(lane, decode_record(content).changes[0]) for lane, content in encoded(change, MAPPING, 256)]


def lane(**values: Any) -> int:
    from rowferry.items.effects import key_of

    return lane_of(key_of(row(**values), MAPPING.tables[0]), 256)


def test_a_move_is_a_delete_in_the_old_lane_and_an_insert_in_the_new() -> None:
    (first, left), (second, came) = sent(Kind.UPDATE, row(), row(o="o2"))
    assert (first, left.kind, second, came.kind) == (lane(), Kind.DELETE, lane(o="o2"), Kind.INSERT)
    assert left.position == came.position == POSITION


def test_values_of_every_kind_arrive_as_they_were() -> None:
    values = row(q=Decimal("1.10"), c="한글", o="o\x00\"'")
    assert sent(Kind.INSERT, None, values)[0][1].after == values
    moment = row(q=datetime(2026, 1, 2, 3, 4, 5, 6))  # noqa: DTZ001
    assert sent(Kind.INSERT, None, moment)[0][1].after == moment


def test_a_change_too_large_for_a_record_travels_as_its_key() -> None:
    ((where, change),) = sent(Kind.UPDATE, row(q="x" * MAX_RECORD), row(q="y"))
    assert (where, change.kind, change.before) == (lane(), Kind.OVERSIZED, {"c": "c", "o": "o", "p": "p"})
    assert change.position == POSITION


def test_a_row_without_a_key_travels_for_the_quarantine_even_when_its_key_is_huge() -> None:
    ((_, change),) = sent(Kind.INSERT, None, row(c=None))
    assert change.after == row(c=None)
    ((_, change),) = sent(Kind.INSERT, None, row(c="\x01" * MAX_RECORD))
    assert change.kind is Kind.OVERSIZED
    assert change.before == {"o": "o", "p": "p"}


def test_a_row_that_loses_its_key_still_leaves_its_old_item() -> None:
    (first, left), (_, came) = sent(Kind.UPDATE, row(), row(c=""))
    assert (first, left.kind) == (lane(), Kind.DELETE)
    assert (came.kind, came.after) == (Kind.INSERT, row(c=""))
