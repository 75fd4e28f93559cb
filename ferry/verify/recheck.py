"""
Tells differences from what is on its way, while the application writes.

A look at an item: its rows, then a marker through every lane for a position at or behind that reading, then
the item, then its rows again. Rows that differ between the two readings were written meanwhile: look again.
Equal rows and another item are not yet a difference: the rows may have changed and changed back, and the item
shows the middle. But the next look's marker lies behind all of that, so by then the item would have a higher
position. Two looks in a row with the same rows, the same item and the same position are a difference.

No input or output here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ferry.verify.diff import Difference, compare
from ferry.verify.point_reads import ItemMembers, Key, Members

AT_ONCE = 2_000  # items that are looked at together, so that memory is bounded
MOST_LOOKS = 40


@dataclass(frozen=True, slots=True)
class Observation:
    """Rows before and after, and between them the items; by key, each complete."""

    before: Mapping[Key, Members]
    items: Mapping[Key, ItemMembers]
    after: Mapping[Key, Members]

    def equal(self, key: Key) -> bool:
        """The item is what its rows were all the time."""
        return self.before[key] == self.items[key].places == self.after[key]


@dataclass(slots=True)
class Recheck:
    """
    Takes items that seemed to differ, and gives those that do. `look` looks at some; `rest` is told before an
    item is looked at again how often it has been. `unsettled` are those that never kept still.
    """

    look: Callable[[Sequence[Key]], Observation]
    rest: Callable[[int], None]
    unsettled: list[Key] = field(default_factory=list)

    def differences(self, suspects: Iterable[Key]) -> Iterator[list[Difference]]:
        """Each item that differs, by what does."""
        held: dict[Key, _Seen] = {}
        for key in suspects:
            held[key] = _Seen()
            if len(held) >= AT_ONCE:
                yield from self._judged(held)
        while held:
            yield from self._judged(held)

    def _judged(self, held: "dict[Key, _Seen]") -> Iterator[list[Difference]]:
        """Looks at all that are held. Those of which something is known then are held no more."""
        if looks := max(seen.looks for seen in held.values()):
            self.rest(looks)
        found = self.look(list(held))
        for key, seen in list(held.items()):
            differing = seen.judge(found.before[key], found.items[key], found.after[key])
            if differing is None and seen.looks < MOST_LOOKS:
                continue
            del held[key]
            if differing is None:
                self.unsettled.append(key)
            elif differing:
                yield differing


@dataclass(slots=True)
class _Seen:
    """What was seen of an item. `last`: rows that were the same before and after, and another item."""

    looks: int = 0
    last: tuple[Members, ItemMembers] | None = None

    def judge(self, before: Members, item: ItemMembers, after: Members) -> list[Difference] | None:
        """The differences; none where it is equal; None where it has to be looked at again."""
        self.looks += 1
        differing = list(compare(iter(before), iter(item.places)))
        if before == after and (not differing or self.last == (before, item)):
            return differing
        self.last = (before, item) if before == after else None
        return None
