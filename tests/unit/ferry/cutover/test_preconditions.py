"""Which verify counts for a cutover."""

from typing import Any

import pytest

from ferry.cutover.preconditions import verified
from rowferry.control_table import VERIFIED
from rowferry.position import Position
from tests.support.epochs import captured, control


@pytest.mark.parametrize(
    ("item", "found"),
    [
        (captured("a", first=2), "no difference"),
        (captured("a", "b", first=2), "before the source failed over"),
        (captured("b", first=3), "before capture was reset"),
    ],
)
def test_the_last_verify_has_to_be_of_the_present_epoch(item: dict[str, Any], found: str) -> None:
    table = control(item)
    table.put(VERIFIED, {"at": 0, "left": 0, "unsettled": 0, "position": str(Position(2, 7, 5))})
    condition = verified(table, 60, 1)
    assert (condition.found, condition.holds) == (found, found == "no difference")
