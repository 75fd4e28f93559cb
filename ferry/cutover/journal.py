"""The item `cutover` of the control table. Each step is a conditional write: two runs cannot both take it."""

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
"""For a client whose silence must not keep the fence up: seconds, as botocore's Config has them."""


@dataclass(slots=True)
class Journal:
    """What one run, `id`, does to the item; `state` is the item as this run last saw or wrote it."""

    control: ControlTable
    id: str
    who: str
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    state: State = field(default_factory=State)

    def read(self) -> State:
        """The item as it is now."""
        item = self.control.get(CUTOVER)
        known = {name: item[name] for name in State.__dataclass_fields__ if name in item}
        self.state = State(**{**known, "phase": Phase(item.get("phase", "open"))})
        return self.state

    def move(self, to: Phase, **changes: Any) -> State:
        """
        Takes the item from the state that this run knows to another phase.

        Refused when that cannot follow, or another run has moved the item meanwhile.
        """
        before = self.state
        before.require(to)
        after = self.planned(to, **changes)
        fields = {name: getattr(after, name) for name in State.__dataclass_fields__}
        known = {"phase": str(before.phase), "id": before.id}
        condition = known if before.phase != Phase.OPEN else {"phase": None}
        try:
            self.control.update(
                CUTOVER, set={**fields, "phase": str(to), "fence": dict(after.fence)}, only_if=condition
            )
        except ConditionFailed as error:
            found = self.read()
            if (found.phase, found.id) != (to, self.id):  # else an answer was lost, and the request repeated
                raise Refused(
                    f"another run has taken the cutover to {found.phase} meanwhile", "see `ferry audit`"
                ) from error
        self.state = after
        return after

    def planned(self, to: Phase, **changes: Any) -> State:
        """What `move` would write."""
        return replace(self.state, phase=to, id=self.id, who=self.who, **changes)
