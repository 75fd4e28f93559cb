"""`ferry cutover`: its options, its words, its exit status."""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from bulkload.connection import Address, connect
from ferry import audit_log, operator_hooks
from ferry import context as ferry_context
from ferry.commands.cutover_options import POINT, parser_in
from ferry.context import Context
from ferry.cutover import fences
from ferry.cutover.fences import Fence
from ferry.cutover.journal import IMPATIENT, Journal
from ferry.cutover.phases import LIFTABLE, Phase, advice, may_begin
from ferry.cutover.preconditions import CutoverLimits, checks
from ferry.cutover.procedure import Cutover, FenceStays
from ferry.cutover.signals import Interrupted
from ferry.markers import source_end
from ferry.verify.tail import Tail
from rowferry.control_table import VERIFIED, ControlTable
from rowferry.errors import Refused, RowferryError
from rowferry.position import Position

LIFTED, STAYS = 1, 3


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser_in(commands, common).set_defaults(run=run)


def run(
    arguments: argparse.Namespace, setting: Context, make_tail: Callable[[Context, Position], Tail] = Tail
) -> int:
    """Parses, wires and prints. `make_tail`: another one, of tests."""
    control = ControlTable(setting.client("dynamodb", **IMPATIENT), setting.control.name)
    journal = Journal(control, secrets.token_hex(8), audit_log.who())
    try:
        if going_on := _going_on(arguments):
            return going_on(arguments, setting, journal)
        return _cut_over(arguments, setting, journal, make_tail)
    except FenceStays as error:
        tell(f"error: {error}")
        return STAYS


def _going_on(arguments: argparse.Namespace) -> Callable[[argparse.Namespace, Context, Journal], int] | None:
    if arguments.lift:
        return _lift
    if arguments.back:
        return _back
    return _continue if arguments.continue_ else None


def tell(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr, flush=True)


def _admin(arguments: argparse.Namespace, setting: Context) -> Address:
    environ = setting.environ
    url = arguments.admin or environ.get("ROWFERRY_ADMIN")
    if not url:
        return setting.source
    password = {"ROWFERRY_SOURCE_PASSWORD": environ.get("ROWFERRY_ADMIN_PASSWORD", "")}
    return ferry_context.source_address(url, arguments.admin_password_file, password)


def _pointer(arguments: argparse.Namespace) -> Callable[[dict[str, object]], None]:
    """What moves the application. Refused when nothing is named."""
    if arguments.pointed:
        return lambda _: None
    if arguments.no_hook:
        if not sys.stdin.isatty():
            raise Refused("--no-hook waits for Enter, and there is no terminal", f"write a hook {POINT}")
        return _by_hand
    if not operator_hooks.has(arguments.hooks, POINT):
        raise Refused(f"no hook {POINT} is named", f"--hooks DIR with an executable {POINT}, or --no-hook")
    return partial(_hooked, arguments.hooks, POINT)


def _hooked(folder: Path | None, phase: str, context: dict[str, object]) -> None:
    operator_hooks.run(folder, phase, context)


def _by_hand(context: dict[str, object]) -> None:
    print(
        f"all up to {context['position']} is in DynamoDB. Point the application to it, then press Enter ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if not sys.stdin.readline():
        raise EOFError("the terminal is gone before Enter")


def _cut_over(
    arguments: argparse.Namespace,
    setting: Context,
    journal: Journal,
    make_tail: Callable[[Context, Position], Tail],
) -> int:
    point, admin = _pointer(arguments), _admin(arguments, setting)
    limits = CutoverLimits(arguments.verified_within, arguments.max_lag, arguments.pause_limit)
    if not may_begin(journal.read(), journal.now_ms()):
        tell(f"a run of {journal.state.who} died: its fence is lifted first")
        _lifted(journal, admin)
    with closing(connect(admin)) as connection:
        fence = fences.planned(arguments.fence, connection)
        if not _checked(setting, connection, fence, limits, journal):
            return 2
    if not arguments.execute and not _agreed(fence):
        return 2
    operator_hooks.run(arguments.hooks, "before-fence", {"stack": setting.stack.name})
    tail = make_tail(setting, Position.parse(setting.control.get(VERIFIED)["position"]))
    tail.rounds(tell)
    fenced = partial(_hooked, arguments.hooks, "fenced")
    cutover = Cutover(setting, admin, journal, fence, limits, point, tell, fenced)
    return _told(arguments, cutover, tail)


def _checked(
    setting: Context, connection: Any, fence: Fence, limits: CutoverLimits, journal: Journal
) -> bool:
    held = True
    for check in checks(setting, connection, fence, limits, journal.now_ms):
        tell(str(check))
        held &= check.holds
    if not held:
        tell("error: not cut over: a condition does not hold: see the fix behind each NO")
    return held


def _agreed(fence: Fence) -> bool:
    tell(
        f"would do: before-fence; verify what changed; fence ({fence.facts['kind']}); drain; verify; {POINT}"
    )
    if not sys.stdin.isatty():
        raise Refused("nothing was done, and there is no terminal to ask on", "pass --execute")
    print("cut over now? (yes) ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == "yes"


def _told(arguments: argparse.Namespace, cutover: Cutover, tail: Tail) -> int:
    status, trouble = 0, None
    try:
        cutover.run(tail)
    except (Interrupted, RowferryError, OSError, pymysql.err.Error, ClientError, BotoCoreError) as error:
        trouble, status = error, _status(error)
        tell(f"error: not cut over: {error}" if status != STAYS else f"error: {error}")
    _print(arguments, cutover, status)
    _record(cutover, trouble)
    if status != STAYS:
        _afterwards(arguments.hooks, "moved" if status == 0 else "lifted", cutover)
    return status


def _afterwards(hooks: Path | None, phase: str, cutover: Cutover) -> None:
    """What it comes to changes nothing any more."""
    seconds = f"{cutover.seconds.get('pause', 0.0):.3f}"
    try:
        operator_hooks.run(hooks, phase, {"stack": cutover.setting.stack.name, "pause_seconds": seconds})
    except operator_hooks.PhaseFailed as failed:
        tell(f"warning: {failed}")


def _status(error: BaseException) -> int:
    if isinstance(error, FenceStays):
        return STAYS
    return 130 if isinstance(error, Interrupted) else LIFTED


def _print(arguments: argparse.Namespace, cutover: Cutover, status: int) -> None:
    pause = cutover.seconds.get("pause", 0.0)
    state = cutover.journal.state
    if arguments.json:
        seconds = {name: value for name, value in cutover.seconds.items() if name != "pause"}
        fields = {
            "cutover": status == 0,
            "phase": state.phase,
            "position": state.end,
            "pause_seconds": round(pause, 3),
        }
        print(json.dumps({**fields, "seconds": seconds}))
    elif status == 0:
        parts = ", ".join(f"{name} {value:.2f}" for name, value in cutover.seconds.items() if name != "pause")
        print(f"the application is on DynamoDB; it could not write for {pause:.2f} s ({parts})")
        tell("next: watch it; then `ferry finalize`")


def _record(cutover: Cutover, trouble: BaseException | None) -> None:
    facts: dict[str, Any] = {"pause_ms": round(1000 * cutover.seconds.get("pause", 0.0))}
    try:
        outcome = f"{cutover.journal.state.phase}" + (f": {trouble}" if trouble else "")
        audit_log.record(cutover.journal.control, "cutover", outcome, **facts)
    except (ClientError, BotoCoreError):
        tell("the end of the cutover could not be recorded")


def _lift(arguments: argparse.Namespace, setting: Context, journal: Journal) -> int:
    phase = journal.read().phase
    if phase not in LIFTABLE:
        raise Refused(f"the cutover is {phase}: there is no fence that may be lifted just so", advice(phase))
    _lifted(journal, _admin(arguments, setting))
    print("the fence is lifted: MySQL takes writes")
    return 0


def _back(arguments: argparse.Namespace, setting: Context, journal: Journal) -> int:
    phase = journal.read().phase
    if phase not in (Phase.POINTING, Phase.DONE):
        raise Refused(f"the cutover is {phase}", advice(phase))
    if not arguments.application_is_on_mysql:
        raise Refused(
            "lifting the fence while the application writes to DynamoDB would give two truths",
            "point the application to MySQL, then add --application-is-on-mysql",
        )
    _lifted(journal, _admin(arguments, setting))
    print("the fence is lifted: MySQL takes writes; what DynamoDB took meanwhile is not in MySQL")
    return 0


def _lifted(journal: Journal, admin: Address) -> None:
    journal.move(Phase.LIFTING)
    with connect(admin) as connection:
        fences.lift(journal.state.fence, connection)
    journal.move(Phase.LIFTED)


def _continue(arguments: argparse.Namespace, setting: Context, journal: Journal) -> int:
    state = journal.read()
    if state.phase != Phase.POINTING:
        raise Refused(f"the cutover is {state.phase}", advice(state.phase))
    point = _pointer(arguments)
    with closing(setting.connect()) as connection:
        if (end := str(source_end(setting.control, connection))) != state.end and not arguments.pointed:
            raise Refused(
                f"MySQL has been written to since: it ends at {end}, the fence stood at {state.end}",
                "keep the application on MySQL: `ferry cutover --back --application-is-on-mysql`",
            )
    journal.move(Phase.POINTING)  # taken from whoever else may try
    try:
        point({"position": state.end, "again": 1})
    except (RowferryError, OSError, EOFError) as error:
        raise FenceStays(str(error), advice(Phase.POINTING)) from error
    pause = time.time_ns() // 1_000_000 - state.since
    journal.move(Phase.DONE, pause_ms=pause)
    fields = {"cutover": True, "phase": "done", "position": state.end, "pause_seconds": pause / 1000}
    print(
        json.dumps(fields)
        if arguments.json
        else f"the application is on DynamoDB; it could not write for {pause / 1000:.0f} s"
    )
    return 0
