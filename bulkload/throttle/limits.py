"""The operator's limits of a load: in the control table, so that they can be changed while the load runs."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from rowferry.control_table import THROTTLE, ControlTable

_WORDS = {
    "wcu": "WCU/s written",
    "rows": "rows/s read",
    "threads_running": "threads running at the source",
    "lag": "seconds of the replica's lag",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """
    `wcu` WCU/s written and `rows` rows/s read by all workers together; `threads_running` of the source and
    `lag` of its replica, in seconds, above which no chunk is started. None and 0: no limit.
    """

    wcu: int | None = None
    rows: int | None = None
    threads_running: int | None = None
    lag: int | None = None
    paused: bool = False

    @classmethod
    def read(cls, control: ControlTable) -> Self:
        """The limits that are stored; none where nothing is. Raises botocore's errors."""
        found = control.get(THROTTLE)
        # The item's key, and fields of another version, are left out.
        return cls(**{name: found[name] for name in cls.__slots__ if name in found})

    def write(self, control: ControlTable) -> None:
        """A running load reads them within a second (controller.EVERY)."""
        control.put(THROTTLE, asdict(self))

    def changed(self, changes: Mapping[str, Any]) -> Self:
        return replace(self, **dict(changes))

    def __str__(self) -> str:
        values = asdict(self)
        found = [f"at most {values[name]:,} {words}" for name, words in _WORDS.items() if values[name]]
        return ", ".join([*(["paused"] if self.paused else []), *(found or ["no limits"])])
