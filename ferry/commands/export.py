"""`ferry export`: writes the existing rows to files."""

import argparse
import json
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3

from bulkload.connection import connect
from bulkload.direct.captured_source import CheckpointOf
from bulkload.dynamodb.client import ClientOf
from bulkload.exports.exporter import ROWS_IN_A_PART, Exported, Exporter, ExportSettings, ExportTally
from bulkload.exports.locations import Location, folder_of, location
from bulkload.exports.plan import Form
from bulkload.preconditions import capture_at
from ferry.context import Context
from ferry.options import positive
from ferry.progress import Shown, progress
from rowferry.errors import Refused
from rowferry.mysql import conditions
from rowferry.mysql.server import identify

EPILOG = """\
examples:
  ferry export --to /data/export
  ferry export --to s3://bucket/export --compression zstd
  ferry export --to /data/export --format parquet --workers 8
  ferry export --to /data/export --table test.purchase
  ferry load --from /data/export                 # loads the files

Every mapped table gets a folder SCHEMA.TABLE with parts and a manifest: columns, rows, checksums, and the
watermark of each part: the position in the binlog up to which it shows every change. The capturer must be
running; the application may go on writing. No lock is taken and the source's file system is not used, so RDS
works, too. An export that was killed at any moment resumes with the missing parts when it is run again. A
finished one does nothing.

--format csv is exact (its rules are in the manifest); parquet is for other programs that read the files (it
needs the package pyarrow). Parts in S3 are made in TMPDIR first.

exit status: 0 done; 2 an error; 130 interrupted"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="write the existing rows to files",
        description="Writes the rows of the mapped tables to files in a folder or in S3.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--to", required=True, metavar="LOCATION", help="a folder or s3://bucket/prefix")
    parser.add_argument(
        "--format", choices=("csv", "parquet"), default="csv", help="of the parts (default: %(default)s)"
    )
    parser.add_argument(
        "--compression",
        choices=("none", "gzip", "zstd"),
        default="none",
        help="of CSV; Parquet has its own (default: %(default)s)",
    )
    parser.add_argument("--table", metavar="SCHEMA.TABLE", help="only this one (default: every mapped table)")
    parser.add_argument(
        "--workers",
        type=positive,
        default=ExportSettings().workers,
        help="parts at once (default: %(default)s)",
    )
    parser.add_argument(
        "--chunk-rows", type=positive, default=ROWS_IN_A_PART, help="rows of a part (default: %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="replace the export that is there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    if arguments.format == "parquet" and arguments.compression != "none":
        raise Refused("--compression is for CSV: Parquet has its own", "leave it out")
    tables = [
        table
        for table in context.mapping.tables
        if arguments.table is None or table.is_called(arguments.table)
    ]
    if not tables:
        raise Refused(
            f"{arguments.table} is not mapped",
            f"name one of {', '.join(table.source for table in context.mapping.tables)}",
        )
    with progress("export") as shown:
        exporter = _exporter(arguments, context, shown, [table.source for table in tables])
        results = [exporter.run(table, _opener(arguments.to, table.source)) for table in tables]
    fields = list(map(_fields, results))
    print(json.dumps(fields) if arguments.json else "\n".join(map(_line, fields)))
    return 0


def _exporter(arguments: argparse.Namespace, context: Context, shown: Shown, tables: list[str]) -> Exporter:
    connection = context.connect()
    try:
        server = identify(connection)
        conditions.require(conditions.check(connection, server, context.mapping))
        capture = capture_at(context.control, connection, server, tables)
    finally:
        connection.close()
    return Exporter(
        connect=partial(connect, context.source),
        checkpoint=CheckpointOf(ClientOf(context.region, 1), context.control.name),
        capture=capture,
        settings=ExportSettings(
            form=Form(arguments.format, arguments.compression),
            workers=arguments.workers,
            chunk_rows=arguments.chunk_rows,
            again=arguments.again,
        ),
        report=shown.report,
        progress=lambda tally: _step(shown, tally),
    )


def _opener(to: str, table: str) -> Callable[[], Location]:
    """Opens the table's location; picklable, for the processes that make parts."""
    return partial(open_below, to, table)


def open_below(to: str, name: str) -> Location:
    """The folder `name` of a location, with a new S3 client where it is in S3."""
    client = boto3.client("s3", region_name=os.environ.get("AWS_REGION")) if to.startswith("s3://") else None
    return location(to, client).below(folder_of(name))


def _step(shown: Shown, tally: ExportTally) -> None:
    note = f"{tally.parts_done:,} of {tally.parts:,} parts, {tally.rows:,} rows, {tally.bytes / 1e6:,.0f} MB"
    shown.step(tally.rows, tally.planned, note)


def _fields(result: Exported) -> dict[str, Any]:
    found = result.manifest
    return {
        "source": found.table,
        "location": result.location,
        "parts": len(found.parts),
        "rows": found.rows,
        "bytes": sum(part.bytes or 0 for part in found.parts),
        "watermark": found.watermark,
        "nothing_to_do": result.nothing_to_do,
    }


def _line(fields: dict[str, Any]) -> str:
    text = (
        f"{fields['source']}: {fields['rows']:,} rows in {fields['parts']:,} parts, {fields['bytes']:,} bytes"
        f" in {fields['location']}"
    )
    return text + ("; was done before, nothing to do" if fields["nothing_to_do"] else "; done")
