"""What the switch requires of the loads."""

import pytest

from ferry.consumer_switch import require_load
from rowferry.control_table import ControlTable, load_key
from rowferry.errors import Refused
from tests.support.dynamo import Dynamo
from tests.support.epochs import captured, control


def loaded(item: dict[str, object], **load: int | str) -> ControlTable:
    table = control(item)
    table.put(load_key("test.t"), load)
    return table


def test_a_load_is_required_that_is_done_in_this_capture() -> None:
    require_load(loaded(captured("a"), epoch=1, state="done"), ["test.t"])
    for table, reason in {
        ControlTable(Dynamo(control=("pk",)), "control"): "no capturer has run yet",
        control(captured("a")): "has not begun",
        loaded(captured("a"), epoch=1, state="loading"): "is not done",
        loaded(captured("b", first=2), epoch=1, state="done"): "was done before capture was reset",
        loaded(captured("a", tables=["test.u"]), epoch=1, state="done"): "does not capture test.t",
    }.items():
        with pytest.raises(Refused, match=reason):
            require_load(table, ["test.t"])
