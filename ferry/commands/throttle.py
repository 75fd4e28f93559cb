"""`ferry throttle`: changes the limits of a running load."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from bulkload.throttle.limits import Limits
from ferry.context import Context
from ferry.loading.limits import add_limits, given_limits
from rowferry.control_table import LOADER
from rowferry.errors import Refused

EPILOG = """\
examples:
  ferry throttle                              # the limits now
  ferry throttle --max-wcu 2000               # the others stay as they are
  ferry throttle --max-wcu 0 --max-rows 0     # without these limits
  ferry throttle --pause
  ferry throttle --resume

The load reads the limits every second, and finishes chunks that it has begun. The next load begins with its
own limits. Of a load from files only --method files has a limit, --max-wcu; every method can be paused.

exit status: 0 done; 2 an error, also where no load is running"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "throttle",
        parents=[common],
        help="change the limits of a running load, or pause it",
        description="Changes the limits of the load that is running.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_limits(parser)
    pausing = parser.add_mutually_exclusive_group()
    for option, value, help_ in (("--pause", True, "start no new chunk"), ("--resume", False, "continue")):
        pausing.add_argument(option, dest="paused", action="store_const", const=value, help=help_)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    # Without an item no load has run yet.
    if context.control.get(LOADER).get("released", True):
        raise Refused("no load is running", "give the limits to `ferry load`, which has the same options")
    changes: dict[str, Any] = given_limits(arguments)
    if arguments.paused is not None:
        changes["paused"] = arguments.paused
    limits = Limits.read(context.control).changed(changes)
    if changes:
        limits.write(context.control)
    print(json.dumps(asdict(limits)) if arguments.json else limits)
    return 0
