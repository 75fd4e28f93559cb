"""What a load requires of the capture and of the target, before and after a failover."""

from typing import Any

import pytest

from bulkload.preconditions import capture_at, captured, holds_items, refuse_before_capture, refuse_lost
from rowferry.control_table import ControlTable
from rowferry.errors import NotCaptured, Refused
from rowferry.history import History
from rowferry.mapping import POSITION
from rowferry.position import Position
from tests.support import epochs
from tests.support.dynamo import Dynamo
from tests.support.epochs import capture, connected, control, server

UUID = "aaaaaaaa-0000-0000-0000-000000000000"


def test_the_watermarks_of_a_load_are_of_the_present_epoch_of_this_server() -> None:
    table = control(epochs.captured("a", "b", history=f"{UUID}:1-5"))
    assert capture_at(table, connected("b"), server("b"), ["test.t"]).epoch == 2
    for other in ("a", "c"):
        with pytest.raises(NotCaptured, match=f"source is server {other}, but b is being captured"):
            capture_at(table, connected(other, gtid_executed=""), server(other), ["test.t"])
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


SHOWN = {1: History.parse(f"{UUID}:1-7"), 2: History.parse(f"{UUID}:1-6:9")}


def lost(history: str, executed: str | None = None, epochs: int = 2) -> str:
    """Why it is refused; empty where it is not."""
    found = capture(*"abc"[:epochs], history=f"{UUID}:{history}")
    asked = None if executed is None else lambda: History.parse(f"{UUID}:{executed}")
    try:
        refuse_lost(found, SHOWN, "the load", "load again", asked)
    except Refused as error:
        return str(error)
    return ""


def test_what_the_old_server_alone_had_is_found_in_what_the_load_shows() -> None:
    assert lost("1-7") == ""
    assert lost("1-6", epochs=1) == "", "nothing failed over: capture will come to it"
    assert f"has lost: {UUID}:7: load again" in lost("1-6:8-9", executed="1-6:8-9")
    assert f"has not reached: {UUID}:7: wait until" in lost("1-6", executed="1-9")
    assert f"has lost: {UUID}:7: load again" in lost("1-5", executed="1-6"), "6 is on its way, 7 is lost"
    assert "no lag; if they still are not then, load again" in lost("1-6")


def test_what_was_read_at_each_server_that_was_left_has_to_be_captured() -> None:
    assert f"not captured: {UUID}:9:" in lost("1-8", epochs=3)
    assert lost("1-9", epochs=3) == ""
