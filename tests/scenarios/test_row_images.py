"""The oracle's keys of what the cases change, against the items that the consumer changes for it."""

import json

import pytest

from ferry.verify.oracle.mapping_entry import Pair, read_pairs
from ferry.verify.oracle.row_images import ImageKeys
from ferry.verify.oracle.values import found_content
from rowferry.change import RowChange
from rowferry.errors import UnusableChange
from rowferry.items.effects import effects
from tests.support.mappings import PURCHASE_FILE
from tests.support.scenarios import Case, cases, event

CASES = cases()
BY_HAND = ("column-missing-from-the-row",)
"""The rows of these were no images of a binlog."""


def changes(case: Case) -> list[RowChange]:
    return [event(line) for line in case.lines if "type" in line]


def applied(case: Case, change: RowChange) -> set[str]:
    """The keys of the items that the consumer changes; none of what goes to quarantine."""
    try:
        found = effects(change, case.mapping)
    except UnusableChange:
        return set()
    return {
        json.dumps(
            [found_content({kind: value}).split(":", 1) for _, kind, value in effect.key.values],
            ensure_ascii=False,
            separators=(",", ":"),
        )
        for effect in found
    }


def touched(pair: Pair, change: RowChange) -> set[str]:
    return set(ImageKeys(pair).of(change.before, change.after))


@pytest.mark.parametrize("name", [name for name in CASES if name not in BY_HAND])
def test_no_item_that_changes_is_left_out(name: str) -> None:
    case = CASES[name]
    pairs = {
        (pair.schema, pair.table): pair
        for pair in read_pairs(next(case.folder.glob("mapping.*"), PURCHASE_FILE))
    }
    for change in changes(case):
        if (pair := pairs.get((change.schema, change.table))) is None:
            continue
        want = applied(case, change)
        have = touched(pair, change)
        assert want <= have
        if "where" not in pair.entry and want:
            assert want == have
