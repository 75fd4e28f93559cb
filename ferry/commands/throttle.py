"""`ferry throttle`: how fast a load may be, changed while it runs."""

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
  ferry throttle                              # what holds now
  ferry throttle --max-wcu 2000               # the others stay as they are
  ferry throttle --max-wcu 0 --max-rows 0     # without these limits
  ferry throttle --pause
  ferry throttle --resume

The load looks every second. Chunks that it has begun it finishes. The next load begins with its own limits.
Of a load from files only --road files has a limit, --max-wcu; it can be paused by every road.
exit status: 0 done; 2 an error, also where no load is running"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "throttle",
        parents=[common],
        help="hold a running load back, or let it go on",
        description="Changes the limits of the load that is running.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_limits(parser)
    pausing = parser.add_mutually_exclusive_group()
    for option, value, help_ in (("--pause", True, "begin no new chunk"), ("--resume", False, "go on")):
        pausing.add_argument(option, dest="paused", action="store_const", const=value, help=help_)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Parses, changes and prints."""
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
