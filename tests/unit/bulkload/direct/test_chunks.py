import datetime as dt
from decimal import Decimal

import pytest

from bulkload.connection import read_date, read_datetime
from bulkload.direct import chunks
from bulkload.direct.chunk_keys import KeyColumn
from bulkload.direct.chunks import Chunk, CutTable, bound_text, read_bound, rows_per_chunk, select, where
from rowferry.mapping import Mapping
from rowferry.mysql.select import SourceColumn, selection

MAPPED = Mapping.parse(
    """
    [[table]]
    source = "shop.purchase"
    target = "purchase"
    layout = "attribute-per-row"
    hash_key = { attribute = "c" }
    range_key = { attribute = "o" }
    member_name = "p"
    member_value = "q"
    """
).tables[0]
C, O = KeyColumn("c", False, "`c`"), KeyColumn("o", False, "`o`")  # noqa: E741


COLUMNS = selection([SourceColumn(name, "int") for name in "copq"])


def table(*keys: KeyColumn, row_bytes: int = 100) -> CutTable:
    return CutTable(MAPPED, keys or (C, O), COLUMNS, True, row_bytes)


@pytest.mark.parametrize(
    ("chunk", "condition", "parameters"),
    [
        (Chunk(), "TRUE", []),
        (Chunk(("a", "b")), "`c` >= %s AND (`c` > %s OR `o` > %s)", ["a", "a", "b"]),
        (Chunk(None, ("a", "b")), "`c` <= %s AND (`c` < %s OR `o` <= %s)", ["a", "a", "b"]),
        (
            Chunk(("a", "b"), ("c", "d")),
            "`c` >= %s AND (`c` > %s OR `o` > %s) AND `c` <= %s AND (`c` < %s OR `o` <= %s)",
            ["a", "a", "b", "c", "c", "d"],
        ),
    ],
)
def test_a_chunk_is_above_its_lower_and_up_to_its_upper_bound(
    chunk: Chunk, condition: str, parameters: list[str]
) -> None:
    assert where(table(), chunk) == (condition, parameters)


def test_a_single_key_needs_one_comparison() -> None:
    assert where(table(C), Chunk(("a",), ("b",))) == ("`c` > %s AND `c` <= %s", ["a", "b"])


def test_rows_with_a_null_key_are_in_no_chunk_but_their_own() -> None:
    nullable = table(C, KeyColumn("o", True, "`o`"))
    assert where(nullable, Chunk(nulls=True)) == ("(`o` IS NULL)", [])
    assert where(nullable, Chunk(None, ("a", "b")))[0].startswith("`o` IS NOT NULL AND ")


def test_a_negative_time_is_compared_as_mysql_prints_it() -> None:
    bound = (dt.timedelta(hours=-1, microseconds=-5),)
    assert where(table(C), Chunk(bound))[1] == ["-01:00:00.000005"]


def test_columns_are_listed_and_quoted() -> None:
    sql, _ = select(
        CutTable(MAPPED, (C,), selection([SourceColumn("a`b", "int"), SourceColumn("50%", "int")]), True, 1),
        Chunk(),
    )
    assert sql == "SELECT `a``b`, `50%%` FROM `shop`.`purchase` WHERE TRUE ORDER BY `c`"


@pytest.mark.parametrize(
    "bound",
    [
        None,
        ("a", 1),
        (-(2**63), 2**64 - 1),
        (Decimal("1.10"), b"\x00\xff"),
        (dt.date(2026, 11, 23), dt.datetime.fromisoformat("2026-11-23 01:02:03.000004")),
        (dt.timedelta(hours=-1, microseconds=-5), ""),
        ("한글😀\n", 1.5),
    ],
)
def test_bounds_survive_the_control_table(bound: chunks.Bound) -> None:
    assert read_bound(bound_text(bound)) == bound


def test_long_rows_make_smaller_chunks() -> None:
    assert rows_per_chunk(table(), 5000) == 5000
    assert rows_per_chunk(table(row_bytes=1 << 20), 5000) == 4
    assert rows_per_chunk(table(row_bytes=1 << 30), 5000) == 1


def test_dates_that_no_calendar_has_stay_text() -> None:
    assert read_date("2026-11-23") == dt.date(2026, 11, 23)
    assert read_date("0000-00-00") == "0000-00-00"
    assert read_datetime("2026-11-23 01:02:03.5") == dt.datetime.fromisoformat("2026-11-23T01:02:03.500000")
    assert read_datetime("2026-00-00 00:00:00.000") == "2026-00-00 00:00:00"
    assert read_datetime("0000-00-00 00:00:01.5") == "0000-00-00 00:00:01.500000"
