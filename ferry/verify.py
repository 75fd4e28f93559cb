"""`ferry verify`: every source row compared with its place in DynamoDB, both ways."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from bulkload.connection import Address
from ferry import reading
from ferry.comparison import Difference, Sides, working_file
from ferry.places import PRESENT, Pair, expected, found, read_pairs
from ferry.progress import Shown, progress
from ferry.settings import Setting
from rowferry.errors import Refused
from rowferry.mapping import Mapping

SHOWN = 10
EPILOG = """\
examples:
  ferry verify
  ferry verify --differences differences.jsonl
  ferry verify --json

Run it at rest: writes stopped, then `ferry drain`, then this. While the application writes, changes on
their way show up as differences.

Reads every row of the mapped tables in one query each, and every item of their targets. The source's user
needs SELECT on these tables, nothing else. Memory stays bounded; the working file needs about 100 bytes of
disk for each row and each member, in the folder that TMPDIR names. A tombstone (an item with _ttl) counts
as absent.

differences, one JSON line each: table, key, member, kind, expected and found (types, never values); kind is
  missing      the row has no place in the target
  extra        the target holds what no row owns
  different    another value or type
  double       two rows have one place, so one of them is lost (counted as missing)

--json prints {"rows", "items", "members", "missing", "extra", "different"}.
exit status: 0 no difference; 1 differences; 2 an error; 130 interrupted"""


@dataclass(slots=True)
class Summary:
    """What was compared (source rows, live items, members of them) and what differs, in members."""

    rows: int = 0
    items: int = 0
    members: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def fields(self) -> dict[str, int]:
        """As --json prints it."""
        kinds = self.kinds
        return {
            "rows": self.rows,
            "items": self.items,
            "members": self.members,
            "missing": kinds["missing"] + kinds["double"],
            "extra": kinds["extra"],
            "different": kinds["different"],
        }


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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    Mapping.load(setting.mapping_file)  # explains what is wrong with it; what it read is not used here
    pairs = read_pairs(setting.mapping_file)
    with (
        progress("verify") as shown,
        _listing(arguments.differences, shown) as report,
        working_file() as sides,
    ):
        summary = verify(pairs, setting.source, setting.dynamodb, sides, report, shown.step)
    differing = sum(summary.kinds.values())
    if arguments.json:
        print(json.dumps(summary.fields))
    else:
        print(", ".join(f"{count:,} {name}" for name, count in summary.fields.items()))
    if differing > SHOWN and not arguments.differences:
        print(f"{differing - SHOWN:,} more: --differences FILE lists them all", file=sys.stderr)
    return 1 if differing else 0


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
) -> Summary:
    """
    Compares all pairs; calls `report` for each difference and `step` for the progress.

    Refused when a table cannot be read.
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
        for difference in sides.differences():
            summary.kinds[difference.kind] += 1
            report(together[0], difference)
    return summary


def _source_side(
    pair: Pair, address: Address, summary: Summary, step: Callable[[int, int, str], None]
) -> Iterator[Any]:
    with closing(reading.connect(address)) as connection:
        types = _types(connection, pair)
        yield from expected(pair, types, _rows(connection, pair, types, summary, step))


def _types(connection: Any, pair: Pair) -> dict[str, str]:
    """The types of the columns that travel, by name."""
    types = reading.types(connection, pair.schema, pair.table)
    columns = pair.columns(list(types))
    for column in columns:
        if column not in types:
            raise Refused(
                f"{pair.schema}.{pair.table} has no column {column}, or there is no such table",
                "correct the mapping, or GRANT SELECT on it",
            )
    return {name: types[name] for name in columns}


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
