"""
Reads text files many rows at a time: the same rows as one by one, at a third of the cost.

A block is converted column by column. A block that has an escape, or an error, is left to the reader of
single rows, which handles every case and names the line.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import batched
from pathlib import Path
from typing import Any, BinaryIO

from bulkload.exports.columns import ExportColumn, text_converter
from bulkload.exports.records import BadLine, Numbered, opened
from bulkload.exports.text_dialect import Dialect
from rowferry.values import Value

BLOCK = 1 << 16
"""
Bytes. The fields of a larger block do not fit into the processor's cache: reading takes 1.5 times as long.
"""
FEW = 100
"""Rows in memory at a time where their size is unknown."""
_AS_TEXT = ("int", "decimal", "float", "double", "text", "date", "datetime", "time", "set", "json")

type Columns = Sequence[Sequence[Value]]
"""Some rows, column by column."""
type Block = tuple[int, Columns]
"""The number of the block's last line, from 1, and its rows."""
type Convert = Callable[[str], Value] | None
"""None: the text is the value."""


def columns_of(rows: Iterable[Sequence[Value]]) -> Iterator[Columns]:
    for some in batched(rows, FEW, strict=False):
        yield list(zip(*some, strict=True))


def blocks_of(read: Callable[..., Any]) -> Callable[[Path, str], Iterator[Block]] | None:
    """
    The function that reads blocks where the ReadRows has one, with the same errors as for rows; else None.
    """
    return read.blocks if isinstance(read, Plain) else None


@dataclass(frozen=True, slots=True)
class Plain:
    """Reads files of SELECT ... INTO OUTFILE without quotes. `slow` reads any rows of the dialect."""

    slow: Callable[[BinaryIO], Iterator[Numbered]]
    columns: Sequence[ExportColumn]
    places: Sequence[int]
    dialect: Dialect

    def __call__(self, path: Path, name: str) -> Iterator[Numbered]:
        with opened(path, name) as file:
            yield from self.slow(file)

    def blocks(self, path: Path, name: str) -> Iterator[Block]:
        line, converts = 0, self._converts()
        with opened(path, name) as file:
            for block in _whole_rows(file, self.dialect):
                columns = self._fast(block, converts) if converts else None
                columns = self._slowly(block, line) if columns is None else columns
                line += block.count(self.dialect.ended)
                yield line, columns

    def _fast(self, block: bytes, converts: Sequence[Convert]) -> Columns | None:
        # NULL is an escape as well, so a block with one NULL is read row by row.
        if self.dialect.escaped in block:
            return None
        end, mark, width = self.dialect.ended.decode(), self.dialect.terminated.decode(), len(self.columns)
        try:
            # The row's end becomes a field of its own after each row.
            # Where all of these are at their index, so are the other fields.
            fields = block.decode().replace(end, f"{mark}{end}{mark}").split(mark)
            ends = fields[width :: width + 1]
            if ends.count(end) != len(ends) or len(fields) != len(ends) * (width + 1) + 1:
                return None
            return [
                _converted(one, fields[at : -1 : width + 1])
                for one, at in zip(converts, self.places, strict=True)
            ]
        except (ValueError, ArithmeticError):
            return None

    def _slowly(self, block: bytes, before: int) -> Columns:
        try:
            return list(zip(*(values for _, values in self.slow(BytesIO(block))), strict=True))
        except BadLine as error:
            raise BadLine(before + error.line, str(error)) from error.__cause__

    def _converts(self) -> Sequence[Convert]:
        """Empty where the file's bytes are not UTF-8 throughout, or a column needs its own converter."""
        dialect = self.dialect
        if dialect.enclosed or dialect.starting or dialect.charset not in (None, "utf8mb4", "binary"):
            return ()
        columns = [self.columns[place] for place in self.places]
        if not all(column.is_utf8 and column.family in _AS_TEXT for column in self.columns):
            return ()
        return [_convert(column) for column in columns]


def _convert(column: ExportColumn) -> Convert:
    if column.family == "text":
        return _unpadded if column.type == "char" else None
    return text_converter(column)


def _unpadded(text: str) -> str:
    return text.rstrip(" ")


def _converted(convert: Convert, fields: Sequence[str]) -> Sequence[Any]:
    return fields if convert is None else list(map(convert, fields))


def _whole_rows(file: BinaryIO, dialect: Dialect) -> Iterator[bytes]:
    """The file in pieces of whole rows."""
    end, escape = dialect.ended, dialect.escaped
    rest, line = b"", 1
    while block := file.read(
        max(BLOCK, len(rest))
    ):  # doubles for a long row: each byte is copied twice at most
        rest += block
        cut = rest.rfind(end)
        # A row's end that is escaped belongs to a value.
        while cut > 0 and _escaped(rest, cut, escape):
            cut = rest.rfind(end, 0, cut)
        if cut < 0 or (cut == 0 and _escaped(rest, cut, escape)):
            continue
        yield rest[: cut + len(end)]
        line += rest.count(end, 0, cut + len(end))
        rest = rest[cut + len(end) :]
    if rest:
        raise BadLine(line + rest.count(end), "ends without the end of its row: the file is truncated")


def _escaped(data: bytes, place: int, escape: bytes) -> bool:
    count = 0
    while data[place - 1 - count : place - count] == escape:
        count += 1
    return count % 2 == 1
