"""What verify expects of the rows of a case, against the items of the case: two readings of one mapping."""

from typing import Any

import pytest

from ferry.verify.diff import compare
from ferry.verify.oracle.hooks import cell_of
from ferry.verify.oracle.mapping_entry import Pair, read_pairs
from ferry.verify.oracle.members import Member, expected, found
from rowferry.values import untag
from tests.support.mappings import PURCHASE_FILE
from tests.support.scenarios import Case, cases

CASES = {name: case for name, case in cases().items() if case.rows is not None or case.sources}


def pairs_of(case: Case) -> list[Pair]:
    return read_pairs(next(case.folder.glob("mapping.*"), PURCHASE_FILE))


def placed(pair: Pair, rows: list[dict[str, Any]]) -> list[Member]:
    """The rows as MySQL would print them; a column's type is that of its first value."""
    cells = [{name: cell_of(untag(value)) for name, value in row.items()} for row in rows]
    if not cells:
        return []
    types = {
        name: next((row[name][0] for row in cells if row[name][1] is not None), "varchar")
        for name in cells[0]
    }
    read = pair.columns(list(types))
    return list(
        expected(
            pair, {name: types[name] for name in read}, ([row[name][1] for name in read] for row in cells)
        )
    )


@pytest.mark.parametrize("name", CASES)
def test_verify_finds_the_items_right(name: str) -> None:
    case = CASES[name]
    pairs = pairs_of(case)
    sources = case.sources or {pairs[0].table: case.rows or []}
    want = sorted(member for pair in pairs for member in placed(pair, sources.get(pair.table, [])))
    have = sorted(member for item in case.items("items") for member in found(pairs[0], item, pairs[1:]))
    assert list(compare(iter(want), iter(have))) == []


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].items("items")])
def test_verify_finds_what_is_wrong(name: str) -> None:
    case = CASES[name]
    pairs = pairs_of(case)
    have = sorted(member for item in case.items("items") for member in found(pairs[0], item, pairs[1:]))
    for index in range(min(20, len(have))):
        less, other = have[:index] + have[index + 1 :], have[index]._replace(value="S:other")
        assert [d.kind for d in compare(iter(have), iter(less))] == ["missing"]
        assert [d.kind for d in compare(iter(have), iter(sorted([*less, other])))] == ["different"]
