"""Detects which program wrote an export, and opens it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bulkload.exports.columns import ExportColumn
from bulkload.exports.export import Export
from bulkload.exports.formats import aurora, dms, mysqldump, outfile, rds_snapshot
from bulkload.exports.formats.base import Request
from bulkload.exports.formats.mydumper import open_mydumper
from bulkload.exports.formats.rowferry import open_own
from bulkload.exports.locations import Location, folder_of, location
from rowferry.errors import Refused
from rowferry.mapping import TableMapping

_OPENERS: dict[str, Callable[[Request], Export | None]] = {
    "mydumper": open_mydumper,
    "rds-snapshot": rds_snapshot.open_rds_snapshot,
    "dms": dms.open_dms,
    "mysqldump-tab": mysqldump.open_mysqldump,
    "aurora": aurora.open_aurora,
    "outfile": outfile.open_outfile,
}
FORMATS = tuple(_OPENERS)
"""
Formats of other programs, tried in this order. The last one takes any file, so only where it is asked for.
"""


def open_export(
    where: str | Path,
    table: TableMapping,
    *,
    client: Any = None,
    format: str | None = None,  # noqa: A002
    columns: Sequence[ExportColumn] | None = None,
    dialect: str | None = None,
) -> Export:
    """
    Opens the table's export in a folder or in s3://bucket/prefix, for which `client` is boto3's S3 client.

    `format`: one of FORMATS; detected where it is not given. `columns`: those that the source has now
    (source_columns), for files that do not name theirs. `dialect`: FIELDS and LINES as in SELECT ... INTO
    OUTFILE; for DMS how NULL is written.

    Opening reads names and manifests, not rows: a damaged part is found when it is read. Raises Refused when
    there is no export of the table, or something it needs is not given; BadPart when files are missing.
    """
    place = location(where, client)
    # First: its manifest names the table, the other formats are recognized by the names of files alone.
    if format is None and (found := open_own(place, table)):
        return found
    asked = (format,) if format else FORMATS[:-1]
    for candidate in (place, place.below(folder_of(table.source)), place.below(folder_of(table.table))):
        request = _request(candidate, table, columns, dialect)
        for name in asked:
            if request.names and (found := _OPENERS[name](request)):
                return found
    raise Refused(
        f"{place} has no export of {table.source}" + (f" as {format} writes it" if format else ""),
        "name the place that holds it; files of SELECT ... INTO OUTFILE need --format outfile",
    )


def _request(
    place: Location, table: TableMapping, columns: Sequence[ExportColumn] | None, dialect: str | None
) -> Request:
    return Request(place, place.names(), table, None if columns is None else tuple(columns), dialect)
