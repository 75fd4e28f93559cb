from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from apply_changes.applier import Applier, ApplyResult
from apply_changes.store import DynamoStore, WriteOutcome
from rowferry.change import Kind, Marker, RowChange, encode_change, encode_marker, encode_record
from rowferry.errors import OversizedItem, Unapplied, UnusableChange
from rowferry.items.folding import Write
from rowferry.items.requests import members_of
from rowferry.mapping import Mapping
from rowferry.position import Position
from tests.support.dynamo import Dynamo
from tests.support.mappings import PURCHASE_FILE

MAPPING = Mapping.load(PURCHASE_FILE)


def insert(at: int, order: str = "o1", product: str = "p1", quantity: Any = 1) -> bytes:
    row = {"customerid": "c", "orderid": order, "productid": product, "quantity": quantity}
    position = str(Position(1, 1, at, 1))
    change = RowChange("test", "purchase", Kind.INSERT, None, row, position)
    return encode_record(3, 1, 1000 + at, [encode_change(change)])


class Writes:
    """A store that notes what is written and says what it is told to, by order and position's offset."""

    def __init__(self, **says: Exception | WriteOutcome) -> None:
        self.done: list[tuple[str, list[int]]] = []
        self.says = says

    def write(self, write: Write) -> tuple[WriteOutcome, int]:
        order = str(write.key.values[1].value)
        said = self.says.get(f"{order}_{len(write.steps)}", self.says.get(order, WriteOutcome.APPLIED))
        if isinstance(said, Exception):
            raise said
        self.done.append((order, [Position.parse(step.position or "").offset for step in write.steps]))
        return said, 1


class Quarantined:
    def __init__(self, *, away: bool = False) -> None:
        self.kept: list[tuple[str, RowChange | None, bytes]] = []
        self.origins: list[int] = []
        self.away = away

    def add(self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int) -> None:
        if self.away:
            raise Unapplied("queue away", "wait")
        self.kept.append((type(error).__name__, change, data))
        self.origins.append(origin)


def apply(
    batch: list[bytes],
    store: Any,
    quarantine: Any = None,
    in_time: Callable[[], bool] = lambda: True,
    floors: dict[str, str] | None = None,
) -> ApplyResult:
    result = Applier(MAPPING, store, quarantine or Quarantined(), map, in_time).apply(batch, floors or {})
    assert result.received == result.applied + result.repeats + result.quarantined + result.unapplied
    return result


AWAY = Unapplied("throttled", "wait")
LARGE = OversizedItem("too large", "split")


def test_an_items_changes_are_one_write_and_each_item_has_its_own() -> None:
    store = Writes()
    result = apply([insert(1), insert(2, "o2"), insert(3, product="p2")], store)
    assert sorted(store.done) == [("o1", [1, 3]), ("o2", [2])]
    assert (result.applied, result.requests, result.failed) == (3, 2, None)
    assert result.committed == {1001: 1, 1002: 1, 1003: 1}


def test_an_empty_batch_is_done() -> None:
    assert apply([], Writes()) == ApplyResult()


def test_the_first_record_that_is_not_applied_is_named() -> None:
    batch = [insert(1), insert(2, "o2"), insert(3, "o3"), insert(4, "o2")]
    result = apply(batch, Writes(o2=AWAY, o3=AWAY))
    assert (result.failed, result.applied, result.unapplied) == (1, 1, 3)
    assert result.errors == {"throttled": 2}


def test_repeats_count_as_done() -> None:
    result = apply([insert(1), insert(2, "o2")], Writes(o1=WriteOutcome.REPEAT))
    assert (result.applied, result.repeats, result.failed) == (1, 1, None)


def test_what_the_load_shows_is_a_repeat_without_a_request() -> None:
    store, floor = Writes(), {"test.purchase": str(Position(1, 1, 2))}
    result = apply([insert(1), insert(2, "o2")], store, floors=floor)
    assert store.done == [("o2", [2])]
    assert (result.applied, result.repeats, result.requests, result.failed) == (1, 1, 1, None)
    assert result.committed == {1001: 1, 1002: 1}
    assert apply([insert(1)], Writes(), floors={"test.other": str(Position(9, 9, 9))}).applied == 1
    assert apply([insert(10**9)], Writes(), floors={"test.purchase": str(Position(2, 0, 0))}).repeats == 1


def test_an_event_by_hand_is_above_every_floor() -> None:
    row = {"customerid": "c", "orderid": "o1", "productid": "p1", "quantity": 1}
    record = encode_record(3, 0, 1, [encode_change(RowChange("test", "purchase", Kind.INSERT, None, row))])
    dynamo = Dynamo(purchase=("customerid", "orderid"))
    store = DynamoStore(dynamo, lambda: 0.0, 1)
    assert apply([record], store, floors={"test.purchase": str(Position(9, 9, 9))}).applied == 1


def test_what_is_unusable_in_a_fold_is_quarantined_alone() -> None:
    dynamo, quarantine = Dynamo(purchase=("customerid", "orderid")), Quarantined()
    sizes = [("p", "small"), ("a", "x" * 150_000), ("b", "y" * 150_000), ("c", "z" * 150_000), ("q", "last")]
    batch = [insert(n, product=name, quantity=value) for n, (name, value) in enumerate(sizes, 1)]
    result = apply(batch, DynamoStore(dynamo, lambda: 0.0, 1), quarantine)
    assert (result.applied, result.quarantined, result.failed) == (4, 1, None)
    (item,) = dynamo.items["purchase"].values()
    assert item.keys() - {"_pos"} == {"customerid", "orderid", "p", "a", "b", "q"}
    assert [kept[1] and kept[1].image["productid"] for kept in quarantine.kept] == ["c"]
    assert quarantine.origins == [3]


def test_an_item_waits_while_its_unusable_change_cannot_be_quarantined() -> None:
    """Else the later change would make the redelivered one a repeat, and nobody would hear of it."""
    store = Writes(o1_1=LARGE)
    result = apply([insert(1, "o2"), insert(2), insert(3, "o3")], store, Quarantined(away=True))
    assert sorted(store.done) == [("o2", [1]), ("o3", [3])]
    assert (result.failed, result.applied, result.unapplied) == (1, 2, 1)


def test_a_later_failure_of_the_item_does_not_hide_the_first() -> None:
    class Moody(Writes):
        def write(self, write: Write) -> tuple[WriteOutcome, int]:
            if len(write.steps) > 1 or write.steps[0].origin == 0:
                raise LARGE
            raise AWAY

    result = apply([insert(1), insert(2)], Moody(), Quarantined(away=True))
    assert (result.failed, result.unapplied) == (0, 2)


@pytest.mark.parametrize("away", [False, True])
def test_a_record_that_cannot_be_read_is_quarantined_with_its_bytes(away: bool) -> None:
    quarantine = Quarantined(away=away)
    result = apply([insert(1), b"nonsense", insert(2, "o2")], Writes(), quarantine)
    assert result.applied == 2 and result.failed == (1 if away else None)
    assert quarantine.kept == ([] if away else [("MalformedRecord", None, b"nonsense")])
    assert quarantine.origins == ([] if away else [1])


def test_without_time_nothing_more_is_begun() -> None:
    store, answers = Writes(), iter([True, False, False])
    result = apply([insert(1), insert(2, "o2"), insert(3, "o3")], store, in_time=lambda: next(answers))
    assert (store.done, result.failed, result.unapplied) == ([("o1", [1])], 1, 2)
    assert result.errors == {"OutOfTime": 2}


def marker(lane: int) -> bytes:
    return encode_marker(lane, 1, 5, Marker("m", "binlog.000001:4"))


@pytest.mark.parametrize(("away", "lanes"), [((), {7, 8}), (("o1",), set()), (("o2",), {7})])
def test_a_marker_counts_once_everything_before_it_is_applied(away: tuple[str, ...], lanes: set[int]) -> None:
    result = apply([insert(1), marker(7), insert(2, "o2"), marker(8)], Writes(**dict.fromkeys(away, AWAY)))
    assert result.markers.get(Marker("m", "binlog.000001:4"), set()) == lanes


def test_a_marker_behind_quarantined_changes_counts() -> None:
    assert apply([b"nonsense", insert(1, order=""), marker(7)], Writes()).markers


def test_items_are_written_in_parallel_with_the_same_outcome() -> None:
    batch = [insert(n, f"o{n % 40}", f"p{n}") for n in range(1, 800)]
    alone, together = (Dynamo(purchase=("customerid", "orderid")) for _ in range(2))
    expected = apply(batch, DynamoStore(alone, lambda: 0.0, 1))
    with ThreadPoolExecutor(8) as pool:
        store = DynamoStore(together, lambda: 0.0, 1)
        result = Applier(MAPPING, store, Quarantined(), pool.map, lambda: True).apply(batch)
    assert result == expected and together.items == alone.items
    assert all(len(members_of(item, KEY)) >= 19 for item in alone.items["purchase"].values())


KEY: Any = type("Key", (), {"values": ()})


def test_an_error_of_ours_is_not_swallowed() -> None:
    with pytest.raises(RuntimeError):
        apply([insert(1)], Writes(o1=RuntimeError("bug")))
