"""
What the binlog holds, as far as capture cares: the language between `binlog` and `transactions`.

Every event but Moved has `start` and `end`: the byte offsets of the event and
of what follows it, in the file that the newest Moved named, as 64 bit (the
binlog's own are 32 bit and wrap in files over 4 GiB).
"""

from collections.abc import Sequence
from typing import NamedTuple

from rowferry.change import Kind
from rowferry.position import file_number
from rowferry.values import Row


class Boundary(NamedTuple):
    """A place between two transactions, file and byte offset: reading resumes there and nowhere else."""

    file: str
    offset: int

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}"

    @property
    def order(self) -> tuple[int, int]:
        """Compares boundaries: names do not, because numbers may outgrow their padding."""
        return file_number(self.file), self.offset

    @classmethod
    def parse(cls, text: str) -> "Boundary":
        """The boundary in `binlog.000012:345`. ValueError when it is none."""
        file, separator, offset = text.partition(":")
        if not separator:
            raise ValueError(f"not FILE:OFFSET: {text!r}")
        file_number(file)
        return cls(file, int(offset))


class Moved(NamedTuple):
    """The events that follow stand in this file from this offset on."""

    file: str
    offset: int


class Began(NamedTuple):
    """
    A transaction begins (its GTID event). `committed` is its commit time in ms since 1970.

    `block` is set where its end is sure to be another event: MariaDB has no
    BEGIN. `prepared` marks MariaDB's XA transactions.
    """

    start: int
    end: int
    committed: int
    block: bool = False
    prepared: bool = False


class Statement(NamedTuple):
    """SQL text as it stands in the binlog, and the default schema it ran in."""

    start: int
    end: int
    schema: str
    text: str


class Rows(NamedTuple):
    """Row changes of one mapped table: before and after image of each, with the columns that travel."""

    start: int
    end: int
    schema: str
    table: str
    kind: Kind
    images: Sequence[tuple[Row | None, Row | None]]


class Ended(NamedTuple):
    """The transaction is committed, or prepared where it is an XA transaction."""

    start: int
    end: int


class Unreadable(NamedTuple):
    """Something that may change a mapped table and cannot be carried: what was found, and the fix."""

    start: int
    end: int
    found: str
    fix: str


class Passed(NamedTuple):
    """Anything else: it only moves the position."""

    start: int
    end: int


type Event = Moved | Began | Statement | Rows | Ended | Unreadable | Passed
