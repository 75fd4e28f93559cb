"""
The command `ferry`.

Exit status: 0 done; 1 the answer is no (differences, unusable rows, not
drained in time); 2 an error, in one line on standard error that ends in the
fix; 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from ferry import audit_log, operator_hooks
from ferry.commands import (
    audit,
    cutover,
    drain,
    export,
    finalize,
    load,
    mapping,
    preflight,
    quarantine,
    resume,
    status,
    switch,
    teardown,
    throttle,
    verify,
)
from ferry.context import EXAMPLE, Context
from rowferry import __version__
from rowferry.errors import RowferryError

_LOST = (1053, 1927, 2006, 2013)  # the server shuts down, the session was killed, the connection is gone
EPILOG = f"""\
a move, in its order:
  export ROWFERRY_SOURCE={EXAMPLE} ROWFERRY_SOURCE_PASSWORD=...
  ferry preflight         # the conditions of a move, each with its fix
  ferry mapping check     # the items of some rows; writes nothing
  ferry load              # copy the existing rows; the capturer must be running
  ferry switch on         # apply the changes that waited meanwhile, then the live ones
  ferry status
  ferry resume --after-ddl  # only where capture stopped: why, and how it continues
  ferry verify            # compare every row and every item, while the application writes
  ferry quarantine list   # what could not be applied; `retry` repairs it
  ferry cutover           # fence, drain, verify what changed since, point the application to DynamoDB
  ferry finalize          # after the cutover: remove _pos and tombstones
  ferry teardown          # what may be deleted now, and how
  ferry audit             # who did what, and when

The stack is found by --stack or ROWFERRY_STACK, the account and region as the aws command line finds them.
exit status: 0 done; 1 the answer is no; 2 an error (one line that ends in the fix); 130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    root = argparse.ArgumentParser(
        prog="ferry",
        description="Moves a live MySQL database to DynamoDB.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    root.add_argument("--version", action="version", version=f"rowferry {__version__}")
    commands = root.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for module in (
        preflight,
        mapping,
        load,
        throttle,
        export,
        switch,
        status,
        resume,
        drain,
        verify,
        quarantine,
        cutover,
        finalize,
        teardown,
        audit,
    ):
        module.add(commands, _common())
    return root


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("where things are")
    group.add_argument(
        "--stack", metavar="NAME", help="CloudFormation stack (default: ROWFERRY_STACK, or rowferry)"
    )
    group.add_argument(
        "--mapping",
        metavar="FILE",
        type=Path,
        help="mapping (default: the stack's MappingFile, in functions/)",
    )
    group.add_argument(
        "--source",
        metavar="URL",
        help=f"MySQL server, {EXAMPLE} (default: ROWFERRY_SOURCE); ?ca=FILE checks TLS",
    )
    group.add_argument(
        "--password-file",
        metavar="FILE",
        type=Path,
        help="holds the password (default: ROWFERRY_SOURCE_PASSWORD)",
    )
    common.add_argument(
        "--hooks",
        metavar="DIR",
        type=Path,
        default=os.environ.get("ROWFERRY_HOOKS") or None,
        help="runs its executables before-COMMAND and after-COMMAND, and those of `ferry cutover` (default:"
        " ROWFERRY_HOOKS)",
    )
    common.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return common


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser().parse_args(argv)
    try:
        return _run(arguments, argv)
    except KeyboardInterrupt:
        print("interrupted: run the command again, it resumes", file=sys.stderr)
        return 130  # 128 + SIGINT, as a shell reports it
    # Nothing else: a fault of ferry itself has to show where it is.
    except (RowferryError, ClientError, BotoCoreError, pymysql.err.Error, OSError) as error:
        print(f"error: {_explained(error)}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace, argv: Sequence[str]) -> int:
    """The command, inside its record in the audit, inside the operator's hooks."""
    context = Context(arguments)

    def command() -> int:
        return int(arguments.run(arguments, context))

    def recorded() -> int:
        if not _changes(arguments):
            return command()
        return audit_log.recorded(context.control, arguments.command, argv, command)

    typed = audit_log.without_secrets(argv)
    return operator_hooks.around(arguments.hooks, arguments.command, typed, recorded, _report)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _changes(arguments: argparse.Namespace) -> bool:
    """
    Whether the command, with these options, changes something, so that it is recorded in the audit trail.
    """
    given = vars(arguments)
    match arguments.command:
        case "switch" | "quarantine":
            return given.get("what") != "list"
        case "load":
            return not given.get("plan")
        case "throttle":
            return any(value is not None for name, value in given.items() if name.startswith("max_")) or (
                given.get("paused") is not None
            )
        case "cutover":
            # Without --execute the operator may still answer yes: the cutover records its outcome by itself.
            return any(given[name] for name in ("execute", "continue_", "back", "lift"))
        case "verify":
            return bool(given.get("repair"))
    return arguments.command in ("resume", "finalize") and bool(given.get("execute"))


def _explained(error: Exception) -> str:
    """One line that ends in the fix."""
    text = " ".join(str(error).split())
    match error:
        case RowferryError():
            return text
        case ClientError():
            return f"AWS refused: {text}: check the permissions of your credentials, and the region"
        case BotoCoreError():
            return f"AWS cannot be reached: {text}: check credentials, region (AWS_REGION) and network"
        case pymysql.err.Error():
            number, reason = (*error.args, "", "")[:2]
            if isinstance(error, pymysql.err.InterfaceError) or number in _LOST:
                return (
                    f"the connection to the source was lost ({number}): run the command again; `ferry status`"
                    " shows whether the source failed over"
                )
            return f"MySQL: {reason} ({number}): check --source, the password and the user's grants"
    return f"{text}: check the path and the free space"


if __name__ == "__main__":
    sys.exit(main())
