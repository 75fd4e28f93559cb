"""
The item `cutover` of the control table. Each step is a conditional write: only one of two runs succeeds.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ferry.cutover.phases import Phase, State
from rowferry.control_table import CUTOVER, ConditionFailed, ControlTable
from rowferry.errors import Refused

IMPATIENT: Mapping[str, Any] = {
    "connect_timeout": 2,
    "read_timeout": 3,
    "retries": {"total_max_attempts": 2},
}
"""For a client that must not keep the fence up while it waits: settings of botocore's Config, in seconds."""


@dataclass(slots=True)
class Journal:
    """One run's access to the item, by its `id`; `state` is the item as this run last read or wrote it."""

    control: ControlTable
    id: str
    who: str
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    state: State = field(default_factory=State)

    def read(self) -> State:
        """Reads the item; the phase is `open` where there is none."""
        item = self.control.get(CUTOVER)
        known = {name: item[name] for name in State.__dataclass_fields__ if name in item}
        self.state = State(**{**known, "phase": Phase(item.get("phase", "open"))})
        return self.state

    def move(self, to: Phase, **changes: Any) -> State:
        """
        Moves the item from the state that this run knows to another phase.

        Raises Refused when that phase cannot follow, or another run has moved the item meanwhile. botocore's
        errors mean that the outcome is unknown: the write may have happened.
        """
        before = self.state
        before.require(to)
        after = self.planned(to, **changes)
        fields = {name: getattr(after, name) for name in State.__dataclass_fields__}
        known = {"phase": str(before.phase), "id": before.id}
        # `open` is the absence of the item.
        condition = known if before.phase != Phase.OPEN else {"phase": None}
        try:
            self.control.update(
                CUTOVER, set={**fields, "phase": str(to), "fence": dict(after.fence)}, only_if=condition
            )
        except ConditionFailed as error:
            found = self.read()
            if (found.phase, found.id) != (to, self.id):  # else an answer was lost, and botocore retried
                raise Refused(
                    f"another run has moved the cutover to {found.phase} meanwhile", "see `ferry audit`"
                ) from error
        self.state = after
        return after

    def planned(self, to: Phase, **changes: Any) -> State:
        """The state that `move` would write."""
        return replace(self.state, phase=to, id=self.id, who=self.who, **changes)
