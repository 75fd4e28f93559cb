"""`ferry drain`: waits until everything that is in the source's binlog now has been applied."""

import argparse
import json
import sys
from typing import Any

from ferry.context import Context
from ferry.markers import drain, progress_of
from rowferry.errors import Refused

EPILOG = """\
examples:
  mysql -e 'SET GLOBAL super_read_only = ON'     # the fence; MariaDB: SET GLOBAL read_only = ON
  ferry drain
  ferry drain --timeout 600 --json

Reads where the source's binlog ends now, and sends a marker through every lane once everything before that is
on the stream. When all lanes have applied it, every change up to the printed position is in DynamoDB or in
the quarantine (`ferry status` counts it). Without a fence, later changes are not covered.

exit status: 0 drained; 1 not within --timeout; 2 an error"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "drain",
        parents=[common],
        help="wait until everything up to now is applied",
        description="Waits until everything that is in the source's binlog now has been applied.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="give up after this time (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    if not context.stack.switch_is_on:
        raise Refused("the switch is OFF, so nothing is applied", "run `ferry switch on` first")
    connection = context.connect()
    try:
        drained = drain(context.control, connection, arguments.timeout, _report)
    finally:
        connection.close()
    if arguments.json:
        fields = {"position": drained.position, "lanes": drained.lanes, "applied": drained.applied}
        print(json.dumps({**fields, "drained": drained.complete, "seconds": round(drained.seconds, 3)}))
    elif drained.complete:
        print(
            f"drained: everything before {drained.position} is applied or in the quarantine,"
            f" in all {drained.lanes} lanes"
        )
    if not drained.complete:
        print(
            f"not drained in {drained.seconds:.0f} s: {progress_of(drained)}:"
            " see `ferry status`, then run it again",
            file=sys.stderr,
        )
    return 0 if drained.complete else 1


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
