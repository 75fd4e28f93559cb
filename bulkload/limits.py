"""What an operator allows a load: kept in the control table, so that it can be changed while the load runs."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from rowferry.control import THROTTLE, ControlTable


@dataclass(frozen=True, slots=True)
class Limits:
    """
    `wcu` WCU/s written and `rows` rows/s read by all workers together; `threads_running` of the source and
    `lag` of its replica, in seconds, above which no chunk is begun. None: no limit.
    """

    wcu: int | None = None
    rows: int | None = None
    threads_running: int | None = None
    lag: int | None = None
    paused: bool = False

    @classmethod
    def read(cls, control: ControlTable) -> Self:
        """As they are now."""
        found = control.get(THROTTLE)
        return cls(**{name: found[name] for name in cls.__slots__ if name in found})

    def write(self, control: ControlTable) -> None:
        """From now on, for a load that runs."""
        control.put(THROTTLE, asdict(self))

    def changed(self, changes: dict[str, Any]) -> Self:
        """With these; 0 takes a limit away."""
        return replace(self, **{name: value or None for name, value in changes.items()})

    def __str__(self) -> str:
        words = {
            "wcu": "WCU/s written",
            "rows": "rows/s read",
            "threads_running": "threads running at the source",
            "lag": "seconds of lag",
        }
        found = [f"at most {value:,} {words[name]}" for name, value in asdict(self).items() if name in words and value]
        return ", ".join([*(["paused"] if self.paused else []), *(found or ["no limits"])])
