"""Finds out who wrote an export."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bulkload.exports.columns import Column
from bulkload.exports.export import Export
from bulkload.exports.locations import location
from bulkload.exports.own import open_own
from rowferry.errors import Refused
from rowferry.mapping import TableMapping

FORMATS = ("outfile", "aurora", "mysqldump-tab", "mydumper", "dms", "rds-snapshot")


def open_export(
    where: str | Path,
    table: TableMapping,
    *,
    client: Any = None,
    format: str | None = None,  # noqa: A002
    columns: Sequence[Column] | None = None,
    dialect: str | None = None,
) -> Export:
    """
    The table's export in a folder or in s3://bucket/prefix, for which `client` is boto3's S3 client.

    `format`: one of FORMATS; found out where it is not given. `columns`: the source table's, for files that
    come without a schema. `dialect`: FIELDS and LINES as in SELECT ... INTO OUTFILE, for those that need it.
    Refused when there is no export of the table, or what it needs is not given.
    """
    place = location(where, client)
    if format is None and (found := open_own(place, table)):
        return found
    raise Refused(f"{place} has no export of {table.source}", "name the folder that holds it")
