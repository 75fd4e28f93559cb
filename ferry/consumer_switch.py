"""The switch: the stack's parameter Switch, which enables the consumer's event source mapping."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

from bulkload.direct.ledger import shown_by
from bulkload.preconditions import refuse_lost
from ferry.context import Context, Stack, find_stack
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import ControlTable, load_key
from rowferry.errors import Refused
from rowferry.history import History
from rowferry.mysql.executed import executed
from rowferry.mysql.server import identify

_AGAIN = "empty the target, then run `ferry load --again`"
TIMEOUT = 900.0  # seconds; AWS usually takes a minute or two
PAUSE = 1.0


def require_load(
    control: ControlTable, sources: Iterable[str], executed: Callable[[Checkpoint], History] | None = None
) -> None:
    """
    Raises Refused unless a capturer captures every source table, each one's load is done in this capture, and
    it shows nothing that a failover since has lost.

    `executed`: asks the captured source for what it has executed; None: there is none to be asked.
    """
    checkpoint = Checkpoint.read(control)
    if not checkpoint:
        raise Refused(
            "no capturer has run yet", "start the capturer (CapturerCount=1), then run `ferry load`"
        )
    for source in sources:
        if source not in checkpoint.tables:
            raise Refused(
                f"the capturer does not capture {source}",
                "deploy the capturer with this mapping first, then run `ferry load`",
            )
        load = control.get(load_key(source))
        if lacking := _lacking(load, checkpoint):
            raise Refused(
                f"the load of {source} {lacking}", "run `ferry load` to its end, then turn the switch ON"
            )
        _refuse_lost(load, source, checkpoint, executed and partial(executed, checkpoint))


def _lacking(load: Mapping[str, Any], checkpoint: Checkpoint) -> str:
    if not load:
        return "has not begun"
    if not checkpoint.has(load.get("epoch")):
        return "was done before capture was reset"
    return "" if load["state"] == "done" else "is not done"


def _refuse_lost(
    load: Mapping[str, Any], source: str, checkpoint: Checkpoint, executed: Callable[[], History] | None
) -> None:
    shown = shown_by(load)
    if load["epoch"] < checkpoint.epoch and not shown:
        raise Refused(
            f"the source failed over since the load of {source}, which does not say what it shows",
            _AGAIN,
        )
    refuse_lost(checkpoint, shown, f"the load of {source}", _AGAIN, executed)


def executed_by(context: Context) -> Callable[[Checkpoint], History] | None:
    """For `require_load`: asks the source of --source, which has to be the captured one; None without it."""
    return partial(_executed, context) if context.has_source else None


def _executed(context: Context, checkpoint: Checkpoint) -> History:
    with closing(context.connect()) as connection:
        server = identify(connection)
        checkpoint.position_at(connection, server)
        return executed(connection, server)


def turn(
    cloudformation: Any,
    functions: Any,
    stack: Stack,
    wanted: str,
    report: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """
    Sets the stack's parameter Switch to ON or OFF; returns whether it changed.

    Returns once the event source mapping is Enabled, or Disabled. Batches in flight may still end after that.
    Raises Refused when the stack is being updated, or the update fails or takes longer than TIMEOUT.
    """
    deadline = clock() + TIMEOUT
    if stack.status.endswith("_IN_PROGRESS") or not stack.status.endswith(("_COMPLETE", "UPDATE_FAILED")):
        raise Refused(
            f"stack {stack.name} is {stack.status}", "wait for its end, or repair it, then try again"
        )
    # CloudFormation refuses an update that changes nothing.
    changed = stack.parameters.get("Switch") != wanted
    if changed:
        report(f"updating stack {stack.name}: Switch={wanted}")
        _update(cloudformation, stack, wanted)
        _wait_for_stack(cloudformation, stack.name, deadline, sleep, clock)
    # Also where the stack is complete: the mapping is Enabling or Disabling for minutes more.
    mapping = stack.output("EventSourceMappingId")
    _wait_for_mapping(functions, mapping, "Enabled" if wanted == "ON" else "Disabled", deadline, sleep, clock)
    return changed


def _update(cloudformation: Any, stack: Stack, wanted: str) -> None:
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in stack.parameters if name != "Switch"]
    cloudformation.update_stack(
        StackName=stack.name,
        UsePreviousTemplate=True,
        Parameters=[*kept, {"ParameterKey": "Switch", "ParameterValue": wanted}],
        # as for the deployment of the template: it has roles, and SAM's transform
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )


def _wait_for_stack(
    cloudformation: Any,
    name: str,
    deadline: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    while True:
        status = find_stack(cloudformation, name).status
        # Cleanup removes what the update has replaced: the new state is in force.
        if status in ("UPDATE_COMPLETE", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"):
            return
        if "ROLLBACK" in status or status.endswith("FAILED"):
            raise Refused(
                f"updating stack {name} failed ({status})", "see the stack's events in CloudFormation"
            )
        _pause(f"stack {name} is {status}", deadline, sleep, clock)


def _wait_for_mapping(
    functions: Any,
    mapping: str,
    wanted: str,
    deadline: float,
    sleep: Callable[[float], None],
    clock: Callable[[], float],
) -> None:
    while (state := functions.get_event_source_mapping(UUID=mapping)["State"]) != wanted:
        _pause(f"the event source mapping is {state}, not {wanted}", deadline, sleep, clock)


def _pause(found: str, deadline: float, sleep: Callable[[float], None], clock: Callable[[], float]) -> None:
    if clock() > deadline:
        raise Refused(
            f"after {TIMEOUT:.0f} s {found}", "see the stack in CloudFormation, then run the command again"
        )
    sleep(PAUSE)
