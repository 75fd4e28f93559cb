"""`ferry verify`: every source row compared with its place in DynamoDB, both ways."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import boto3
from botocore.config import Config

from ferry.context import Context
from ferry.options import positive
from ferry.progress import Shown, progress
from ferry.verify import sample, tasks, workdir
from ferry.verify.diff import Difference
from ferry.verify.full import verify
from ferry.verify.live import Live
from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair, read_pairs
from ferry.verify.report import SHOWN, listing
from ferry.verify.scan import Scanner
from ferry.verify.summary import Summary
from ferry.verify.tasks import ReadCounts, TaskReader
from rowferry.errors import Refused
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address

WORTH = 100_000
"""Rows and items from which on processes are worth their start."""
SELDOM = ("unsettled", "repaired", "left")
EPILOG = """\
examples:
  ferry verify
  ferry verify --differences differences.jsonl
  ferry verify --repair
  ferry verify --parallel 8
  ferry verify --max-rows 20000 --max-read-units 500    # spares the source and the target
  ferry verify --sample 1000       # in seconds; does not count for a cutover
  ferry verify --json

The application may go on writing. What differs at first is looked at again behind a marker through every
lane (as `ferry drain` sends), until it is equal, or has stood still and differs. So the capturer must run
and the switch be ON; else, or with --at-rest, what is on its way counts as a difference.

Reads every row of the mapped tables and every item of their targets, in chunks, with strongly consistent
reads. The source's user needs SELECT on these tables, and REPLICATION CLIENT where it is not at rest. Memory
stays bounded; what was read needs about 100 bytes of disk for each row and each member. A verify that was
interrupted or killed goes on when it is run again within a day. A tombstone (an item with _ttl) counts as
absent.

differences, one JSON line each: table, key, member, kind, expected and found (types, never values); kind is
  missing      the row has no place in the target
  extra        the target holds what no row owns
  different    another value or type
  double       two rows have one place, so one of them is lost (counted as missing)
unsettled items changed whenever they were looked at: they are no differences, and not proven equal.

--repair reads the rows of each item that differs once more and writes the item, on the condition that it is
older than that reading. It may run beside the consumer.

--json prints {"rows", "items", "members", "missing", "extra", "different", "unsettled", "repaired",
"left"}: repaired counts items, left what differs still.
exit status: 0 no difference (with --repair: none that is left); 1 differences, or unsettled items; 2 an
error; 130 interrupted"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "verify",
        parents=[common],
        help="compare every row and every item",
        description="Compares every source row with its place in DynamoDB, both ways.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--differences", type=Path, metavar="FILE", help="write all differences here, as JSON lines"
    )
    parser.add_argument(
        "--sample",
        type=positive,
        metavar="N",
        help="only about so many items and rows of each table, by chance",
    )
    parser.add_argument("--repair", action="store_true", help="write the items that differ anew")
    parser.add_argument(
        "--at-rest", action="store_true", help="nothing writes, neither the application nor the consumer"
    )
    _add_reading(parser.add_argument_group("how it reads"))
    parser.set_defaults(run=run)


def _add_reading(group: Any) -> None:
    group.add_argument(
        "--parallel",
        type=positive,
        default=2,
        metavar="N",
        help="chunks at once, each by a process with a connection of its own (default: %(default)s)",
    )
    group.add_argument(
        "--max-rows", type=positive, metavar="N", help="rows/s to read of the source (default: no limit)"
    )
    group.add_argument(
        "--max-read-units",
        type=positive,
        metavar="N",
        help="read units/s to take of the target, one for each 4 KB (default: no limit)",
    )
    group.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="keeps what was read (default: the folder for temporary files, which TMPDIR names and where"
        " sorting takes as much once more)",
    )
    group.add_argument(
        "--again", action="store_true", help="begin anew, rather than go on with an interrupted verify"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    """Parses, wires and prints."""
    Mapping.load(context.mapping_file)  # explains what is wrong with it; what it read is not used here
    pairs = read_pairs(context.mapping_file)
    if arguments.sample:
        return _sampled(arguments, context, pairs)
    with progress("verify", unit="rows and items") as shown:
        live = None if _is_at_rest(arguments, context, shown.report) else Live(context)
        with _work(arguments, context, live) as work, listing(arguments.differences, shown.report) as report:
            summary = _compared(arguments, context, pairs, live, work, report, shown)
            if live:
                live.keep(work.since, summary.fields)
    return _say(arguments, summary)


def _work(
    arguments: argparse.Namespace, context: Context, live: Live | None
) -> AbstractContextManager[workdir.WorkDir]:
    """Where what was read is kept. Another move, mapping or source has another one."""
    if live is None:
        return workdir.at_rest()
    what = (context.control.name, context.region, context.source.host, context.source.port)
    since = live.end()
    return workdir.under_traffic(
        arguments.work,
        repr((*what, since.epoch, context.mapping_file.read_bytes())),
        str(since),
        time.time(),
        again=arguments.again,
    )


def _compared(
    arguments: argparse.Namespace,
    context: Context,
    pairs: list[Pair],
    live: Live | None,
    work: workdir.WorkDir,
    report: Callable[[Pair, Difference], None],
    shown: Shown,
) -> Summary:
    if work.goes_on:
        began = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(work.at))
        shown.report(f"goes on with the verify that began at {began}; --again begins anew")
    total = _estimate(pairs, context)
    processes = arguments.parallel if total >= WORTH else 0
    with tasks.started(partial(_reader, pairs, context.source, context.region), processes) as executor:
        gathering = Scanner(
            pairs,
            partial(source_text.connect, context.source),
            executor,
            processes or 1,
            arguments.max_rows or inf,
            arguments.max_read_units or inf,
        )
        step = partial(_step, shown, total)
        return verify(gathering, work.file, report, step, live, repair=arguments.repair)


def _reader(pairs: list[Pair], address: Address, region: str | None) -> TaskReader:
    client = boto3.client("dynamodb", region_name=region, config=Config(parameter_validation=False))
    return TaskReader(pairs, partial(source_text.connect, address), client)


def _estimate(pairs: list[Pair], context: Context) -> int:
    """Rows and items, as the source and DynamoDB count them now and then."""
    with closing(source_text.connect(context.source)) as connection:
        rows = sum(source_text.estimate(connection, pair.schema, pair.table) for pair in pairs)
    targets = {pair.target for pair in pairs}
    found = [context.dynamodb.describe_table(TableName=target)["Table"] for target in targets]
    return rows + sum(int(table.get("ItemCount", 0)) for table in found)


def _step(shown: Shown, total: int, read: ReadCounts) -> None:
    done = read.rows + read.items
    shown.step(done, max(done, total), f"{read.rows:,} rows, {read.items:,} items read")


def _sampled(arguments: argparse.Namespace, context: Context, pairs: list[Pair]) -> int:
    """Of each target some, looked at as what differs is in a verify of everything."""
    if arguments.repair:
        raise Refused("--repair is for a verify of everything", "leave --sample out")
    live, summary = Live(context), Summary()
    with progress("verify") as shown, listing(arguments.differences, shown.report) as report:
        moving = not _is_at_rest(arguments, context, shown.report)
        for target in dict.fromkeys(pair.target for pair in pairs):
            together = [pair for pair in pairs if pair.target == target]
            with live.looking(together, None if moving else _nothing) as look:
                some = sample.keys(look.rows, look.items, arguments.sample, Random())
                live.judge(look, some, partial(report, together[0]), summary)
    return _say(arguments, summary)


def _nothing() -> None:
    """Nothing is on its way, or counts as lost."""


def _is_at_rest(arguments: argparse.Namespace, context: Context, tell: Callable[[str], None]) -> bool:
    if arguments.at_rest:
        if arguments.repair:
            raise Refused("--repair is for a target that the consumer writes", "leave --at-rest out")
        return True
    if context.stack.switch_is_on:
        return False
    if arguments.repair:
        raise Refused("the switch is OFF, so the target lacks what waits", "run `ferry switch on` first")
    tell("the switch is OFF: what waits on the stream counts as a difference")
    return True


def _say(arguments: argparse.Namespace, summary: Summary) -> int:
    differing = sum(summary.kinds.values())
    if arguments.json:
        print(json.dumps(summary.fields))
    else:
        told = {
            name: count
            for name, count in summary.fields.items()
            if name not in SELDOM or (count and (name != "left" or arguments.repair))
        }
        print(", ".join(f"{count:,} {name}" for name, count in told.items()))
    if differing > SHOWN and not arguments.differences:
        print(f"{differing - SHOWN:,} more: --differences FILE lists them all", file=sys.stderr)
    return 1 if summary.left or summary.unsettled else 0
