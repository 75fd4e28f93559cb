"""`ferry load --from`: the roads that begin with exported files."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bulkload.dynamodb import ClientOf
from bulkload.exports import FORMATS, Export, open_export, parse_watermark, source_columns
from bulkload.exports.locations import Bucket, Location, location
from bulkload.grouping import Unusable
from bulkload.importing.load import FileLoad, Step
from bulkload.importing.put import Put
from bulkload.importing.roads import FILES, IMPORT, Arrival, IntoFiles, IntoTable
from bulkload.importing.sources import Target, targets
from bulkload.importing.table import Counts, TableImport
from bulkload.loader import Outcome
from bulkload.lock import LoaderLock
from bulkload.writer import Writer
from ferry.progress import Shown
from ferry.settings import Setting
from rowferry.errors import Refused
from rowferry.mapping import TableMapping

COMPRESSIONS = ("gzip", "zstd")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of these roads."""
    group = parser.add_argument_group("from exported files, in any order, grouped on this machine's disk")
    group.add_argument(
        "--from",
        dest="exports",
        action="append",
        metavar="LOCATION",
        help="folder or s3://bucket/prefix of an export; again for each further one. The columns of files"
        " that come without are asked from --source",
    )
    group.add_argument(
        "--road",
        choices=(FILES, IMPORT),
        default=FILES,
        help="files: BatchWriteItem into the table (default); import: ImportTable into a new table",
    )
    group.add_argument("--format", choices=FORMATS, help="who wrote the files (default: found out)")
    group.add_argument("--dialect", help="FIELDS and LINES, as in SELECT ... INTO OUTFILE, where needed")
    group.add_argument(
        "--watermark",
        metavar="FILE:OFFSET",
        type=parse_watermark,
        help="end of the binlog before the first row was read, for files that do not say it",
    )
    group.add_argument(
        "--to",
        metavar="LOCATION",
        help="where import files go; from s3://bucket/prefix they are imported, in a folder they stay",
    )
    group.add_argument(
        "--compression", choices=COMPRESSIONS, default="gzip", help="of import files (default: %(default)s)"
    )
    group.add_argument(
        "--work",
        metavar="FOLDER",
        type=Path,
        default=Path("rowferry-load"),
        help="holds what is under way, about as large as the rows (default: %(default)s)",
    )


def load(
    arguments: argparse.Namespace, setting: Setting, shown: Shown, unusable: Callable[[Unusable], None]
) -> list[Outcome]:
    """Wires and runs the load."""
    s3 = setting.client("s3")
    lock = LoaderLock(setting.control)
    return FileLoad(
        targets=targets(setting.mapping, _exports(arguments, setting, s3)),
        mapping=setting.mapping,
        mapping_text=setting.mapping_file.read_bytes(),
        control=setting.control,
        arrival=_arrival(arguments, setting, s3, shown, lock),
        folder=arguments.work,
        lock=lock,
        tell=shown.tell,
        progress=lambda step: _step(shown, step),
        unusable=unusable,
        given=arguments.watermark,
        accept_unusable=arguments.accept_unusable,
        again=arguments.again,
    ).run(setting.stack.switch_is_on)


def _exports(arguments: argparse.Namespace, setting: Setting, s3: Any) -> list[Export]:
    connection = setting.connect() if setting.has_source else None
    try:
        return [_export(arguments, table, s3, connection) for table in setting.mapping.tables]
    finally:
        if connection is not None:
            connection.close()


def _export(arguments: argparse.Namespace, table: TableMapping, s3: Any, connection: Any) -> Export:
    """The table's export, in whichever location it is. Refused where none has it, as the first says."""
    columns = source_columns(connection, table) if connection is not None else None
    refusals = []
    for where in arguments.exports:
        try:
            return open_export(
                where,
                table,
                client=s3,
                format=arguments.format,
                columns=columns,
                dialect=arguments.dialect,
            )
        except Refused as error:
            refusals.append(error)
    raise refusals[0]


def _arrival(
    arguments: argparse.Namespace, setting: Setting, s3: Any, shown: Shown, lock: LoaderLock
) -> Arrival:
    if arguments.road == FILES:
        client = ClientOf(setting.region, arguments.requests)()

        def put(target: Target) -> Put:
            writer = Writer(client, target.name, lock.check)
            return Put(writer, target.sources[0].table, arguments.requests)

        return IntoTable(client, put)
    if not arguments.to:
        raise Refused("--road import needs a place for the import files", "name it: --to s3://BUCKET/PREFIX")
    place = location(arguments.to, s3)

    def importer(target: Target, files: Location) -> TableImport:
        assert isinstance(files, Bucket)  # asked below
        tables = [source.table for source in target.sources]
        logs = setting.client("logs")
        return TableImport(setting.dynamodb, logs, setting.control, tables, files, arguments.compression)

    return IntoFiles(
        place,
        arguments.compression,
        importer if isinstance(place, Bucket) else None,
        lambda counts: _imported(shown, counts),
    )


def _step(shown: Shown, step: Step) -> None:
    shown.step(step.done, step.total, f"{step.done:,} of {step.total:,} {step.what}")


def _imported(shown: Shown, counts: Counts) -> None:
    note = f"importing: {counts.imported:,} items in the table, {counts.errors:,} refused"
    shown.step(counts.processed, 0, note)
