"""`ferry cutover`: fences MySQL, verifies, and moves the application, or lifts the fence."""

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from bulkload.connection import connect
from ferry import audit_log, operator_hooks
from ferry.conditions import one_line
from ferry.context import Context, source_address
from ferry.cutover import fences, preconditions, recovery
from ferry.cutover.fences import Fence
from ferry.cutover.journal import IMPATIENT, Journal
from ferry.cutover.phases import Phase, may_begin
from ferry.cutover.preconditions import CutoverLimits
from ferry.cutover.procedure import Cutover, FenceStays
from ferry.cutover.signals import Interrupted
from ferry.verify.tail import Tail
from rowferry.control_table import VERIFIED, ControlTable
from rowferry.errors import Refused, RowferryError
from rowferry.mysql.address import Address
from rowferry.position import Position

POINT = "point-to-dynamodb"
"""The hook that moves the application."""


EPILOG = """\
examples:
  ferry cutover --hooks hooks/                         # checks, prints what it would do, asks
  ferry cutover --hooks hooks/ --execute
  ferry cutover --execute --fence revoke:shop@10.%,jobs@% --hooks hooks/ --json
  ferry cutover --lift                                 # lift the fence of a run that died
  ferry cutover --continue --hooks hooks/              # after the point of no return: run the hook again
  ferry cutover --back --application-is-on-mysql       # after it: the application is on MySQL again

checks; hook before-fence; verify of what changed; fence; hook fenced; drain; verify of the rest; hook
point-to-dynamodb; hook moved or lifted. Only point-to-dynamodb has to be in the folder of --hooks. Any
failure before point-to-dynamodb begins, also a signal, the death of this command or --pause-limit, lifts the
fence. From then on the fence stays, because both sides must never take writes.

--fence is one of
  super-read-only      the default; MariaDB: read_only
  revoke:USER@HOST,... revokes write privileges of these accounts, ends their sessions, grants the same again
  hook:PATH            your program, called with `up` and with `lift`; each may be called again
  already              you have fenced yourself, and lift the fence yourself

--admin is the account that fences (default: the source's); its password is in ROWFERRY_ADMIN_PASSWORD.

--json prints {"cutover", "phase", "position", "pause_seconds", "seconds": {"fence", "drain", "verify",
"hook"}}.
exit status: 0 the application has moved; 1 not moved, MySQL takes writes, as before; 2 an error before the
fence; 3 the fence stays, and the message says how to go on or back; 130 interrupted, MySQL takes writes"""
LIFTED, STAYS = 1, 3


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "cutover",
        parents=[common],
        help="fence MySQL, verify that all has arrived, move the application",
        description="Moves the application from MySQL to DynamoDB, or leaves everything as it was.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--execute", action="store_true", help="do it without asking")
    what.add_argument(
        "--lift", action="store_true", help="lift the fence of a run that died before the point of no return"
    )
    what.add_argument(
        "--continue", dest="continue_", action="store_true", help="continue after the point of no return"
    )
    what.add_argument("--back", action="store_true", help="go back after the point of no return")
    parser.add_argument(
        "--fence",
        default="super-read-only",
        metavar="HOW",
        help="how writes are stopped (default: %(default)s)",
    )
    parser.add_argument(
        "--no-hook", action="store_true", help="move the application by hand: the command waits for Enter"
    )
    parser.add_argument(
        "--pointed", action="store_true", help="with --continue: the application is on DynamoDB already"
    )
    parser.add_argument(
        "--application-is-on-mysql",
        action="store_true",
        help="with --back: confirms that nothing writes to DynamoDB",
    )
    parser.add_argument(
        "--verified-within",
        type=float,
        default=60.0,
        metavar="MINUTES",
        help="how old the last `ferry verify` may be (default: 60)",
    )
    parser.add_argument(
        "--max-lag",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="time in which a marker must pass all lanes (default: 10)",
    )
    parser.add_argument(
        "--pause-limit",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="time after which the fence is lifted (default: 30)",
    )
    parser.add_argument(
        "--admin", metavar="URL", help="account that may fence (default: ROWFERRY_ADMIN, or the source's)"
    )
    parser.add_argument(
        "--admin-password-file",
        type=Path,
        metavar="FILE",
        help="contains its password (default: ROWFERRY_ADMIN_PASSWORD)",
    )
    parser.set_defaults(run=run)


def run(
    arguments: argparse.Namespace, context: Context, make_tail: Callable[[Context, Position], Tail] = Tail
) -> int:
    """`make_tail`: tests pass another one."""
    # Not the context's client, whose retries would keep the fence up.
    control = ControlTable(context.client("dynamodb", **IMPATIENT), context.control.name)
    journal = Journal(control, secrets.token_hex(8), audit_log.who())
    try:
        if going_on := _going_on(arguments):
            return going_on(arguments, context, journal)
        return _cut_over(arguments, context, journal, make_tail)
    except FenceStays as error:
        report(f"error: {error}")
        return STAYS


def _going_on(arguments: argparse.Namespace) -> Callable[[argparse.Namespace, Context, Journal], int] | None:
    if arguments.lift:
        return _lift
    if arguments.back:
        return _back
    return _continue if arguments.continue_ else None


def report(line: str) -> None:
    """One line on standard error."""
    print(line, file=sys.stderr, flush=True)


def _admin(arguments: argparse.Namespace, context: Context) -> Address:
    environ = context.environ
    url = arguments.admin or environ.get("ROWFERRY_ADMIN")
    if not url:
        return context.source
    # Under the name that source_address looks for.
    password = {"ROWFERRY_SOURCE_PASSWORD": environ.get("ROWFERRY_ADMIN_PASSWORD", "")}
    return source_address(url, arguments.admin_password_file, password)


def _pointer(arguments: argparse.Namespace) -> Callable[[dict[str, object]], None]:
    """The function that moves the application. Raises Refused when none is named."""
    if arguments.pointed:
        return lambda _: None
    if arguments.no_hook:
        if not sys.stdin.isatty():
            raise Refused("--no-hook waits for Enter, but there is no terminal", f"write a hook {POINT}")
        return _by_hand
    if not operator_hooks.has(arguments.hooks, POINT):
        raise Refused(
            f"there is no hook {POINT}", f"give --hooks DIR with an executable {POINT}, or --no-hook"
        )
    return partial(_hooked, arguments.hooks, POINT)


def _hooked(folder: Path | None, phase: str, facts: dict[str, object]) -> None:
    operator_hooks.run(folder, phase, facts)


def _by_hand(facts: dict[str, object]) -> None:
    print(
        f"all changes up to {facts['position']} are in DynamoDB. Move the application, then press Enter ",
        end="",
        file=sys.stderr,
        flush=True,
    )
    if not sys.stdin.readline():
        raise EOFError("the terminal was closed before Enter")


def _cut_over(
    arguments: argparse.Namespace,
    context: Context,
    journal: Journal,
    make_tail: Callable[[Context, Position], Tail],
) -> int:
    # First: a hook that is missing must be found before anything is fenced.
    point, admin = _pointer(arguments), _admin(arguments, context)
    limits = CutoverLimits(arguments.verified_within, arguments.max_lag, arguments.pause_limit)
    if not may_begin(journal.read(), journal.now_ms()):
        report(f"a run of {journal.state.who} died: its fence is lifted first")
        recovery.lift_recorded(journal, admin)
    with closing(connect(admin)) as connection:
        fence = fences.planned(arguments.fence, connection)
        if not _checked(context, connection, fence, limits, journal):
            return 2
    if not arguments.execute and not _agreed(fence):
        return 2
    operator_hooks.run(arguments.hooks, "before-fence", {"stack": context.stack.name})
    tail = make_tail(context, Position.parse(context.control.get(VERIFIED)["position"]))
    # The application still writes: this time is not part of the pause.
    tail.rounds(report)
    fenced = partial(_hooked, arguments.hooks, "fenced")
    cutover = Cutover(context, admin, journal, fence, limits, point, report, fenced)
    return _run_and_report(arguments, cutover, tail)


def _checked(
    context: Context, connection: Any, fence: Fence, limits: CutoverLimits, journal: Journal
) -> bool:
    held = True
    for condition in preconditions.conditions(context, connection, fence, limits, journal.now_ms):
        report(one_line(condition))
        held &= condition.holds
    if not held:
        report("error: not cut over: a condition does not hold: see the fix after each NO")
    return held


def _agreed(fence: Fence) -> bool:
    report(
        f"would do: before-fence; verify what changed; fence ({fence.facts['kind']}); drain; verify; {POINT}"
    )
    if not sys.stdin.isatty():
        raise Refused("nothing was done: there is no terminal for the question", "pass --execute")
    print("cut over now? (yes) ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() == "yes"


def _run_and_report(arguments: argparse.Namespace, cutover: Cutover, tail: Tail) -> int:
    status, trouble = 0, None
    try:
        cutover.run(tail)
    except (Interrupted, RowferryError, OSError, pymysql.err.Error, ClientError, BotoCoreError) as error:
        trouble, status = error, _status(error)
        report(f"error: not cut over: {error}" if status != STAYS else f"error: {error}")
    _print(arguments, cutover, status)
    _record(cutover, trouble)
    if status != STAYS:
        _afterwards(arguments.hooks, "moved" if status == 0 else "lifted", cutover)
    return status


def _afterwards(hooks: Path | None, phase: str, cutover: Cutover) -> None:
    """Runs the last hook, whose failure is only a warning."""
    seconds = f"{cutover.seconds.get('pause', 0.0):.3f}"
    try:
        operator_hooks.run(hooks, phase, {"stack": cutover.context.stack.name, "pause_seconds": seconds})
    except operator_hooks.PhaseFailed as failed:
        report(f"warning: {failed}")


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
        report("next: watch it; then `ferry finalize`")


def _record(cutover: Cutover, trouble: BaseException | None) -> None:
    facts: dict[str, Any] = {"pause_ms": round(1000 * cutover.seconds.get("pause", 0.0))}
    try:
        outcome = f"{cutover.journal.state.phase}" + (f": {trouble}" if trouble else "")
        audit_log.record(cutover.journal.control, "cutover", outcome, **facts)
    except (ClientError, BotoCoreError):
        report("the end of the cutover could not be recorded")


def _lift(arguments: argparse.Namespace, context: Context, journal: Journal) -> int:
    recovery.lift(journal, _admin(arguments, context))
    print("the fence is lifted: MySQL takes writes")
    return 0


def _back(arguments: argparse.Namespace, context: Context, journal: Journal) -> int:
    on_mysql = arguments.application_is_on_mysql
    recovery.back(journal, _admin(arguments, context), application_is_on_mysql=on_mysql)
    print("the fence is lifted: MySQL takes writes; what DynamoDB took meanwhile is not in MySQL")
    return 0


def _continue(arguments: argparse.Namespace, context: Context, journal: Journal) -> int:
    recovery.require(journal, Phase.POINTING)  # before a hook is asked for
    state, pause_ms = recovery.continue_(context, journal, _pointer(arguments), pointed=arguments.pointed)
    pause = pause_ms / 1000
    fields = {"cutover": True, "phase": "done", "position": state.end, "pause_seconds": pause}
    moved = f"the application is on DynamoDB; it could not write for {pause:.0f} s"
    print(json.dumps(fields) if arguments.json else moved)
    return 0
