"""What a server's history means for what was captured."""

from typing import Any

import pytest

from capturer.source.continuity import SourceState, goes_on, lacking, refuse_lacking
from capturer.source.place import Past, Place
from rowferry.errors import CaptureStopped
from rowferry.history import History
from rowferry.position import BinlogOffset

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
CAPTURED = History.parse(f"{A}:1-120")
PLACE = Place.of(1, BinlogOffset("b.000007", 500), None, Past("a", CAPTURED, CAPTURED, 1, f"{A}:120", 2))


def state(**changed: Any) -> SourceState:
    files = {"b.000006": 900, "b.000007": 700}
    given: dict[str, Any] = {
        "server": "a", "files": files, "end": BinlogOffset("b.000007", 700),
        "executed": History.parse(f"{A}:1-130"), "purged": History(),
    }  # fmt: skip
    return SourceState(**{**given, **changed})


def other(**changed: Any) -> SourceState:
    """Another server, which has it all."""
    executed = History.parse(f"{A}:1-130,{B}:1-9")
    given = {"server": "b", "executed": executed, "end": BinlogOffset("b.000002", 40)}
    return state(**{**given, "files": {"b.000001": 900, "b.000002": 40}, **changed})


def stop(place: Place, found: SourceState) -> str:
    if lost := lacking(place, "", found):
        return str(refuse_lacking(place, lost, found))
    with pytest.raises(CaptureStopped) as stopped:
        goes_on(place, found)
    return str(stopped.value)


def test_the_same_log_goes_on_and_another_one_is_an_epoch_of_its_own() -> None:
    assert goes_on(PLACE, state())
    assert not goes_on(PLACE, other())
    renamed = {"b.000007": 700, "new.000001": 90}
    assert goes_on(PLACE, state(files=renamed, end=BinlogOffset("new.000001", 90))), "to the end of that file"
    renamed = {"new.000001": 90}
    assert not goes_on(PLACE, state(files=renamed, end=BinlogOffset("new.000001", 90)))
    later = {"b.000009": 700}
    captured = History.parse(f"{A}:1-120")
    assert not goes_on(PLACE, state(files=later, end=BinlogOffset("b.000009", 700), purged=captured))


def test_what_was_purged_before_it_was_captured_is_named() -> None:
    gone = state(files={"b.000009": 9}, end=BinlogOffset("b.000009", 9), purged=History.parse(f"{A}:1-122"))
    assert "binlog purged: it does not have" in stop(PLACE, gone)
    assert f"{A}:121-122" in stop(PLACE, gone)
    assert f"{B}:1-9" in stop(PLACE, other(purged=History.parse(f"{B}:1-9")))


def test_a_server_that_lacks_captured_transactions_is_named_by_the_cause() -> None:
    short = History.parse(f"{A}:1-100")
    missing = f"{A}:101-120"
    copy = stop(PLACE, state(executed=short))
    assert "restored from an older copy" in copy and missing in copy
    reset = {"files": {"b.000001": 300}, "end": BinlogOffset("b.000001", 300)}
    assert "binlog was reset" in stop(PLACE, state(executed=History.parse(f"{A}:1-3"), **reset))
    failover = stop(PLACE, other(executed=short))
    assert "server b, which SOURCE_HOST names now, lacks captured transactions" in failover
    assert missing in failover and "START" not in failover
    unlogged = stop(PLACE, other(executed=short, elsewhere=CAPTURED))
    assert "log_slave_updates is OFF" in unlogged


def test_numbers_that_were_used_again_after_a_reset_do_not_pass() -> None:
    """Everything seems to be there: the files give it away."""
    again = History.parse(f"{A}:1-200")
    reset = {"files": {"b.000001": 300}, "end": BinlogOffset("b.000001", 300)}
    assert "binlog was reset" in stop(PLACE, state(executed=again, **reset))
    shorter = {"b.000006": 900, "b.000007": 499, "b.000008": 100}
    assert "lost the end of its binlog" in stop(
        PLACE, state(executed=again, files=shorter, end=BinlogOffset("b.000008", 100))
    )


def test_a_transaction_of_which_a_part_was_sent_counts_as_captured() -> None:
    assert lacking(PLACE, f"{A}:131", state()) == History.parse(f"{A}:131")
    assert not lacking(PLACE, f"{A}:130", state())


def maria(history: str, **changed: Any) -> tuple[Place, SourceState]:
    captured = History.parse(history)
    place = Place.of(1, BinlogOffset("b.000007", 500), None, Past("a", captured, captured))
    return place, state(**{"executed": captured, **changed})


def test_of_a_mariadb_server_each_domains_newest_transaction_is_asked_for() -> None:
    """One that was made from a backup does not list former servers; their numbers are lower."""
    place, copy = maria("0-9-100,0-1-250,1-1-7", server="b", executed=History.parse("0-1-250,1-1-9"))
    assert not lacking(place, "", copy)
    place, short = maria("0-9-100,0-1-250,1-1-7", server="b", executed=History.parse("0-1-250,1-1-6"))
    assert lacking(place, "", short).listing() == "1-1-7"
    place, gone = maria("0-9-100,0-1-250", server="b", purged=History.parse("0-8-50,0-1-249"))
    assert not goes_on(place, gone)
    place, gone = maria("0-9-100,0-1-250", server="b", purged=History.parse("0-8-50,0-1-251"))
    assert "0-1-251" in stop(place, gone)


def test_what_a_server_was_made_with_has_never_been_in_its_own_binlog() -> None:
    made = History.parse("0-9-100")
    place, source = maria("0-9-100", executed=History(), elsewhere=made)
    assert not lacking(place, "", source)
    place, other_one = maria("0-9-100", server="b", executed=History(), elsewhere=made)
    assert "log_slave_updates is OFF" in stop(place, other_one)
