"""What is a difference and what is on its way, in all orders of what may happen between the readings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from ferry.verify import recheck
from ferry.verify.oracle.members import Member
from ferry.verify.point_reads import ItemMembers, Key, Members
from ferry.verify.recheck import MOST_READINGS, Observation, Recheck


def rows(key: str, value: int) -> Members:
    return (Member(key, "p", f"N:{value}"),)


@dataclass
class World:
    """
    Items of one row each: values at the source, and of the items with their positions. Each reading of a
    key is followed by its next step.
    """

    source: dict[Key, int]
    target: dict[Key, tuple[int, int]]
    steps: dict[Key, list[Callable[["World"], None]]] = field(default_factory=dict)
    most: int = 0

    def reading(self, keys: Sequence[Key]) -> Observation:
        self.most = max(self.most, len(keys))
        before = {key: self._row(key) for key in keys}
        items = {key: self._item(key) for key in keys}
        return Observation(before, items, {key: self._row(key) for key in keys})

    def _row(self, key: Key) -> Members:
        return self._then(key, rows(key, self.source[key]) if key in self.source else ())

    def _item(self, key: Key) -> ItemMembers:
        if key not in self.target:
            return self._then(key, ItemMembers())
        value, position = self.target[key]
        return self._then(key, ItemMembers(rows(key, value), f"{position:04d}"))

    def _then[T](self, key: Key, read: T) -> T:
        if steps := self.steps.get(key):
            steps.pop(0)(self)
        return read


def settled(world: World, *keys: Key) -> tuple[list[Key], list[Key]]:
    """The keys that differ, and those that are unsettled."""
    judge = Recheck(world.reading, lambda _: None)
    differing = [each[0].member.key for each in judge.differences(keys or list(world.source | world.target))]
    return differing, judge.unsettled


def nothing(_: World) -> None:
    pass


def test_what_has_arrived_meanwhile_is_equal() -> None:
    assert settled(World({"a": 2}, {"a": (2, 7)})) == ([], [])


@pytest.mark.parametrize(
    "world", [World({"a": 1}, {}), World({}, {"a": (1, 7)}), World({"a": 1}, {"a": (2, 7)})], ids=str
)
def test_what_stands_still_and_differs_is_a_difference(world: World) -> None:
    assert settled(world) == (["a"], [])


def test_a_row_that_is_written_between_the_readings_is_looked_at_again() -> None:
    def write(world: World) -> None:
        world.source["a"] = 2

    def arrive(world: World) -> None:
        world.target["a"] = (2, 8)

    assert settled(World({"a": 1}, {"a": (1, 7)}, {"a": [write, nothing, arrive]})) == ([], [])


def test_an_item_in_the_middle_of_a_change_and_its_way_back_is_no_difference() -> None:
    """The rows are the same before and after; the item shows what was between. The marker brings the rest."""

    def there(world: World) -> None:
        world.target["a"] = (2, 8)

    def back(world: World) -> None:
        world.target["a"] = (1, 9)

    assert settled(World({"a": 1}, {"a": (1, 7)}, {"a": [there, nothing, back]})) == ([], [])


def test_again_and_again_in_the_middle_is_unsettled_and_no_difference() -> None:
    """The item shows the same wrong value each time, but its position rises."""

    def again(world: World) -> None:
        value, position = world.target["a"]
        world.target["a"] = (value, position + 1)

    world = World({"a": 1}, {"a": (2, 7)}, {"a": [again] * 3 * MOST_READINGS})
    assert settled(world) == ([], ["a"])


def test_a_difference_beside_items_that_never_rest_is_found() -> None:
    def again(world: World) -> None:
        world.source["hot"] += 1

    world = World({"hot": 1, "a": 1}, {"hot": (1, 7), "a": (2, 7)}, {"hot": [again] * 3 * MOST_READINGS})
    assert settled(world) == (["a"], ["hot"])


def test_few_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recheck, "AT_ONCE", 10)
    keys = [f"k{n:03d}" for n in range(95)]
    world = World(
        dict.fromkeys(keys, 1), {key: (1 + (number % 5 == 0), 7) for number, key in enumerate(keys)}
    )
    assert settled(world) == (keys[::5], [])
    assert world.most == 10
