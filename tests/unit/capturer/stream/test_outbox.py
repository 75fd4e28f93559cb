"""What waits between reading and sending."""

import threading
import time
from random import Random
from typing import Any

from capturer.source.place import Place
from capturer.stream.lanes import Lanes
from capturer.stream.outbox import Encoded, Outbox
from capturer.stream.sender import Sent
from rowferry.position import BinlogOffset


def outbox(limit: int = 1 << 20) -> Outbox:
    lanes = Lanes(4, random=Random(1).random, linger=0, limit=limit)
    return Outbox(lanes, Place.of(1, BinlogOffset("b.1", 4)), time.monotonic)


def add(
    box: Outbox,
    changes: list[tuple[int, bytes]],
    transaction: int,
    boundary: BinlogOffset,
    restart: BinlogOffset | None = None,
) -> bool:
    return box.add(Encoded(changes, 0, transaction, Place.of(1, boundary, restart)))


def reached(box: Outbox) -> tuple[BinlogOffset, BinlogOffset]:
    return box.reached().reached.boundary, box.reached().read.boundary


def add_when_there_is_space(box: Outbox, *what: Any) -> None:
    while not add(box, *what):
        box.wait_space()


def test_reading_waits_while_too_much_is_held_and_goes_on_when_it_was_sent() -> None:
    box = outbox(limit=1)
    add(box, [(0, b"1")], 1, BinlogOffset("b.1", 10))
    waiting = threading.Thread(
        target=add_when_there_is_space, args=(box, [(0, b"2")], 2, BinlogOffset("b.1", 20))
    )
    waiting.start()
    add(box, [], 1, BinlogOffset("b.1", 15))
    assert reached(box) == (BinlogOffset("b.1", 4), BinlogOffset("b.1", 15)), "positions are never held up"
    waiting.join(0.05)
    assert waiting.is_alive()
    box.settle(Sent(box.take(), ()))
    waiting.join()
    assert not waiting.is_alive()
    assert reached(box) == (BinlogOffset("b.1", 15), BinlogOffset("b.1", 20))


def test_a_waiting_sender_wakes_up_for_new_changes_and_at_the_close() -> None:
    box, got = outbox(), []

    def send() -> None:
        while box.wait_due():
            parcels = box.take()
            got.extend(parcels)
            box.settle(Sent(parcels, ()))

    sender = threading.Thread(target=send)
    sender.start()
    for number in range(3):
        add(box, [(number, b"1")], number, BinlogOffset("b.1", 10 + number))
        assert box.wait_empty(600)
    box.close()
    sender.join()
    assert not sender.is_alive()
    assert len(got) == 3


def test_shut_it_takes_nothing_and_forgets_nothing() -> None:
    box = outbox(limit=1)
    add(box, [(0, b"1")], 1, BinlogOffset("b.1", 10))
    assert not add(box, [(0, b"2")], 2, BinlogOffset("b.1", 20)), "it is full"
    waiting = threading.Thread(target=box.wait_space)
    waiting.start()
    box.shut()
    waiting.join()
    assert add(box, [(0, b"2")], 2, BinlogOffset("b.1", 20)), "dropped: the next capturer reads it again"
    assert not box.wait_empty(0)
    box.settle(Sent(box.take(), ()))
    assert box.wait_empty(0)
    assert reached(box)[0] == BinlogOffset("b.1", 10)


def test_what_is_prepared_goes_with_the_boundary_that_it_was_read_at() -> None:
    box = Outbox(Lanes(1, random=lambda: 0), Place.of(1, BinlogOffset("b.1", 4)), lambda: 0.0)
    add(box, [(0, b"1")], 1, BinlogOffset("b.1", 10), BinlogOffset("b.1", 6))
    add(box, [], 1, BinlogOffset("b.1", 12), BinlogOffset("b.1", 6))
    assert box.reached().reached.restart == BinlogOffset("b.1", 4)
    add(box, [(0, b"2")], 2, BinlogOffset("b.1", 20), BinlogOffset("b.1", 20))
    box.shut()
    box.settle(Sent(box.take(), ()))
    assert tuple(at.offset for at in box.reached().reached[1:3]) == (20, 20)
