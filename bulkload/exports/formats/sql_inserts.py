r"""
The rows in a dump's INSERT statements, as mydumper and mysqldump write them.

Strings are escaped as mysql_real_escape_string does it, so a line feed in a value is \n and each line of the
file begins outside of a value. https://mydumper.github.io/mydumper/docs/html/files.html
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bulkload.exports.columns import Convert, ExportColumn
from bulkload.exports.formats.outfile import unescaper
from bulkload.exports.records import BadLine, Numbered, Pick, ReadRows, Record, opened, values
from bulkload.exports.values_raw import raw_converter

_INSERT = re.compile(
    rb"\s*(?:INSERT|REPLACE)(?: IGNORE)? INTO `(?:[^`]|``)+`\s*(?:\(([^)]*)\))?\s*VALUES\s*", re.IGNORECASE
)
_ONE_ROW = re.compile(rb",\(([^\\'()]+)\),?\n")
_IGNORED = (b"/*", b"--", b"SET ", b"LOCK ", b"UNLOCK ", b"START ", b"COMMIT", b"USE ")
# *+ does not backtrack: a string of megabytes is read once, also where its end is missing.
_VALUE = re.compile(
    rb"""(?:CONVERT\()? (?: (NULL) | (-?[0-9][0-9.eE+-]*) | 0x([0-9a-fA-F]*)
      | (?:_[a-z0-9]+\s*)? (?: "((?:[^"\\]|\\.|"")*+)" | '((?:[^'\\]|\\.|'')*+)' ) )
      (?:\ USING\ utf8mb4\))? ([,)])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_double = unescaper(b"\\", b'"', b"'")
_single = unescaper(b"\\", b"'", b'"')


def reader(columns: Sequence[ExportColumn], places: Sequence[int], charset: str | None) -> ReadRows:
    """Reads the columns at the indexes `places` from files whose statements have all `columns`."""
    picks = [Pick(place, columns[place], _converter(columns[place], charset)) for place in places]
    names = [column.name for column in columns]

    def read(path: Path, name: str) -> Iterator[Numbered]:
        with opened(path, name) as file:
            yield from values(records(file, names), picks, len(columns))

    return read


def _converter(column: ExportColumn, charset: str | None) -> Convert:
    # binary strings are not converted, whatever the client's character set
    return raw_converter(column, "binary" if column.family in ("bytes", "bit") else charset)


def records(lines: Iterable[bytes], names: Sequence[str]) -> Iterator[Record]:
    """
    Each row with the number of its line. Raises BadLine for other statements than INSERTs of these columns.
    """
    line, inside = 0, False
    for line, text in enumerate(lines, 1):
        found = None if inside else _INSERT.match(text)
        if not inside and found is None:
            if text.strip() and not text.startswith(_IGNORED):
                raise BadLine(line, "is not a statement of a dump's data file")
            continue
        if found is not None and found[1] is not None and listed(found[1]) != list(names):
            raise BadLine(line, "inserts other columns than the dump's schema has")
        if inside and (simple := _simple_row(text)):
            yield line, simple
            continue
        try:
            rows, inside = _rows(text, found.end() if found else 0)
        except ValueError as error:
            raise BadLine(line, str(error)) from None
        for row in rows:
            yield line, row
    if inside:
        raise BadLine(line, "ends in the middle of a statement: the file is truncated")


def listed(text: bytes) -> list[str]:
    """The names in a list of columns."""
    return [name.strip().strip("`").replace("``", "`") for name in text.decode().split(",")]


def _simple_row(text: bytes) -> list[bytes | None] | None:
    """The fields of a line that holds one row of integers, NULLs and plain strings; None for any other."""
    match = _ONE_ROW.fullmatch(text)
    if match is None:
        return None
    fields: list[bytes | None] = []
    for field in match[1].split(b","):
        if field[:1] == field[-1:] == b'"' and field.count(b'"') == 2:
            fields.append(field[1:-1])
        elif field == b"NULL":
            fields.append(None)
        elif field.isdigit():
            fields.append(field)
        else:
            return None
    return fields


def _rows(text: bytes, place: int) -> tuple[list[list[bytes | None]], bool]:
    """The rows of one line, and whether the statement goes on in the next."""
    rows: list[list[bytes | None]] = []
    while True:
        rest = text[place : place + 2].strip()
        if not rest:
            return rows, True
        if rest[:1] == b";":
            if text[place:].strip(b"; \r\n"):
                raise ValueError("has text after its statement")
            return rows, False
        if rest[:1] == b",":
            place += 1
            continue
        if text[place : place + 1] != b"(":
            raise ValueError("is not what a dump writes")
        place, row = _row(text, place + 1)
        rows.append(row)


def _row(text: bytes, place: int) -> tuple[int, list[bytes | None]]:
    fields: list[bytes | None] = []
    while True:
        match = _VALUE.match(text, place)
        if match is None:
            raise ValueError("has a value that a dump does not write")
        fields.append(_field(match))
        place = match.end()
        if match[6] == b")":
            return place, fields


def _field(match: re.Match[bytes]) -> bytes | None:
    _null, number, hexadecimal, double, single, _ = match.groups()
    if number is not None:
        return number
    if double is not None:
        return _double(double) if b"\\" in double or b'"' in double else double
    if single is not None:
        return _single(single) if b"\\" in single or b"'" in single else single
    return bytes.fromhex(hexadecimal.decode()) if hexadecimal is not None else None
