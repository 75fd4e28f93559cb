"""Lanes and checkpoints under random schedules: nothing lost, reordered or acknowledged early."""

from collections import defaultdict
from random import Random

import pytest

from capturer.stream.checkpoints import Checkpoints
from capturer.stream.lanes import LONGEST_BACKOFF, MAX_CHANGES, MAX_RECORD, OVERHEAD, Lanes, Parcel
from rowferry.change import Marker, decode_record
from rowferry.position import BinlogOffset

LANES = 5


def lanes(**options: object) -> Lanes:
    return Lanes(LANES, random=Random(1).random, **options)  # type: ignore[arg-type]


class Schedule:
    """Adds, sends, accepts and refuses at random; checks what must hold after every step."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.lanes = Lanes(LANES, random=self.random.random, linger=self.random.choice([0, 0.02]))
        self.checkpoints = Checkpoints(BinlogOffset("b.1", 0))
        self.now = 0.0
        self.transaction = 0
        self.in_flight: dict[int, Parcel] = {}
        self.first_try: dict[int, bytes] = {}
        self.added: dict[int, list[bytes]] = defaultdict(list)
        self.accepted: dict[int, list[bytes]] = defaultdict(list)
        self.owed: dict[bytes, int] = {}
        self.ends: dict[int, int] = {}

    def commit(self) -> None:
        changes = self.random.choice([0, 1, 1, 2, 7])
        if changes:
            self.transaction += 1
        for number in range(changes):
            lane, content = self.random.randrange(LANES), f'"{self.transaction}.{number}"'.encode()
            self.lanes.add(lane, content, self.transaction, self.transaction, self.now)
            self.added[lane].append(content)
            self.owed[content] = self.transaction
            if self.random.random() < 0.3:
                self.step()
        end = len(self.ends) + 1
        self.ends[end] = self.transaction
        self.checkpoints.ended(self.transaction, BinlogOffset("b.1", end))

    def step(self) -> None:
        self.now += self.random.random() * 0.05
        if self.random.random() < 0.5:
            self.send()
        elif self.in_flight:
            self.answer()
        reached = self.checkpoints.reached(self.lanes.oldest)
        safe = self.ends.get(reached.offset, 0)
        assert all(transaction > safe for transaction in self.owed.values()), "acknowledged early"

    def send(self) -> None:
        for parcel in self.lanes.take(
            self.now, self.random.randint(1, LANES), self.random.choice([4, 1 << 22])
        ):
            assert parcel.lane not in self.in_flight, "two in flight"
            data = parcel.encode(7)
            assert self.first_try.setdefault(parcel.lane, data) == data, "a repeat is another record"
            self.in_flight[parcel.lane] = parcel

    def answer(self) -> None:
        lane = self.random.choice(sorted(self.in_flight))
        parcel = self.in_flight.pop(lane)
        if self.random.random() < 0.4:
            self.lanes.failed(lane, self.now)
            return
        self.lanes.accepted(lane, self.now)
        del self.first_try[lane]
        self.accepted[lane] += parcel.changes
        for content in parcel.changes:
            del self.owed[content]

    def drain(self) -> None:
        self.lanes.hurry(self.now)
        while not self.lanes.empty:
            self.now += 1
            self.send()
            while self.in_flight:
                self.answer()


@pytest.mark.parametrize("seed", range(300))
def test_any_schedule_sends_every_change_once_in_order_and_acknowledges_none_early(seed: int) -> None:
    schedule = Schedule(seed)
    for _ in range(60):
        schedule.random.choice([schedule.commit, schedule.step, schedule.step])()
    schedule.drain()
    assert schedule.accepted == {lane: changes for lane, changes in schedule.added.items() if changes}
    assert schedule.lanes.held == 0
    assert schedule.lanes.next_due() is None
    if schedule.ends:
        assert schedule.checkpoints.reached(schedule.lanes.oldest).offset == max(schedule.ends)


def test_a_change_lingers_so_that_others_join_its_record() -> None:
    some = lanes(linger=0.02)
    some.add(1, b"1", 100, 1, now=10.0)
    some.add(1, b"2", 90, 1, now=10.01)
    assert some.take(10.019) == []
    assert some.next_due() == 10.02
    (parcel,) = some.take(10.02)
    assert parcel.changes == [b"1", b"2"]
    assert parcel.committed == 90, "the oldest change's commit time"


@pytest.mark.parametrize(("count", "size"), [(MAX_CHANGES, 10), (3, MAX_RECORD // 3)])
def test_a_full_record_goes_at_once_and_the_rest_in_the_next(count: int, size: int) -> None:
    some = lanes(linger=5)
    for _ in range(count):
        some.add(0, b"1" * size, 0, 1, now=0.0)
    some.add(0, b"2", 0, 2, now=0.0)
    (parcel,) = some.take(0.0)
    assert len(parcel.contents) <= MAX_CHANGES
    assert parcel.size <= MAX_RECORD
    assert some.take(100.0) == [], "one in flight"
    some.accepted(0, 0.0)
    assert sum(len(p.contents) for p in some.take(100.0)) == count + 1 - len(parcel.contents)


def test_a_record_of_the_largest_changes_fits_the_streams_limit() -> None:
    some = lanes(linger=0)
    content = b'"' + b"x" * (MAX_RECORD - 2) + b'"'
    for _ in range(2):
        some.add(0, content, 0, 1, now=0.0)
    (parcel,) = some.take(0.0)
    assert parcel.changes == [content]
    assert len(parcel.encode(1)) < 1 << 20


def test_a_request_keeps_to_its_limits_and_the_rest_stays_due() -> None:
    some = lanes(linger=0)
    for lane in range(LANES):
        some.add(lane, b"x" * 100, 0, 1, now=0.0)
    assert [parcel.lane for parcel in some.take(0.0, max_records=2)] == [0, 1]
    assert [parcel.lane for parcel in some.take(0.0, max_bytes=250)] == [2, 3]
    assert some.next_due() == 0.0
    assert [parcel.lane for parcel in some.take(0.0, max_bytes=1)] == [4], "one record is never too large"


def test_a_refused_lane_waits_longer_each_time_and_the_others_go_on() -> None:
    some = lanes(linger=0)
    some.add(0, b"1", 0, 1, now=0.0)
    now, pauses = 0.0, []
    for _ in range(12):
        assert [parcel.lane for parcel in some.take(now)] == [0]
        some.failed(0, now)
        due = some.next_due()
        assert due is not None
        pauses.append(due - now)
        now = due
    assert pauses[0] <= 0.05 < pauses[3]
    assert max(pauses) <= LONGEST_BACKOFF
    some.take(now)
    some.failed(0, now)
    some.add(1, b"2", 0, 2, now=now)
    assert [parcel.lane for parcel in some.take(now)] == [1]


def test_a_marker_is_a_record_of_its_own_behind_everything_before_it() -> None:
    some = lanes(linger=5)
    some.add(2, b'"a"', 0, 1, now=0.0)
    some.mark(Marker("m", "p"), 50, 1, now=0.0)
    some.add(2, b'"b"', 0, 2, now=0.0)
    seen = []
    for now in range(0, 60, 10):
        for parcel in some.take(float(now)):
            seen.append((parcel.lane, parcel.marker.id if parcel.marker else parcel.changes))
            assert parcel.marker is None or not some.marked("m")
            some.accepted(parcel.lane, float(now))
    assert [content for lane, content in seen if lane == 2] == [[b'"a"'], "m", [b'"b"']]
    assert sorted(lane for lane, content in seen if content == "m") == list(range(LANES))
    assert some.marked("m")
    assert not some.marked("other")


def test_a_marker_encodes_as_the_reader_expects() -> None:
    some = lanes()
    some.mark(Marker("m", "p"), 50, 1, now=0.0)
    record = decode_record(some.take(0.0)[3].encode(9))
    assert (record.lane, record.sender, record.committed, record.marker) == (3, 9, 50, Marker("m", "p"))


def test_bytes_held_count_what_waits_and_what_is_in_flight() -> None:
    some = lanes(linger=0, limit=2 * (10 + OVERHEAD))
    some.add(0, b"x" * 10, 0, 1, now=0.0)
    assert not some.full
    some.add(1, b"x" * 10, 0, 1, now=0.0)
    assert some.full
    some.take(0.0)
    assert some.full
    some.accepted(0, 0.0)
    assert not some.full
    assert not some.empty


def test_only_what_is_in_flight_can_be_settled() -> None:
    with pytest.raises(RuntimeError, match="nothing of lane 1"):
        lanes().accepted(1, 0.0)


def test_transactions_without_mapped_rows_move_the_checkpoint_and_take_no_room() -> None:
    checkpoints = Checkpoints(BinlogOffset("b.1", 4))
    for offset in range(1, 1000):
        checkpoints.ended(3, BinlogOffset("b.1", offset))
    assert checkpoints.reached(3) == BinlogOffset("b.1", 4)
    assert len(checkpoints._ahead) == 1
    assert checkpoints.reached(None) == BinlogOffset("b.1", 999)
