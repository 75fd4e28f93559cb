"""Markers, and every other proof about the source's end, are of one epoch."""

from types import SimpleNamespace
from typing import Any

import pytest

from ferry.cutover import recovery
from ferry.cutover.phases import Phase
from ferry.markers import begin, source_end
from ferry.verify.live import Live
from ferry.verify.tail import Tail
from rowferry.control_table import CHECKPOINT, MARKER, VERIFIED, ControlTable
from rowferry.errors import NotCaptured, Refused
from rowferry.position import Position
from tests.support.dynamo import Dynamo
from tests.support.epochs import OFFSET, captured, connected, control

END = Position(1, 7, OFFSET)


def context(table: ControlTable, identity: str) -> Any:
    return SimpleNamespace(
        control=table, connect=lambda: connected(identity), mapping_file=None, mapping=None, source=None
    )


def test_the_end_is_that_of_the_captured_server() -> None:
    assert source_end(control(captured("a")), connected("a")) == END
    assert source_end(control(captured("a", "b")), connected("b")) == END._replace(epoch=2)
    with pytest.raises(NotCaptured, match="source is server b, but a is being captured"):
        source_end(control(captured("a")), connected("b"))
    with pytest.raises(Refused, match="no capturer has run yet"):
        source_end(ControlTable(Dynamo(control=("pk",)), "control"), connected("a"))


def test_a_marker_does_not_count_once_the_source_has_failed_over() -> None:
    table = control(captured("a", lanes=1))
    draining = begin(table, connected("a"))
    request = table.get(MARKER)
    table.update(MARKER, set={"sent": request["id"]})
    assert draining.wait(0, lambda _: None).lanes == 1
    table.put(CHECKPOINT, captured("a", "b", lanes=1))
    with pytest.raises(Refused, match="failed over meanwhile, or capture was reset: run the command again"):
        draining.wait(0, lambda _: None)


def test_a_verify_during_which_the_source_failed_over_proves_nothing() -> None:
    table = control(captured("a"))
    Live(context(table, "a")).keep(str(END), {"left": 0})
    assert table.get(VERIFIED)["position"] == str(END)
    table.put(VERIFIED, {})
    table.put(CHECKPOINT, captured("a", "b"))
    for identity, reason in (("b", "failed over meanwhile: nothing is proved"), ("a", "server a, but b is")):
        with pytest.raises(Refused, match=reason):
            Live(context(table, identity)).keep(str(END), {"left": 0})
    assert "position" not in table.get(VERIFIED)


def test_what_changed_since_a_verify_is_not_looked_for_in_another_binlog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Tail, "_pairs", [])
    with pytest.raises(Refused, match="failed over since the last verify: run `ferry verify` again"):
        Tail(context(control(captured("a", "b")), "b"), END).rounds(lambda _: None)


def test_an_application_is_not_moved_where_the_source_failed_over_behind_the_fence() -> None:
    state = SimpleNamespace(phase=Phase.POINTING, end=str(END), since=0)
    journal: Any = SimpleNamespace(read=lambda: state)
    with pytest.raises(Refused, match=r"failed over since the fence at .*, and the new server is not fenced"):
        recovery.continue_(context(control(captured("a", "b")), "b"), journal, print, pointed=False)
