"""The lease: one holder at a time without comparing clocks, and what follows from it for the checkpoint."""

from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from capturer.source.place import Past, Place
from capturer.state.checkpoint_item import Present, Progress
from capturer.state.lease import Lease
from capturer.state.status import CaptureStatus, Counters
from rowferry.change import Marker
from rowferry.control_table import CHECKPOINT, LEASE, MARKER, ConditionFailed
from rowferry.errors import CaptureStopped, LeaseLost, Refused
from rowferry.history import History
from rowferry.position import BinlogOffset, Position


class Table:
    """The control table in memory. `lose` answers: the write happens, the answer does not arrive."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}
        self.lose = 0

    def get(self, pk: str) -> dict[str, Any]:
        return dict(self.items.get(pk, {}))

    def update(
        self,
        pk: str,
        *,
        set: Any = None,  # noqa: A002
        add: Any = None,
        only_if: Any = None,
    ) -> dict[str, Any]:
        item = self.items.get(pk, {"pk": pk})
        if any(item.get(name) != value for name, value in (only_if or {}).items()):
            raise ConditionFailed(pk)
        item = {**item, **(set or {})}
        for name, amount in (add or {}).items():
            item[name] = item.get(name, 0) + amount
        self.items[pk] = item
        if self.lose:
            self.lose -= 1
            raise failure("RequestTimeout")
        return dict(item)


def failure(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "UpdateItem")


class Clock:
    """A machine's own clock: it runs true, but from anywhere."""

    def __init__(self, world: list[float], offset: float) -> None:
        self.world, self.offset = world, offset

    def __call__(self) -> float:
        return self.world[0] + self.offset


@pytest.fixture
def table() -> Any:
    return Table()


def pair(table: Any, ttl: float = 9.0) -> tuple[list[float], Lease, Lease]:
    world = [0.0]
    first, second = (Lease(table, name, Clock(world, at), ttl=ttl) for name, at in (("a", 5e6), ("b", -3.0)))
    return world, first, second


def test_a_free_lease_is_taken_at_once_and_a_held_one_is_not(table: Any) -> None:
    _, first, second = pair(table)
    assert first.try_acquire()
    assert (first.token, first.valid()) == (1, True)
    assert not second.try_acquire()
    assert not second.valid()


def test_a_released_lease_is_taken_at_once_with_the_next_token(table: Any) -> None:
    _, first, second = pair(table)
    first.try_acquire()
    first.release()
    assert not first.valid()
    assert second.try_acquire()
    assert (second.token, table.get(LEASE)["owner"]) == (2, "b")
    assert not second.took_over


def test_a_holder_that_renews_keeps_it_for_ever(table: Any) -> None:
    world, first, second = pair(table)
    first.try_acquire()
    for _ in range(20):
        world[0] += first.period
        first.renew()
        assert not second.try_acquire()
        assert first.valid()


def test_a_silent_holder_stops_sending_before_another_may_start(table: Any) -> None:
    world, first, second = pair(table)
    first.try_acquire()
    second.try_acquire()
    world[0] = first.ttl - first.margin + 0.01
    assert not first.valid()
    assert not second.try_acquire()
    world[0] = first.ttl + 0.01
    assert second.try_acquire()
    assert second.took_over
    with pytest.raises(LeaseLost, match="another capturer"):
        first.renew()
    assert not first.valid()
    first.release()
    assert table.get(LEASE)["released"] is False, "the loser must not give away the winner's lease"


def test_the_holders_own_time_to_live_counts_not_the_takers(table: Any) -> None:
    world, first, _ = pair(table, ttl=60.0)
    hasty = Lease(table, "c", Clock(world, 0.0), ttl=3.0)
    first.try_acquire()
    hasty.try_acquire()
    world[0] = 59.0
    assert not hasty.try_acquire()


def test_a_take_whose_answer_was_lost_is_recognised_as_ones_own(table: Any) -> None:
    _, first, second = pair(table)
    table.lose = 1
    with pytest.raises(ClientError):
        first.try_acquire()
    assert not second.try_acquire()
    assert first.try_acquire()
    assert (first.token, first.valid()) == (1, True)


def test_a_renewal_late_but_uncontested_is_good(table: Any) -> None:
    world, first, _ = pair(table)
    first.try_acquire()
    world[0] = 100.0
    assert not first.valid()
    first.renew()
    assert first.valid()


@pytest.mark.parametrize("seed", range(200))
def test_never_two_valid_at_a_time_and_tokens_rise(seed: int, table: Any) -> None:
    random, world = Random(seed), [0.0]
    leases = [
        Lease(table, str(n), Clock(world, random.uniform(-1e6, 1e6)), ttl=random.choice([3, 9]))
        for n in range(4)
    ]
    tokens: list[int] = []
    for _ in range(300):
        world[0] += random.expovariate(1.0)
        lease = random.choice(leases)
        table.lose = int(random.random() < 0.1)
        try:
            if lease.token and random.random() < 0.7:
                lease.release() if random.random() < 0.05 else lease.renew()
            elif lease.try_acquire():
                tokens.append(lease.token)
        except (ClientError, LeaseLost):
            pass
        assert sum(other.valid() for other in leases) <= 1
    assert tokens == sorted(tokens)
    assert tokens


# The checkpoint item


BEGIN = BinlogOffset("b.1", 4)


PAST = Past("s", HISTORY := History.parse("0-1-7"), HISTORY, 11, "0-1-7", 12)


def present(server: str) -> Present:
    return Present(server, BEGIN, lambda _: PAST._replace(server=server))


def claim(progress: Progress, server: str, now_ms: int) -> BinlogOffset:
    progress.claim()
    return progress.start(present(server), now_ms).boundary


def at(offset: int, restart: int | None = None, epoch: int = 1, past: Past = PAST) -> Place:
    first = None if restart is None else BinlogOffset("b.1", restart)
    return Place.of(epoch, BinlogOffset("b.1", offset), first, past)


def test_the_first_checkpoint_is_there_before_anything_is_sent(table: Any) -> None:
    assert claim(Progress(table, 1, 8), "s", 5) == BinlogOffset("b.1", 4)
    item = table.get(CHECKPOINT)
    assert item == {
        "pk": CHECKPOINT, "epoch": 1, "file": "b.1", "offset": 4, "server": "s", "token": 1, "lanes": 8,
        "state": "capturing", "reason": "", "fix": "", "updated_ms": 5,
        "remedy": "", "again": [], "stopped_at": "",
        "changes": 0, "records": 0, "bytes": 0,
        "read_file": "b.1", "read_offset": 4, "tables": [], "anew": "", "former_skip": [],
        "since": str(Position(1, 1, 4)), "first_epoch": 1,
        "epochs": [{"epoch": 1, "server": "s", "file": "b.1", "offset": 4, "end": ""}],
        "history": "0-1-7", "created": 11, "last_gtid": "0-1-7", "last_committed": 12,
        "shared_file": "", "shared_offset": 0, "restart_file": "", "restart_offset": 0, "restart_history": "",
    }  # fmt: skip


def test_the_next_holder_resumes_and_the_former_can_write_no_more(table: Any) -> None:
    former = Progress(table, 1, 8)
    claim(former, "s", 5)
    former.save(at(50, epoch=4), at(60, epoch=4), Counters(3, 2, 1), CaptureStatus(), 6)
    latter = Progress(table, 2, 8)
    assert claim(latter, "s", 7) == BinlogOffset("b.1", 50)
    assert latter.epoch == 4
    with pytest.raises(LeaseLost):
        former.save(at(70), at(70), Counters(), CaptureStatus(), 8)
    with pytest.raises(LeaseLost):
        claim(Progress(table, 1, 8), "s", 9)
    assert table.get(CHECKPOINT)["offset"] == 50


def test_counters_go_on_from_the_former_holder_and_a_repeated_save_counts_once(table: Any) -> None:
    claim(Progress(table, 1, 8), "s", 0)
    table.items[CHECKPOINT] |= {"changes": 10, "records": 5, "bytes": 100}
    progress = Progress(table, 2, 8)
    claim(progress, "s", 0)
    for _ in range(2):
        progress.save(at(4), at(4), Counters(7, 2, 30), CaptureStatus(), 0)
    item = table.get(CHECKPOINT)
    assert (item["changes"], item["records"], item["bytes"]) == (17, 7, 130)


def test_another_number_of_lanes_is_refused(table: Any) -> None:
    claim(Progress(table, 1, 8), "s", 0)
    with pytest.raises(Refused, match="LANES=8"):
        claim(Progress(table, 2, 9), "s", 0)


def test_without_a_history_another_server_stops_with_the_reason_in_the_checkpoint(table: Any) -> None:
    claim(Progress(table, 1, 8), "s", 0)
    del table.items[CHECKPOINT]["history"]  # as version 0.2 wrote it
    progress = Progress(table, 2, 8)
    with pytest.raises(CaptureStopped, match="another server") as stopped:
        claim(progress, "t", 0)
    progress.stop(CaptureStatus.of("stopped", stopped.value), 3)
    item = table.get(CHECKPOINT)
    assert (item["state"], item["server"], item["updated_ms"]) == ("stopped", "s", 3)
    assert item["reason"] == stopped.value.found


def test_a_reset_begins_at_the_end_under_the_next_epoch_once_for_each_word(table: Any) -> None:
    claim(Progress(table, 1, 8), "s", 0)
    table.items[CHECKPOINT] |= {"offset": 50, "changes": 10}
    progress = Progress(table, 2, 8, ["test.b", "test.a"], "monday")
    assert claim(progress, "t", 1) == BEGIN and progress.epoch == 2
    item = table.get(CHECKPOINT)
    assert (item["epoch"], item["server"], item["offset"], item["changes"]) == (2, "t", 4, 10)
    assert item["tables"] == ["test.a", "test.b"]
    table.items[CHECKPOINT]["offset"] = 60
    assert claim(Progress(table, 3, 8, [], "monday"), "t", 2) == BinlogOffset("b.1", 60)
    assert claim(Progress(table, 4, 8), "t", 2) == BinlogOffset("b.1", 60)
    assert claim(Progress(table, 5, 8, [], "tuesday"), "t", 3) == BEGIN
    assert table.get(CHECKPOINT)["epoch"] == 3


def test_a_checkpoint_of_the_former_version_gets_the_history_that_its_server_had_there(table: Any) -> None:
    claim(Progress(table, 1, 8), "s", 0)
    table.items[CHECKPOINT] = {
        name: value
        for name, value in table.items[CHECKPOINT].items()
        if name not in {"history", "created", "last_gtid", "last_committed", "epochs", "first_epoch"}
    } | {"offset": 50}
    progress = Progress(table, 2, 8)
    progress.claim()
    asked: list[BinlogOffset] = []
    found = progress.start(Present("s", BEGIN, lambda place: asked.append(place) or PAST), 0)
    assert (found, asked) == (at(50), [BinlogOffset("b.1", 50)])


def test_another_binlog_has_an_epoch_of_its_own_before_anything_of_it_is_sent(table: Any) -> None:
    progress = Progress(table, 1, 8)
    claim(progress, "s", 0)
    other, ended = BinlogOffset("b.7", 4), BinlogOffset("b.1", 90)
    assert progress.begin_epoch("t", other, ended) == 2 == progress.epoch
    item = table.get(CHECKPOINT)
    assert (item["epoch"], item["server"], item["first_epoch"]) == (1, "s", 1), "until what was read is sent"
    assert item["epochs"] == [
        {"epoch": 1, "server": "s", "file": "b.1", "offset": 4, "end": "b.1:90"},
        {"epoch": 2, "server": "t", "file": "b.7", "offset": 4, "end": ""},
    ]
    past = PAST._replace(server="t", shared=BinlogOffset("b.7", 80))
    place = Place.of(2, BinlogOffset("b.7", 60), None, past)
    progress.save(place, place, Counters(), CaptureStatus(), 0)
    latter = Progress(table, 2, 8)
    latter.claim()
    assert latter.start(present("u"), 0) == place
    assert table.get(CHECKPOINT)["since"] == str(Position(1, 1, 4)), "the loads of before stay right"
    assert latter.begin_epoch("s", BinlogOffset("b.1", 4), place.boundary) == 3


def test_an_epoch_that_was_reserved_before_a_crash_is_never_used_again(table: Any) -> None:
    """Changes may have been sent in it: lower positions would count as repeats, equal ones as known."""
    first, ended = BinlogOffset("b.7", 4), BinlogOffset("b.1", 90)
    progress = Progress(table, 1, 8)
    claim(progress, "s", 0)
    assert progress.begin_epoch("t", first, ended) == 2
    latter = Progress(table, 2, 8)
    latter.claim()
    assert latter.start(present("s"), 0) == at(4, epoch=3) and latter.epoch == 3
    assert [(entry["epoch"], entry["server"]) for entry in table.get(CHECKPOINT)["epochs"]] == [
        (1, "s"), (2, "t"), (3, "s"),
    ]  # fmt: skip
    assert latter.begin_epoch("t", first, BinlogOffset("b.1", 4)) == 4
    over = Progress(table, 3, 8, [], "monday")
    over.claim()
    assert over.start(present("u"), 0).epoch == 5, "records of epoch 4 may be on the stream"
    assert [entry["epoch"] for entry in table.get(CHECKPOINT)["epochs"]] == [5]


def test_an_epoch_that_cannot_be_written_has_not_begun(table: Any) -> None:
    progress = Progress(table, 1, 8)
    claim(progress, "s", 0)
    table.items[CHECKPOINT]["token"] = 2
    with pytest.raises(LeaseLost):
        progress.begin_epoch("t", BinlogOffset("b.7", 4), BinlogOffset("b.1", 90))
    assert progress.epoch == 1


def test_a_word_that_a_former_release_has_stored_starts_no_second_reset(table: Any) -> None:
    claim(Progress(table, 1, 8), "s", 0)
    table.items[CHECKPOINT] |= {"anew": "monday", "offset": 50}  # as 0.1 wrote it for --anew
    assert claim(Progress(table, 2, 8, [], reset="monday"), "s", 0) == BinlogOffset("b.1", 50)
    assert claim(Progress(table, 3, 8, [], reset=""), "s", 0) == BinlogOffset("b.1", 50)
    assert table.get(CHECKPOINT)["epoch"] == 1
    assert claim(Progress(table, 4, 8, [], reset="tuesday"), "s", 0) == BEGIN
    assert table.get(CHECKPOINT)["anew"] == "tuesday"  # and 0.1 finds it after a way back


def test_a_word_that_the_first_start_was_given_is_done(table: Any) -> None:
    claim(Progress(table, 1, 8, [], "monday"), "s", 0)
    table.items[CHECKPOINT]["offset"] = 50
    assert claim(Progress(table, 2, 8, [], "monday"), "s", 0) == BinlogOffset("b.1", 50)


def test_what_is_prepared_is_kept_with_the_checkpoint_and_ends_with_the_binlog(table: Any) -> None:
    progress = Progress(table, 1, 8)
    claim(progress, "s", 0)
    progress.save(at(50, 20), at(4), Counters(), CaptureStatus(), 0)
    latter = Progress(table, 2, 8)
    latter.claim()
    assert latter.start(present("s"), 0) == at(50, 20)
    latter.save(at(60, 60), at(4), Counters(), CaptureStatus(), 0)
    last = Progress(table, 3, 8)
    last.claim()
    assert last.start(present("s"), 0) == at(60)
    last.save(at(70, 20), at(4), Counters(), CaptureStatus(), 0)
    over = Progress(table, 4, 8, [], "monday")
    over.claim()
    assert over.start(present("s"), 0) == at(4, epoch=2)


def test_places_to_skip_mean_one_binlog_and_none_that_begins_later(table: Any) -> None:
    old, new = BinlogOffset("b.000001", 50), BinlogOffset("b.000001", 60)

    def skipped(token: int, reset: str, *given: BinlogOffset) -> list[BinlogOffset]:
        progress = Progress(table, token, 8, reset=reset, skip=given)
        claim(progress, "s", 0)
        return progress.skip

    assert skipped(1, "", BinlogOffset("b.000001", 40)) == []
    assert skipped(2, "", old) == [old]
    assert skipped(3, "monday", old) == []
    assert skipped(4, "monday", old, new) == [new]
    assert skipped(5, "tuesday", old, new) == []


def test_the_tables_are_those_of_the_newest_start(table: Any) -> None:
    claim(Progress(table, 1, 8, ["test.a"]), "s", 0)
    claim(Progress(table, 2, 8, ["test.b"]), "s", 0)
    assert table.get(CHECKPOINT)["tables"] == ["test.b"]


def test_before_the_first_checkpoint_there_is_nothing_to_say_it_in(table: Any) -> None:
    progress = Progress(table, 1, 8)
    progress.claim()
    progress.stop(CaptureStatus("stopped", "a", "b"), 3)
    assert table.items == {}


def test_a_marker_is_wanted_until_it_was_sent(table: Any) -> None:
    progress = Progress(table, 1, 8)
    assert progress.wanted_marker() is None
    table.items[MARKER] = {"pk": MARKER, "id": "m", "position": "p", "lanes": 0}
    assert progress.wanted_marker() == Marker("m", "p")
    progress.marker_sent(Marker("other", "p"))
    assert progress.wanted_marker() == Marker("m", "p")
    progress.marker_sent(Marker("m", "p"))
    assert progress.wanted_marker() is None
    assert table.get(MARKER)["lanes"] == 8
