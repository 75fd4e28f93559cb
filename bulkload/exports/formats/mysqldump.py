"""mysqldump --tab: which files belong to a table."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from bulkload.exports.export import Export
from bulkload.exports.formats import create_table, outfile
from bulkload.exports.formats.base import Request, answer
from bulkload.exports.text_dialect import Dialect
from rowferry.errors import Refused


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
    found = create_table.parse(request.place.read(name).decode(), f"{request.place}/{name}")
    dialect = Dialect.parse(request.dialect or "")
    read = outfile.reader(found.columns, request.places(found.columns), dialect)
    return answer(request, "mysqldump-tab", found.columns, [text], read)


def _is(name: str, wanted: str) -> bool:
    return PurePosixPath(name).name == wanted


def _only(request: Request, names: Sequence[str]) -> str | None:
    if len(names) > 1:
        raise Refused(f"{request.place} contains {' and '.join(names)}", "name the folder with one of them")
    return names[0] if names else None
