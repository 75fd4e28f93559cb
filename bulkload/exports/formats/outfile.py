"""Text files of SELECT ... INTO OUTFILE, and of programs that write the same."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from bulkload.exports.blocks import Plain
from bulkload.exports.columns import ExportColumn
from bulkload.exports.export import Export
from bulkload.exports.formats.base import Request, answer
from bulkload.exports.records import BadLine, Numbered, Pick, ReadRows, Record, opened, values
from bulkload.exports.text_dialect import Dialect
from bulkload.exports.values_raw import raw_converter

BLOCK = 1 << 20
_COMPLICATED = b"\0complicated"
"""Marks a field that has to be read character by character. No field equals it, because NUL is escaped."""


def reader(columns: Sequence[ExportColumn], places: Sequence[int], dialect: Dialect) -> ReadRows:
    """Reads the columns at the indexes `places` from files that have all `columns`."""
    picks = [Pick(place, columns[place], raw_converter(columns[place], dialect.charset)) for place in places]

    def rows(file: BinaryIO) -> Iterator[Numbered]:
        return values(records(file, dialect), picks, len(columns))

    if not dialect.enclosed:
        return Plain(rows, columns, places, dialect)

    def read(path: Path, name: str) -> Iterator[Numbered]:
        with opened(path, name) as file:
            yield from rows(file)

    return read


def records(file: BinaryIO, dialect: Dialect) -> Iterator[Record]:
    """Each record with the number of its last line, from 1. Raises BadLine for anything else."""
    split = (_Enclosed if dialect.enclosed else _Plain)(dialect).split
    start = len(dialect.starting)
    for line, row in _rows(file, dialect):
        if not row.startswith(dialect.starting):
            raise BadLine(line, "does not begin with the text of LINES STARTING BY")
        try:
            yield line, split(row[start:])
        except ValueError as error:
            raise BadLine(line, str(error)) from None


def _rows(file: BinaryIO, dialect: Dialect) -> Iterator[tuple[int, bytes]]:
    """Rows without their terminator. A terminator may also be inside a value: escaped, or in quotes."""
    line, inside = 0, False
    waiting: list[bytes] = []
    for piece in _pieces(file, dialect.ended):
        line += 1
        escaped, odd = _state(piece, dialect)
        inside ^= odd
        if escaped or inside:
            waiting.append(piece)
        elif waiting:
            yield line, dialect.ended.join([*waiting, piece])
            waiting = []
        else:
            yield line, piece
    if waiting:
        raise BadLine(line, "ends in the middle of a value")


def _state(piece: bytes, dialect: Dialect) -> tuple[bool, bool]:
    """Whether the piece ends in an escape, and whether it has an odd number of quotes."""
    escape, quote = dialect.escaped, dialect.enclosed
    if escape not in piece:
        return False, bool(quote) and piece.count(quote) % 2 == 1
    ends = _ends_in(piece, escape)
    if not quote or quote not in piece:
        return ends, False
    if piece.count(escape) == piece.count(escape + b"N"):  # all escapes are NULLs
        return False, piece.count(quote) % 2 == 1
    plain = re.sub(re.escape(escape) + b".", b"", piece, flags=re.DOTALL)
    return ends, plain.count(quote) % 2 == 1


def _ends_in(piece: bytes, escape: bytes) -> bool:
    return (len(piece) - len(piece.rstrip(escape))) % 2 == 1


def _pieces(file: BinaryIO, end: bytes) -> Iterator[bytes]:
    rest, count = b"", 0
    while block := file.read(BLOCK):
        *whole, rest = (rest + block).split(end)
        count += len(whole)
        yield from whole
    if rest:
        raise BadLine(count + 1, "ends without the end of its row: the file is truncated")


def unescaper(escape: bytes, quote: bytes, others: bytes) -> Callable[[bytes], bytes]:
    """
    The function that undoes escapes and doubled quotes; raises ValueError for an escape that MySQL never
    writes.
    """
    known = {b"0": b"\0", b"b": b"\b", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"Z": b"\x1a"}
    known |= {bytes([char]): bytes([char]) for char in escape + quote + others}
    doubled = b"|" + re.escape(quote * 2) if quote else b""
    found = re.compile(re.escape(escape) + b"(.?)" + doubled, re.DOTALL)

    def character(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            return quote
        if match[1] not in known:
            raise ValueError("has a bad escape")
        return known[match[1]]

    return lambda text: found.sub(character, text)


def _unescaper(dialect: Dialect) -> Callable[[bytes], bytes]:
    # mysql_real_escape_string, and so mydumper, escapes both quotes
    others = dialect.terminated[:1] + dialect.ended[:1] + b"\"'"
    return unescaper(dialect.escaped, dialect.enclosed, others)


class _Plain:
    """Fields that are not enclosed."""

    def __init__(self, dialect: Dialect) -> None:
        self._escape, self._end = dialect.escaped, dialect.terminated
        self._null = dialect.escaped + b"N"
        self._unescape = _unescaper(dialect)
        self._fields = _Scanner(dialect).fields if len(self._end) > 1 else self._rejoined

    def split(self, row: bytes) -> Sequence[bytes | None]:
        escape = self._escape
        if escape not in row:
            return row.split(self._end)
        return [
            field if escape not in field else None if field == self._null else self._unescape(field)
            for field in self._fields(row)
        ]

    def _rejoined(self, row: bytes) -> Iterable[bytes]:
        """The fields; those that are divided by an escaped terminator are joined again."""
        waiting: list[bytes] = []
        for field in row.split(self._end):
            waiting.append(field)
            if not _ends_in(field, self._escape):
                yield self._end.join(waiting)
                waiting = []
        if waiting:
            raise ValueError("has a bad escape")


class _Scanner:
    """Fields found character by character, still escaped."""

    def __init__(self, dialect: Dialect) -> None:
        self._end = dialect.terminated
        escape, quote, end = map(re.escape, (dialect.escaped, dialect.enclosed, dialect.terminated))
        quoted = b"%b(?:[^%b%b]|%b.|%b%b)*+%b|" % (quote, escape, quote, escape, quote, quote, quote)
        plain = b"(?:(?!%b)[^%b]|%b.)*+" % (end, escape, escape)
        self._field = re.compile((quoted if quote else b"") + plain, re.DOTALL)

    def fields(self, row: bytes) -> Iterable[bytes]:
        """The fields of one row. Raises ValueError for a bad escape, and for text after a closing quote."""
        place = 0
        while match := self._field.match(row, place):
            yield match[0]
            place = match.end()
            if place == len(row):
                return
            if not row.startswith(self._end, place):
                break
            place += len(self._end)
        raise ValueError("has text after a closing quote, or a bad escape")


class _Enclosed:
    """Fields of which all, or only the texts, are in quotes."""

    def __init__(self, dialect: Dialect) -> None:
        self._escape, self._quote, self._end = dialect.escaped, dialect.enclosed, dialect.terminated
        self._null = dialect.escaped + b"N"
        self._unescape = _unescaper(dialect)
        self._scan = _Scanner(dialect).fields

    def split(self, row: bytes) -> Sequence[bytes | None]:
        """The fields of one row. Raises ValueError for a bad escape, and for text after a closing quote."""
        quote = self._quote
        if row[:1] == row[-1:] == quote and self._escape not in row:
            texts = row[1:-1].split(quote + self._end + quote)
            if row.count(quote) == 2 * len(texts):
                return texts
        fields = [*map(self._simple, row.split(self._end))]
        return [self._value(field) for field in self._scan(row)] if _COMPLICATED in fields else fields

    def _simple(self, field: bytes) -> bytes | None:
        """The value of a field in which nothing is escaped or doubled."""
        quote = self._quote
        if field == self._null:
            return None
        # Without quotes the word NULL is NULL as well
        # (https://dev.mysql.com/doc/refman/9.4/en/load-data.html#load-data-field-line-handling).
        if self._escape in field or field == b"NULL":
            return _COMPLICATED
        if quote not in field:
            return field
        whole = field[:1] == field[-1:] == quote and field.count(quote) == 2
        return field[1:-1] if whole else _COMPLICATED

    def _value(self, field: bytes) -> bytes | None:
        if field.startswith(self._quote):
            return self._unescape(field[1:-1])
        return None if field in (self._null, b"NULL") else self._unescape(field)


def open_outfile(request: Request) -> Export | None:
    """Files of SELECT ... INTO OUTFILE: all that are there. The dialect is given, or MySQL's default."""
    parts = [name for name in request.names if not name.endswith((".sql", ".json", ".manifest"))]
    return of_text(request, "outfile", parts) if parts else None


def of_text(request: Request, format_: str, parts: Sequence[str]) -> Export:
    """The export in text files that do not name their columns: those of the source."""
    columns = request.source_columns()
    read = reader(columns, request.places(columns), Dialect.parse(request.dialect or ""))
    return answer(request, format_, columns, parts, read)
