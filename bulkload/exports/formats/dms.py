"""
The CSV files of a full load by AWS DMS into S3.

https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.S3.html (files) and
https://docs.aws.amazon.com/dms/latest/APIReference/API_S3Settings.html (with defaults: CsvDelimiter a comma,
CsvRowDelimiter a line feed, CsvNullValue NULL, Rfc4180 true, AddColumnName and IncludeOpForFullLoad false).
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TextIO

from bulkload.exports.columns import Convert, ExportColumn, text_converter
from bulkload.exports.export import Export
from bulkload.exports.formats.base import Request, answer, of_parquet, refuse_gap
from bulkload.exports.records import BadLine, Numbered, Pick, ReadRows, Record, opened, values
from rowferry.errors import Refused

FILE = re.compile(r"(?:^|/)LOAD([0-9A-F]{8,})\.(?:csv|csv\.gz|parquet)$")
_SETTINGS = re.compile(r"""NULL\s+(?:AS\s+)?'([^']*)'(?:\s+TERMINATED\s+BY\s+'([^'])')?\s*""", re.IGNORECASE)
_BOOLEANS = {"true": 1, "false": 0}


@dataclass(frozen=True, slots=True)
class DmsSettings:
    """How NULL is written, and what separates fields."""

    null: str
    delimiter: str = ","

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """The settings in `NULL 'word' TERMINATED BY ','`. Raises Refused when they are not given."""
        found = _SETTINGS.fullmatch((text or "").strip())
        if found is None:
            raise Refused(
                "the files do not say how DMS wrote NULL, and a text may look like it",
                "give the endpoint's CsvNullValue: --dialect \"NULL 'NULL'\" where it is not set. Better,"
                " set it to a word that no text is, or use Parquet",
            )
        return cls(found[1], found[2] or ",")


def reader(columns: Sequence[ExportColumn], places: Sequence[int], settings: DmsSettings) -> ReadRows:
    """Reads the columns at the indexes `places` from files that have all `columns`."""
    names = [column.name for column in columns]
    picks = [Pick(place, columns[place], converter(columns[place])) for place in places]

    def read(path: Path, name: str) -> Iterator[Numbered]:
        with opened(path, name) as file, io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
            yield from values(_records(text, names, settings), picks, len(columns))

    return read


def converter(column: ExportColumn) -> Convert:
    """The converter of a field: bytes are hexadecimal, a BIT(1) is true or false."""
    match column.family:
        case "bytes" if column.type == "binary":
            return lambda text: bytes.fromhex(text).ljust(column.length, b"\0")
        case "bytes":
            return bytes.fromhex
        case "bit" if column.length == 1:
            return lambda text: _BOOLEANS[text.lower()] if text.lower() in _BOOLEANS else int(text)
        case "bit":
            return lambda text: int(text, 16)
        case "text" if column.type == "char":
            return lambda text: text.rstrip(" ")
    return text_converter(column)


def _records(file: TextIO, names: Sequence[str], settings: DmsSettings) -> Iterator[Record]:
    reader = csv.reader(file, delimiter=settings.delimiter, strict=True)
    null = settings.null
    try:
        for fields in reader:
            if reader.line_num == 1 and fields[-len(names) :] == names:
                continue  # the header, with AddColumnName
            # IncludeOpForFullLoad puts an I before the columns
            plain = fields[1:] if len(fields) == len(names) + 1 and fields[0] == "I" else fields
            yield reader.line_num, [None if field == null else field for field in plain]
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadLine(reader.line_num, f"is not CSV ({type(error).__name__})") from error


def open_dms(request: Request) -> Export | None:
    """
    A full load by DMS into S3: schema/table/LOAD00000001.csv, numbered in hexadecimal. Other files there are
    ongoing changes, and are not read.

    https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.S3.html
    """
    folder = re.compile(rf"(?:^|/){re.escape(request.table.schema)}/{re.escape(request.table.table)}/[^/]+$")
    # By number: a gap is a file that was not copied.
    found: dict[int, str] = {}
    for name in request.names:
        match = FILE.search(name)
        if match is None or not (folder.search(name) or "/" not in name):
            continue
        if (other := found.setdefault(int(match[1], 16), name)) != name:
            raise Refused(f"{request.place} contains {other} and {name}", "name a place with one full load")
    if not found:
        return None
    refuse_gap(request, found, 1)
    parts = [found[number] for number in sorted(found)]
    if parts[0].endswith(".parquet"):
        return of_parquet(request, "dms", parts)
    columns = request.source_columns()
    read = reader(columns, request.places(columns), DmsSettings.parse(request.dialect))
    return answer(request, "dms", columns, parts, read)
