"""XA transactions that are prepared: nothing of them is sent before their outcome is known. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from rowferry.change import RowChange
from rowferry.position import BinlogOffset

MAX_ROWS = 50_000
MAX_BYTES = 16 << 20
"""What may wait for its outcome at one time; images of rows take some times their bytes in the binlog."""


class Prepared(NamedTuple):
    """Changes without a position yet, the place where their transaction starts, their size in bytes."""

    start: BinlogOffset
    changes: Sequence[RowChange]
    size: int


class PreparedTransactions:
    """
    By the name that XA COMMIT and XA ROLLBACK give them, in the order of the binlog.

    Also those without mapped rows are kept: so a name that is not here was
    prepared before capture began.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Prepared] = {}
        self._rows = self._size = 0

    @property
    def start(self) -> BinlogOffset | None:
        """Where the oldest one starts; None when there is none."""
        return next(iter(self._waiting.values())).start if self._waiting else None

    def takes(self, rows: int, size: int) -> bool:
        """Whether so many rows and bytes may wait besides."""
        return self._rows + rows <= MAX_ROWS and self._size + size <= MAX_BYTES

    def add(self, xid: str, prepared: Prepared) -> None:
        """Keeps the transaction until its outcome is known."""
        self._waiting[xid] = prepared
        self._rows += len(prepared.changes)
        self._size += prepared.size

    def resolve(self, xid: str) -> Prepared | None:
        """The transaction, which waits no longer; None when it was not prepared here."""
        found = self._waiting.pop(xid, None)
        if found is not None:
            self._rows -= len(found.changes)
            self._size -= found.size
        return found
