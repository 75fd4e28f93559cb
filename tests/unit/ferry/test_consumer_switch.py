"""What the switch requires of the loads."""

from typing import Any

import pytest

from ferry.consumer_switch import require_load
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import ControlTable, load_key
from rowferry.errors import Refused
from rowferry.history import History
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


UUID = "aaaaaaaa-0000-0000-0000-000000000000"


def test_a_load_of_before_a_failover_must_show_nothing_that_is_lost() -> None:
    shown: dict[str, Any] = {
        "epoch": 1,
        "state": "done",
        "shown#1#x": f"{UUID}:1-7",
        "shown#1#y": f"{UUID}:1-5",
    }
    kept, lossy = (captured("a", "b", history=f"{UUID}:{history}") for history in ("1-7", "1-6"))
    require_load(loaded(kept, **shown), ["test.t"])
    require_load(loaded(captured("a", history=f"{UUID}:1-6"), **shown), ["test.t"])
    with pytest.raises(Refused, match=rf"load of test\.t shows .* are not captured: {UUID}:7: wait"):
        require_load(loaded(lossy, **shown), ["test.t"])
    asked: list[Checkpoint] = []

    def executed(checkpoint: Checkpoint) -> History:
        asked.append(checkpoint)
        return History.parse(checkpoint.history)

    with pytest.raises(Refused, match=rf"has lost: {UUID}:7: empty the target, then"):
        require_load(loaded(lossy, **shown), ["test.t"], executed)
    assert [checkpoint.server for checkpoint in asked] == ["b"]


def test_a_load_that_does_not_say_what_it_shows_is_refused_after_a_failover() -> None:
    require_load(loaded(captured("a", "b"), epoch=2, state="done"), ["test.t"])
    with pytest.raises(Refused, match="does not say what it shows: empty the target"):
        require_load(loaded(captured("a", "b"), epoch=1, state="done"), ["test.t"])
    require_load(loaded(captured("a", "b"), **{"epoch": 1, "state": "done", "shown#2#x": ""}), ["test.t"])
