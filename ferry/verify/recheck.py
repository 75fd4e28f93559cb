"""
Separates differences from changes on their way, while the application writes.

One reading of an item: its rows, then a marker through every lane for a position at or after that, then the
item, then its rows again. Rows that differ between the two were written meanwhile: read again. Equal rows and
another item are not yet a difference: the rows may have changed and changed back, and the item shows the
state in between. But the marker of the next reading is after all of that, so by then the item would have a
higher position. Two consecutive readings with the same rows, the same item and the same position are a
difference.

No I/O here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ferry.verify.diff import Difference, compare
from ferry.verify.point_reads import ItemMembers, Key, Members

AT_ONCE = 2_000  # items that are read together, so that memory is bounded
MOST_READINGS = 40
"""Then an item is unsettled: it is written too often to be judged (docs/verify.md)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One reading: the rows before and after the items, by key. Each has all requested keys."""

    before: Mapping[Key, Members]
    items: Mapping[Key, ItemMembers]
    after: Mapping[Key, Members]

    def equal(self, key: Key) -> bool:
        """Whether the item equals its rows, which did not change meanwhile."""
        return self.before[key] == self.items[key].members == self.after[key]


@dataclass(slots=True)
class Recheck:
    """
    Takes items that seemed to differ, and returns those that do. `reading` reads some items; `rest` is called
    before items are read again, with the number of readings so far, and may wait. `unsettled` are items that
    changed at every one of MOST_READINGS readings.
    """

    reading: Callable[[Sequence[Key]], Observation]
    rest: Callable[[int], None]
    unsettled: list[Key] = field(default_factory=list)

    def differences(self, suspects: Iterable[Key]) -> Iterator[list[Difference]]:
        """Yields the differences of each item that differs."""
        held: dict[Key, _Seen] = {}
        for key in suspects:
            held[key] = _Seen()
            if len(held) >= AT_ONCE:
                yield from self._judged(held)
        while held:
            yield from self._judged(held)

    def _judged(self, held: "dict[Key, _Seen]") -> Iterator[list[Difference]]:
        """Reads all held items once, and removes those with a result."""
        if readings := max(seen.readings for seen in held.values()):
            self.rest(readings)
        found = self.reading(list(held))
        for key, seen in list(held.items()):
            differing = seen.judge(found.before[key], found.items[key], found.after[key])
            if differing is None and seen.readings < MOST_READINGS:
                continue
            del held[key]
            if differing is None:
                self.unsettled.append(key)
            elif differing:
                yield differing


@dataclass(slots=True)
class _Seen:
    """The readings of an item so far. `last`: unchanged rows and another item, in the last reading."""

    readings: int = 0
    last: tuple[Members, ItemMembers] | None = None

    def judge(self, before: Members, item: ItemMembers, after: Members) -> list[Difference] | None:
        """The differences; empty where it is equal; None where it has to be read again."""
        self.readings += 1
        differing = list(compare(iter(before), iter(item.members)))
        # `item` has its `_pos`: rows that changed and changed back in between have raised it.
        if before == after and (not differing or self.last == (before, item)):
            return differing
        self.last = (before, item) if before == after else None
        return None
