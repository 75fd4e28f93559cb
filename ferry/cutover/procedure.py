"""One run of a cutover: from the fence to the application's move, or back to MySQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from bulkload.connection import connect
from ferry.context import Context
from ferry.cutover import fences, guard
from ferry.cutover.fences import Fence
from ferry.cutover.journal import Journal
from ferry.cutover.phases import LIFTABLE, Phase, advice
from ferry.cutover.preconditions import CutoverLimits, require_still
from ferry.cutover.signals import TimedOut, deferred, interruptible
from ferry.markers import Draining, begin, source_end
from ferry.verify.tail import Tail
from rowferry.errors import Refused, RowferryError
from rowferry.mysql.address import Address
from rowferry.position import Position

LOOK = 0.02  # seconds between two checks whether the lanes have applied the marker
GRACE = 5.0  # seconds beyond --pause-limit until the guard considers a silent run dead


class FenceStays(RowferryError):
    """After the point of no return, or where the fence cannot be lifted: only the operator can continue."""


@dataclass(slots=True)
class Cutover:
    """
    One run. `point` moves the application (the hook), and raises when that fails. `fenced` is the hook after
    the fence.

    `seconds` is filled during the run: the time of each part of the pause.
    """

    context: Context
    admin: Address
    journal: Journal
    fence: Fence
    limits: CutoverLimits
    point: Callable[[dict[str, object]], None]
    report: Callable[[str], None]
    fenced: Callable[[dict[str, object]], None] = lambda _: None
    seconds: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0
    _planned: dict[str, Any] = field(default_factory=dict)

    def run(self, tail: Tail) -> None:
        """
        Fences, verifies, moves the application; `tail` verifies the items that changed since the last verify.

        Returns when the application has moved. Any error but FenceStays means that the fence is lifted, and
        MySQL takes writes as before.
        """
        with connect(self.admin) as connection:
            self.fence.facts |= fences.session_of(connection)
            self._begin()
            watching = self._guarded()
            # Around all that a signal must not interrupt: the record of the point of no return, the hook,
            # and the lifting of the fence.
            with deferred():
                try:
                    with interruptible(self.limits.pause):
                        end = self._fenced(connection, tail)
                        # Before the record: from now on the guard does not lift without asking the control
                        # table.
                        watching.point()
                    self.journal.move(Phase.POINTING, pause_ms=self._pause_ms())
                # Also Interrupted, which is not an Exception.
                except BaseException as error:
                    self._back(error)
                    raise
                finally:
                    # Only now: until the fence is lifted the guard has to be there.
                    watching.end()
                self._move(end)

    def _begin(self) -> None:
        now = self.journal.now_ms()
        # Later than the guard's limit: it has the first try, before another run may lift the fence.
        until = now + int(1000 * (self.limits.pause + 2 * GRACE))
        self.journal.state.require(Phase.FENCING)
        self._planned = {"fence": self.fence.facts, "since": now, "until": until, "end": "", "pause_ms": 0}

    def _fenced(self, connection: Any, tail: Tail) -> Position:
        """Fences, and verifies that all changes before the fence have arrived; returns the source's end."""
        self._began = time.monotonic()
        # Before the statement: whoever finds this run dead knows that there may be a fence, and which.
        self.journal.move(Phase.FENCING, **self._planned)
        with self._timed("fence"):
            self.fence.up(connection)
        self.report(f"fenced: {self.fence.facts['kind']}")
        require_still(connection, self.fence.facts["kind"])
        draining = begin(self.context.control, connection)  # the marker travels while the rows are read
        end = draining.end
        self.journal.move(Phase.FENCED, end=str(end))
        self.fenced({"stack": self.context.stack.name, "position": end})
        with self._timed("verify"):
            self._verify(tail, draining)
        self.seconds["verify"] = round(self.seconds["verify"] - self.seconds["drain"], 3)
        # The second look. That nothing has changed until here is what shows that the fence holds all writers.
        second = source_end(self.context.control, connection)
        if second.epoch != end.epoch:
            raise Refused(
                "the source failed over under the fence", "run `ferry verify`, then the cutover again"
            )
        if second != end:
            raise Refused(
                "MySQL still takes writes: its binlog has grown after the fence", "fence all writers"
            )
        require_still(connection, self.fence.facts["kind"])
        return end

    def _verify(self, tail: Tail, draining: Draining) -> None:
        found = tail.behind_fence(lambda: self._drained(draining))
        if count := found.left + found.unsettled:
            raise Refused(
                f"{count} differences in what changed since the last verify", "run `ferry verify --repair`"
            )
        self.report(f"verified: {found.read.items:,} items that changed since are equal")

    def _drained(self, draining: Draining) -> None:
        # Called for each batch of items: under the fence nothing comes after the first marker.
        if "drain" in self.seconds:
            return
        with self._timed("drain"):
            drained = draining.wait(self.limits.pause, lambda _: None, sleep=lambda _: time.sleep(LOOK))
        if not drained.complete:
            raise TimedOut("the lanes have not applied everything", "see `ferry status`, try again later")
        self.report(
            f"drained: everything before {drained.position} is applied or in the quarantine,"
            f" in all {drained.lanes} lanes"
        )

    def _move(self, end: Position) -> None:
        """Runs the operator's hook. Whatever happens now, the fence stays."""
        facts: dict[str, object] = {
            "position": end,
            "target_tables": ",".join(sorted({t.target for t in self.context.mapping.tables})),
        }
        with self._timed("hook"):
            try:
                self.point(facts)
            except (RowferryError, OSError, EOFError) as error:
                raise FenceStays(str(error), advice(Phase.POINTING)) from error
        pause = self._pause_ms()
        self.seconds["pause"] = pause / 1000
        self._recorded_done(pause)

    def _recorded_done(self, pause: int) -> None:
        try:
            self.journal.move(Phase.DONE, pause_ms=pause)
        except (ClientError, BotoCoreError, Refused) as error:
            raise FenceStays(
                f"the application is on DynamoDB, but that could not be recorded ({error})",
                "`ferry cutover --continue --pointed` records it",
            ) from error

    # Back

    def _back(self, error: BaseException) -> None:
        """
        Lifts the fence, before the error is raised again; raises FenceStays where that is not allowed, or
        fails.
        """
        if not self._began:
            return  # no statement was sent
        try:
            recorded = self._taken_back()
            if self.journal.state.phase in (Phase.OPEN, Phase.LIFTED):
                self.report(f"the fence was lifted by {self.journal.state.who}")
                return
            self._lift(error, recorded=recorded)
        except (RowferryError, OSError, pymysql.err.Error, ClientError, BotoCoreError) as failure:
            raise FenceStays(
                f"the fence could not be lifted ({failure}), after: {error}",
                "`ferry cutover --lift` lifts it; or it is another run's: see `ferry audit`",
            ) from error

    def _taken_back(self) -> bool:
        """
        Records that the fence is being lifted; returns whether that could be written.

        False where the control table does not answer: the hook has not begun, so the fence may be lifted.
        """
        try:
            try:
                self.journal.move(Phase.LIFTING)
            except Refused:
                # an answer was lost: the point of no return of this run is recorded, but its hook did not run
                if self.journal.state.phase in (Phase.OPEN, Phase.LIFTED):
                    return True
                if self.journal.state.id != self.journal.id and self.journal.state.phase not in LIFTABLE:
                    raise
                self.journal.move(Phase.LIFTING)
        except (ClientError, BotoCoreError):
            return False
        return True

    def _lift(self, error: BaseException, *, recorded: bool) -> None:
        with connect(self.admin) as connection:
            fences.lift(self.fence.facts, connection)
        self.seconds["pause"] = time.monotonic() - self._began
        why = str(error) or type(error).__name__
        self.report(f"the fence is lifted after {self.seconds['pause']:.2f} s, MySQL takes writes: {why}")
        with suppress(ClientError, BotoCoreError, Refused):
            if not recorded:
                self.journal.move(Phase.LIFTING)
            self.journal.move(Phase.LIFTED, pause_ms=self._pause_ms())

    def _guarded(self) -> guard.Guard:
        state = self.journal.planned(Phase.FENCING, **self._planned)
        seconds = self.limits.pause + GRACE
        facts = guard.facts(self.admin, self.context.control, self.context.region, state, seconds)
        return guard.Guard.start(facts)

    # Small

    def _pause_ms(self) -> int:
        return round(1000 * (time.monotonic() - self._began))

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 3)
