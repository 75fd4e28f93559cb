"""`ferry status`: the state of the move, and why it waits."""

import argparse
import json
import time
from typing import Any

from rich.console import Console

from ferry.context import Context
from ferry.status import watch
from ferry.status.render import line, table
from ferry.status.state import look

EPILOG = """\
examples:
  ferry status
  ferry status --json | jq .waits
  ferry status --watch            # a screen that updates; without a terminal a line every 2 seconds

The line has bulk, switch, capture, captured (changes on the stream), applied, repeats, quarantine (the queue)
and waits; it never lacks one.

fields of --json:
  bulk         chunks of the bulk load done, of all planned
  switch       ON when the consumer applies changes
  capture      none, capturing, waiting or stopped; position: up to where every change is on the stream;
               lag_bytes, lag_seconds: binlog after it, and the age of its first transaction (null without
               --source, or where that is another server); age_seconds: since it last reported;
               server, epoch: what is captured now; epochs: each server since the first start or the last
               reset, with where its binlog begins to be captured, and the end (empty: captured now)
  applied      changes applied; repeats: duplicates, already in the item; quarantined: not applicable
  lag_ms       from the commit in MySQL to being applied, since the beginning: half of the changes, 99 of 100
  queue        messages in the quarantine now
  backlog      captured changes that are not applied, and their records on the stream; oldest_seconds: how
               long the oldest has waited, by the last batch; hours_left: of retention_hours, until the
               stream deletes it
  verified     the last `ferry verify`: minutes since its end, differences left, unsettled items; null: none
  cutover      its phase: open, fencing, fenced, pointing, done, lifting, lifted
  marker       lanes that have applied the last marker (`ferry drain`), of all
  waits        why the move is not further, and what to do; empty when nothing waits

exit status: 0; 2 an error"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "status",
        parents=[common],
        help="show the state of the move, and why it waits",
        description="Shows the state of the move, and why it waits.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=2.0,
        metavar="SECONDS",
        help="update every so many seconds (2), until Ctrl-C; with the rates in between",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    connection = context.connect() if context.has_source else None
    try:
        # Both ways to watch end only with Ctrl-C, so what follows is a single look.
        if arguments.watch and arguments.json:
            for state, found in watch.watched(
                lambda: look(context, connection), arguments.watch, time.monotonic, time.sleep
            ):
                print(json.dumps({**state, "rates": found and found.fields}), flush=True)
        if arguments.watch:
            watch.show(lambda: look(context, connection), arguments.watch, line, table)
        state = look(context, connection)
    finally:
        if connection is not None:
            connection.close()
    if arguments.json:
        print(json.dumps(state))
    else:
        print(line(state))
        Console().print(table(state))
    return 0
