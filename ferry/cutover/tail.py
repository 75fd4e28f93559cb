"""Verify of what changed since the last verify: in rounds before the fence, and of the rest behind it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ferry import changed
from ferry.live import Live
from ferry.places import read_pairs
from ferry.settings import Setting
from rowferry.control import CHECKPOINT
from rowferry.errors import Refused
from rowferry.position import Position

ENOUGH = 0.5  # seconds that a round may take: the tail behind the fence is shorter still
MOST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Compared:
    """Of how many items how many members differ, and the source position up to which was looked."""

    items: int
    differing: int
    position: Position


class VerifyChanged(Protocol):
    """Compares the items of all rows that the source's binlog changed from `since` to its present end."""

    def __call__(self, setting: Setting, since: Position, *, moving: bool) -> Compared:
        """`moving`: the application writes, and changes are on their way."""
        ...


def verify_changed(setting: Setting, since: Position, *, moving: bool) -> Compared:
    """The real one."""
    live, pairs = Live(setting), read_pairs(setting.mapping_file)
    checkpoint, end = setting.control.get(CHECKPOINT), live.end()
    start = changed.boundary(since, checkpoint["file"])
    keys = changed.changed_items(setting.source, setting.mapping, checkpoint["epoch"], start)
    found = changed.compare(live, pairs, keys, lambda *_: None, moving=moving)
    return Compared(found.read.items, found.left + found.unsettled, end)


def rounds(verify: VerifyChanged, setting: Setting, since: Position, tell: Callable[[str], None]) -> Position:
    """
    Compares what has changed, again and again, until little is left for the time behind the fence.

    Returns up to where; Refused when something differs.
    """
    for number in range(1, MOST_ROUNDS + 1):
        began = time.monotonic()
        found = verify(setting, since, moving=True)
        if found.differing:
            raise Refused(
                f"{found.differing} differences in what changed since the last verify",
                "run `ferry verify --repair`; nothing was fenced",
            )
        since = found.position
        tell(f"verified what changed, round {number}: {found.items:,} items, up to {since}")
        if time.monotonic() - began < ENOUGH:
            break
    return since
