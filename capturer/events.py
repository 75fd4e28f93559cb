"""
What the binlog holds, as far as capture cares: the decoder's events, and what could not be decoded.

`start` and `end` are byte offsets in the file that the newest Rotate named, as
64 bit (the binlog's own are 32 bit and wrap in files over 4 GiB).
"""

from collections.abc import Sequence
from typing import NamedTuple

from capturer.decoder import events as decoded
from rowferry.errors import PASS
from rowferry.position import file_number


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


class Unreadable(NamedTuple):
    """
    Something that may change a mapped table and cannot be decoded: what was found, and the fix.

    `last` where nothing more of its transaction follows: it was a compressed one. `remedy` and `tables` as
    CaptureStopped has them; no tables: all that are mapped.
    """

    start: int
    end: int
    found: str
    fix: str
    last: bool = False
    remedy: str = PASS
    tables: Sequence[str] = ()


type Event = decoded.Event | Unreadable
