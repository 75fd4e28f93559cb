"""`ferry throttle`: how fast a load may be, changed while it runs."""

import argparse
import json
from dataclasses import asdict
from typing import Any

from bulkload.lock import LOADER
from bulkload.throttle.limits import Limits
from ferry.settings import Setting
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
_OPTIONS = {
    "wcu": ("WCU/s that all processes together write", "--max-wcu"),
    "rows": ("rows/s that all processes together read", "--max-rows"),
    "threads_running": ("no new chunk while more threads are running at the source", "--max-threads-running"),
    "lag": ("no new chunk while the replica is more seconds behind", "--max-lag"),
}


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


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Adds the limits, which `ferry load` has too."""
    group = parser.add_argument_group("limits (0: none)")
    for help_, option in _OPTIONS.values():
        group.add_argument(option, type=_number, metavar="N", help=help_)


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def limits_of(arguments: argparse.Namespace) -> Limits:
    """The limits that the arguments name, and no others."""
    return Limits().changed(_given(arguments))


def _given(arguments: argparse.Namespace) -> dict[str, int]:
    found = {name: getattr(arguments, f"max_{name}") for name in _OPTIONS}
    return {name: value for name, value in found.items() if value is not None}


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, changes and prints."""
    if setting.control.get(LOADER).get("released", True):
        raise Refused("no load is running", "give the limits to `ferry load`, which has the same options")
    changes: dict[str, Any] = _given(arguments)
    if arguments.paused is not None:
        changes["paused"] = arguments.paused
    limits = Limits.read(setting.control).changed(changes)
    if changes:
        limits.write(setting.control)
    print(json.dumps(asdict(limits)) if arguments.json else limits)
    return 0
