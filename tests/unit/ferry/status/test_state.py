"""What `ferry status` shows of the captured server and of the loads."""

import pytest

from ferry.status.render import server_text
from ferry.status.state import bulk, capture
from rowferry.control_table import ControlTable, load_key
from tests.support.epochs import captured, control


def test_the_server_the_epoch_and_the_failovers_are_shown() -> None:
    found = capture(captured("a", "b", "a", first=2), None, 0.0)
    assert (found["server"], found["epoch"]) == ("a", 4)
    assert [(one["epoch"], one["server"], one["end"]) for one in found["epochs"]] == [
        (2, "a", "binlog.000007:900"),
        (3, "b", "binlog.000007:900"),
        (4, "a", ""),
    ]
    assert capture({}, None, 0.0)["epochs"] == []
    assert server_text(found) == (
        "a, epoch 4, since binlog.000007:100; failovers: 2, the last one from b at binlog.000007:900"
    )
    assert server_text(capture(captured("a", first=2), None, 0.0)) == "a, epoch 2"


def test_a_load_of_before_a_failover_is_shown_and_one_of_before_a_reset_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ControlTable, "items", lambda *_: iter(()))
    for item, state in ((captured("a", "b"), "done"), (captured("b", first=2), "none")):
        table = control(item)
        table.put(load_key("test.t"), {"epoch": 1, "state": "done", "chunks": 0})
        assert bulk(table, ["test.t"])[0]["state"] == state
