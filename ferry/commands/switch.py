"""`ferry switch`: turns the consumer on or off."""

import argparse
import json
import sys
from typing import Any

from ferry.consumer_switch import executed_by, require_load, turn
from ferry.context import Context
from rowferry.control_table import FINALIZE
from rowferry.errors import Refused

EPILOG = """\
examples:
  ferry switch on
  ferry switch off

ON is refused while a mapped table's load is not done, or shows what a failover of the source has lost.
OFF loses nothing: changes wait on the stream.
The switch is the parameter Switch of the stack; every other parameter and the template stay as they are.

exit status: 0 it is as asked; 2 an error"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "switch",
        parents=[common],
        help="turn the consumer on or off",
        description="Turns the consumer on or off, and waits until it is.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("to", choices=("on", "off"), help="apply changes, or let them wait on the stream")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    wanted = arguments.to.upper()
    if wanted == "ON":
        if context.control.get(FINALIZE):
            raise Refused(
                "`ferry finalize` has begun: without _pos old changes would be applied again",
                "leave it OFF; to start over, empty the targets and load again into a new stack",
            )
        sources = [table.source for table in context.mapping.tables]
        require_load(context.control, sources, executed_by(context))
    changed = turn(context.client("cloudformation"), context.client("lambda"), context.stack, wanted, _report)
    if arguments.json:
        print(json.dumps({"switch": wanted, "changed": changed}))
    else:
        print(f"switch is {wanted}" + ("" if changed else ", as it was"))
    return 0


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
