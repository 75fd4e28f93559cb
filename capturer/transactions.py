"""
From the binlog's events to positioned row changes and transaction boundaries. Pure: no I/O, no clock.

A transaction that fits one portion is seen to its end before any of it is
handed out; of a larger one, what was handed out before a stop has been sent.
"""

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from capturer.decoder.events import (
    FormatDescription,
    Gtid,
    Heartbeat,
    Incident,
    Passed,
    Query,
    Rotate,
    Rows,
    XaPrepared,
    Xid,
)
from capturer.events import Boundary, Event, Unreadable
from capturer.statements import Meaning, judge
from rowferry.change import RowChange
from rowferry.errors import CaptureStopped
from rowferry.mapping import Mapping
from rowferry.position import Position, file_number

PORTION = 1_000  # rows of one transaction that are kept back until its end is seen
PORTION_BYTES = 1 << 20

_XA = (
    "use plain transactions for mapped tables; when the XA transaction has ended, "
    "load the tables it changed again, then start the capturer with --skip {at}"
)
_IN_THE_STACK = "in the stack: CapturerSkip="
_RELOAD_ALL = (
    "empty the targets of all mapped tables and load them again, then start the capturer with --skip {at}"
)
_TAKEN_BACK = "load the tables it changed again, then start the capturer with --skip {at}"


class Transactions:
    """
    Feed it every event in order; it returns the changes that may be sent.

    `boundary` is the newest transaction boundary read, `number` counts the
    transactions that had row changes, `committed` is the current one's commit
    time (ms since 1970).

    Raises CaptureStopped at what cannot be carried; the boundary then stays
    before that transaction. Transactions that start at a boundary in `skip`
    are passed over with all that they hold: the operator has dealt with them.
    """

    def __init__(
        self, mapping: Mapping, epoch: int, boundary: Boundary, skip: Iterable[Boundary] = ()
    ) -> None:
        self.boundary = boundary
        self.number = 0
        self.committed = 0
        self._mapping = mapping
        self._epoch = epoch
        self._skip = {where.order for where in skip}
        self._readers: dict[type, Callable[[Any], list[RowChange]]] = {
            Rows: self._rows,
            Query: self._query,
            Gtid: self._began,
            Xid: self._ended,
            XaPrepared: self._ended,
            Passed: self._passed,
            Rotate: self._moved,
            Heartbeat: self._heartbeat,
            FormatDescription: lambda _: [],
            Incident: self._incident,
            Unreadable: self._unreadable,
        }
        self._file = boundary.file
        self.resume()

    def resume(self) -> None:
        """Forgets the transaction that was being read: reading begins again at `boundary`."""
        self._group = False  # between a GTID event and the end of what it stands for
        self._block = False  # rows and statements belong together up to COMMIT
        self._prepared = False
        self._skipping = False
        self._start = 0
        self._row = 0
        self._prefix = ""
        self._kept: list[RowChange] = []
        self._kept_bytes = 0

    def feed(self, event: Event) -> list[RowChange]:
        """The changes that may be sent now, in order; all of them belong to transaction `number`."""
        return self._readers[type(event)](event)

    def _moved(self, event: Rotate) -> list[RowChange]:
        if self._row:
            self._stop("a transaction without an end (the server broke off while writing it)", _TAKEN_BACK)
        self.resume()
        self._file = event.file
        self.boundary = Boundary(event.file, event.offset)
        return []

    def _began(self, event: Gtid) -> list[RowChange]:
        if self._row:
            self._stop("a transaction without an end (the server broke off while writing it)", _TAKEN_BACK)
        self.resume()
        if self.boundary.offset != event.start:
            self.boundary = Boundary(self._file, event.start)
        self.committed = event.committed // 1_000
        self._group, self._block, self._prepared = True, event.standalone is False, event.prepared
        self._start = event.start
        self._skipping = self.boundary.order in self._skip
        return []

    def _rows(self, event: Rows) -> list[RowChange]:
        if self._skipping:
            return []
        if self._prepared:
            self._stop(f"an XA transaction changes {event.schema}.{event.table}", _XA)
        if not self._group:
            self._stop("row changes outside of a transaction", "set gtid_mode=ON, then load the tables again")
        if not self._row:
            self.number += 1
            self._prefix = str(Position(self._epoch, file_number(self._file), self._start))[:-8]
        for before, after in event.images:
            self._row += 1
            position = f"{self._prefix}{self._row:08x}"
            self._kept.append(RowChange(event.schema, event.table, event.kind, before, after, position))
        self._kept_bytes += event.end - event.start
        if len(self._kept) >= PORTION or self._kept_bytes >= PORTION_BYTES:
            return self._release()
        return []

    def _query(self, event: Query) -> list[RowChange]:
        verdict = judge(event.sql, event.schema, self._mapping)
        match verdict.meaning:
            case Meaning.BEGIN:
                self._block = True
            case Meaning.XA_BEGIN:
                self._block = self._prepared = True
            case Meaning.COMMIT:
                return self._end(event.end)
            case Meaning.ROLLBACK | Meaning.ROLLBACK_TO if self._row:
                self._stop("row changes that the same transaction takes back (ROLLBACK)", _TAKEN_BACK)
            case Meaning.ROLLBACK:
                return self._end(event.end)
            case Meaning.STOP if not self._skipping:
                self._stop(verdict.found, verdict.fix)
            case _ if not self._block:
                return self._end(event.end)
        return []

    def _ended(self, event: Xid | XaPrepared) -> list[RowChange]:
        return self._end(event.end)

    def _passed(self, event: Passed) -> list[RowChange]:
        if not self._group:
            self.boundary = Boundary(self._file, event.end)
        return []

    def _heartbeat(self, event: Heartbeat) -> list[RowChange]:
        if not self._group and event.file == self._file and event.offset > self.boundary.offset:
            self.boundary = Boundary(self._file, event.offset)
        return []

    def _incident(self, event: Incident) -> list[RowChange]:
        lost = "an incident: the server could not log some changes"
        return self._unreadable(Unreadable(event.start, event.end, lost, _RELOAD_ALL))

    def _unreadable(self, event: Unreadable) -> list[RowChange]:
        if self.boundary.order not in self._skip:
            self._stop(event.found, event.fix)
        return self._end(event.end) if event.last or not self._block else []

    def _end(self, end: int) -> list[RowChange]:
        released = self._release()
        self.resume()
        self.boundary = Boundary(self._file, end)
        return released

    def _release(self) -> list[RowChange]:
        released, self._kept, self._kept_bytes = self._kept, [], 0
        return released

    def _stop(self, found: str, fix: str) -> NoReturn:
        at = f"{self.boundary} ({_IN_THE_STACK}{self.boundary})"
        raise CaptureStopped(f"at {self.boundary}: {found}", fix.replace("{at}", at))
