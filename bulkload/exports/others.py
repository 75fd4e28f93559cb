"""
The exports that other programs wrote: which files are a table's, and how each is read.

Each function returns None where the location does not look like its program's. None of these programs says
up to where in the binlog its files show the table.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from bulkload.exports import dms, outfile, schema
from bulkload.exports.dialect import Dialect
from bulkload.exports.export import Export
from bulkload.exports.request import Request, answer
from rowferry.errors import BadPart, Refused

_AGAIN = "export or copy all files again"


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
        raise Refused(f"{request.place} holds several exports of {request.table.source}", "name one of them")
    whole = {_partition(folder, name) for name in ours if PurePosixPath(name).name.lower() == "_success"}
    if open_ := sorted({_partition(folder, name) for name in parts} - whole):
        raise BadPart(f"{request.place}: partition {open_[0]} has no _success file", _AGAIN)
    return _parquet(request, "rds-snapshot", parts)


def _partition(folder: re.Pattern[str], name: str) -> str:
    match = folder.search(name)
    assert match is not None
    return name[: match.end()]


def open_dms(request: Request) -> Export | None:
    """
    A full load by DMS into S3: schema/table/LOAD00000001.csv, hexadecimal; other files there are changes.

    https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.S3.html
    """
    folder = re.compile(rf"(?:^|/){re.escape(request.table.schema)}/{re.escape(request.table.table)}/[^/]+$")
    found: dict[int, str] = {}
    for name in request.names:
        match = dms.FILE.search(name)
        if match is None or not (folder.search(name) or "/" not in name):
            continue
        if (other := found.setdefault(int(match[1], 16), name)) != name:
            raise Refused(f"{request.place} holds {other} and {name}", "name a place with one full load")
    if not found:
        return None
    _refuse_gap(request, found, 1)
    parts = [found[number] for number in sorted(found)]
    if parts[0].endswith(".parquet"):
        return _parquet(request, "dms", parts)
    columns = request.source_columns()
    read = dms.reader(columns, request.places(columns), dms.Settings.parse(request.dialect))
    return answer(request, "dms", columns, parts, read)


def _refuse_gap(request: Request, found: Iterable[int], first: int) -> None:
    expected = first
    for number in sorted(found):
        if number != expected:
            raise BadPart(f"{request.place}: the file with number {expected:X} is missing", _AGAIN)
        expected += 1


def open_aurora(request: Request) -> Export | None:
    """
    SELECT ... INTO OUTFILE S3 of Aurora: prefix.part_00000 and, with MANIFEST ON, prefix.manifest.

    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Integrating.SaveIntoS3.html
    """
    manifests = [name for name in request.names if name.endswith(".manifest")]
    parts = [name for name in request.names if re.search(r"\.part_\d{5,}$", name)]
    if len(manifests) > 1 or len({name.rpartition(".part_")[0] for name in parts}) > 1:
        raise Refused(f"{request.place} holds several exports of Aurora", "name a place with one of them")
    if manifests:
        parts = _listed(request, manifests[0])
    elif parts:
        _refuse_gap(request, [int(name.rpartition("_")[2]) for name in parts], 0)
    return _texts(request, "aurora", parts) if parts else None


def _listed(request: Request, name: str) -> list[str]:
    """The files that Aurora's manifest names, which may have been copied elsewhere together."""
    try:
        urls = [str(entry["url"]) for entry in json.loads(request.place.read(name))["entries"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadPart(f"{request.place}/{name} is no manifest of Aurora", _AGAIN) from error
    folder = PurePosixPath(name).parent
    return [str(folder / PurePosixPath(url).name) for url in urls]


def open_mysqldump(request: Request) -> Export | None:
    """
    mysqldump --tab: table.sql and table.txt in one folder.

    https://dev.mysql.com/doc/refman/9.4/en/mysqldump-delimited-text.html
    """
    schemas = [name for name in request.names if _is(name, f"{request.table.table}.sql")]
    ours = [name for name in schemas if PurePosixPath(name).parent.name == request.table.schema]
    name = _only(request, ours or schemas)
    text = name.removesuffix(".sql") + ".txt" if name else ""
    if name is None or text not in request.names:
        return None
    found = schema.parse(request.place.read(name).decode(), f"{request.place}/{name}")
    dialect = Dialect.parse(request.dialect or "")
    read = outfile.reader(found.columns, request.places(found.columns), dialect)
    return answer(request, "mysqldump-tab", found.columns, [text], read)


def _is(name: str, wanted: str) -> bool:
    return PurePosixPath(name).name == wanted


def _only(request: Request, names: Sequence[str]) -> str | None:
    if len(names) > 1:
        raise Refused(f"{request.place} holds {' and '.join(names)}", "name the folder with one of them")
    return names[0] if names else None


def open_outfile(request: Request) -> Export | None:
    """Files of SELECT ... INTO OUTFILE: all that lie there. The dialect is stated, or MySQL's default."""
    parts = [name for name in request.names if not name.endswith((".sql", ".json", ".manifest"))]
    return _texts(request, "outfile", parts) if parts else None


def _texts(request: Request, format_: str, parts: Sequence[str]) -> Export:
    columns = request.source_columns()
    read = outfile.reader(columns, request.places(columns), Dialect.parse(request.dialect or ""))
    return answer(request, format_, columns, parts, read)


def _parquet(request: Request, format_: str, parts: Sequence[str]) -> Export:
    from bulkload.exports import parquet

    columns = request.source_columns()
    picked = [columns[place] for place in request.places(columns)]
    return answer(request, format_, columns, parts, parquet.reader(picked))
