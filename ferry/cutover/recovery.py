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
from rowferry.position import Position

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
    # First, so that a run which is not dead after all cannot get past the point of no return.
    journal.move(Phase.LIFTING)
    with connect(admin) as connection:
        fences.lift(journal.state.fence, connection)
    journal.move(Phase.LIFTED)


def continue_(context: Context, journal: Journal, point: Point, *, pointed: bool) -> tuple[State, int]:
    """
    Moves the application after a run that got beyond the point of no return, and no further; returns the
    state that it found and the whole pause in milliseconds. `pointed`: the application has been moved
    already, so MySQL may have been written to since.

    Raises FenceStays when `point` fails.
    """
    state = require(journal, Phase.POINTING)
    end = _source_end(context)
    if not pointed and Position.parse(end).epoch != Position.parse(state.end).epoch:
        raise Refused(
            f"the source has failed over since the fence at {state.end}, and the new server is not fenced",
            "keep the application on MySQL: `ferry cutover --back --application-is-on-mysql`",
        )
    if end != state.end and not pointed:
        raise Refused(
            f"MySQL has been written to since: it ends at {end}, the fence was at {state.end}",
            "keep the application on MySQL: `ferry cutover --back --application-is-on-mysql`",
        )
    journal.move(Phase.POINTING)  # so that no other run can do the same
    try:
        point({"position": state.end, "again": 1})
    except (RowferryError, OSError, EOFError) as error:
        raise FenceStays(str(error), advice(Phase.POINTING)) from error
    pause = journal.now_ms() - state.since
    journal.move(Phase.DONE, pause_ms=pause)
    return state, pause


def _source_end(context: Context) -> str:
    """Also refused where the source is another server than the captured one."""
    with closing(context.connect()) as connection:
        return str(source_end(context.control, connection))
