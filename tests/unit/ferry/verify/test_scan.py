"""Verify's reading in tasks: none is left out or counted twice, also where it is ended and goes on."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import closing
from itertools import pairwise
from math import inf
from pathlib import Path
from typing import Any

import pytest

from ferry.verify import scan, tasks, workdir
from ferry.verify.diff import Sides, sides_in
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.ranges import Range
from ferry.verify.scan import RateLimitedQueue, Scanner
from ferry.verify.tasks import ReadCounts, ReadTask, RowRange, ScanPage, TaskResult, as_note, from_note
from rowferry.errors import Refused

PAIRS = [Pair("test", name, "purchase", (("id", "S", "id"),)) for name in ("purchase", "orders")]
ROWS, PAGES = 100, 7


class Killed(Exception):
    """Stands for the end of the process."""


class Source:
    """Tables of ROWS rows, and PAGES pages in each segment; a member for each row and each page."""

    def __init__(self) -> None:
        self.read: list[ReadTask] = []

    def cut(self, _: Any, pair: Pair, rows: int, after: Any = None) -> Iterator[Range]:
        first = int(after[0]) if after else 0
        bounds = [*((str(n),) for n in range(first + rows, ROWS, rows)), None]
        for low, high in pairwise([after, *bounds]):
            yield Range(("id",), low, high)

    def __call__(self, task: ReadTask) -> TaskResult:
        self.read.append(task)
        if isinstance(task, ScanPage):
            number = int(task.start["n"]) if task.start else 0
            members = [(f"segment {task.segment}, {number}", "item", "N:1")]
            following = number + 1 < PAGES
            later = ScanPage(task.pairs, task.segment, task.segments, {"n": str(number + 1)})
            return TaskResult(members, ReadCounts(items=1, members=1), 10.0, later if following else None)
        low = int(task.range.after[0]) if task.range.after else 0
        high = int(task.range.until[0]) if task.range.until else ROWS
        rows = [(f"pair {task.pair}, {n}", "row", "N:1") for n in range(low, high)]
        return TaskResult(rows, ReadCounts(rows=len(rows)))


class AtOnce(Executor):
    """Runs what it is given when it is given, until it has run so many."""

    def __init__(self, most: float = inf) -> None:
        self.left = most

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.left -= 1
        if self.left < 0:
            future.set_exception(Killed())
        else:
            future.set_result(function(*arguments))
        return future


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    found = Source()
    monkeypatch.setattr(scan, "cut", found.cut)
    monkeypatch.setattr(tasks, "read", found)
    return found


def scan_into(file: Path, most: float = inf, **more: Any) -> tuple[ReadCounts, set[str]]:
    class Connection:
        def close(self) -> None: ...

    told = [ReadCounts()]
    with closing(Sides(file)) as sides:
        Scanner(PAIRS, Connection, AtOnce(most), 2, chunk=9, **more).target((0, 1), sides, told.append)
        assert told[-1] in (ReadCounts(), sides.counts())
        found = [difference.member.key for difference in sides.differences()]
        assert len(found) == len(set(found))
        return sides.counts(), set(found)


EVERYTHING = {f"pair {pair}, {n}" for pair in (0, 1) for n in range(ROWS)} | {
    f"segment {segment}, {n}" for segment in (0, 1) for n in range(PAGES)
}


def test_everything_is_read_once(source: Source, tmp_path: Path) -> None:
    counts, found = scan_into(tmp_path / "members")
    assert counts == ReadCounts(2 * ROWS, 2 * PAGES, 2 * PAGES)
    assert found == EVERYTHING


@pytest.mark.parametrize("most", range(1, 38))
def test_what_was_read_before_the_end_is_not_read_again(most: int, source: Source, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        scan_into(tmp_path / "members", most)
    counts, found = scan_into(tmp_path / "members")
    assert (counts.rows, counts.items) == (2 * ROWS, 2 * PAGES)
    assert found == EVERYTHING
    again = len(source.read) - len({repr(task) for task in source.read})
    assert again <= 3  # those under way when it ended


def test_a_finished_reading_reads_nothing_more(source: Source, tmp_path: Path) -> None:
    first = scan_into(tmp_path / "members")
    source.read.clear()
    assert scan_into(tmp_path / "members") == first
    assert source.read == []


def test_rows_and_read_units_are_held_to_their_rates(source: Source, tmp_path: Path) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    scan_into(tmp_path / "members", rows=50.0, clock=lambda: now[0], sleep=sleep)
    assert 2 * ROWS / 50 - 1 <= now[0] <= 2 * ROWS / 50
    now[0] = 0.0
    scan_into(tmp_path / "others", units=40.0, clock=lambda: now[0], sleep=sleep)
    spent = 2 * PAGES * 10.0  # what they cost, not what they were taken to cost
    assert spent / 40 - 1 <= now[0] <= spent / 40 + 2 * scan.PAGE_UNITS / 40


def test_a_flow_waits_for_what_was_spent() -> None:
    flow = RateLimitedQueue(iter(enumerate([RowRange(0, Range(("id",)))] * 3)), 10.0, 100.0)
    assert flow.pause(0.0) == 0.0
    flow.take()
    assert flow.pause(0.0) == pytest.approx(0.1)
    flow.spent(50.0)
    assert flow.pause(0.0) == pytest.approx(0.5)
    assert flow.pause(0.6) == 0.0
    flow.take()
    assert flow.pause(9.0) == 0.0
    flow.take()
    assert flow.pause(99.0) is None


TASKS: Sequence[ReadTask] = (
    RowRange(3, Range(("a", "b"), ("1", "'it''s'"), None)),
    RowRange(0, Range((), None, ("X'00ff'",))),
    ScanPage((0, 1), 2, 4),
    ScanPage((0,), 0, 1, {"k": {"B": b"\x00\xff"}, "n": {"N": "1.5"}}),
)


@pytest.mark.parametrize("task", TASKS, ids=repr)
def test_a_task_is_the_same_after_the_working_file(task: ReadTask, tmp_path: Path) -> None:
    assert from_note(as_note(task)) == task
    with closing(Sides(tmp_path / "members")) as sides:
        number = sides.announce(task)
        assert sides.tasks() == [(number, task, False)]


def test_a_damaged_working_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "members").write_bytes(b"no database" * 500)
    with pytest.raises(Refused, match=r"not a database.*--again"), sides_in(tmp_path / "members"):
        pass


# The folder


def test_a_verify_that_was_interrupted_goes_on_with_its_position(tmp_path: Path) -> None:
    with pytest.raises(Killed), workdir.under_traffic(tmp_path, "move", "1", 100.0, again=False) as work:
        assert not work.goes_on
        work.file("purchase").write_text("")
        raise Killed
    with workdir.under_traffic(tmp_path, "move", "2", 200.0, again=False) as work:
        assert (work.since, work.at, work.goes_on) == ("1", 100.0, True)
        assert work.file("purchase").exists()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("what", "now", "again"),
    [("move", 100.0 + workdir.LONGEST, False), ("move", 99.0, False), ("move", 101.0, True)],
    ids=["too late", "the clock went back", "asked for"],
)
def test_a_verify_begins_again(what: str, now: float, again: bool, tmp_path: Path) -> None:
    with pytest.raises(Killed), workdir.under_traffic(tmp_path, "move", "1", 100.0, again=False) as work:
        work.file("purchase").write_text("")
        raise Killed
    with workdir.under_traffic(tmp_path, what, "2", now, again=again) as work:
        assert (work.since, work.at, work.goes_on) == ("2", now, False)
        assert not work.file("purchase").exists()


def test_a_folder_whose_beginning_was_not_written_is_begun_again(tmp_path: Path) -> None:
    with pytest.raises(Killed), workdir.under_traffic(tmp_path, "move", "1", 1.0, again=False) as work:
        (work.folder / "begun.json").write_text(json.dumps({"since": "1"})[:-3])
        raise Killed
    with workdir.under_traffic(tmp_path, "move", "2", 2.0, again=False) as work:
        assert work.since == "2"


def test_two_verifies_of_one_move_do_not_share_a_folder_at_a_time(tmp_path: Path) -> None:
    with (
        workdir.under_traffic(tmp_path, "move", "1", 1.0, again=False),
        workdir.under_traffic(tmp_path, "another move", "1", 1.0, again=False),
        pytest.raises(Refused, match="another verify uses"),
        workdir.under_traffic(tmp_path, "move", "1", 1.0, again=False),
    ):
        pass


def test_the_folder_is_the_users_own(tmp_path: Path) -> None:
    with workdir.under_traffic(tmp_path, "move", "1", 1.0, again=False) as work:
        assert work.folder.stat().st_mode & 0o777 == 0o700


def test_a_range_ends_where_the_next_begins() -> None:
    first, second = Range(("a", "b"), None, ("1", "'b'")), Range(("a", "b"), ("1", "'b'"), ("2",))
    assert first.condition == "(`a` < 1 OR (`a` = 1 AND (`b` <= 'b')))"
    assert second.condition == "(`a` > 1 OR (`a` = 1 AND (`b` > 'b'))) AND (`a` <= 2)"
    assert Range(("a",)).condition is None
