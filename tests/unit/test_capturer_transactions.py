"""Events become positioned changes and boundaries; what cannot be carried stops before its transaction."""

from typing import Any

import pytest

from capturer.decoder.events import (
    FormatDescription,
    Gtid,
    Heartbeat,
    Incident,
    Passed,
    Query,
    Rotate,
    Rows,
    Xid,
)
from capturer.events import Boundary, Event, Unreadable
from capturer.transactions import PORTION, Transactions
from rowferry.change import Kind, RowChange
from rowferry.errors import CaptureStopped
from rowferry.mapping import Mapping
from rowferry.position import Position

MAPPING = Mapping.parse("""
[[table]]
source = "shop.purchase"
target = "purchase"
layout = "attribute-per-row"
hash_key = { attribute = "c" }
member_name = "p"
member_value = "q"
""")
START = Boundary("b.000007", 100)


def machine(**options: Any) -> Transactions:
    return Transactions(MAPPING, 3, START, **options)


def rows(start: int, end: int, count: int = 1) -> Rows:
    return Rows(start, end, "shop", "purchase", Kind.INSERT, [(None, {"c": "c", "p": "p", "q": 1})] * count)


def begin(start: int = 100) -> list[Event]:
    return [Gtid(start, start + 10, None, 555_999), Query(start + 10, start + 20, "shop", "BEGIN")]


def maria(start: int, *, standalone: bool = False, prepared: bool = False) -> Gtid:
    return Gtid(start, start + 10, "0-1-1", 1_000_000, standalone, prepared)


def feed(some: Transactions, *events: Event) -> list[RowChange]:
    return [change for event in events for change in some.feed(event)]


def test_rows_are_numbered_from_the_transactions_start_and_the_boundary_moves_at_its_end() -> None:
    some = machine()
    assert feed(some, *begin(), rows(120, 130, 2), Passed(130, 135, 0), rows(135, 140)) == []
    assert some.boundary == START
    changes = some.feed(Xid(140, 150))
    assert [change.position for change in changes] == [str(Position(3, 7, 100, row)) for row in (1, 2, 3)]
    assert (some.boundary, some.number, some.committed) == (Boundary("b.000007", 150), 1, 555)


def test_each_transaction_with_rows_has_its_number_and_the_others_move_the_boundary_only() -> None:
    some = machine()
    feed(some, *begin(), rows(120, 130), Query(130, 140, "shop", "COMMIT"))
    feed(some, *begin(140), Passed(160, 170, 0), Xid(170, 180))
    assert (some.number, some.boundary.offset) == (1, 180)
    feed(some, *begin(180), rows(200, 210), Xid(210, 220))
    assert (some.number, some.boundary.offset) == (2, 220)


def test_a_large_transaction_is_handed_out_in_portions() -> None:
    some = machine()
    assert len(feed(some, *begin(), rows(120, 130, PORTION), rows(130, 140, 5))) == PORTION
    assert some.boundary == START
    rest = some.feed(Xid(140, 150))
    assert rest[-1].position == str(Position(3, 7, 100, PORTION + 5))
    assert some.number == 1


def test_a_broken_off_transaction_is_read_again_under_a_new_number() -> None:
    some = machine()
    first = feed(some, *begin(), rows(120, 130, PORTION))
    some.resume()
    again = feed(some, Rotate("b.000007", 100), *begin(), rows(120, 130, PORTION), Xid(130, 140))
    assert [change.position for change in again] == [change.position for change in first]
    assert (some.number, some.boundary.offset) == (2, 140)


def test_nothing_inside_a_transaction_is_a_boundary() -> None:
    some = machine()
    for event in [*begin(), Passed(120, 130, 0), Query(130, 140, "shop", "SAVEPOINT `s`"), rows(140, 150)]:
        some.feed(event)
        assert some.boundary == START


def test_idle_events_files_and_statements_move_the_boundary() -> None:
    some = machine()
    some.feed(Passed(100, 130, 0))
    assert some.boundary.offset == 130
    feed(some, Gtid(130, 140, None, 1), Query(140, 150, "shop", "CREATE TABLE x (a INT)"))
    assert some.boundary.offset == 150
    some.feed(Rotate("b.000008", 4))
    assert some.boundary == Boundary("b.000008", 4)
    change = feed(some, *begin(4), rows(24, 30), Xid(30, 40))[0]
    assert change.position == str(Position(3, 8, 4, 1))


def test_signs_of_life_move_the_boundary_on_and_only_between_transactions() -> None:
    some = machine()
    feed(some, FormatDescription("9.7", True, b""), Heartbeat("b.000007", 250), Heartbeat("b.000007", 90))
    assert some.boundary.offset == 250
    feed(some, *begin(250), Heartbeat("b.000007", 300))
    assert some.boundary.offset == 250


def test_mariadbs_transactions_begin_without_begin() -> None:
    some = machine()
    feed(some, maria(100), Query(110, 120, "shop", "CREATE TABLE x (a INT)"))
    assert some.boundary == START
    assert len(feed(some, rows(120, 130), Xid(130, 140))) == 1
    feed(some, maria(140, standalone=True), Query(150, 160, "shop", "CREATE TABLE y (a INT)"))
    assert some.boundary.offset == 160


XA = [Gtid(100, 110, None, 1), Query(110, 120, "shop", "XA START X'61',X'',1")]


def test_xa_on_other_tables_passes() -> None:
    some = machine()
    feed(some, *XA, Passed(120, 130, 0), Query(130, 140, "shop", "XA END X'61',X'',1"), Xid(140, 150))
    feed(some, Gtid(150, 160, None, 1), Query(160, 170, "shop", "XA ROLLBACK X'61',X'',1"))
    assert some.boundary.offset == 170


STOPS: dict[str, tuple[list[Event], str]] = {
    "a statement": ([*begin(), Query(120, 130, "shop", "DELETE FROM purchase")], "DELETE was logged"),
    "ddl": ([Gtid(100, 110, None, 1), Query(110, 120, "shop", "TRUNCATE purchase")], "TRUNCATE of shop"),
    "unreadable": ([Gtid(100, 110, None, 1), Unreadable(110, 120, "a payload", "mend it {at}")], "a payload"),
    "unreadable whole": (
        [Gtid(100, 110, None, 1), Query(110, 120, "", "BEGIN"), Unreadable(110, 120, "a row", "{at}", True)],
        "a row",
    ),
    "incident": ([Incident(100, 110, "x")], "an incident"),
    "xa": ([*XA, rows(120, 130)], "an XA transaction changes shop.purchase"),
    "xa of mariadb": ([maria(100, prepared=True), rows(110, 120)], "an XA transaction changes"),
    "rollback": ([*begin(), rows(120, 130), Query(130, 140, "", "ROLLBACK")], "takes back"),
    "rollback to": ([*begin(), rows(120, 130), Query(130, 140, "", "ROLLBACK TO `s`")], "takes back"),
    "no end": ([*begin(), rows(120, 130), Rotate("b.000008", 4)], "without an end"),
    "no end, then the next": ([*begin(), rows(120, 130), Gtid(130, 140, None, 1)], "without an end"),
    "no gtid": ([rows(100, 120)], "outside of a transaction"),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPS)
def test_stops_before_the_transaction_with_reason_and_fix(name: str) -> None:
    events, reason = STOPS[name]
    some = machine()
    with pytest.raises(CaptureStopped, match=reason) as stopped:
        feed(some, *events)
    assert "at b.000007:100" in stopped.value.found
    assert "{at}" not in stopped.value.fix
    assert some.boundary == START


ENDLESS = ("no gtid", "no end", "no end, then the next")


@pytest.mark.parametrize("name", [name for name in STOPS if name not in ENDLESS])
def test_the_operator_can_skip_the_transaction_that_stopped_and_no_other(name: str) -> None:
    events, _ = STOPS[name]
    some = machine(skip=[START])
    assert feed(some, *events) == []
    if name != "rollback":
        feed(some, Passed(130, 140, 0), Xid(140, 150))
    after = feed(some, *begin(200), rows(220, 230), Xid(230, 240))
    assert [change.position for change in after] == [str(Position(3, 7, 200, 1))]
    with pytest.raises(CaptureStopped):
        feed(some, Gtid(240, 250, None, 1), Query(250, 260, "shop", "TRUNCATE purchase"))


def test_a_rollback_without_mapped_rows_passes() -> None:
    some = machine()
    feed(some, *begin(), Passed(120, 130, 0), Query(130, 140, "", "ROLLBACK TO `s`"))
    assert some.boundary == START
    feed(some, Query(140, 150, "", "ROLLBACK"))
    assert some.boundary.offset == 150


def test_boundaries_are_read_as_they_are_written_and_ordered_by_number() -> None:
    assert Boundary.parse(str(START)) == START
    assert Boundary("b.999999", 5).order < Boundary("b.1000000", 4).order
    for wrong in ("b.000007", "b:5", "b.7:x"):
        with pytest.raises(ValueError, match=r"."):
            Boundary.parse(wrong)
