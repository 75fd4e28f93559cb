"""
What an operator does about a cutover whose run has ended or died: lift its fence, continue it, go back.

Called by `ferry cutover --lift`, `--continue` and `--back`. Raises Refused where the recorded phase forbids
it; then nothing was changed.
"""

from collections.abc import Callable
from contextlib import closing

from bulkload.connection import connect
from ferry.context import Context
from ferry.cutover import fences
from ferry.cutover.journal import Journal
from ferry.cutover.phases import LIFTABLE, Phase, State, advice
from ferry.cutover.procedure import FenceStays
from ferry.markers import source_end
from rowferry.errors import Refused, RowferryError
from rowferry.mysql.address import Address

type Point = Callable[[dict[str, object]], None]
"""Moves the application; raises when that fails."""


def require(journal: Journal, *phases: Phase) -> State:
    """The recorded state. Raises Refused when it is in another phase."""
    state = journal.read()
    if state.phase not in phases:
        raise Refused(f"the cutover is {state.phase}", advice(state.phase))
    return state


def lift(journal: Journal, admin: Address) -> None:
    """Lifts the fence of a run that died before the point of no return."""
    phase = journal.read().phase
    if phase not in LIFTABLE:
        raise Refused(f"the cutover is {phase}: its fence may not be lifted without more", advice(phase))
    lift_recorded(journal, admin)


def back(journal: Journal, admin: Address, *, application_is_on_mysql: bool) -> None:
    """
    Lifts the fence after the point of no return, once the operator has confirmed that nothing writes to
    DynamoDB.

    What DynamoDB took meanwhile is not in MySQL.
    """
    require(journal, Phase.POINTING, Phase.DONE)
    if not application_is_on_mysql:
        raise Refused(
            "if the application writes to DynamoDB, lifting the fence would let both sides take writes",
            "point the application to MySQL, then add --application-is-on-mysql",
        )
    lift_recorded(journal, admin)


def lift_recorded(journal: Journal, admin: Address) -> None:
    """Lifts the fence in the journal, and records the begin and the end of that."""
    journal.move(Phase.LIFTING)
    with connect(admin) as connection:
        fences.lift(journal.state.fence, connection)
    journal.move(Phase.LIFTED)


def continue_(context: Context, journal: Journal, point: Point, *, pointed: bool) -> int:
    """
    Moves the application after a run that got beyond the point of no return, and no further; returns the
    whole pause in milliseconds. `pointed`: the application has been moved already.

    Raises FenceStays when `point` fails.
    """
    state = require(journal, Phase.POINTING)
    if not pointed:
        _require_unwritten(context, state.end)
    journal.move(Phase.POINTING)  # so that no other run can do the same
    try:
        point({"position": state.end, "again": 1})
    except (RowferryError, OSError, EOFError) as error:
        raise FenceStays(str(error), advice(Phase.POINTING)) from error
    pause = journal.now_ms() - state.since
    journal.move(Phase.DONE, pause_ms=pause)
    return pause


def _require_unwritten(context: Context, fenced_at: str) -> None:
    with closing(context.connect()) as connection:
        end = str(source_end(context.control, connection))
    if end != fenced_at:
        raise Refused(
            f"MySQL has been written to since: it ends at {end}, the fence was at {fenced_at}",
            "keep the application on MySQL: `ferry cutover --back --application-is-on-mysql`",
        )
