"""
What a cutover does, step by step; ferry/cutover_command.py has the command.

    checks, changed items compared      the application writes to MySQL
    fence, drain, changed items         nobody writes; whatever fails lifts the fence
    the hook point-to-dynamodb          the fence stays, whatever comes of it
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from ferry.fences import Fence
from ferry.guard import DONE, FENCED, LIFTED, MOVING, take
from ferry.phases import Hooks
from rowferry.control import CUTOVER, ControlTable
from rowferry.errors import Refused, RowferryError

BEFORE, FENCE_UP, POINT, AFTER, LIFT = (
    "before-fence",
    "fenced",
    "point-to-dynamodb",
    "after-cutover",
    "fence-lifted",
)
"""Phases, at which hooks are called."""


class Proof(Protocol):
    """What has to be known of source and target."""

    def conditions(self) -> list[str]:
        """What speaks against a cutover now, each with its fix."""

    def recent(self) -> None:
        """Compares what changed since the last verify, in motion. Refused on a difference."""

    def still(self) -> None:
        """Refused when the source's binlog grows."""

    def drained(self, seconds: float) -> str:
        """The position before which everything is applied. Refused when that takes longer."""

    def tail(self) -> int:
        """Compares what changed since `recent`; how many items. Refused on a difference."""


class Watch(Protocol):
    """Lifts the fence where this process cannot any more."""

    def dismiss(self) -> None:
        """It need not."""


@dataclass(slots=True)
class Cutover:
    """
    One attempt. `limit`: seconds for which the application may be without writes before the fence is lifted;
    `guard` starts what watches over this process.
    """

    control: ControlTable
    fence: Fence
    guard: Callable[[], Watch]
    proof: Proof
    hooks: Hooks
    limit: float
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    _raised: float = field(init=False, default=0.0)

    def run(self) -> float:
        """
        Returns for how many seconds nobody could write.

        Raises before the hook that points the application to DynamoDB: then the fence is lifted. Moved is
        raised by what fails later: the fence stays.
        """
        self.tell("comparing what changed since the last verify")
        self.proof.recent()
        self.hooks.run(BEFORE)
        try:
            watch = self._fenced()
            self._prove()
        except BaseException:
            self._lift()
            raise
        if not take(self.control, MOVING, FENCED):
            raise Refused("the fence was lifted meanwhile by another hand", "see `ferry audit`")
        watch.dismiss()
        return self._move()

    def _fenced(self) -> Watch:
        """The guard watches before the fence is up."""
        spec = self.fence.spec
        self.control.put(CUTOVER, {"state": FENCED, "fence": spec.fields(), "at": int(self.now() * 1000)})
        watch = self.guard()
        self.tell(f"fence: {spec.kind}")
        self._raised = self.clock()
        self.fence.up()
        self.hooks.run(FENCE_UP)
        return watch

    def _prove(self) -> None:
        self.proof.still()
        position = self.proof.drained(self._left())
        self.tell(f"drained: everything before {position} is applied, {self._paused():.2f} s after the fence")
        items = self.proof.tail()
        self.tell(f"verified: {items:,} items that changed since, {self._paused():.2f} s after the fence")
        self._left()

    def _left(self) -> float:
        """Seconds. Refused when there are none."""
        left = self.limit - self._paused()
        if left <= 0:
            raise Refused(
                f"the pause has reached its limit of {self.limit:g} s",
                "raise --pause-limit, or try when it is calm",
            )
        return left

    def _paused(self) -> float:
        return self.clock() - self._raised

    def _lift(self) -> None:
        """Before the application was pointed to DynamoDB. Where this fails the guard goes on trying."""
        if take(self.control, LIFTED, FENCED, by="cutover"):
            try:
                self.fence.lift()
            except BaseException:
                take(self.control, FENCED, LIFTED)  # the guard's to do, at the end of this process
                raise
            self.tell("the fence is LIFTED: the application writes to MySQL")
            with suppress(RowferryError):
                self.hooks.run(LIFT)

    def _move(self) -> float:
        """From here on the application may be writing to DynamoDB."""
        try:
            self.hooks.run(POINT)
        except BaseException as error:
            raise Moved(f"{error}" if isinstance(error, RowferryError) else type(error).__name__) from error
        seconds = self._paused()
        take(self.control, DONE, MOVING, pause_ms=int(seconds * 1000))
        with suppress(RowferryError):
            self.hooks.run(AFTER, pause_seconds=f"{seconds:.3f}")
        return seconds


class Moved(RowferryError):
    """The hook that points the application to DynamoDB failed; whether it has moved is not known."""

    def __init__(self, found: str) -> None:
        super().__init__(
            f"the hook {POINT} failed ({found}). The fence STAYS: the application may be writing to DynamoDB",
            "to go on: `ferry cutover --continue` calls the hook again. To go back: point the application to"
            " MySQL, then `ferry cutover --back` lifts the fence",
        )


def resume(control: ControlTable, hooks: Hooks, clock: Callable[[], float] = time.time) -> float:
    """Calls the last hook again; returns the seconds since the fence. Refused where none was called."""
    found = _moving(control)
    hooks.run(POINT)
    seconds = clock() - found["at"] / 1000
    take(control, DONE, MOVING, pause_ms=int(seconds * 1000))
    with suppress(RowferryError):
        hooks.run(AFTER, pause_seconds=f"{seconds:.3f}")
    return float(seconds)


def back(control: ControlTable, fence: Fence) -> None:
    """Lifts the fence after the last hook was called: the operator says that the application is on MySQL."""
    _moving(control)
    fence.lift()
    take(control, LIFTED, MOVING, by="operator")


def _moving(control: ControlTable) -> dict[str, Any]:
    found = control.get(CUTOVER)
    if found.get("state") != MOVING:
        raise Refused(
            f"no cutover was interrupted behind the fence (it is: {found.get('state', 'not begun')})",
            "see `ferry status` and `ferry audit`",
        )
    return found
