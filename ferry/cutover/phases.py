"""
The phases of a cutover and their order, without I/O.

    open ──> fencing ──> fenced ──> pointing ──> done
               │           │           │           │
               └─> lifting <┘ <────────┴─(back)────┘
                      └─> lifted ──> fencing ...

`pointing` is the point of no return: it is recorded before the operator's hook begins, and from then on
nobody but the operator knows which side the application writes to. So only the operator's confirmation leads
back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rowferry.errors import Refused


class Phase(StrEnum):
    """The phase of a cutover. The fence is up, or may be, from `fencing` until `lifted`."""

    OPEN = "open"
    FENCING = "fencing"
    FENCED = "fenced"
    POINTING = "pointing"
    DONE = "done"
    LIFTING = "lifting"
    LIFTED = "lifted"


LIFTABLE = (Phase.FENCING, Phase.FENCED, Phase.LIFTING)
"""Only MySQL has taken writes: the fence may be lifted without the operator's confirmation."""
_AFTER = {
    Phase.FENCING: (Phase.OPEN, Phase.LIFTED),
    Phase.FENCED: (Phase.FENCING,),
    # Twice by --continue: the second write makes the run its owner, so that no other can do the same.
    Phase.POINTING: (Phase.FENCED, Phase.POINTING),
    Phase.DONE: (Phase.POINTING,),
    Phase.LIFTING: (*LIFTABLE, Phase.POINTING, Phase.DONE),
    Phase.LIFTED: (Phase.LIFTING,),
}


@dataclass(frozen=True, slots=True)
class State:
    """
    The item `cutover`: `id` of the run that moved it last, the fence as facts (no secrets), times in ms.

    `until`: a run that is still in the phase by then is dead, and so is its guard.
    `end`: the end of the source's binlog under the fence.
    """

    phase: Phase = Phase.OPEN
    id: str = ""
    who: str = ""
    fence: Mapping[str, Any] = field(default_factory=dict)
    since: int = 0
    until: int = 0
    end: str = ""
    pause_ms: int = 0

    def require(self, to: Phase) -> None:
        """Raises Refused when `to` cannot follow."""
        if self.phase not in _AFTER[to]:
            raise Refused(f"the cutover is {self.phase}, so it cannot become {to}", advice(self.phase))


def may_begin(state: State, now: int) -> bool:
    """
    Whether a cutover can begin, at `now` in ms. False: the fence of a dead run has to be lifted first.

    Raises Refused while another run is active, and after the point of no return.
    """
    if state.phase in (Phase.OPEN, Phase.LIFTED):
        return True
    if state.phase in LIFTABLE and now > state.until:
        return False
    if state.phase in LIFTABLE:
        left = (state.until - now) // 1000
        raise Refused(
            f"{state.who} is cutting over now ({state.phase})",
            f"wait {left} s; if that run is dead, `ferry cutover --lift` lifts its fence at once",
        )
    raise Refused(f"the cutover is {state.phase}", advice(state.phase))


def advice(phase: Phase) -> str:
    """What the operator can do in a phase: the fix of messages."""
    match phase:
        case Phase.OPEN | Phase.LIFTED:
            return "MySQL takes writes: run `ferry cutover`"
        case Phase.POINTING:
            return (
                "the fence is up; find out whether the application has moved. To continue:"
                " `ferry cutover --continue` runs the hook point-to-dynamodb again (with --pointed: the"
                " application is on DynamoDB already). To go back: point the application to MySQL, then"
                " `ferry cutover --back --application-is-on-mysql` lifts the fence"
            )
        case Phase.DONE:
            return (
                "the application is on DynamoDB: run `ferry finalize`. Going back loses the writes that"
                " DynamoDB has taken since: `ferry cutover --back --application-is-on-mysql`"
            )
    return "`ferry cutover --lift` lifts its fence"
