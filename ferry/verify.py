"""`ferry verify`: every source row compared with its place in DynamoDB, both ways."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any, TextIO

from bulkload.connection import Address
from bulkload.pace import Bucket
from ferry import reading
from ferry.comparison import Difference, Sides, working_file
from ferry.live import Live
from ferry.lookup import types_of
from ferry.places import PRESENT, Pair, expected, found, read_pairs
from ferry.progress import Shown, progress
from ferry.settings import Setting, positive
from ferry.settling import Settling
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


def paced(
    step: Callable[[int, int, str], None],
    most: int | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Callable[[int, int, str], None]:
    """A step that waits, so that no more than so many rows are read a second."""
    if most is None:
        return step
    bucket, before = Bucket(), 0

    def waiting(done: int, total: int, note: str) -> None:
        nonlocal before
        step(done, total, note)
        while pause := bucket.take(done - before, most, clock()):
            sleep(pause)
        before = done

    return waiting


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


def verify(
    pairs: list[Pair],
    address: Address,
    client: Any,
    sides: Sides,
    report: Callable[[Pair, Difference], None],
    step: Callable[[int, int, str], None],
    live: Live | None = None,
    *,
    repair: bool = False,
) -> Summary:
    """
    Compares all pairs; calls `report` for each difference and `step` for the progress. `live`: what differs
    may be on its way.

    Refused when a table cannot be read, or nothing passes through the lanes.
    """
    summary = Summary()
    targets: dict[str, list[Pair]] = {}
    for pair in pairs:
        targets.setdefault(pair.target, []).append(pair)
    for together in targets.values():
        sides.clear()
        for pair in together:
            sides.add("source", _source_side(pair, address, summary, step))
        sides.add("target", _target_side(together, client, summary, step))
        found = sides.differences()
        if live:
            found = _settled(found, together, live, summary, repair=repair)
        for difference in found:
            summary.kinds[difference.kind] += 1
            report(together[0], difference)
    return summary


def _settled(
    found: Iterator[Difference], pairs: list[Pair], live: Live, summary: Summary, *, repair: bool
) -> Iterator[Difference]:
    """Those that are no changes on their way; mended, where that is asked for."""
    with live.looking(pairs) as look:
        nowhere: list[Difference] = []
        settling = Settling(look, live.rest)
        differing = []
        for each in settling.differences(_suspects(found, nowhere)):
            yield from each
            if repair:
                differing.append(each)
        yield from nowhere
        summary.unsettled += len(settling.unsettled)
        if differing:
            summary.repaired, summary.mended = live.repair(pairs, look, differing)


def _suspects(found: Iterator[Difference], nowhere: list[Difference]) -> Iterator[str]:
    """The keys of items, each once. Rows without a key have no item to look at."""
    for key, group in groupby(found, lambda difference: difference.place.key):
        if None in (content for _, content in json.loads(key)):
            nowhere += group
        else:
            yield key


def _source_side(
    pair: Pair, address: Address, summary: Summary, step: Callable[[int, int, str], None]
) -> Iterator[Any]:
    with closing(reading.connect(address)) as connection:
        types = types_of(connection, pair)
        yield from expected(pair, types, _rows(connection, pair, types, summary, step))


def _rows(
    connection: Any,
    pair: Pair,
    types: dict[str, str],
    summary: Summary,
    step: Callable[[int, int, str], None],
) -> Iterator[Any]:
    for some in reading.rows(connection, pair.schema, pair.table, types):
        summary.rows += len(some)
        step(summary.rows, 0, f"{summary.rows:,} rows, {summary.items:,} items read")
        yield from some


def _target_side(
    pairs: list[Pair], client: Any, summary: Summary, step: Callable[[int, int, str], None]
) -> Iterator[Any]:
    pair, *others = pairs
    for page in client.get_paginator("scan").paginate(TableName=pair.target, ConsistentRead=True):
        places = [list(found(pair, item, others)) for item in page["Items"]]
        summary.items += sum(map(bool, places))
        summary.members += sum(place.member != PRESENT for item in places for place in item)
        step(summary.rows, 0, f"{summary.rows:,} rows, {summary.items:,} items read")
        yield from chain.from_iterable(places)
