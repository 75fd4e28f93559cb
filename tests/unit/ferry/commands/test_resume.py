"""What `ferry resume` shows of a stop, when it lets capture go on, and for which place only."""

from copy import deepcopy
from typing import Any

import pytest

from bulkload.preconditions import refuse_before_capture
from capturer.source.place import Past
from capturer.state.checkpoint_item import Present, Progress
from capturer.state.status import CaptureStatus, Counters
from ferry.commands import resume
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import CHECKPOINT, FLOORS, load_key
from rowferry.errors import LOAD, PASS, CaptureStopped, Refused
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset, Position

MAPPING = Mapping.parse("""
[[table]]
source = "shop.purchase"
target = "shop"
layout = "item-per-row"
hash_key = { attribute = "pk", template = "p#${id}" }
include = ["quantity"]
[[table]]
source = "shop.customer"
target = "shop"
layout = "item-per-row"
include = ["name"]
hash_key = { attribute = "pk", template = "c#${id}" }
""")
AT = BinlogOffset("b.000007", 100)


class Table:
    """The control table in memory."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def get(self, pk: str) -> dict[str, Any]:
        return dict(self.items.get(pk, {}))

    def put(self, pk: str, fields: Any) -> None:
        self.items[pk] = dict(fields)

    def update(self, pk: str, *, set: Any, only_if: Any) -> dict[str, Any]:  # noqa: A002
        self.items[pk] = {**self.get(pk), **set}
        return self.get(pk)


def stopped(remedy: str = PASS, tables: tuple[str, ...] = ("shop.purchase",), at: BinlogOffset = AT) -> Any:
    """The control table as a capturer leaves it that has stopped."""
    table: Any = Table()
    captured(
        table,
        CaptureStatus.of("stopped", CaptureStopped("TRUNCATE", "repair it", remedy, tables, str(at))),
        at,
    )
    return table


def captured(table: Any, status: CaptureStatus, at: BinlogOffset) -> None:
    progress = Progress(table, 1, 8)
    progress.claim()
    place = progress.start(present(at), 5)
    progress.save(place, place, Counters(), status, 6)


def present(at: BinlogOffset) -> Present:
    return Present("s", at, lambda _: Past("s"))


def load(table: Any, source: str = "shop.purchase", *, epoch: int = 1, offset: int = AT.offset + 1) -> None:
    table.items[FLOORS] = {**table.get(FLOORS), source: str(Position(epoch, 7, offset))}


def steps(table: Any, *, on: bool = False) -> list[str]:
    stop = resume.find_stop(table)
    assert stop is not None
    return [step.partition(",")[0] for step in resume.steps(stop, MAPPING, switch_is_on=on)]


def passed(table: Any, **changed: Any) -> list[BinlogOffset]:
    """What the next capturer would pass over."""
    progress = Progress(deepcopy(table), 2, 8, **changed)
    progress.claim()
    progress.start(present(AT), 7)
    return progress.skip


START, ON = "start the capturer", "ferry switch on"
EMPTY, AGAIN, EXECUTE = (
    "empty the DynamoDB table shop",
    "ferry load --again",
    "ferry resume --after-ddl --execute",
)


def test_without_a_stop_there_is_nothing_to_do() -> None:
    table: Any = Table()
    assert resume.find_stop(table) is None
    captured(table, CaptureStatus(), AT)
    assert resume.find_stop(table) is None
    with pytest.raises(Refused, match="has not stopped"):
        resume.execute(table, None)


def test_the_steps_go_from_the_load_to_the_word() -> None:
    table = stopped()
    assert steps(table) == [EMPTY, AGAIN, EXECUTE, START, ON]
    assert steps(table, on=True) == ["ferry switch off", EMPTY, AGAIN, EXECUTE, START, ON]
    load(table)
    assert steps(table) == [EXECUTE, START, ON]
    resume.execute(table, resume.find_stop(table))
    assert steps(table) == [START, ON]
    assert steps(table, on=True) == [START]
    assert passed(table) == [AT]


def test_a_load_is_enough_where_rows_had_no_names() -> None:
    table = stopped(LOAD)
    assert steps(table) == [EMPTY, AGAIN, START, ON]
    with pytest.raises(Refused, match="not loaded again"):
        resume.execute(table, resume.find_stop(table), str(AT))
    load(table)
    assert steps(table) == [START, ON]
    resume.execute(table, resume.find_stop(table))
    assert passed(table) == []


def test_what_a_load_does_not_repair_is_refused_with_the_fix() -> None:
    table = stopped("", ())
    assert steps(table) == ["repair it"]
    with pytest.raises(Refused, match="repair it"):
        resume.execute(table, resume.find_stop(table), str(AT))


@pytest.mark.parametrize(
    "loaded",
    [
        {},
        {"offset": AT.offset},
        {"epoch": 0},
        {"source": "shop.customer"},
    ],
)
def test_the_word_waits_for_a_load_of_every_table_from_after_the_stop(loaded: Any) -> None:
    table = stopped(tables=("shop.customer", "shop.purchase"))
    load(table, **loaded)
    with pytest.raises(Refused, match="not loaded again"):
        resume.execute(table, resume.find_stop(table))
    assert passed(table) == []
    resume.execute(table, resume.find_stop(table), str(AT))  # --without-load
    assert passed(table) == [AT]


def test_the_confirmation_does_not_outlive_a_reset() -> None:
    table = stopped()
    resume.execute(table, resume.find_stop(table), str(AT))
    assert passed(table) == [AT]
    assert passed(table, reset="monday") == []


def test_the_word_that_no_load_is_needed_is_about_one_place() -> None:
    """Given twice, it would pass over what capture met meanwhile, and nobody has looked at that."""
    table = stopped(at=AT._replace(offset=200))
    with pytest.raises(Refused, match=f"at b.000007:200 and not at {AT}"):
        resume.execute(table, resume.find_stop(table), str(AT))
    assert passed(table) == []


def test_each_stop_needs_a_word_of_its_own_and_the_former_ones_stay() -> None:
    """With an XA transaction open since before both, capture begins before both again."""
    table = stopped()
    resume.execute(table, resume.find_stop(table), str(AT))
    later = AT._replace(offset=200)
    error = CaptureStopped("DROP", "f", PASS, ["shop.purchase"], str(later))
    captured(table, CaptureStatus.of("stopped", error), AT)
    stop = resume.find_stop(table)
    assert stop is not None and not stop.passed and stop.at == str(later)
    resume.execute(table, stop, stop.at)
    assert passed(table) == [AT, later]


def test_a_stop_without_a_place_is_where_the_checkpoint_is() -> None:
    table: Any = Table()
    captured(table, CaptureStatus.of("stopped", CaptureStopped("another server", "f")), AT)
    stop = resume.find_stop(table)
    assert stop is not None and (stop.at, stop.remedy) == (str(AT), "")


def test_what_is_left_out_of_the_stream_is_in_no_export_of_before() -> None:
    """An XA COMMIT before any load, or what the operator skips: an older export has not got it."""
    table: Any = Table()
    captured(table, CaptureStatus(), AT)
    begun = str(Position(1, AT.order[0], AT.offset))
    assert table.items[CHECKPOINT]["since"] == begun
    progress = Progress(table, 1, 8, ["shop.purchase"])
    progress.claim()
    later = AT._replace(offset=AT.offset + 50)
    assert progress.is_shown(later)
    refuse_before_capture(Checkpoint.read(table), Position(1, AT.order[0], AT.offset + 51))
    with pytest.raises(Refused, match="not on the stream"):
        refuse_before_capture(Checkpoint.read(table), Position(1, AT.order[0], AT.offset + 50))
    skipped = AT._replace(offset=AT.offset + 90)
    progress = Progress(table, 1, 8, ["shop.purchase"], skip=[skipped])
    progress.claim()
    progress.start(present(AT), 0)
    with pytest.raises(Refused, match="not on the stream"):
        refuse_before_capture(Checkpoint.read(table), Position(1, AT.order[0], skipped.offset))


def test_loads_show_what_was_committed_before_each_began_or_before_any() -> None:
    table = stopped()
    progress = Progress(table, 1, 8, ["shop.customer", "shop.purchase"])
    progress.claim()
    assert progress.is_shown(AT)
    table.items[load_key("shop.purchase")] = {"epoch": 1}
    assert not progress.is_shown(AT)
    load(table)
    assert progress.is_shown(AT)
    assert not progress.is_shown(AT._replace(offset=AT.offset + 1))
    del table.items[load_key("shop.purchase")]
    assert not progress.is_shown(AT._replace(offset=AT.offset + 1))
    reset = Progress(table, 2, 8, ["shop.customer", "shop.purchase"], "monday")
    reset.claim()
    reset.start(present(AT), 0)
    assert reset.is_shown(AT)


def test_a_capturer_that_begins_again_has_not_stopped() -> None:
    table = stopped()
    progress = Progress(table, 2, 8)
    progress.claim()
    progress.start(present(AT), 7)
    assert resume.find_stop(table) is None
