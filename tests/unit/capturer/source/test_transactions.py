"""Events become positioned changes and boundaries; what cannot be carried stops before its transaction."""

from collections.abc import Sequence
from typing import Any

import pytest

from capturer.ddl.verdicts import Verdict
from capturer.decoder.events import (
    FormatDescription,
    Gtid,
    Heartbeat,
    Incident,
    Passed,
    Query,
    Rotate,
    RowsEvent,
    XaPrepared,
    Xid,
)
from capturer.source import xa as prepared_module
from capturer.source.events import Event, Unreadable
from capturer.source.place import Place
from capturer.source.transactions import PORTION, Transactions
from rowferry.change import Kind, RowChange
from rowferry.errors import CaptureStopped
from rowferry.mapping import Mapping
from rowferry.mysql.dialect import SqlDialect
from rowferry.position import BinlogOffset, Position

MAPPING = Mapping.parse("""
[[table]]
source = "shop.purchase"
target = "purchase"
layout = "attribute-per-row"
hash_key = { attribute = "c" }
member_name = "p"
member_value = "q"
""")
START = BinlogOffset("b.000007", 100)


def machine(**options: Any) -> Transactions:
    return Transactions(MAPPING, Place.of(3, START), **options)


def rows(start: int, end: int, count: int = 1) -> RowsEvent:
    image = {"c": "c", "p": "p", "q": start}
    return RowsEvent(start, end, "shop", "purchase", Kind.INSERT, [(None, image)] * count, end - start)


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
    assert (some.boundary, some.number, some.committed) == (BinlogOffset("b.000007", 150), 1, 555)


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
    assert some.boundary == BinlogOffset("b.000008", 4)
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


def at(offset: int, row: int) -> str:
    return str(Position(3, 7, offset, row))


def found(changes: Sequence[RowChange]) -> list[tuple[str | None, Any]]:
    """Position and quantity of each change; `rows` gives them the event's start as quantity."""
    return [(change.position, change.image["q"]) for change in changes]


def test_a_savepoint_that_is_rolled_back_to_takes_its_rows_with_it_and_nothing_else() -> None:
    some = machine()
    feed(some, *begin(), rows(120, 130), Query(130, 135, "", "SAVEPOINT `A`"), rows(135, 140))
    feed(some, Query(140, 145, "", "SAVEPOINT `b`"), rows(145, 150), Query(150, 155, "", "ROLLBACK TO `a`"))
    feed(some, rows(155, 160))
    assert found(some.feed(Xid(160, 170))) == [(at(100, 1), 120), (at(100, 4), 155)]


def test_a_transaction_that_is_rolled_back_sends_nothing() -> None:
    some = machine()
    assert feed(some, *begin(), rows(120, 130), Query(130, 140, "", "ROLLBACK")) == []
    assert some.boundary.offset == 140


PREFIX = "X'61',X'',1"


def prepare(start: int, xid: str = "61", count: int = 1) -> list[Event]:
    return [
        Gtid(start, start + 10, None, 1),
        Query(start + 10, start + 20, "shop", f"XA START X'{xid}',X'',1"),
        rows(start + 20, start + 30, count),
        Query(start + 30, start + 40, "shop", f"XA END X'{xid}',X'',1"),
        XaPrepared(start + 40, start + 50, False, f"X'{xid}',X'',1"),
    ]


def outcome(start: int, verb: str, xid: str = "61") -> list[Event]:
    return [
        Gtid(start, start + 10, None, 1),
        Query(start + 10, start + 20, "shop", f"XA {verb} X'{xid}',X'',1"),
    ]


def test_an_xa_transaction_is_sent_when_it_is_committed_and_stands_there() -> None:
    some = machine()
    assert feed(some, *prepare(100, count=2)) == []
    assert (some.boundary.offset, some.restart) == (150, START)
    assert found(feed(some, *begin(150), rows(170, 180), Xid(180, 190))) == [(at(150, 1), 170)]
    assert (some.boundary.offset, some.restart, some.number) == (190, START, 2)
    assert found(feed(some, *outcome(190, "COMMIT"))) == [(at(190, 1), 120), (at(190, 2), 120)]
    assert (some.boundary.offset, some.restart.offset, some.number) == (210, 210, 3)


def test_an_xa_transaction_that_is_rolled_back_sends_nothing() -> None:
    some = machine()
    assert feed(some, *prepare(100), *outcome(150, "ROLLBACK")) == []
    assert (some.boundary.offset, some.restart.offset) == (170, 170)


def test_several_prepared_at_once_end_in_any_order() -> None:
    some = machine()
    feed(some, *prepare(100, "61"), *prepare(150, "62"), *prepare(200, "63"))
    assert found(feed(some, *outcome(250, "COMMIT", "62"))) == [(at(250, 1), 170)]
    assert some.restart == START
    assert feed(some, *outcome(270, "ROLLBACK", "61")) == []
    assert some.restart.offset == 200
    assert found(feed(some, *outcome(290, "COMMIT", "63"))) == [(at(290, 1), 220)]
    assert some.restart.offset == 310


def test_what_is_prepared_survives_a_broken_connection_and_a_new_file() -> None:
    some = machine()
    feed(some, *prepare(100), *begin(150), rows(170, 180))
    some.resume()
    feed(some, Rotate("b.000007", 150), *begin(150), rows(170, 180), Xid(180, 190), Rotate("b.000008", 4))
    assert (some.boundary, some.restart) == (BinlogOffset("b.000008", 4), START)
    assert found(feed(some, *outcome(4, "COMMIT"))) == [(str(Position(3, 8, 4, 1)), 120)]


def test_xa_commit_in_one_phase_is_a_commit() -> None:
    some = machine()
    *first, _ = prepare(100)
    assert found(feed(some, *first, XaPrepared(140, 150, True, PREFIX))) == [(at(100, 1), 120)]
    assert some.restart.offset == 150


def test_mariadb_prepares_without_a_statement() -> None:
    some = machine()
    feed(some, maria(100, prepared=True), rows(110, 120), Query(120, 130, "", f"XA END {PREFIX}"))
    assert feed(some, XaPrepared(130, 140, False, PREFIX)) == []
    committed = feed(some, maria(140, standalone=True), Query(150, 160, "", f"XA COMMIT {PREFIX}"))
    assert found(committed) == [(at(140, 1), 110)]


def test_a_rollback_to_a_savepoint_reaches_into_a_prepared_transaction() -> None:
    some = machine()
    begun, start, first, end, prepared = prepare(100)
    kept = Query(121, 122, "", "SAVEPOINT `s`"), rows(122, 123), Query(123, 124, "", "ROLLBACK TO `s`")
    feed(some, begun, start, first, *kept, end, prepared)
    assert found(feed(some, *outcome(150, "COMMIT"))) == [(at(150, 1), 120)]


def test_xa_on_other_tables_passes_and_is_remembered() -> None:
    some = machine()
    begun, start, _, end, prepared = prepare(100)
    feed(some, begun, start, Passed(120, 130, 30), end, prepared)
    assert some.restart == START
    assert feed(some, *outcome(150, "COMMIT")) == []
    assert some.number == 0


def test_a_new_capturer_prepares_again_and_sends_nothing_else_again() -> None:
    """Of two prepared one has its outcome before the place to go on at; a third was prepared before all."""
    past: list[Event] = [
        *prepare(100, "61"),
        *begin(150), rows(170, 180), Query(180, 185, "", "ROLLBACK TO `gone`"), Xid(185, 190),
        *prepare(190, "62", 2),
        *outcome(240, "COMMIT", "60"),
        *outcome(260, "ROLLBACK", "61"),
        *prepare(280, "63")[:-1], XaPrepared(320, 330, True, "X'63',X'',1"),
        Gtid(330, 340, None, 1), Query(340, 350, "shop", "TRUNCATE purchase"),
        Gtid(350, 360, None, 1), Unreadable(360, 370, "a row", "{at}"),
    ]  # fmt: skip
    some = Transactions(MAPPING, Place.of(3, BinlogOffset("b.000007", 370), START))
    for event in past:
        assert some.again
        assert feed(some, event) == []
    assert not some.again
    assert (some.boundary.offset, some.restart.offset) == (370, 190)
    assert found(feed(some, *outcome(370, "COMMIT", "62"))) == [(at(370, 1), 210), (at(370, 2), 210)]
    assert found(feed(some, *begin(390), rows(410, 420), Xid(420, 430))) == [(at(390, 1), 410)]
    with pytest.raises(CaptureStopped, match="prepared before capture began"):
        feed(some, *outcome(430, "COMMIT", "60"))


def test_a_commit_of_unknown_changes_passes_only_where_every_load_shows_it() -> None:
    """What was skipped when it was prepared: a load of before the commit does not show it."""
    asked: list[BinlogOffset] = []

    def shown(at: BinlogOffset) -> bool:
        asked.append(at)
        return len(asked) > 2

    events = [Rotate("b.000007", 100), *prepare(100), *outcome(150, "COMMIT")]
    commit = BinlogOffset("b.000007", 150)
    for restart in (None, START):
        some = Transactions(MAPPING, Place.of(3, commit, restart), skip=[START], shown=shown)
        with pytest.raises(CaptureStopped, match=r"at b\.000007:150: XA COMMIT .* or skipped"):
            feed(some, *events)
    some = Transactions(MAPPING, Place.of(3, commit, START), skip=[START], shown=shown)
    assert feed(some, *events) == []
    assert asked == [commit] * 3
    some = machine(skip=[START])
    assert feed(some, *prepare(100), *outcome(150, "ROLLBACK")) == []


def test_what_waits_for_its_outcome_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared_module, "MAX_ROWS", 5)
    some = machine()
    feed(some, *prepare(100, "61", 3))
    with pytest.raises(CaptureStopped, match=r"at b\.000007:150: .* too large"):
        feed(some, *prepare(150, "62", 3))
    some = machine()
    feed(some, *prepare(100, "61", 3), *outcome(150, "COMMIT", "61"), *prepare(170, "62", 5))
    monkeypatch.setattr(prepared_module, "MAX_BYTES", 5)
    with pytest.raises(CaptureStopped, match="too large"):
        feed(machine(), *prepare(100))


def test_of_a_prepared_transaction_that_is_skipped_nothing_is_sent_and_its_commit_is_known() -> None:
    some = machine(skip=[START], shown=lambda _: True)
    assert feed(some, *prepare(100), *prepare(150, "62"), *outcome(200, "COMMIT", "61")) == []
    assert len(feed(some, *outcome(220, "COMMIT", "62"))) == 1
    some = machine(skip=[BinlogOffset("b.000007", 150)])
    assert feed(some, *prepare(100), *outcome(150, "COMMIT")) == []
    assert some.restart.offset == 170


STOPS: dict[str, tuple[list[Event], str]] = {
    "a statement": ([*begin(), Query(120, 130, "shop", "DELETE FROM purchase")], "DELETE was logged"),
    "ddl": ([Gtid(100, 110, None, 1), Query(110, 120, "shop", "TRUNCATE purchase")], "TRUNCATE of shop"),
    "unreadable": ([Gtid(100, 110, None, 1), Unreadable(110, 120, "a payload", "mend it {at}")], "a payload"),
    "unreadable whole": (
        [Gtid(100, 110, None, 1), Query(110, 120, "", "BEGIN"), Unreadable(110, 120, "a row", "{at}", True)],
        "a row",
    ),
    "incident": ([Incident(100, 110, "x")], "an incident"),
    "xa commit of nobody": (outcome(100, "COMMIT"), "prepared before capture began"),
    "rollback": ([*begin(), rows(120, 130, PORTION), Query(130, 140, "", "ROLLBACK")], "takes back"),
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
    if name not in ("rollback", "xa commit of nobody"):
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
    assert BinlogOffset.parse(str(START)) == START
    assert BinlogOffset("b.999999", 5).order < BinlogOffset("b.1000000", 4).order
    for wrong in ("b.000007", "b:5", "b.7:x"):
        with pytest.raises(ValueError, match=r"."):
            BinlogOffset.parse(wrong)


@pytest.mark.parametrize("kept", [True, False])
def test_a_new_type_goes_on_where_the_server_says_that_values_stay(kept: bool) -> None:
    asked: list[Any] = []

    def same_values(*about: Any) -> bool:
        asked.append(about)
        return kept

    some = machine(same_values=same_values)
    alter = [Gtid(100, 110, None, 1), Query(110, 120, "shop", "ALTER TABLE purchase MODIFY q BIGINT")]
    if kept:
        feed(some, *alter)
        assert some.boundary.offset == 120
    else:
        with pytest.raises(CaptureStopped, match="changes column q"):
            feed(some, *alter)
    assert asked == [("shop.purchase", frozenset(["q"]), BinlogOffset("b.000007", 120))]


def test_what_is_prepared_and_cannot_be_read_again_stops_though_the_rest_has_been_sent() -> None:
    some = Transactions(MAPPING, Place.of(3, BinlogOffset("b.000007", 400), START))
    feed(some, Gtid(100, 110, None, 1), Unreadable(110, 120, "a row", "f"), Query(120, 130, "shop", "COMMIT"))
    with pytest.raises(CaptureStopped, match="a row"):
        feed(
            some,
            Gtid(130, 140, None, 1),
            Query(140, 150, "shop", "XA START X'61',X'',1"),
            Unreadable(150, 160, "a row", "f"),
        )


def test_a_statement_about_other_tables_goes_on_if_it_leads_to_no_mapped_one() -> None:
    asked = []

    def leads(verdict: Verdict, dialect: SqlDialect, end: BinlogOffset, again: bool) -> str:
        asked.append((set(verdict.writes), dialect.sql_mode, end.offset, again))
        return "it leads to shop.t by the view v" if len(asked) > 2 else ""

    some = machine(leads=leads)
    insert = "INSERT INTO elsewhere.x VALUES (1)"
    feed(some, *begin(), Query(120, 130, "shop", insert, 4), Xid(130, 140))
    feed(some, Gtid(140, 150, None, 1), Query(150, 160, "shop", "DROP TABLE elsewhere.y"))
    feed(some, *begin(160), Query(180, 190, "", insert), Xid(190, 200))
    with pytest.raises(CaptureStopped, match="not as rows, and it leads to shop"):
        feed(some, *begin(200), Query(220, 230, "", insert))
    writes = {("elsewhere", "x")}
    assert asked == [(writes, 4, 130, False), (writes, 0, 190, True), (writes, 0, 230, False)]
    with pytest.raises(CaptureStopped, match="was not asked"):
        feed(machine(), *begin(), Query(120, 130, "", insert))
