"""`ferry audit`: who did what to the move, and the outcome."""

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ferry.audit_log import STARTED, actions
from ferry.context import Context

EPILOG = """\
examples:
  ferry audit
  ferry audit --json | jq '.[] | select(.outcome == "started")'    # still running, or killed

Every command that changes something is recorded in the control table when it begins and when it ends. One
without an end is still running, or was killed.

fields of --json: at (ms since 1970), who, action, command, outcome, ended (ms), and facts of the action
exit status: 0; 2 an error"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "audit",
        parents=[common],
        help="who did what, and the outcome",
        description="Lists every action that changed something, oldest first.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    found = actions(context.control)
    if arguments.json:
        print(json.dumps(found))
    else:
        Console().print(_table(found))
    return 0


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
