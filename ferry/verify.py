"""`ferry verify`: every source row compared with its place in DynamoDB, both ways."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TextIO

from ferry import sample
from ferry.comparing import verify
from ferry.comparison import Difference, working_file
from ferry.live import Live
from ferry.places import Pair, read_pairs
from ferry.progress import Shown, paced, progress
from ferry.settings import Setting, positive
from ferry.summary import Summary
from rowferry.errors import Refused
from rowferry.mapping import Mapping

SHOWN = 10
SELDOM = ("unsettled", "repaired", "left")
EPILOG = """\
examples:
  ferry verify
  ferry verify --differences differences.jsonl
  ferry verify --repair
  ferry verify --max-rows 20000    # spares the source
  ferry verify --sample 1000       # in seconds; does not count for a cutover
  ferry verify --json

The application may go on writing. What differs at first is looked at again behind a marker through every
lane (as `ferry drain` sends), until it is equal, or has stood still and differs. So the capturer must run
and the switch be ON; else, or with --at-rest, what is on its way counts as a difference.

Reads every row of the mapped tables in one query each, and every item of their targets. The source's user
needs SELECT on these tables, and REPLICATION CLIENT where it is not at rest. Memory stays bounded; the
working file needs about 100 bytes of disk for each row and each member, in the folder that TMPDIR names.
A tombstone (an item with _ttl) counts as absent.

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
    parser.add_argument(
        "--max-rows", type=positive, metavar="N", help="rows/s to read of the source (default: no limit)"
    )
    parser.add_argument("--repair", action="store_true", help="write the items that differ anew")
    parser.add_argument(
        "--at-rest", action="store_true", help="nothing writes, neither the application nor the consumer"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    Mapping.load(setting.mapping_file)  # explains what is wrong with it; what it read is not used here
    pairs = read_pairs(setting.mapping_file)
    if arguments.sample:
        return _sampled(arguments, setting, pairs)
    with progress("verify") as shown, working_file() as sides:
        live = None if _is_at_rest(arguments, setting, shown.tell) else Live(setting)
        since = live.end() if live else None
        with _listing(arguments.differences, shown) as report:
            summary = verify(
                pairs,
                setting.source,
                setting.dynamodb,
                sides,
                report,
                paced(shown.step, arguments.max_rows),
                live,
                repair=arguments.repair,
            )
        if live and since:
            live.keep(since, summary.fields)
    return _say(arguments, summary)


def _sampled(arguments: argparse.Namespace, setting: Setting, pairs: list[Pair]) -> int:
    """Of each target some, looked at as what differs is in a verify of everything."""
    if arguments.repair:
        raise Refused("--repair is for a verify of everything", "leave --sample out")
    live, summary = Live(setting), Summary()
    with progress("verify") as shown, _listing(arguments.differences, shown) as report:
        moving = not _is_at_rest(arguments, setting, shown.tell)
        for target in dict.fromkeys(pair.target for pair in pairs):
            together = [pair for pair in pairs if pair.target == target]
            with live.looking(together, moving=moving) as look:
                some = sample.keys(look.rows, look.items, arguments.sample, Random())
                live.judge(look, some, partial(report, together[0]), summary)
    return _say(arguments, summary)


def _is_at_rest(arguments: argparse.Namespace, setting: Setting, tell: Callable[[str], None]) -> bool:
    if arguments.at_rest:
        if arguments.repair:
            raise Refused("--repair is for a target that the consumer writes", "leave --at-rest out")
        return True
    if setting.stack.switch_is_on:
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


@contextmanager
def _listing(file: Path | None, shown: Shown) -> Iterator[Callable[[Pair, Difference], None]]:
    """Takes differences: the first are shown, all are written to the file."""
    count = 0
    out: TextIO | None = file.open("w", encoding="utf-8") if file else None

    def report(pair: Pair, difference: Difference) -> None:
        nonlocal count
        count += 1
        line = json.dumps(_fields(pair, difference), ensure_ascii=False)
        if count <= SHOWN:
            shown.tell(line)
        if out:
            print(line, file=out)

    try:
        yield report
    finally:
        if out:
            out.close()


def _fields(pair: Pair, difference: Difference) -> dict[str, Any]:
    return {
        "table": pair.target,
        "key": pair.key_fields(difference.place.key),
        "member": difference.place.member or None,
        "kind": difference.kind,
        "expected": difference.expected,
        "found": difference.found,
    }
