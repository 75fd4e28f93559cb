"""`ferry preflight`: the conditions of a move."""

import argparse
import json
import sys
import time
from contextlib import closing
from dataclasses import asdict
from typing import Any

from bulkload.estimate import expected
from ferry.conditions import listed
from ferry.context import Context
from ferry.preflight import schema, target
from ferry.preflight import source as server_side
from ferry.preflight.data import Data
from rowferry.control_table import CHECKPOINT
from rowferry.mysql import conditions as mysql_conditions
from rowferry.mysql.conditions import Condition
from rowferry.mysql.server import identify

DEFAULT_ROWS_A_SECOND = 20_000
"""Of the load, for the estimate of its hours: a fifth of what one processor did in the benchmark."""
EPILOG = """\
examples:
  ferry preflight
  ferry preflight --json | jq '.[] | select(.holds | not)'
  ferry preflight --load-hours 30 --measure 60
  ferry preflight --grants        # the least privileges that a user needs, as SQL

Prints each condition with what was found; where it does not hold, FAIL with the fix. `warn` is advice: a move
works without it. Queries over whole tables (places with two rows, large groups, hot keys, names) run for
--max-seconds at most each; run them in a quiet hour, or omit them with --max-seconds 0.

exit status: 0 all needed conditions hold; 1 some do not; 2 an error"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "preflight",
        parents=[common],
        help="check the conditions of a move",
        description="Prints every condition of a move, and the fix of those that do not hold.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--load-hours", type=float, metavar="N", help="that the load takes (default: an estimate)"
    )
    parser.add_argument(
        "--measure",
        type=float,
        default=3.0,
        metavar="SECONDS",
        help="for which the source's write rate is measured (default: 3)",
    )
    parser.add_argument(
        "--max-seconds",
        type=float,
        default=60.0,
        metavar="N",
        help="for each query over a whole table (default: 60)",
    )
    parser.add_argument(
        "--grants", action="store_true", help="print the least privileges that suffice, as SQL"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.grants:
        print(";\n".join(server_side.least("'rowferry'@'%'", context.mapping.tables)) + ";")
        return 0
    groups = found(arguments, context)
    every = [condition for conditions in groups.values() for condition in conditions]
    broken = [condition for condition in every if condition.needed and not condition.holds]
    if arguments.json:
        print(json.dumps([{"of": of, **asdict(one)} for of, some in groups.items() for one in some]))
    else:
        for of, some in groups.items():
            print(f"{of}\n" + "\n".join(line for one in some for line in listed(one)))
        print(f"{len(every)} conditions, {len(broken)} FAIL", file=sys.stderr)
    return 1 if broken else 0


def found(arguments: argparse.Namespace, context: Context) -> dict[str, list[Condition]]:
    """All conditions, in groups: source, rows, target."""
    tables = context.mapping.tables
    with closing(context.connect()) as connection:
        server = identify(connection)
        checked = mysql_conditions.check(connection, server, context.mapping)
        # Else the queries over rows would end in an error, and not in the condition that names what is
        # missing.
        readable = all(one.holds for one in checked if one.name.startswith(("table ", "column ")))
        hours = arguments.load_hours or (_estimated_hours(connection, context) if readable else 0.0)
        checked += server_side.conditions(connection, server, tables, hours, _server_id(context))
        for table in tables:
            checked += schema.conditions(connection, table)
        rate = server_side.rate(connection, arguments.measure, time.sleep)
        rows = [
            condition
            for table in tables
            if readable and arguments.max_seconds
            for condition in Data(connection, server, table, arguments.max_seconds).conditions()
        ]
    there = list(target.conditions(context.client, context.stack, tables, hours, rate))
    return {"source": checked, "rows": rows, "target": there}


def _estimated_hours(connection: Any, context: Context) -> float:
    rows = sum(expected(connection, table).rows for table in context.mapping.tables)
    return rows / DEFAULT_ROWS_A_SECOND / 3600


def _server_id(context: Context) -> int | None:
    # A capturer that runs is itself the replica that has the id.
    if context.control.get(CHECKPOINT):
        return None
    return int(context.stack.parameters.get("SourceServerId", "0"))
