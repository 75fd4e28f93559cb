"""`ferry audit`: who did what to the move, and how it ended."""

import argparse
import getpass
import json
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ferry.settings import Setting
from rowferry.control_table import ControlTable, Plain

STARTED = "started"
"""The outcome of an action that still runs, or was killed: nothing has said how it ended."""
PREFIX = "audit#"
EPILOG = """\
examples:
  ferry audit
  ferry audit --json | jq '.[] | select(.outcome == "started")'    # still running, or killed

Every command that changes something is recorded in the control table when it begins and when it ends. One
that has begun and not ended is still running, or was killed.

fields of --json: at (ms since 1970), who, action, command, outcome, ended (ms), and what the action adds
exit status: 0; 2 an error"""
_PASSWORD = re.compile(r"(//[^:/@\s]*):[^@\s]*@")


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "audit",
        parents=[common],
        help="who did what, and how it ended",
        description="Lists every action that changed something, oldest first.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, reads and prints."""
    found = actions(setting.control)
    if arguments.json:
        print(json.dumps(found))
    else:
        Console().print(_table(found))
    return 0


def record(control: ControlTable, action: str, outcome: str, **facts: Plain) -> str:
    """
    Writes one action; returns its key.

    `facts` are shown as they are: no secrets, no row values. The time in the key has a fixed width.
    """
    now = time.time_ns() // 1_000_000
    pk = f"{PREFIX}{now:014d}#{secrets.token_hex(4)}"
    fields: dict[str, Plain] = {"at": now, "who": who(), "action": action, "outcome": outcome}
    control.put(pk, {**fields, **facts})
    return pk


def ended(control: ControlTable, pk: str, outcome: str) -> None:
    """Says how an action that `record` wrote ended."""
    control.update(pk, set={"outcome": outcome, "ended": time.time_ns() // 1_000_000})


def who() -> str:
    """The user of the operating system, and the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's number without a name
        user = "?"
    return f"{user}@{socket.gethostname()}"


def without_secrets(argv: Sequence[str]) -> str:
    """The command line as it may be kept: a password in an address is refused later, but was typed."""
    return " ".join(_PASSWORD.sub(r"\1:***@", word) for word in argv)


@contextmanager
def recorded(
    control: ControlTable, action: str, argv: Sequence[str], tell: Callable[[str], None] | None = None
) -> Iterator[list[int]]:
    """
    Records the start of a command and its end, whichever it is. Put the exit status into the list.

    Where the end cannot be written `tell` says so: the command's own outcome counts.
    """
    pk = record(control, action, STARTED, command=f"ferry {without_secrets(argv)}")
    status: list[int] = []
    outcome = "?"
    try:
        yield status
        outcome = f"exit {status[0]}" if status else "?"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        try:
            ended(control, pk, outcome)
        except (ClientError, BotoCoreError):
            (tell or _tell)("the end of this command could not be recorded: `ferry audit` will lack it")


def actions(control: ControlTable) -> list[dict[str, Any]]:
    """All actions, oldest first."""
    found = sorted(control.items(PREFIX), key=lambda item: str(item["pk"]))
    return [{name: value for name, value in item.items() if name != "pk"} for item in found]


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _table(found: Sequence[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("at (UTC)", "who", "command", "outcome"):
        table.add_column(title)
    for action in found:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(action["at"] / 1000))
        outcome = f"{STARTED}, no end" if action["outcome"] == STARTED else action["outcome"]
        table.add_row(
            at, *(escape(text) for text in (action["who"], action.get("command", action["action"]), outcome))
        )
    return table
