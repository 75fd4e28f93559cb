"""What waits between reading and sending."""

import threading
import time
from random import Random

from capturer.stream.lanes import Lanes
from capturer.stream.outbox import Outbox
from capturer.stream.sender import Sent
from rowferry.position import BinlogOffset


def outbox(limit: int = 1 << 20) -> Outbox:
    lanes = Lanes(4, random=Random(1).random, linger=0, limit=limit)
    return Outbox(lanes, BinlogOffset("b.1", 4), time.monotonic)


def test_reading_waits_while_too_much_is_held_and_goes_on_when_it_was_sent() -> None:
    box = outbox(limit=1)
    box.add([(0, b"1")], 0, 1, BinlogOffset("b.1", 10))
    waiting = threading.Thread(target=box.add, args=([(0, b"2")], 0, 2, BinlogOffset("b.1", 20)))
    waiting.start()
    box.add([], 0, 1, BinlogOffset("b.1", 15))
    assert box.reached()[:2] == (BinlogOffset("b.1", 4), BinlogOffset("b.1", 15)), (
        "positions are never held up"
    )
    waiting.join(0.05)
    assert waiting.is_alive()
    box.settle(Sent(box.take(), ()))
    waiting.join()
    assert not waiting.is_alive()
    assert box.reached()[:2] == (BinlogOffset("b.1", 15), BinlogOffset("b.1", 20))


def test_a_waiting_sender_wakes_up_for_new_changes_and_at_the_close() -> None:
    box, got = outbox(), []
    sender = threading.Thread(
        target=lambda: [
            got.append(parcels) or box.settle(Sent(parcels, ())) for parcels in iter(box.take, [])
        ]
    )  # type: ignore[func-returns-value]
    sender.start()
    for number in range(3):
        box.add([(number, b"1")], 0, number, BinlogOffset("b.1", 10 + number))
        assert box.wait_empty(600)
    box.close()
    sender.join()
    assert not sender.is_alive()
    assert sum(map(len, got)) == 3


def test_shut_it_takes_nothing_and_forgets_nothing() -> None:
    box = outbox(limit=1)
    box.add([(0, b"1")], 0, 1, BinlogOffset("b.1", 10))
    blocked: list[bool] = []
    reader = threading.Thread(
        target=lambda: blocked.append(box.add([(0, b"2")], 0, 2, BinlogOffset("b.1", 20)))
    )
    reader.start()
    box.shut()
    reader.join()
    assert blocked == [False]
    assert not box.wait_empty(0)
    box.settle(Sent(box.take(), ()))
    assert box.wait_empty(0)
    assert box.reached()[0] == BinlogOffset("b.1", 10)


def test_what_is_prepared_goes_with_the_boundary_that_it_was_read_at() -> None:
    box = Outbox(Lanes(1, random=lambda: 0), BinlogOffset("b.1", 4), lambda: 0.0)
    box.add([(0, b"1")], 0, 1, BinlogOffset("b.1", 10), BinlogOffset("b.1", 6))
    box.add([], 0, 1, BinlogOffset("b.1", 12), BinlogOffset("b.1", 6))
    assert box.reached().restart == BinlogOffset("b.1", 4)
    box.add([(0, b"2")], 0, 2, BinlogOffset("b.1", 20), BinlogOffset("b.1", 20))
    box.shut()
    box.settle(Sent(box.take(), ()))
    assert (box.reached().reached.offset, box.reached().restart.offset) == (20, 20)
