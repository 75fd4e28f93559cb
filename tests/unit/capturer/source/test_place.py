"""What a boundary is true of: the history that was captured, and the log that it is in."""

import pytest

from capturer.decoder.events import FormatDescription, Gtid, Query, Rotate, RowsEvent, Xid
from capturer.source.events import Event
from capturer.source.place import ContinuityLost, Past, Place
from capturer.source.transactions import Transactions
from rowferry.change import Kind
from rowferry.errors import CaptureStopped
from rowferry.history import History
from rowferry.mapping import Mapping
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

FIRST, END = BinlogOffset("other.000001", 4), BinlogOffset("other.000001", 700)


def insert(at: int) -> RowsEvent:
    image = {"c": "c", "p": "p", "q": at}
    return RowsEvent(at, at + 10, "shop", "purchase", Kind.INSERT, [(None, image)], 10)


A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def whole(gtid: str, at: int, committed: int = 5, original: int = 0) -> list[Event]:
    """A transaction of 90 bytes with one row."""
    return [
        Gtid(at, at + 10, gtid, committed, original=original),
        Query(at + 10, at + 20, "shop", "BEGIN"),
        insert(at + 20),
        Xid(at + 80, at + 90),
    ]


def read(transactions: Transactions, *events: list[Event]) -> list[str | None]:
    return [change.position for part in events for event in part for change in transactions.feed(event)]


def captured(history: str, last: str, committed: int) -> Transactions:
    past = Past("a", found := History.parse(history), found, 0, last, committed)
    return Transactions(MAPPING, Place.of(1, BinlogOffset("b.000007", 500), None, past))


def test_the_history_grows_with_each_transaction_and_belongs_to_the_boundary() -> None:
    some = captured(f"{A}:1-4", f"{A}:4", 1)
    place = some.place
    assert len(read(some, whole(f"{A}:5", 500), whole(f"{B}:1", 600, 7, original=6))) == 2
    assert str(some.place.past.history) == f"{A}:1-5,{B}:1"
    assert (some.place.past.last, some.place.past.committed) == (f"{B}:1", 6)
    assert str(place.past.history) == f"{A}:1-4", "what was handed over stays as it was"
    for event in whole(f"{B}:2", 700)[:3]:
        some.feed(event)
    assert f"{B}:1" in some.place.past.history and f"{B}:2" not in some.place.past.history


def test_in_another_binlog_what_was_captured_is_left_out_wherever_it_is() -> None:
    some = captured(f"{A}:1-4", f"{A}:4", 9)
    some.begin_epoch(
        2, "b", BinlogOffset("other.000001", 4), BinlogOffset("other.000001", 700), last_is_there=True
    )
    positions = read(
        some,
        [Rotate("other.000001", 4)],
        whole(f"{A}:3", 100),
        whole(f"{B}:1", 200),  # of the other server alone
        whole(f"{A}:4", 300, 20, original=9),
        whole(f"{A}:5", 400),
    )
    assert [Position.parse(position or "").offset for position in positions] == [200, 400]
    assert all((position or "").startswith("0002.00000001.") for position in positions)
    assert str(some.place.past.history) == f"{A}:1-5,{B}:1"
    assert some.place.past.shared == END
    assert read(some, whole(f"{A}:2", 800)), "beyond what the server had at the proof, nothing is left out"
    assert some.place.past.shared is None


def test_a_number_below_the_highest_that_the_binlog_does_not_have_stops() -> None:
    """MariaDB: server 1 has written 0-1-8 after it was made again from another one."""
    some = captured("0-1-6", "0-1-6", 9)
    some.begin_epoch(2, "a", FIRST, END, last_is_there=True)
    read(some, whole("0-1-5", 100), whole("0-2-6", 200), whole("0-1-8", 300))
    with pytest.raises(CaptureStopped, match="does not have 0-1-6"):
        read(some, whole("0-1-9", 700))


def test_a_number_that_was_used_again_stops() -> None:
    some = captured(f"{A}:1-4", f"{A}:4", 9)
    some.begin_epoch(
        2, "b", BinlogOffset("other.000001", 4), BinlogOffset("other.000001", 700), last_is_there=True
    )
    with pytest.raises(CaptureStopped, match=r"another transaction .*:4 than the one that was captured"):
        read(some, whole(f"{A}:4", 300, 20, original=10))


def test_a_file_that_was_made_at_another_time_stops() -> None:
    past = Past("a", created=1_000)
    some = Transactions(MAPPING, Place.of(1, BinlogOffset("b.000007", 500), None, past))
    some.feed(Rotate("b.000007", 500))
    some.feed(FormatDescription("8", True, b"", 1_000))
    some.feed(Rotate("b.000008", 4))
    some.feed(FormatDescription("8", True, b"", 2_000))
    assert some.place.past.created == 2_000
    some.feed(Rotate("b.000008", 4))  # of another connection
    with pytest.raises(CaptureStopped, match=r"not the file that was captured.*reset, or the server was"):
        some.feed(FormatDescription("8", True, b"", 2_001))


@pytest.mark.parametrize("file", ["b.000006", "new.000008", "b.000001"])
def test_a_log_that_does_not_go_on_is_compared_again(file: str) -> None:
    some = Transactions(MAPPING, Place.of(1, BinlogOffset("b.000007", 500)))
    with pytest.raises(ContinuityLost):
        some.feed(Rotate(file, 4))
    assert some.boundary == BinlogOffset("b.000007", 500)


def test_a_log_of_another_name_begins_an_epoch_with_the_same_history() -> None:
    some = captured(f"{A}:1-4", f"{A}:4", 9)
    with pytest.raises(ContinuityLost) as lost:
        some.feed(Rotate("new.000001", 4))
    assert lost.value.renamed_to == "new.000001"
    some.rename(2, "new.000001")
    positions = read(some, [Rotate("new.000001", 4)], whole(f"{A}:5", 100))
    assert positions == [str(Position(2, 1, 100, 1))]
    assert str(some.place.past.history) == f"{A}:1-5"


def test_a_part_that_was_sent_is_remembered_until_the_end_of_its_own_transaction() -> None:
    some = captured(f"{A}:1-4", f"{A}:4", 9)
    some.partly = f"{A}:5"  # its end was not read before the failover
    some.begin_epoch(2, "b", FIRST, END, last_is_there=False)
    read(some, whole(f"{A}:3", 100), whole(f"{B}:1", 200))
    assert some.partly == f"{A}:5"
    read(some, whole(f"{A}:5", 300))
    assert some.partly == ""


def test_until_what_is_prepared_was_read_again_the_place_is_that_of_the_checkpoint() -> None:
    past = Past("a", History.parse(f"{A}:1-9"), History.parse(f"{A}:1-4"), 0, f"{A}:9", 9)
    place = Place.of(1, BinlogOffset("b.000007", 900), BinlogOffset("b.000007", 500), past)
    some = Transactions(MAPPING, place)
    assert some.place == place
    read(some, whole(f"{A}:5", 500))
    assert some.place == place
    read(some, whole(f"{A}:9", 810), whole(f"{A}:10", 900))
    assert some.place.boundary.offset == 990 and str(some.place.past.history) == f"{A}:1-10"
