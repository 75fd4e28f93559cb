"""`ferry cutover`: the application moves from MySQL to DynamoDB."""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from ferry import cutover, fences
from ferry.cutover import POINT, Cutover
from ferry.fences import Spec
from ferry.guard import DONE, FENCED, LIFTED, MOVING, Guard, take
from ferry.phases import Hooks
from ferry.proof import Evidence
from ferry.settings import Setting
from rowferry.control import CUTOVER
from rowferry.errors import Refused

EPILOG = """\
examples:
  ferry verify && ferry cutover --fence read-only --hooks hooks             # says what it will do, and asks
  ferry cutover --fence read-only --hooks hooks --execute
  ferry cutover --fence revoke:shop@%,jobs@10.% --hooks hooks --execute
  ferry cutover --fence hook:./fence.sh --hooks hooks --execute            # called with `up`, with `lift`
  ferry cutover --lift | --continue | --back                              # after an interruption

Checks that a verify without differences is fresh and the lanes are quick, compares what changed since, raises
the fence, waits until the source stands still, drains, compares what changed last, and calls the hook
point-to-dynamodb. Whatever fails before that hook begins lifts the fence; where ferry itself is killed, a
second process lifts it. Once the hook has begun the fence stays: two places must never both take writes.

hooks, executables in the folder, by phase: before-fence, fenced, point-to-dynamodb (needed), after-cutover,
fence-lifted. Their environment has ROWFERRY_PHASE, ROWFERRY_STACK, ROWFERRY_FENCE, at the end
ROWFERRY_PAUSE_SECONDS. A hook that ends with a status other than 0 fails the phase.

ROWFERRY_ADMIN (a URL as of --source) and ROWFERRY_ADMIN_PASSWORD say who raises the fence: read-only needs
SYSTEM_VARIABLES_ADMIN and CONNECTION_ADMIN on MySQL, READ ONLY ADMIN on MariaDB; revoke needs the rights WITH
GRANT OPTION. Accounts with such rights write over read-only; the application's must have none of them.

exit status: 0 done; 1 not confirmed, or conditions do not hold; 2 failed: the last lines say what became of
the fence; 130 interrupted, the fence is lifted"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "cutover",
        parents=[common],
        help="move the application to DynamoDB",
        description="Stops writes to MySQL, proves that all is in DynamoDB, points the application there.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--fence", metavar="FENCE", help="read-only, revoke:USER@HOST[,...], hook:FILE, already"
    )
    parser.add_argument("--hooks", metavar="FOLDER", type=Path, help="holds point-to-dynamodb, and others")
    parser.add_argument("--execute", action="store_true", help="do it without asking")
    parser.add_argument(
        "--admin", metavar="URL", help="who raises the fence (default: ROWFERRY_ADMIN, --source)"
    )
    for option, value, help_ in (
        ("--verified-within", 60.0, "minutes for which a verify counts"),
        ("--max-lag", 10.0, "seconds that a marker may take through the lanes before the fence"),
        ("--pause-limit", 30.0, "seconds without writes after which the fence is lifted"),
    ):
        parser.add_argument(
            option, type=float, default=value, metavar="N", help=f"{help_} (default: %(default)g)"
        )
    after = parser.add_mutually_exclusive_group()
    for option, help_ in (
        ("--lift", "lift the fence that a dead machine left behind"),
        ("--continue", f"call {POINT} again, which was interrupted"),
        ("--back", "the application is on MySQL: lift the fence"),
    ):
        after.add_argument(option, dest="after", action="store_const", const=option[2:], help=help_)
    parser.set_defaults(run=run, changes=lambda arguments: arguments.execute or arguments.after)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if arguments.after:
        return _after(arguments, setting)
    spec = _spec(arguments)
    hooks = _hooks(arguments, setting, spec)
    _refuse_earlier(setting)
    evidence = Evidence(setting, _tell, arguments.verified_within * 60, arguments.max_lag)
    if against := evidence.conditions():
        print("\n".join(f"not now: {text}" for text in against), file=sys.stderr)
        return 1
    spec = fences.prepared(spec, setting.admin)
    if not (arguments.execute or _confirmed(spec)):
        return 1
    fence = fences.fence(spec, setting.admin)
    guard = lambda: Guard.start(spec, setting.admin, setting.control.name, setting.region)  # noqa: E731
    seconds = Cutover(setting.control, fence, guard, evidence, hooks, arguments.pause_limit, _tell).run()
    return _say(arguments, seconds)


def _say(arguments: argparse.Namespace, seconds: float) -> int:
    if arguments.json:
        print(json.dumps({"state": DONE, "pause_seconds": round(seconds, 3)}))
    else:
        print(f"done: for {seconds:.2f} s the application could not write. The fence stays on MySQL")
    return 0


def _spec(arguments: argparse.Namespace) -> Spec:
    try:
        return Spec.parse(arguments.fence or "")
    except ValueError:
        raise Refused(
            "--fence says how writes to MySQL are stopped, and there is none",
            "--fence read-only, revoke:USER@HOST, hook:FILE, or already",
        ) from None


def _hooks(arguments: argparse.Namespace, setting: Setting, spec: Spec) -> Hooks:
    hooks = Hooks(arguments.hooks, {"stack": setting.stack.name, "fence": spec.kind})
    if not hooks.has(POINT):
        raise Refused(
            f"there is no hook {POINT}, which points the application to DynamoDB",
            "put an executable of that name into a folder, and name that with --hooks",
        )
    return hooks


def _refuse_earlier(setting: Setting) -> None:
    """Refused where an earlier cutover has not come to an end."""
    match setting.control.get(CUTOVER).get("state"):
        case "done":
            raise Refused("the cutover is done", "see `ferry audit`; DynamoDB has newer data than MySQL now")
        case "moving":
            raise Refused(
                f"an earlier cutover was interrupted in {POINT}: the fence stays",
                "`ferry cutover --continue` calls it again; with the application on MySQL `--back` lifts it",
            )
        case "fenced":
            raise Refused(
                "a cutover is under way, or its machine died behind the fence",
                "wait a minute; if it is dead: `ferry cutover --lift`",
            )


def _after(arguments: argparse.Namespace, setting: Setting) -> int:
    found = setting.control.get(CUTOVER)
    if arguments.after == "continue":
        spec = Spec(**found["fence"]) if found else Spec("")
        return _say(arguments, cutover.resume(setting.control, _hooks(arguments, setting, spec)))
    if not found:
        raise Refused("there was no cutover", "see `ferry audit`")
    fence = fences.fence(Spec(**found["fence"]), setting.admin)
    if arguments.after == "back":
        cutover.back(setting.control, fence)
    elif found["state"] == MOVING:
        raise Refused(f"{POINT} has begun", "--continue, or --back if the application is on MySQL")
    else:
        take(setting.control, LIFTED, FENCED, by="operator")
        fence.lift()
    print("the fence is lifted: the application writes to MySQL")
    return 0


def _confirmed(spec: Spec) -> bool:
    print(f"This raises the fence ({spec.kind}), drains, compares what changed, and calls {POINT}.")
    if not sys.stdin.isatty():
        print("not confirmed: --execute does it without asking", file=sys.stderr)
        return False
    return input("Type yes to do it: ").strip() == "yes"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
