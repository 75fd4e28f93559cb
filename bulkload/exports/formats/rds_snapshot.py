"""A DB snapshot that RDS exported to S3: which files belong to a table."""

import re
from pathlib import PurePosixPath

from bulkload.exports.export import Export
from bulkload.exports.formats.base import AGAIN, Request, of_parquet
from rowferry.errors import BadPart, Refused


def open_rds_snapshot(request: Request) -> Export | None:
    """
    A DB snapshot that RDS exported to S3 in Parquet.

    https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_ExportSnapshot.FileNames.html:
    export/database/database.table/partition/[batch/]part-NNNNN-uuid.gz.parquet, and _success beside them.
    """
    schema_, table = request.table.schema, request.table.table
    folder = re.compile(rf"(?:^|/){re.escape(schema_)}/{re.escape(f'{schema_}.{table}')}/(\d+)/")
    ours = [name for name in request.names if folder.search(name)]
    parts = [name for name in ours if name.endswith(".parquet")]
    if not parts:
        return None
    if len({folder.split(name)[0] for name in ours}) > 1:
        raise Refused(
            f"{request.place} contains several exports of {request.table.source}", "name one of them"
        )
    # RDS writes it last: a partition without it was not finished, or not copied as a whole.
    whole = {_partition(folder, name) for name in ours if PurePosixPath(name).name.lower() == "_success"}
    if open_ := sorted({_partition(folder, name) for name in parts} - whole):
        raise BadPart(f"{request.place}: partition {open_[0]} has no _success file", AGAIN)
    return of_parquet(request, "rds-snapshot", parts)


def _partition(folder: re.Pattern[str], name: str) -> str:
    match = folder.search(name)
    assert match is not None
    return name[: match.end()]
