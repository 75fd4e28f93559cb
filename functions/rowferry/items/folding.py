"""
Many changes of one item folded into few conditional writes.

Only a RUN is folded: changes of one sender with rising positions. A repeat, or another sender, starts a new
run with a conditional write of its own; folding across runs would let a stale capturer's old value win.

A folded update is conditional on the item being older than its FIRST change, so that it does what each change
alone would do. If the item is newer, the changes that it already holds are removed from the fold first. The
trap: a record that arrives a second time, late, begins a run in which the changes between it and the next one
are missing; folded without this care it would restore a member that one of them deleted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rowferry.items.effects import Effect, ItemKey
from rowferry.items.members import Members
from rowferry.mapping.table import POSITION, MapEntry, Target
from rowferry.values import Attribute

MAX_MEMBERS, MAX_ENTRIES = 400, 280
"""
Most members in one update, without and with members in a map: an expression may have 4,096 bytes of text
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html).
A member takes 10 at most ("#18f=:18f,"), 14 in a map ("#m0.#18f=:18f,"), the rest of the expression under 60.
"""


@dataclass(frozen=True, slots=True)
class FoldStep:
    """
    One effect and its origin.

    `position` is Position's text, None for an event replayed by hand; `sender` is the capturer's fencing
    token; `origin` is the index of the stream record in its batch.
    """

    effect: Effect
    position: str | None
    sender: int
    origin: int = 0


@dataclass(frozen=True, slots=True)
class Write:
    """
    One write of one item, which folds `steps`; `members` and `whole` as in Effect.

    It is conditional on the item being older than all its steps, or with `whole` than the last one. Without a
    position it is unconditional: a replay by hand.
    """

    key: ItemKey
    members: Members | None
    whole: bool
    position: str | None
    steps: Sequence[FoldStep]

    @property
    def target(self) -> Target:
        return self.steps[-1].effect.target

    @property
    def may_empty(self) -> bool:
        """It only removes members, so that the item may have none left and become a tombstone."""
        return not self.whole and all(value is None for value in (self.members or {}).values())

    @property
    def may_leave_empty(self) -> bool:
        """It may leave the item, or one of its maps, without members."""
        return self.may_empty or any(
            value is None and isinstance(place, MapEntry) for place, value in (self.members or {}).items()
        )

    @property
    def merge(self) -> bool:
        """
        The item has to be read first: for a string set, or if the change is too large for an expression.
        """
        return not self.whole and (self.target.merge or not fits(self.members or {}))

    @property
    def maps(self) -> frozenset[str]:
        """The map attributes that it writes to."""
        return frozenset(place.attribute for place in self.members or {} if isinstance(place, MapEntry))


def fits(members: Members) -> bool:
    """Whether one update expression can hold the members."""
    if len(members) <= MAX_ENTRIES:
        return True
    return len(members) <= MAX_MEMBERS and not any(isinstance(place, MapEntry) for place in members)


def writes(steps: Iterable[FoldStep]) -> Iterator[Write]:
    """
    The writes, in order, that give one item the effect of its steps, as few as the limits allow.

    All steps must be of one item, in stream order.
    """
    for run in _runs(steps):
        yield from _folded(run)


def _runs(steps: Iterable[FoldStep]) -> Iterator[list[FoldStep]]:
    run: list[FoldStep] = []
    for step in steps:
        if run and not _continues(run[-1], step):
            yield run
            run = []
        run.append(step)
    if run:
        yield run


def _continues(last: FoldStep, step: FoldStep) -> bool:
    if last.position is None or step.position is None:
        return False  # an event without a position is never folded
    return (
        last.sender == step.sender
        and last.position < step.position
        and last.effect.whole == step.effect.whole
        and last.effect.target == step.effect.target
    )


def _folded(run: list[FoldStep]) -> Iterator[Write]:
    effect = run[-1].effect
    if effect.whole:  # a row image is complete: the last one has everything
        yield write_of(run, effect.members)
        return
    part: list[FoldStep] = []
    members: Members = {}
    for step in run:
        changed = step.effect.members or {}
        # With `merge` the whole item is put: there is no expression that has to fit.
        if part and not effect.target.merge and not fits(members | changed):
            yield write_of(part, members)
            part, members = [], {}
        part.append(step)
        members.update(changed)
    yield write_of(part, members)


def newer(write: Write, held: dict[str, Attribute]) -> Write | None:
    """
    The part of a write that the item `held`, which is not older, lacks. None: it has everything already.
    """
    if write.position is None or write.whole:
        return None
    # `held` is empty where the request did not ask for the item: then the one change is a repeat
    # (update_item).
    position = held[POSITION]["S"] if POSITION in held else write.steps[0].position
    steps = [step for step in write.steps if step.position and position and step.position > position]
    members: Members = {}
    for step in steps:
        members.update(step.effect.members or {})
    return write_of(steps, members) if steps else None


def write_of(steps: Sequence[FoldStep], members: Members | None) -> Write:
    last = steps[-1]
    return Write(last.effect.key, members, last.effect.whole, last.position, steps)
