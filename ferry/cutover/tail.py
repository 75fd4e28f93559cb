"""Verify of what the source has changed since the last verify."""

import importlib
import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ferry import verify
from ferry.comparison import working_file
from ferry.places import read_pairs
from ferry.settings import Setting
from rowferry.errors import Refused
from rowferry.position import Position

_MODULE = "ferry.verifying.changed"
ENOUGH = 0.5  # seconds that a round may take: the tail behind the fence is shorter still
MOST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Compared:
    """How many members differ, and the source position up to which was looked."""

    differing: int
    position: Position


class VerifyChanged(Protocol):
    """Compares the items of all rows that the source's binlog changed from `since` to its present end."""

    under_traffic: bool
    """It may run before the fence, too."""

    def __call__(
        self, setting: Setting, since: Position, report: Callable[..., None], step: Callable[..., None]
    ) -> Compared:
        """Differences are counted, and told to `report`."""
        ...


class Changed:
    """The rows that the binlog names."""

    under_traffic = True

    def __init__(self, work: Callable[..., Any]) -> None:
        self._work = work

    def __call__(
        self, setting: Setting, since: Position, report: Callable[..., None], step: Callable[..., None]
    ) -> Compared:
        """As the protocol says."""
        found = self._work(setting, since, report, step)
        return Compared(_differing(found.fields), Position.parse(str(found.position)))


class Everything:
    """All rows, at rest: right as well, but it takes as long as the tables are large."""

    under_traffic = False

    def __call__(
        self, setting: Setting, since: Position, report: Callable[..., None], step: Callable[..., None]
    ) -> Compared:
        """As the protocol says."""
        pairs = read_pairs(setting.mapping_file)
        with working_file() as sides:
            found = verify.verify(pairs, setting.source, setting.dynamodb, sides, report, step)
        return Compared(sum(found.kinds.values()), since)


def _differing(fields: Mapping[str, Any]) -> int:
    return sum(int(fields.get(name, 0)) for name in ("missing", "extra", "different", "unsettled"))


def chosen() -> VerifyChanged:
    """What this installation has."""
    if importlib.util.find_spec("ferry.verifying") is None:
        return Everything()
    return Changed(importlib.import_module(_MODULE).verify_changed)


def rounds(
    verify_changed: VerifyChanged, setting: Setting, since: Position, tell: Callable[[str], None]
) -> Position:
    """
    Compares what has changed, again and again, until little is left for the time behind the fence.

    Returns up to where; Refused when something differs.
    """
    for number in range(1, MOST_ROUNDS + 1 if verify_changed.under_traffic else 1):
        began = time.monotonic()
        found = verify_changed(setting, since, lambda *_: None, lambda *_: None)
        if found.differing:
            raise Refused(
                f"{found.differing} differences in what changed since the last verify",
                "run `ferry verify --differences FILE`; nothing was fenced",
            )
        since = found.position
        tell(f"verified what changed, round {number}: up to {since}")
        if time.monotonic() - began < ENOUGH:
            break
    return since
