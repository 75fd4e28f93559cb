"""Which server is captured, what is of this capture, and where the binlog ends as a position."""

import pytest

from rowferry.checkpoint import Checkpoint
from rowferry.errors import NotCaptured, Refused
from rowferry.position import BinlogOffset, Position
from tests.support.epochs import END, FILE, OFFSET, capture, captured, connected, server

A, B = "aaaaaaaa-0000-0000-0000-000000000000", "bbbbbbbb-0000-0000-0000-000000000000"


def test_before_any_capture_nothing_is_of_it() -> None:
    none = Checkpoint.of({})
    assert not none and (none.epoch, none.first_epoch) == (0, 0)
    assert not none.has(0) and not none.has(1) and not none.has(None)
    with pytest.raises(Refused, match="no capturer has run yet"):
        none.refuse_none()


def test_an_older_version_knows_one_epoch() -> None:
    item = {"epoch": 3, "server": A, "file": FILE, "offset": OFFSET}
    old = Checkpoint.of(item)
    assert (old.epoch, old.first_epoch, old.server, old.tables, old.since) == (3, 3, A, frozenset(), None)
    assert [old.has(epoch) for epoch in (2, 3, 4)] == [False, True, False]
    assert old.epochs[0].fields == {"epoch": 3, "server": A, "file": FILE, "offset": OFFSET, "end": ""}


def test_an_epoch_that_the_checkpoint_has_not_come_to_does_not_count() -> None:
    """The capturer reads the new server already; not all of before is on the stream."""
    item = captured(A, B) | {"epoch": 1, "server": A}
    found = Checkpoint.of(item)
    assert (found.epoch, found.server, found.has(2), found.server_of(2)) == (1, A, False, None)
    assert found.position_at(connected(A), server(A)).epoch == 1
    with pytest.raises(NotCaptured, match=f"source is server {B}, but {A} is being captured"):
        found.position_at(connected(B), server(B))


def test_a_failover_keeps_what_is_of_older_epochs_and_a_reset_does_not() -> None:
    found = capture(A, B, A, first=4)
    assert (found.epoch, found.first_epoch, found.server) == (6, 4, A)
    assert [found.has(epoch) for epoch in range(3, 8)] == [False, True, True, True, False]
    assert [found.server_of(epoch) for epoch in range(3, 8)] == [None, A, B, A, None]
    assert found.position == Position(6, 7, OFFSET)
    assert found.epochs[0].end == f"{FILE}:{END}" and found.epochs[-1].end == ""


def test_the_end_of_the_captured_binlog_is_a_position_of_the_present_epoch() -> None:
    assert capture(A, B).position_at(connected(B, offset=OFFSET), server(B)) == Position(2, 7, OFFSET)
    assert capture(A, B, A).position_at(connected(A, "binlog.000008", 4), server(A)) == Position(3, 8, 4)


HELD, LACKING = {"gtid_executed": f"{A}:1-5,\n{B}:1"}, {"gtid_executed": f"{A}:1-4,\n{B}:1"}


@pytest.mark.parametrize(
    ("found", "identity", "file", "executed", "fix"),
    [
        (
            capture(A, history=f"{A}:1-5"),
            B,
            FILE,
            HELD,
            "followed the failover yet: .* shows server bb",
        ),
        (capture(A, history=f"{A}:1-5"), B, FILE, LACKING, f"were captured: {A}:5: name in --source"),
        (capture(A), B, FILE, HELD, "is being captured: name in --source the server that the capturer reads"),
        (capture(A, B), A, FILE, HELD, "let the address in --source lead to server bbbb"),
        (
            capture(A),
            A,
            "other.000007",
            HELD,
            "named other now, captured is binlog: capture has not",
        ),
        (capture(A), A, "binlog.000006", HELD, "before the checkpoint"),
    ],
    ids=["not followed", "lossy", "without GTIDs", "the former server", "renamed", "reset"],
)
def test_another_binlog_than_the_captured_one_is_refused_with_its_cause(
    found: Checkpoint, identity: str, file: str, executed: dict[str, str], fix: str
) -> None:
    with pytest.raises(NotCaptured, match=fix):
        found.position_at(connected(identity, file, 10_000, **executed), server(identity))


def test_a_binlog_that_ends_at_the_checkpoint_is_captured_and_one_byte_less_is_not() -> None:
    capture(A).position_at(connected(A, FILE, OFFSET), server(A))
    with pytest.raises(NotCaptured, match="restored or reset"):
        capture(A).position_at(connected(A, FILE, OFFSET - 1), server(A))


def test_what_the_checkpoint_item_says_is_kept() -> None:
    item = captured(A, B, since=str(Position(1, 7, 4)), history=f"{A}:1-9")
    found = Checkpoint.of(item)
    assert (found.since, found.history) == (Position(1, 7, 4), f"{A}:1-9")
    assert [epoch.fields for epoch in found.epochs] == item["epochs"]
    assert found.reached == BinlogOffset(FILE, OFFSET) and found.tables == {"test.t"}
