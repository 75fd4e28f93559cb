from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apply_changes.store import DynamoStore, WriteOutcome
from rowferry.items.effects import Effect, ItemKey, KeyValue
from rowferry.items.folding import FoldStep, newer, writes
from rowferry.items.requests import bury, members_of, request
from rowferry.mapping import EXPIRES, POSITION
from rowferry.position import Position
from tests.support.dynamo import Dynamo, check_arguments

KEY = ItemKey("purchase", (KeyValue("customerid", "S", "c"), KeyValue("orderid", "S", "o")))


def position(number: int) -> str:
    return str(Position(1, 4, number, 1))


def step(at: int | None, members: dict[str, Any] | None, sender: int = 1, *, whole: bool = False) -> FoldStep:
    values = None if members is None else {n: v if v is None else {"N": str(v)} for n, v in members.items()}
    return FoldStep(Effect(KEY, values, whole), position(at) if at is not None else None, sender)


NAMES = st.sampled_from(["p1", "p2", "p3", "9", "set", "a.b", "#0", ":p"])
MEMBERS = st.dictionaries(NAMES, st.none() | st.integers(0, 99), min_size=1, max_size=3)
STEPS = st.lists(st.builds(step, st.integers(1, 6), MEMBERS, st.integers(1, 3)), max_size=12)
BY_HAND = st.lists(st.builds(step, st.none() | st.integers(1, 6), MEMBERS, st.integers(1, 2)), max_size=9)
WHOLE = st.builds(
    lambda at, members, sender: step(at, members, sender, whole=True),
    st.integers(1, 6),
    MEMBERS | st.none(),
    st.integers(1, 2),
)


def store() -> tuple[DynamoStore, Dynamo]:
    dynamo = Dynamo(purchase=("customerid", "orderid"))
    return DynamoStore(dynamo, lambda: 1000.0, 500), dynamo


def after(folds: Iterable[Iterable[FoldStep]]) -> Any:
    """The item after these steps, each part folded by itself."""
    writing, dynamo = store()
    for part in folds:
        for write in writes(part):
            writing.write(write)
    return dynamo.items["purchase"]


@given(STEPS, STEPS)
def test_folding_does_what_each_change_alone_does(earlier: list[FoldStep], steps: list[FoldStep]) -> None:
    alone = [[each] for each in earlier]
    assert after([*alone, steps]) == after([*alone, *([each] for each in steps)])


@given(BY_HAND)
def test_events_by_hand_among_others_change_nothing_about_that(steps: list[FoldStep]) -> None:
    assert after([steps]) == after([each] for each in steps)


@given(st.lists(WHOLE, max_size=8), st.lists(WHOLE, max_size=8))
def test_whole_items_are_folded_to_the_same_item(earlier: list[FoldStep], steps: list[FoldStep]) -> None:
    alone = [[each] for each in earlier]
    assert after([*alone, steps]) == after([*alone, *([each] for each in steps)])


@given(STEPS)
def test_a_repeat_of_everything_changes_nothing(steps: list[FoldStep]) -> None:
    rising = sorted({each.position: each for each in steps}.values(), key=lambda each: each.position or "")
    assert after([rising, rising]) == after([rising])


@given(STEPS)
def test_every_step_is_in_one_write_in_its_order(steps: list[FoldStep]) -> None:
    assert [each for write in writes(steps) for each in write.steps] == steps


@given(BY_HAND)
def test_only_a_senders_rising_changes_share_a_write(steps: list[FoldStep]) -> None:
    for write in writes(steps):
        for one, other in pairwise(write.steps):
            assert one.position and other.position and one.position < other.position
            assert one.sender == other.sender
        assert write.position == write.steps[-1].position


@pytest.mark.parametrize("count", [1, 399, 400, 401, 800, 3000])
@pytest.mark.parametrize("value", [1, None])
def test_any_number_of_members_fits_into_expressions(count: int, value: int | None) -> None:
    planned = list(writes(step(n + 1, {f"{n}": value}) for n in range(count)))
    assert len(planned) == -(-count // 400)
    for write in planned:
        method, arguments = request(write, 1)
        assert method == "update_item"
        check_arguments(arguments)
    (item,) = after([[step(n + 1, {f"{n}": value}) for n in range(count)]]).values()
    assert len(members_of(item, KEY)) == (count if value else 0)


def test_members_of_both_kinds_and_renames_fit_too() -> None:
    planned = list(writes(step(n + 1, {f"old{n}": None, f"new{n}": n}) for n in range(1000)))
    for write in planned:
        check_arguments(request(write, 1)[1])
        assert len(write.members or {}) <= 400


@given(BY_HAND)
def test_requests_are_such_as_dynamodb_takes(steps: list[FoldStep]) -> None:
    for write in writes(steps):
        check_arguments(request(write, 1)[1])


def test_a_tombstone_expires_and_its_revival_does_not() -> None:
    writing, dynamo = store()
    for each in (step(1, {"p1": 1}), step(2, {"p1": None})):
        (write,) = writes([each])
        writing.write(write)
    (item,) = dynamo.items["purchase"].values()
    assert item[EXPIRES] == {"N": "1500"} and item[POSITION] == {"S": position(2)}
    (write,) = writes([step(3, {"p2": 1})])
    assert writing.write(write) == (WriteOutcome.APPLIED, 1)
    (item,) = dynamo.items["purchase"].values()
    assert EXPIRES not in item


def test_nothing_is_buried_that_has_changed_since() -> None:
    writing, dynamo = store()
    (gone,) = writes([step(2, {"p1": None})])
    left = {**KEY.attributes(), POSITION: {"S": position(2)}}
    for newer_step in writes([step(3, {"p1": 5})]):
        writing.write(newer_step)
    with pytest.raises(Exception, match="ConditionalCheckFailed"):
        dynamo.update_item(**bury(gone, left, 1))


def test_what_an_item_already_holds_is_left_out_of_a_write() -> None:
    (write,) = writes([step(1, {"p1": 1}), step(2, {"p2": 2}), step(3, {"p3": 3})])
    rest = newer(write, {POSITION: {"S": position(2)}})
    assert rest is not None and rest.members == {"p3": {"N": "3"}} and len(rest.steps) == 1
    assert newer(write, {POSITION: {"S": position(3)}}) is None


def test_a_late_repeat_in_front_of_a_new_change_brings_nothing_back() -> None:
    before = [[step(1, {"p1": 1})], [step(2, {"p1": None})]]
    (item,) = after([*before, [step(1, {"p1": 1}), step(3, {"p2": 2})]]).values()
    assert members_of(item, KEY) == {"p2": {"N": "2"}}


def test_a_whole_item_by_hand_keeps_its_position() -> None:
    held = after(
        [[step(5, {"a": 1}, whole=True)], [step(None, {"b": 2}, whole=True)], [step(4, {"c": 3}, whole=True)]]
    )
    (item,) = held.values()
    assert members_of(item, KEY) == {"b": {"N": "2"}} and item[POSITION] == {"S": position(5)}
