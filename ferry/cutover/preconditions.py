"""Conditions of a cutover, each with its fix, and the check that a fence holds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pymysql

from ferry import consumer_switch
from ferry.context import Context
from ferry.cutover.fences import Fence
from ferry.markers import drain
from ferry.status import state
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import VERIFIED, ControlTable
from rowferry.errors import Refused, RowferryError
from rowferry.mysql import server
from rowferry.mysql.conditions import Condition, settings_of
from rowferry.mysql.replication import PROMOTE, Replication, replication
from rowferry.position import Position

NO_RIGHT = 1227, 1401  # ER_SPECIFIC_ACCESS_DENIED_ERROR, ER_XAER_RMERR


@dataclass(frozen=True, slots=True)
class CutoverLimits:
    """In seconds, except `verified_within`, in minutes."""

    verified_within: float = 60.0
    max_lag: float = 10.0
    pause: float = 30.0


def conditions(
    context: Context, connection: Any, fence: Fence, limits: CutoverLimits, now_ms: Callable[[], int]
) -> Iterator[Condition]:
    """All conditions, the quick ones first. Nothing is changed, but a marker is sent."""
    on = context.stack.switch_is_on
    yield Condition("switch", "ON" if on else "OFF", on, "run `ferry switch on`")
    yield _asked("load", lambda: _loaded(context))
    waiting = state.queued(context.client("sqs"), context.stack.output("QuarantineUrl"))
    yield Condition("quarantine", f"{waiting} messages", not waiting, "run `ferry quarantine retry`")
    yield verified(context.control, limits.verified_within, now_ms())
    yield _asked("primary", lambda: primary(context, connection))
    yield _asked("fence", lambda: "; ".join([fence.facts["kind"], *fence.check(connection)]))
    yield _asked("prepared XA transactions", lambda: _no_prepared(connection))
    # While the switch is OFF no marker passes the lanes.
    if on:
        yield _asked("lag", lambda: _lag(context, limits.max_lag))


def verified(control: ControlTable, minutes: float, now_ms: int) -> Condition:
    """The last full verify found no difference, not too long ago, in the present epoch."""
    last = control.get(VERIFIED)
    lacking = _lacking(last, minutes, now_ms, Checkpoint.read(control))
    return Condition("verified", lacking or "no difference", not lacking, "run `ferry verify`")


def _lacking(last: Mapping[str, Any], minutes: float, now_ms: int, checkpoint: Checkpoint) -> str:
    if not last:
        return "never"
    bad = {name: last[name] for name in ("left", "unsettled") if last[name]}
    if bad:
        return ", ".join(f"{count} {name}" for name, count in bad.items())
    epoch = Position.parse(last["position"]).epoch
    if (
        epoch != checkpoint.epoch
    ):  # also of this capture: it compared with another server than the present one
        what = "the source failed over" if checkpoint.has(epoch) else "capture was reset"
        return f"before {what}"
    age = (now_ms - last["at"]) / 60_000
    return f"{age:.0f} minutes ago, which is more than {minutes:g}" if age > minutes else ""


def _asked(name: str, ask: Callable[[], str]) -> Condition:
    try:
        return Condition(name, ask(), holds=True, fix="")
    except RowferryError as error:
        return Condition(name, error.found, holds=False, fix=error.fix)


def _loaded(context: Context) -> str:
    tables = [table.source for table in context.mapping.tables]
    consumer_switch.require_load(context.control, tables, consumer_switch.executed_by(context))
    return f"done, {len(tables)} tables"


def _lag(context: Context, most: float) -> str:
    with context.connect() as connection:
        drained = drain(context.control, connection, most, lambda _: None)
    if not drained.complete:
        raise Refused(
            f"a marker has not passed all lanes within {most:g} s",
            "wait until `ferry status` shows no backlog",
        )
    return f"a marker passed {drained.lanes} lanes in {drained.seconds:.1f} s"


def primary(context: Context, connection: Any) -> str:
    """
    A fence on a replica proves nothing about its primary, whose writes arrive later or elsewhere.

    Returns what was found; raises Refused for a replica. A server that was promoted and still has its old
    replication configured counts as one.
    """
    with context.connect() as own:
        if server.identify(connection) != server.identify(own):
            raise Refused(
                "the server to be fenced is another one than the captured source",
                "name the same server in --source and --admin",
            )
        seen = _role(connection)
        found = seen if seen.visible else _role(own)
    if found:
        raise Refused(
            f"the source replicates {found.described}: a fence on it does not stop those writes", PROMOTE
        )
    if not found.visible:
        return "replicates from no other server, as far as it is visible (GRANT SLAVE MONITOR to see it)"
    return "the source replicates from no other server"


def _role(connection: Any) -> Replication:
    return replication(connection, server.identify(connection), settings_of(connection))


def _no_prepared(connection: Any) -> str:
    """
    On some servers a prepared XA transaction can be committed despite a fence; on others it blocks the fence.
    """
    try:
        found = server.rows(connection, "XA RECOVER")
    except pymysql.err.Error as error:
        if error.args[0] not in NO_RIGHT:
            raise
        return "unknown (GRANT XA_RECOVER_ADMIN to see them)"
    if found:
        raise Refused(f"{len(found)} are prepared", "XA COMMIT or XA ROLLBACK them (XA RECOVER lists them)")
    return "none"


def require_still(connection: Any, kind: str) -> None:
    """
    Raises Refused when a session could still commit.

    Under read-only an open transaction cannot commit any more; under the other fences it could.
    """
    _no_prepared(connection)
    if kind == "super-read-only":
        return
    writing = (
        "SELECT COUNT(*) AS n FROM information_schema.innodb_trx"
        " WHERE trx_rows_modified > 0 AND trx_state <> 'ROLLING BACK'"
    )
    if count := server.rows(connection, writing)[0]["n"]:
        raise Refused(
            f"{count} transactions that have written are still open",
            "end them, or fence with super-read-only",
        )
