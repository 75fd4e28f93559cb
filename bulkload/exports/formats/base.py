"""The request to open an export of another program, and the export that answers it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bulkload.exports.columns import ExportColumn
from bulkload.exports.export import Export, carried
from bulkload.exports.locations import Location
from bulkload.exports.manifest import ExportPart
from bulkload.exports.records import ReadRows
from rowferry.errors import BadPart, Refused
from rowferry.mapping import TableMapping
from rowferry.position import BinlogOffset


@dataclass(frozen=True, slots=True)
class Request:
    """
    What to open. `names`: all files of the location; `columns`: those that the source has now, None without a
    source; `dialect`: as the operator gave it.
    """

    place: Location
    names: Sequence[str]
    table: TableMapping
    columns: tuple[ExportColumn, ...] | None
    dialect: str | None

    def source_columns(self) -> tuple[ExportColumn, ...]:
        """The source's columns, for files that do not name theirs. Raises Refused without a source."""
        if self.columns is None:
            raise Refused(f"the files in {self.place} do not name their columns", "name the source: --source")
        return self.columns

    def places(self, columns: Sequence[ExportColumn]) -> list[int]:
        """The indexes of the columns that the mapping carries. Raises Refused where the files lack one."""
        places = carried(columns, self.table, self.place)
        there = {column.name for column in columns}
        lacking = [c.name for c in self.columns or () if self.table.travels(c.name) and c.name not in there]
        if lacking:
            raise Refused(
                f"{self.place} lacks the columns {', '.join(lacking)} of {self.table.source} (dumps leave out"
                " generated ones)",
                "exclude them in the mapping, or use `ferry export`",
            )
        return places


def answer(
    request: Request,
    format_: str,
    columns: Sequence[ExportColumn],
    parts: Sequence[str],
    read: ReadRows,
    *,
    stated: BinlogOffset | None = None,
    expected_rows: int | None = None,
) -> Export:
    """
    The table's export of these parts. `columns`: all that the files have; `read` reads those of `places`.
    """
    picked = tuple(columns[place] for place in request.places(columns))
    return Export(
        location=request.place,
        table=request.table.source,
        format=format_,
        columns=picked,
        parts=tuple(map(ExportPart, parts)),
        read=read,
        stated=stated,
        expected_rows=expected_rows,
        notes=_notes(format_, picked),
    )


def _notes(format_: str, columns: Sequence[ExportColumn]) -> tuple[str, ...]:
    times = [column.name for column in columns if column.type == "timestamp"]
    if times and format_ in ("outfile", "aurora"):
        return (f"{', '.join(times)}: correct only if the files were written with SET time_zone = '+00:00'",)
    if format_ == "dms":
        return ("DMS truncates long columns where LobMaxSize is set, and does not export 0000-00-00",)
    return ()


AGAIN = "export or copy all files again"


def refuse_gap(request: Request, found: Iterable[int], first: int) -> None:
    """Raises BadPart where a number is missing among the files' numbers, which begin with `first`."""
    expected = first
    for number in sorted(found):
        if number != expected:
            raise BadPart(f"{request.place}: file number {expected:X} is missing", AGAIN)
        expected += 1


def of_parquet(request: Request, format_: str, parts: Sequence[str]) -> Export:
    """The export in Parquet files of other programs, with the columns that the source has."""
    from bulkload.exports.formats import parquet

    columns = request.source_columns()
    picked = [columns[place] for place in request.places(columns)]
    return answer(request, format_, columns, parts, parquet.reader(picked))
