"""What a load requires of the capture and of the target, before and after a failover."""

from typing import Any

import pytest

from bulkload.preconditions import capture_at, captured, holds_items, refuse_before_capture
from rowferry.control_table import ControlTable
from rowferry.errors import NotCaptured, Refused
from rowferry.mapping import POSITION
from rowferry.position import Position
from tests.support import epochs
from tests.support.dynamo import Dynamo
from tests.support.epochs import capture, connected, control, server


def test_the_watermarks_of_a_load_are_of_the_present_epoch_of_this_server() -> None:
    table = control(epochs.captured("a", "b", history="x"))
    assert capture_at(table, connected("b"), server("b"), ["test.t"]).epoch == 2
    for other in ("a", "c"):
        with pytest.raises(NotCaptured, match=f"source is server {other}, but b is being captured"):
            capture_at(table, connected(other), server(other), ["test.t"])
    with pytest.raises(Refused, match=r"does not capture test\.u"):
        capture_at(table, connected("b"), server("b"), ["test.t", "test.u"])


def test_without_a_capturer_nothing_is_loaded() -> None:
    with pytest.raises(Refused, match="changes made during the load would be lost"):
        captured(ControlTable(Dynamo(control=("pk",)), "control"), [])


def test_a_failover_does_not_raise_where_the_changes_begin() -> None:
    since = str(Position(1, 7, 100))
    refuse_before_capture(capture("a", "b", since=since), Position(1, 7, 100))
    with pytest.raises(Refused, match="where the changes on the stream begin"):
        refuse_before_capture(capture("a", "b", since=since), Position(1, 7, 99))
    with pytest.raises(Refused, match="where the changes on the stream begin"):
        refuse_before_capture(capture("a", "b"), Position(2, 7, epochs.OFFSET - 1))


class Scanned:
    """A client whose every table has an item with that position."""

    def __init__(self, position: Position) -> None:
        self.position = str(position)

    def get_paginator(self, _name: str) -> "Scanned":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{"Items": []}, {"Items": [{POSITION: {"S": self.position}}]}]


def test_items_of_before_a_failover_stay_and_those_of_before_a_reset_are_refused() -> None:
    loaded = Scanned(Position(3, 9, 9))
    assert holds_items(loaded, "t", capture("a", "b", first=3).first_epoch)
    with pytest.raises(Refused, match="before the reset of capture"):
        holds_items(loaded, "t", capture("b", first=4).first_epoch)
