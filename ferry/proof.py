"""What a cutover has to know of source and target, before and behind the fence."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from capturer.events import Boundary
from ferry import changed
from ferry.drain import drain, source_end
from ferry.live import Live
from ferry.places import Pair, read_pairs
from ferry.settings import Setting
from ferry.status import queued
from ferry.summary import Summary
from ferry.switch import require_load
from rowferry.control import APPLIED, CHECKPOINT, VERIFIED
from rowferry.errors import Refused, RowferryError
from rowferry.position import Position

QUIET = 0.05
"""Seconds between two looks at the end of the binlog: a commit that the fence let through ends within."""
PAUSE = 0.05  # seconds between two looks at the lanes: the application waits
FEW, MOST_ROUNDS = 100, 3
"""Items that are left to be compared behind the fence; rounds before it to come to so few."""


@dataclass(slots=True)
class Evidence:
    """
    The Proof of the real parts. `fresh`: seconds for which a verify counts; `lag`: seconds that a marker may
    take through the lanes.
    """

    setting: Setting
    tell: Callable[[str], None]
    fresh: float
    lag: float
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    _live: Live = field(init=False)
    _pairs: list[Pair] = field(init=False)
    _since: Position | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._live = Live(self.setting)
        self._pairs = read_pairs(self.setting.mapping_file)

    def conditions(self) -> list[str]:
        """What speaks against a cutover now."""
        return [text for check in (self._ready, self._verified, self._set_aside) if (text := check())]

    def _ready(self) -> str | None:
        if not self.setting.stack.switch_is_on:
            return "the switch is OFF: run `ferry switch on`"
        try:
            require_load(self.setting.control, [table.source for table in self.setting.mapping.tables])
        except RowferryError as error:
            return str(error)
        return None

    def _verified(self) -> str | None:
        found = self.setting.control.get(VERIFIED)
        if not found:
            return "nothing was verified yet: run `ferry verify`"
        if found["left"] or found["unsettled"]:
            return "the last verify found differences: run `ferry verify --repair`, then `ferry verify`"
        if found["position"][:4] != f"{self.setting.control.get(CHECKPOINT).get('epoch', 0):04x}":
            return "capture began anew since the last verify: run `ferry verify`"
        age = self.now() - found["at"] / 1000
        return (
            f"the last verify is {age / 60:.0f} minutes old: run `ferry verify`" if age > self.fresh else None
        )

    def _set_aside(self) -> str | None:
        count = self.setting.control.get(APPLIED).get("quarantined", 0)
        url = self.setting.stack.output("QuarantineUrl")
        waiting = queued(self.setting.client("sqs"), url)
        if not waiting:
            return None
        return f"{waiting} changes are in quarantine ({count} were set aside): run `ferry quarantine retry`"

    def recent(self) -> None:
        """Compares what changed since the last verify. Refused on a difference, and when lanes are late."""
        self.drained(self.lag)
        for _ in range(MOST_ROUNDS):
            began, since = self.now(), self._live.end()
            summary = self._compare(moving=True)
            self._refuse(summary)
            self.tell(f"{summary.items:,} items changed since, all equal; {self.now() - began:.1f} s")
            self._since = since
            if summary.items <= FEW:
                return

    def still(self) -> None:
        """Refused when the source's binlog grows: somebody writes over the fence."""
        with closing(self.setting.connect()) as connection:
            for _ in range(20):
                before = source_end(self.setting.control, connection)
                self.sleep(QUIET)
                if source_end(self.setting.control, connection) == before:
                    return
        raise Refused(
            "the source is still written to behind the fence",
            "see who writes (SHOW PROCESSLIST): an account with more rights than the application's",
        )

    def drained(self, seconds: float) -> str:
        """The position before which everything is applied."""
        with closing(self.setting.connect()) as connection:
            found = drain(
                self.setting.control,
                connection,
                seconds,
                lambda _: None,
                sleep=lambda _: self.sleep(PAUSE),
            )
        if not found.complete:
            raise Refused(
                f"what is in the source was not applied within {seconds:.1f} s",
                "see `ferry status` for what it waits for, then try again",
            )
        return found.position

    def tail(self) -> int:
        """Compares what changed since `recent`."""
        summary = self._compare(moving=False)
        self._refuse(summary)
        return summary.items

    def _compare(self, *, moving: bool) -> Summary:
        setting = self.setting
        checkpoint = setting.control.get(CHECKPOINT)
        since = self._since or Position.parse(setting.control.get(VERIFIED)["position"])
        start: Boundary = changed.boundary(since, checkpoint["file"])
        keys = changed.changed_items(setting.source, setting.mapping, checkpoint["epoch"], start)
        return changed.compare(self._live, self._pairs, keys, self._report, moving=moving)

    def _report(self, pair: Pair, difference: Any) -> None:
        """By kind alone: what stands on the terminal may be logged."""
        self.tell(f"{difference.kind} in {pair.target}")

    @staticmethod
    def _refuse(summary: Summary) -> None:
        if summary.left or summary.unsettled:
            raise Refused(
                f"{summary.left} members differ, {summary.unsettled} items never kept still",
                "run `ferry verify --repair`, then `ferry cutover` again",
            )
