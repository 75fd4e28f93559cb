"""Shared by the readers of all formats: opening a part, and rows of values from its records."""

import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from bulkload.exports.columns import Convert, ExportColumn
from rowferry.values import Value

type Record = tuple[int, Sequence[Any]]
"""The number of a record's last line in its file, from 1, and its fields; None is NULL."""
type Numbered = tuple[int, list[Value]]
type ReadRows = Callable[[Path, str], Iterator[Numbered]]
"""
Reads the rows of the file at a path. The name's suffix gives the compression.

Raises BadLine for what is not a row of the format, OSError and EOFError for a damaged file.
"""


class BadLine(ValueError):
    """A record that cannot be read; `line` from 1. Its text never contains a row's values."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True, slots=True)
class Pick:
    """The index of a column's field in a record, and its converter."""

    place: int
    column: ExportColumn
    convert: Convert


def opened(path: Path, name: str) -> BinaryIO:
    """The file's content, decompressed where the name ends in .gz or .zst."""
    if name.endswith(".gz"):
        return cast(BinaryIO, gzip.open(path))
    if name.endswith(".zst"):
        from backports import zstd

        return cast(BinaryIO, zstd.open(path))
    return path.open("rb")


def plain_name(name: str) -> str:
    """The name without the suffix of its compression."""
    return name.removesuffix(".gz").removesuffix(".zst")


def values(records: Iterable[Record], picks: Sequence[Pick], width: int) -> Iterator[Numbered]:
    """The picked columns' values of records of `width` fields. Raises BadLine, which names the column."""
    makers = [(pick.place, pick.convert) for pick in picks]
    for line, fields in records:
        if len(fields) != width:
            raise BadLine(line, f"has {len(fields)} columns where the table has {width}")
        try:
            yield (
                line,
                [None if (field := fields[place]) is None else make(field) for place, make in makers],
            )
        except (ValueError, ArithmeticError):
            raise BadLine(
                line, _culprit(fields, picks)
            ) from None  # `from None`: the cause would show the value


def _culprit(fields: Sequence[Any], picks: Sequence[Pick]) -> str:
    for pick in picks:
        try:
            if fields[pick.place] is not None:
                pick.convert(fields[pick.place])
        except (ValueError, ArithmeticError):
            return f"column {pick.column.name} has a value that is not {pick.column.definition}"
    return "cannot be read"
