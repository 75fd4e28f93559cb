"""What a ledger still counts after a failover, and no longer after a reset of capture."""

import pytest

from bulkload.direct.ledger import ChunkResult, Ledger, record_shown, shown_by
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import ControlTable, load_key, merge_key
from rowferry.errors import Refused
from rowferry.history import History
from rowferry.position import Position
from tests.support.epochs import capture, captured, control

BEFORE = capture("a")
FAILED_OVER = capture("a", "b")
RESET = capture("b", first=2)


@pytest.fixture
def table() -> ControlTable:
    return control(captured("a", "b"))


def ledger(table: ControlTable, found: Checkpoint, method: str = "direct") -> Ledger:
    return Ledger(table, "test.t", found, lambda: 0, method)


def test_a_plan_survives_a_failover_and_no_reset(table: ControlTable) -> None:
    ledger(table, BEFORE).plan_whole("w")
    assert table.get(load_key("test.t"))["epoch"] == 1
    after, reset = ledger(table, FAILED_OVER), ledger(table, RESET)
    assert (after.state, after.outdated) == ("loading", False)
    assert (reset.state, reset.outdated) == (None, True)
    assert ledger(table, FAILED_OVER, "files").state is None, "of another method"


def test_before_any_plan_nothing_is_outdated(table: ControlTable) -> None:
    assert not ledger(table, FAILED_OVER).outdated and ledger(table, FAILED_OVER).state is None
    assert ledger(table, Checkpoint()).state is None


def test_a_plan_is_of_the_present_epoch(table: ControlTable) -> None:
    ledger(table, FAILED_OVER).plan_whole("w")
    assert table.get(load_key("test.t"))["epoch"] == 2


def test_merging_goes_on_from_the_start_of_before_the_failover(table: ControlTable) -> None:
    """A later start would be above what rows of before have in the items."""
    early, late = str(Position(1, 7, 500)), str(Position(2, 1, 4))
    assert ledger(table, BEFORE).begin("t", early) == early
    assert ledger(table, FAILED_OVER).begin("t", late) == early
    assert ledger(table, RESET).start_of("t") is None
    assert ledger(table, RESET).begin("t", late) == late == table.get(merge_key("t"))["watermark"]


UUID = "aaaaaaaa-0000-0000-0000-000000000000"


def shown(table: ControlTable) -> dict[int, str]:
    return {epoch: str(history) for epoch, history in shown_by(table.get(load_key("test.t"))).items()}


def test_what_the_rows_show_is_kept_for_each_reader_and_epoch(table: ControlTable) -> None:
    """Of one reader the last one counts: on one server it only grows. Another epoch is another server."""
    ledger(table, BEFORE).plan_whole("w")
    for epoch, history, slot in (
        (1, "1-5", "a"), (1, "1-7", "a"), (1, "1-6", "b"), (2, "1-4:9", "a"),
    ):  # fmt: skip
        record_shown(table, "test.t", Position(epoch, 1, 4), f"{UUID}:{history}", slot)
    assert shown(table) == {1: f"{UUID}:1-7", 2: f"{UUID}:1-4:9"}
    ledger(table, FAILED_OVER).finish(ChunkResult())
    assert set(shown(table)) == {1, 2}, "also when the load is done"


def test_nothing_is_recorded_for_a_plan_that_is_not_there(table: ControlTable) -> None:
    """By a worker that is late: it must not make an item that passes for a load."""
    with pytest.raises(Refused, match="another one has begun meanwhile"):
        record_shown(table, "test.t", Position(1, 1, 4), f"{UUID}:1", "a")
    assert table.get(load_key("test.t")) == {}


def test_a_plan_of_files_says_what_they_show(table: ControlTable) -> None:
    ledger(table, FAILED_OVER).plan_whole("w", {1: History.parse(f"{UUID}:1-5"), 2: History()})
    assert shown(table) == {1: f"{UUID}:1-5", 2: ""}
