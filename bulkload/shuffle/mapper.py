r"""
Maps rows on standard input to lines on standard output, for `sort` or Hadoop streaming.

    python -m bulkload.shuffle.mapper --mapping purchase.toml --export export/test.purchase < part.csv \
        | LC_ALL=C sort \
        | python -m bulkload.shuffle.reducer --mapping purchase.toml --position POSITION > items.json

bulkload/shuffle/lines.py defines a line. Hadoop splits its input at line ends, so there no value may contain
one.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from bulkload.direct.grouping import Unusable
from bulkload.exports import FORMATS, Export, ExportColumn, open_export
from bulkload.exports.blocks import Columns, blocks_of, columns_of
from bulkload.exports.records import BadLine
from bulkload.shuffle.lines import Liner
from rowferry.errors import Refused, RowferryError
from rowferry.mapping import Mapping, TableMapping

STDIN = Path("/dev/stdin")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the mapper. Exit status: 0 done, also where rows are unusable (they are counted); 2 an error."""
    parser = argparse.ArgumentParser(
        prog="python -m bulkload.shuffle.mapper",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add_common(parser)
    parser.add_argument("--table", metavar="SCHEMA.TABLE", help="the source of the rows")
    parser.add_argument("--export", default=".", metavar="FOLDER", help="contains the export's manifest.json")
    parser.add_argument("--format", choices=FORMATS, help="of rows that `ferry export` did not write")
    parser.add_argument("--columns", metavar="NAME=TYPE", nargs="+", help="of such rows: quantity=int(11)")
    parser.add_argument("--dialect", help="FIELDS and LINES of such rows, as in SELECT ... INTO OUTFILE")
    return ended(lambda: _map(parser.parse_args(arguments)))


def _map(given: argparse.Namespace) -> None:
    table = _table(Mapping.load(given.mapping), given.table)
    columns = [ExportColumn(*one.split("=", 1)) for one in given.columns or ()]
    export = open_export(
        given.export, table, format=given.format, columns=columns or None, dialect=given.dialect
    )
    with unusable_rows(given.unusable_file) as unusable:
        liner = Liner(table, [column.name for column in export.columns], unusable)
        write = utf8(sys.stdout).write
        for key, value in liner.block_lines(_blocks(export)):
            write(f"{key}\t{value}\n")
        # Here an error of the pipe becomes the exit status 2.
        sys.stdout.flush()


def _blocks(export: Export) -> Iterator[Columns]:
    """Standard input, read as a part of the export. Hadoop has decompressed it."""
    if read := blocks_of(export.read):
        yield from (columns for _, columns in read(STDIN, "stdin"))
    else:
        yield from columns_of(values for _, values in export.read(STDIN, "stdin"))


def _table(mapping: Mapping, name: str | None) -> TableMapping:
    found = [table for table in mapping.tables if name is None or table.is_called(name)]
    if len(found) != 1:
        raise Refused(
            f"the mapping has {len(found)} tables for --table {name}",
            f"name one of {', '.join(table.source for table in mapping.tables)}",
        )
    return found[0]


def add_common(parser: argparse.ArgumentParser) -> None:
    """Options of both mapper and reducer."""
    parser.add_argument("--mapping", type=Path, required=True, metavar="FILE", help="TOML, or DMS JSON")
    parser.add_argument(
        "--unusable-file", type=Path, metavar="FILE", help="gets unusable rows, as JSON lines"
    )


def ended(work: Any) -> int:
    """Runs `work` and returns the exit status; an error becomes one line on standard error."""
    try:
        work()
    except BadLine as error:
        print(
            f"error: standard input, line {error.line}: {error}: repair the row, then map again",
            file=sys.stderr,
        )
        return 2
    except (RowferryError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


@contextmanager
def unusable_rows(file: Path | None) -> Iterator[Any]:
    """
    Context manager: a function that takes unusable rows, into the file and a counter that Hadoop adds up.
    """
    out: TextIO | None = file.open("a", encoding="utf-8") if file else None

    def take(row: Unusable) -> None:
        print(f"unusable: {row.table} key {row.hash}: {row.reason}", file=sys.stderr)
        print(f"reporter:counter:rowferry,unusable,{row.rows}", file=sys.stderr, flush=True)
        if out:
            print(row.line(), file=out, flush=True)

    try:
        yield take
    finally:
        if out:
            out.close()


def utf8(stream: Any) -> TextIO:
    """The standard stream in UTF-8 with plain line ends, whatever the locale is."""
    stream.reconfigure(encoding="utf-8", newline="\n")
    return cast(TextIO, stream)


if __name__ == "__main__":
    sys.exit(main())
