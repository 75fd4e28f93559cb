"""
A dump by mydumper: database.table[.00000[.00000]].sql with INSERT, or .dat with LOAD DATA in a .sql.

https://mydumper.github.io/mydumper/docs/html/files.html
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from bulkload.exports.columns import ExportColumn
from bulkload.exports.export import Export
from bulkload.exports.formats import create_table, outfile, sql_inserts
from bulkload.exports.formats.base import Request, answer
from bulkload.exports.locations import Location
from bulkload.exports.records import ReadRows, opened, plain_name
from bulkload.exports.text_dialect import Dialect
from rowferry.errors import BadPart, Refused
from rowferry.mapping import TableMapping
from rowferry.position import BinlogOffset

HEAD = 4096  # bytes; SET NAMES is among the first statements of a file
_SECTION = re.compile(r"^(?:\[(.+)\]|(SHOW \w+ STATUS):)\s*$", re.MULTILINE)
_FILE = re.compile(r"^\s*(?:File|Log|SOURCE_LOG_FILE)\s*[=:]\s*\"?([^\"\s]+)", re.MULTILINE | re.IGNORECASE)
_POSITION = re.compile(r"^\s*(?:Position|Pos|SOURCE_LOG_POS)\s*[=:]\s*(\d+)", re.MULTILINE | re.IGNORECASE)
_ROWS = re.compile(r"^\s*Rows\s*=\s*(\d+)", re.MULTILINE | re.IGNORECASE)
_NAMES = re.compile(r"SET NAMES '?(\w+)", re.IGNORECASE)
_LOAD = re.compile(
    r"LOAD DATA (?:LOCAL )?INFILE '([^']+)' (?:REPLACE |IGNORE )?INTO TABLE `(?:[^`]|``)+`\s*"
    r"((?:CHARACTER SET|FIELDS|LINES).*?)\(([^()]*)\)\s*(.*)",
    re.IGNORECASE | re.DOTALL,
)


def open_mydumper(request: Request) -> Export | None:
    """The table's files. Raises BadPart where the dump was not finished."""
    prefix = f"{request.table.schema}.{request.table.table}"
    defined = [name for name in request.names if plain_name(name) == f"{prefix}-schema.sql"]
    data = re.compile(rf"{re.escape(prefix)}(\.\d+)*\.(sql|dat)(\.gz|\.zst)?")
    names = [name for name in request.names if data.fullmatch(name)]
    if not defined:
        return None
    # mydumper gives it this name only when the dump is complete.
    if "metadata" not in request.names:
        raise BadPart(f"{request.place} has no file `metadata`: the dump was not finished", "dump again")
    columns = create_table.parse(_text(request.place, defined[0]), f"{request.place}/{defined[0]}").columns
    stated, rows = metadata(request.place.read("metadata").decode(), request.table)
    parts, read = _reader(request, names, columns)
    return answer(request, "mydumper", columns, parts, read, stated=stated, expected_rows=rows)


def metadata(text: str, table: TableMapping) -> tuple[BinlogOffset | None, int | None]:
    """
    The dumped server's binlog offset, and the table's number of rows, where the file `metadata` has them.
    """
    pieces = _SECTION.split(text)
    sections = {(new or old): body for new, old, body in zip(*[iter(pieces[1:])] * 3, strict=True)}
    source = next(
        (sections[name] for name in ("source", "master", "SHOW MASTER STATUS") if name in sections), ""
    )
    rows = _ROWS.search(sections.get(f"`{table.schema}`.`{table.table}`", ""))
    file, position = _FILE.search(source), _POSITION.search(source)
    stated = BinlogOffset(file[1], int(position[1])) if file and position else None
    return stated, int(rows[1]) if rows else None


def _reader(
    request: Request, names: Sequence[str], columns: Sequence[ExportColumn]
) -> tuple[list[str], ReadRows]:
    statements = [name for name in names if plain_name(name).endswith(".sql")]
    places = request.places(columns)
    if len(statements) == len(names):
        head = _text(request.place, names[0], HEAD) if names else ""
        found = _NAMES.search(head)
        return [*names], sql_inserts.reader(columns, places, found[1].lower() if found else None)
    loads = [_load(request, name, columns) for name in statements]
    if left := sorted(set(names) - set(statements) - {name for name, _ in loads}):
        raise BadPart(
            f"{request.place} contains {left[0]}, which no statement loads", "dump or copy all files again"
        )
    if len(set(dialects := [dialect for _, dialect in loads])) != 1:
        raise Refused(f"{request.place} contains data files of several dialects", "dump again")
    return [name for name, _ in loads], outfile.reader(columns, places, dialects[0])


def _load(request: Request, name: str, columns: Sequence[ExportColumn]) -> tuple[str, Dialect]:
    """The data file that a LOAD DATA statement names, and its dialect."""
    match = _LOAD.search(_text(request.place, name))
    if match is None:
        raise BadPart(f"{request.place}/{name} has no LOAD DATA statement", "dump again")
    if sql_inserts.listed(match[3].encode()) != [column.name for column in columns] or match[4].strip(
        " \r\n;"
    ):
        raise Refused(
            f"{request.place}/{name} loads other columns, or changes them (SET)", "dump without --hex-blob"
        )
    data = str(PurePosixPath(name).parent / PurePosixPath(match[1]).name)
    compressed = [there for there in request.names if plain_name(there) == plain_name(data)]
    return (compressed or [data])[0], Dialect.parse(match[2])


def _text(place: Location, name: str, size: int = -1) -> str:
    with place.fetched(name) as path, opened(path, name) as file:
        return file.read(size).decode(errors="replace")
