"""
Reduces sorted lines of the mapper on standard input to items on standard output, in DynamoDB JSON for
ImportTable.

Needs the lines of all sources of one target: `cat purchase.lines orders.lines | LC_ALL=C sort | ...`
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence

from bulkload.shuffle.assembly import Assembly, Held
from bulkload.shuffle.mapper import add_common, ended, unusable_rows, utf8
from rowferry.errors import Refused
from rowferry.mapping import Mapping, TableMapping
from rowferry.position import Position


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the reducer. Exit status: 0 done, also where items are unusable (they are counted); 2 an error."""
    parser = argparse.ArgumentParser(
        prog="python -m bulkload.shuffle.reducer",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add_common(parser)
    parser.add_argument("--target", metavar="TABLE", help="the DynamoDB table of the items")
    parser.add_argument(
        "--position",
        required=True,
        type=Position.parse,
        help="the items' _pos: the lowest watermark of all exports (`watermark` in their manifest.json)",
    )
    return ended(lambda: _reduce(parser.parse_args(arguments)))


def _reduce(given: argparse.Namespace) -> None:
    tables = _sources(Mapping.load(given.mapping), given.target)
    with unusable_rows(given.unusable_file) as unusable:
        reduce(utf8(sys.stdin), Assembly(tables, given.position, unusable), utf8(sys.stdout).write)
        # Here an error of the pipe becomes the exit status 2.
        sys.stdout.flush()


def reduce(lines: Iterable[str], assembly: Assembly, write: Callable[[str], object]) -> None:
    """Writes the item of each run of lines with the same KEY."""
    held, last = Held(), ""
    for line in lines:
        key, _, value = line.rstrip("\n").partition("\t")
        if key != last:
            _finish(last, held, assembly, write)
            held, last = Held(), key
        held.take(value)
    _finish(last, held, assembly, write)


def _finish(key: str, held: Held, assembly: Assembly, write: Callable[[str], object]) -> None:
    if held.values and (item := assembly.item(key, held.values)):
        write(item.text + "\n")


def _sources(mapping: Mapping, target: str | None) -> list[TableMapping]:
    found = [table for table in mapping.tables if target in (None, table.target)]
    names = {table.target for table in found}
    if len(names) != 1:
        raise Refused(
            f"the mapping has {len(names)} targets for --target {target}",
            f"name one of {', '.join(sorted({table.target for table in mapping.tables}))}",
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
