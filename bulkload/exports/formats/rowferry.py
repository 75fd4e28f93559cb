"""Reads exports of `ferry export`."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from bulkload.exports import manifest
from bulkload.exports.columns import text_converter
from bulkload.exports.export import Export, carried
from bulkload.exports.formats import rowferry_csv
from bulkload.exports.locations import Location, folder_of
from bulkload.exports.manifest import Manifest
from bulkload.exports.records import BadLine, Pick, ReadRows, Record, opened, values
from rowferry.errors import Refused
from rowferry.mapping import TableMapping

PLAN = "plan.json"


def open_own(location: Location, table: TableMapping) -> Export | None:
    """The table's export in this location or in a folder `schema.table` of it; None when there is none."""
    for place in (location, location.below(folder_of(table.source))):
        try:
            found = Manifest.parse(place.read(manifest.NAME), f"{place}/{manifest.NAME}")
        except FileNotFoundError:
            _refuse_unfinished(place)
            continue
        if found.table == table.source:
            return _export(place, found, table)
    return None


def _refuse_unfinished(place: Location) -> None:
    try:
        place.read(PLAN)
    except FileNotFoundError:
        return
    raise Refused(f"the export in {place} is not finished", "run `ferry export` again: it resumes")


def _export(place: Location, found: Manifest, table: TableMapping) -> Export:
    places = carried(found.columns, table, place)
    return Export(
        location=place,
        table=found.table,
        format=f"ferry {found.format}",
        columns=tuple(found.columns[one] for one in places),
        parts=found.parts,
        read=_reader(found, places),
        epoch=found.epoch,
        server=found.server,
        expected_rows=found.rows,
    )


def _reader(found: Manifest, places: Sequence[int]) -> ReadRows:
    if found.format == "parquet":
        from bulkload.exports.formats import parquet

        return parquet.reader([found.columns[place] for place in places])
    picks = [Pick(place, found.columns[place], text_converter(found.columns[place])) for place in places]
    return lambda path, name: values(_records(path, name), picks, len(found.columns))


def _records(path: Path, name: str) -> Iterator[Record]:
    line = 0
    with opened(path, name) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        try:
            for line, fields in rowferry_csv.records(text):
                yield line, fields
        except ValueError as error:
            raise BadLine(line + 1, f"is not CSV of `ferry export` ({type(error).__name__})") from error
