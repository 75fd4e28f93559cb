"""
The CSV of `ferry export`. Every value is exact.

RFC 4180 in UTF-8, each row ends in a line feed. Text is quoted, also when it is empty; a field with nothing
in it is NULL. Newlines are kept, in quotes. Numbers and temporal values are not quoted.
"""

import csv
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TextIO

from bulkload.exports.columns import ExportColumn
from rowferry.values import Json, Value, time_text
from rowferry.values.document import written

DIALECT = {
    "standard": "RFC 4180, UTF-8, rows end in a line feed, no header",
    "null": "a field with nothing in it",
    "empty text": '""',
    "bytes": "base64, quoted",
    "bit": "a decimal number",
    "set": "labels with commas between, quoted",
    "time": "as MySQL prints it, quoted",
    "datetime": "in UTC for TIMESTAMP; quoted where the calendar has no such day",
    "json": "JSON text, quoted",
}
csv.field_size_limit(sys.maxsize)  # a LONGTEXT is one field

type Printer = Callable[[Any], str]
_PRINTERS: dict[str, Printer] = {
    "bytes": lambda value: b64encode(value).decode("ascii"),
    "time": time_text,
    "set": ",".join,
    "json": lambda value: written(value.document) if isinstance(value, Json) else str(value),
}


class CsvWriter:
    """Writes rows to `file`, which has to be opened with newline=""."""

    def __init__(self, file: TextIO, columns: Sequence[ExportColumn]) -> None:
        self._file = file
        self._writer = csv.writer(file, quoting=csv.QUOTE_STRINGS, lineterminator="\n")
        self._printers = [
            (place, _PRINTERS[column.family])
            for place, column in enumerate(columns)
            if column.family in _PRINTERS
        ]

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        for values in rows:
            if len(values) == 1 and values[0] is None:
                self._file.write("\n")  # the csv module reads this, but refuses to write it
            else:
                self._writer.writerow(self._printed(values) if self._printers else values)

    def _printed(self, values: Sequence[Value]) -> Sequence[Any]:
        fields: list[Any] = list(values)
        for place, printer in self._printers:
            if fields[place] is not None:
                fields[place] = printer(fields[place])
        return fields


def records(file: TextIO) -> Iterator[tuple[int, Sequence[str | None]]]:
    """Each record with the number of its last line, from 1. Raises ValueError for text that is not CSV."""
    reader = csv.reader(file, quoting=csv.QUOTE_NOTNULL, strict=True)
    try:
        for fields in reader:
            yield reader.line_num, fields or (None,)
    except csv.Error as error:
        raise ValueError(str(error)) from error
