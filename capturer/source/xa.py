"""Prepared XA transactions: nothing of them is sent before their outcome is known. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from rowferry.change import RowChange
from rowferry.history import NOTHING, History
from rowferry.position import BinlogOffset

MAX_ROWS = 50_000
MAX_BYTES = 16 << 20
"""
Most rows and binlog bytes that may wait for their outcome at one time; in memory, row images take a multiple
of their bytes in the binlog.
"""


class Prepared(NamedTuple):
    """
    Changes that have no position yet, the offset where their transaction starts, their size in bytes, and the
    history before it.
    """

    start: BinlogOffset
    changes: Sequence[RowChange]
    size: int
    history: History = NOTHING


class PreparedTransactions:
    """
    Prepared transactions by their name in XA COMMIT and XA ROLLBACK, in the order of the binlog.

    Those without mapped rows are kept as well, so a name that is not here was prepared before capture began.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Prepared] = {}
        self._rows = self._size = 0

    @property
    def oldest(self) -> Prepared | None:
        """The oldest one; None if there is none."""
        # A dictionary keeps the order of insertion.
        return next(iter(self._waiting.values())) if self._waiting else None

    def move(self, start: BinlogOffset) -> None:
        """The binlog goes on under another name, at that place."""
        self._waiting = {xid: waiting._replace(start=start) for xid, waiting in self._waiting.items()}

    def takes(self, rows: int, size: int) -> bool:
        """Whether so many more rows and bytes may wait."""
        return self._rows + rows <= MAX_ROWS and self._size + size <= MAX_BYTES

    def add(self, xid: str, prepared: Prepared) -> None:
        """Keeps the transaction until its outcome is known."""
        self._waiting[xid] = prepared
        self._rows += len(prepared.changes)
        self._size += prepared.size

    def resolve(self, xid: str) -> Prepared | None:
        """Removes and returns the transaction; None if it was not prepared here."""
        found = self._waiting.pop(xid, None)
        if found is not None:
            self._rows -= len(found.changes)
            self._size -= found.size
        return found
