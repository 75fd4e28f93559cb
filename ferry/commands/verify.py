"""`ferry verify`: compares every source row with its place in DynamoDB, both ways."""

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
from ferry.verify import one_server, sample, tasks, workdir
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

WORTH = 100_000
"""Rows and items from which on separate processes are faster, in spite of their start."""
SELDOM = ("unsettled", "repaired", "left")
EPILOG = """\
examples:
  ferry verify
  ferry verify --differences differences.jsonl
  ferry verify --repair
  ferry verify --parallel 8
  ferry verify --max-rows 20000 --max-read-units 500    # limits the load on source and target
  ferry verify --sample 1000       # takes seconds; does not count for a cutover
  ferry verify --json

The application may go on writing. What differs at first is read again after a marker through every lane (like
that of `ferry drain`), until it is equal, or has not changed and still differs. So the capturer must run and
the switch be ON; else, or with --at-rest, changes on their way count as differences.

Reads every row of the mapped tables and every item of their targets, in chunks, with strongly consistent
reads. The source's user needs SELECT on these tables, and REPLICATION CLIENT unless it is at rest. Memory is
bounded; the working files need about 100 bytes of disk for each row and each member. A verify that was
interrupted or killed resumes when it is run again within a day. A tombstone (an item with _ttl) counts as
absent.

differences, one JSON line each: table, key, member, kind, expected and found (types, never values); kind is
  missing      the row has no place in the target
  extra        the target has a member of no row
  different    another value or type
  double       two rows have one place, so one of them is lost (counted as missing)
unsettled items changed at every reading: they are not differences, and not proven equal.

--repair reads the rows of each item that differs again and writes the item, on the condition that it is older
than that reading. The consumer may run at the same time.

--json prints {"rows", "items", "members", "missing", "extra", "different", "unsettled", "repaired",
"left"}: repaired counts items, left the remaining differences.
exit status: 0 no difference (with --repair: none is left); 1 differences, or unsettled items; 2 an error; 130
interrupted"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
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
        help="only about so many items and rows of each table, at random",
    )
    parser.add_argument(
        "--repair", action="store_true", help="rewrite the items that differ, from their rows"
    )
    parser.add_argument(
        "--at-rest", action="store_true", help="confirms that neither the application nor the consumer writes"
    )
    _add_reading(parser.add_argument_group("how it reads"))
    parser.set_defaults(run=run)


def _add_reading(group: Any) -> None:
    group.add_argument(
        "--parallel",
        type=positive,
        default=2,
        metavar="N",
        help="chunks at once, each in a process with its own connection (default: %(default)s)",
    )
    group.add_argument(
        "--max-rows", type=positive, metavar="N", help="rows/s to read from the source (default: no limit)"
    )
    group.add_argument(
        "--max-read-units",
        type=positive,
        metavar="N",
        help="read units/s to use of the target, one for each 4 KB (default: no limit)",
    )
    group.add_argument(
        "--work",
        type=Path,
        metavar="FOLDER",
        help="folder of the working files (default: TMPDIR or the system's temporary folder; sorting needs"
        " the same space there again)",
    )
    group.add_argument(
        "--again", action="store_true", help="start again, instead of resuming an interrupted verify"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    Mapping.load(context.mapping_file)  # only for its errors: verify reads the file by its own code
    pairs = read_pairs(context.mapping_file)
    if arguments.sample:
        return _sampled(arguments, context, pairs)
    with progress("verify", unit="rows and items") as shown:
        live = None if _is_at_rest(arguments, context, shown.report) else Live(context)
        with _work(arguments, context, live) as work, listing(arguments.differences, shown.report) as report:
            summary = _compared(arguments, context, pairs, live, work, report, shown)
            if live:
                # As of the beginning: what was written later may not have been compared. Before the working
                # files are deleted, so that a run that is killed here can be resumed.
                live.keep(work.since, summary.fields)
    return _say(arguments, summary)


def _work(
    arguments: argparse.Namespace, context: Context, live: Live | None
) -> AbstractContextManager[workdir.WorkDir]:
    """The folder of the working files. Another move, mapping or source has another one."""
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
        shown.report(f"resumes the verify that began at {began}; --again starts again")
    total = _estimate(pairs, context)
    processes = arguments.parallel if total >= WORTH else 0
    open_ = partial(source_text.connect, context.source)
    connect = partial(one_server.connect, open_, live.server if live else "")
    with tasks.started(partial(_reader, pairs, connect, context.region), processes) as executor:
        scanner = Scanner(
            pairs,
            connect,
            executor,
            processes or 1,
            arguments.max_rows or inf,
            arguments.max_read_units or inf,
        )
        step = partial(_step, shown, total)
        return verify(scanner, work.file, report, step, live, repair=arguments.repair)


def _reader(pairs: list[Pair], connect: Callable[[], Any], region: str | None) -> TaskReader:
    client = boto3.client("dynamodb", region_name=region, config=Config(parameter_validation=False))
    return TaskReader(pairs, connect, client)


def _estimate(pairs: list[Pair], context: Context) -> int:
    """Rows and items, by statistics of the source and of DynamoDB, which are updated only now and then."""
    with closing(source_text.connect(context.source)) as connection:
        rows = sum(source_text.estimate(connection, pair.schema, pair.table) for pair in pairs)
    targets = {pair.target for pair in pairs}
    found = [context.dynamodb.describe_table(TableName=target)["Table"] for target in targets]
    return rows + sum(int(table.get("ItemCount", 0)) for table in found)


def _step(shown: Shown, total: int, read: ReadCounts) -> None:
    done = read.rows + read.items
    shown.step(done, max(done, total), f"{read.rows:,} rows, {read.items:,} items read")


def _sampled(arguments: argparse.Namespace, context: Context, pairs: list[Pair]) -> int:
    """
    Compares some items of each target, by the repeated readings that a full verify uses for what differs.
    """
    if arguments.repair:
        raise Refused("--repair needs a verify of everything", "leave --sample out")
    summary = Summary()
    with progress("verify") as shown, listing(arguments.differences, shown.report) as report:
        moving = not _is_at_rest(arguments, context, shown.report)
        live = Live(context, moving)
        for target in dict.fromkeys(pair.target for pair in pairs):
            together = [pair for pair in pairs if pair.target == target]
            with live.reading(together, None if moving else _nothing) as reading:
                some = sample.keys(reading.rows, reading.items, arguments.sample, Random())
                live.judge(reading, some, partial(report, together[0]), summary)
    return _say(arguments, summary)


def _nothing() -> None:
    """At rest nothing is on its way: there is nothing to wait for."""


def _is_at_rest(arguments: argparse.Namespace, context: Context, report: Callable[[str], None]) -> bool:
    if arguments.at_rest:
        if arguments.repair:
            raise Refused("--repair needs the running consumer", "leave --at-rest out")
        return True
    if context.stack.switch_is_on:
        return False
    if arguments.repair:
        raise Refused(
            "the switch is OFF, so the target lacks the waiting changes", "run `ferry switch on` first"
        )
    report("the switch is OFF: changes that wait on the stream count as differences")
    return True


def _say(arguments: argparse.Namespace, summary: Summary) -> int:
    differing = sum(summary.kinds.values())
    if arguments.json:
        print(json.dumps(summary.fields))
    else:
        counted = {
            name: count
            for name, count in summary.fields.items()
            if name not in SELDOM or (count and (name != "left" or arguments.repair))
        }
        print(", ".join(f"{count:,} {name}" for name, count in counted.items()))
    if differing > SHOWN and not arguments.differences:
        print(f"{differing - SHOWN:,} more: --differences FILE lists them all", file=sys.stderr)
    return 1 if summary.left or summary.unsettled else 0
