"""
The phases of a cutover and what may follow what: no input or output.

    open ──> fencing ──> fenced ──> pointing ──> done
               │           │           │           │
               └─> lifting <┘ <────────┴─(back)────┘
                      └─> lifted ──> fencing ...

`pointing` is the point of no return: it is recorded before the operator's hook begins, and from then on
nobody but the operator knows which side the application writes to. So only the operator's word leads back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rowferry.errors import Refused


class Phase(StrEnum):
    """How far a cutover is. The fence stands, or may stand, from `fencing` until `lifted`."""

    OPEN = "open"
    FENCING = "fencing"
    FENCED = "fenced"
    POINTING = "pointing"
    DONE = "done"
    LIFTING = "lifting"
    LIFTED = "lifted"


LIFTABLE = (Phase.FENCING, Phase.FENCED, Phase.LIFTING)
"""Nothing but MySQL has taken writes: the fence may be lifted without asking anybody."""
_AFTER = {
    Phase.FENCING: (Phase.OPEN, Phase.LIFTED),
    Phase.FENCED: (Phase.FENCING,),
    Phase.POINTING: (Phase.FENCED, Phase.POINTING),
    Phase.DONE: (Phase.POINTING,),
    Phase.LIFTING: (*LIFTABLE, Phase.POINTING, Phase.DONE),
    Phase.LIFTED: (Phase.LIFTING,),
}


@dataclass(frozen=True, slots=True)
class State:
    """
    The item `cutover`: `id` of the run that moved it last, the fence as facts (no secrets), times in ms.

    `until`: a run that has not gone on by then is dead, as is its guard.
    `end`: the source's end under the fence.
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
        """Refused when `to` cannot follow."""
        if self.phase not in _AFTER[to]:
            raise Refused(f"the cutover is {self.phase}, so it cannot become {to}", advice(self.phase))


def may_begin(state: State, now: int) -> bool:
    """
    Whether a cutover can begin, at `now` in ms. False: a dead one's fence has to be lifted first.

    Refused while another one is under way, and after the point of no return.
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
    """What the operator can do in a phase."""
    match phase:
        case Phase.OPEN | Phase.LIFTED:
            return "MySQL takes writes: run `ferry cutover`"
        case Phase.POINTING:
            return (
                "the fence stands, and whether the application has moved is for you to find out. On:"
                " `ferry cutover --continue` runs the hook point-to-dynamodb again (with --pointed: the"
                " application is on DynamoDB already). Back: point the application to MySQL, then"
                " `ferry cutover --back --application-is-on-mysql` lifts the fence"
            )
        case Phase.DONE:
            return (
                "the application is on DynamoDB: `ferry finalize` is next. Back only with the loss of what"
                " DynamoDB has taken since: `ferry cutover --back --application-is-on-mysql`"
            )
    return "`ferry cutover --lift` lifts its fence"
