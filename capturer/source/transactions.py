"""
From the binlog's events to positioned row changes and transaction boundaries. Pure: no I/O, no clock.

A transaction that fits into one portion is read to its end before any of it is returned; of a larger one,
what was returned before a stop has been sent. The changes of an XA transaction are returned at XA COMMIT,
with its position: that is when they become visible. With the position of the prepare they would be below
watermarks whose snapshots do not show them.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

from capturer.ddl.statements import judge
from capturer.ddl.verdicts import RELOAD_ALL, Meaning, Verdict
from capturer.decoder.events import (
    FormatDescription,
    Gtid,
    Heartbeat,
    Incident,
    Passed,
    Query,
    Rotate,
    RowsEvent,
    XaPrepared,
    Xid,
)
from capturer.source.demands import Lacking
from capturer.source.events import Event, Unreadable
from capturer.source.lineage import Lineage
from capturer.source.place import Place
from capturer.source.xa import Prepared, PreparedTransactions
from capturer.state.status import START_OVER
from rowferry.change import RowChange
from rowferry.errors import PASS, CaptureStopped
from rowferry.mapping import Mapping
from rowferry.mysql.dialect import SqlDialect
from rowferry.position import FIRST_EVENT, BinlogOffset, Position, file_number

PORTION = 1_000  # rows of one transaction that are kept back until its end is seen
PORTION_BYTES = 1 << 20  # of row events in the binlog; images take a multiple of it in memory

_STEPS = "; `ferry resume --after-ddl` has the steps"
_IN_THE_STACK = "in the stack: CapturerSkip="
_TOO_LARGE = (
    f"commit or roll back what is prepared, and prepare less at a time; when that is done, {RELOAD_ALL}"
)
_NOT_PREPARED = "XA COMMIT of a transaction that was prepared before capture began, or skipped"

type SameValues = Callable[[str, frozenset[str], BinlogOffset], bool]
"""(source table, columns, end of the ALTER TABLE): whether they have the same values as before it."""
type Demanded = Callable[[Verdict], Lacking | None]
"""What does not hold any more since a statement that may have changed it."""
type Leads = Callable[[Verdict, SqlDialect, BinlogOffset, bool], str]
"""See StatementReach: why a statement about other tables may change a mapped one; empty if it does not."""
type Shown = Callable[[BinlogOffset], bool]
"""Whether every load, past or future, shows what was committed at that offset."""


class Transactions:
    """
    Takes every event in order; returns the changes that may be sent.

    `boundary` is the newest transaction boundary that was read, `number` counts the transactions that had row
    changes, `committed` is the current one's commit time (ms since 1970).

    Raises CaptureStopped at what cannot be captured; the boundary then stays before that transaction.
    Transactions that start at a boundary in `skip` are skipped with all their content: the operator has dealt
    with them. `same_values` is called if a statement may change values together with their type, `shown` if
    the changes that an XA COMMIT commits are not known, `demanded` after DDL that mentions a mapped table.

    Capture resumes at the boundary of `resume`. Where its `restart` is before that, reading begins there, but
    only what was prepared in between is kept: everything else has been sent.
    """

    def __init__(
        self,
        mapping: Mapping,
        resume: Place,
        skip: Iterable[BinlogOffset] = (),
        same_values: SameValues = lambda _table, _columns, _end: False,
        shown: Shown = lambda _place: False,
        dialect: SqlDialect = SqlDialect(),  # noqa: B008 - immutable
        leads: Leads = lambda _verdict, _dialect, _end, _again: "what it leads to was not asked",
    ) -> None:
        self.boundary = resume.restart
        self._settled = resume.boundary.order
        self.again = resume.restart != resume.boundary
        """Whether reading is still before the place to resume at."""
        self.number = 0
        self.committed = 0
        self._mapping = mapping
        self._epoch = resume.epoch
        self._resumed = resume
        self._same_values = same_values
        self._shown = shown
        self.demanded: Demanded = lambda _verdict: None
        self._leads = leads
        self._redefined = False  # DDL has passed since `leads` was called
        self.dialect = dialect
        """How the server reads SQL; set at every connect, because it may be another server."""
        self._skip = {where.order for where in skip}
        self._prepared = PreparedTransactions()
        # Reading may begin in an earlier file, of which only a later one's time is known.
        same_file = resume.restart.file == resume.boundary.file
        self._lineage = Lineage(resume.past, resume.restart.file, knows_file=same_file)
        self._savepoints: dict[str, int] = {}
        self.partly = ""
        """The transaction of which a part has been returned, and not its end."""
        self._readers: dict[type, Callable[[Any], Sequence[RowChange]]] = {
            RowsEvent: self._rows,
            Query: self._query,
            Gtid: self._began,
            Xid: self._ended,
            XaPrepared: self._xa_prepared,
            Passed: self._passed,
            Rotate: self._moved,
            Heartbeat: self._heartbeat,
            FormatDescription: self._file_began,
            Incident: self._incident,
            Unreadable: self._unreadable,
        }
        self._enter()
        self.resume()

    @property
    def restart(self) -> BinlogOffset:
        """Where a new capturer has to begin reading: before the oldest XA transaction without an outcome."""
        oldest = self._prepared.oldest
        return oldest.start if oldest else self.boundary

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def place(self) -> Place:
        """The boundary, with what it is true of."""
        if self.again:  # what is prepared has not been read again yet
            return self._resumed
        oldest = self._prepared.oldest
        past = self._lineage.past(oldest.history if oldest else None)
        return Place(self._epoch, self.boundary, oldest.start if oldest else self.boundary, past)

    def begin_epoch(
        self, epoch: int, server: str, start: BinlogOffset, shared: BinlogOffset, *, last_is_there: bool
    ) -> None:
        """
        Reading goes on in another binlog, at `start`: what the history has before `shared` is left out.

        `start` must be before every prepared XA transaction: they are read again. `last_is_there`: the newest
        captured transaction must be met before `shared`, for the binlog is said to have it.
        """
        self._lineage.another_log(server, start.file, shared, has_last=last_is_there)
        self._prepared = PreparedTransactions()
        self._begin(epoch, start)

    def rename(self, epoch: int, file: str) -> None:
        """The same server's binlog goes on in a file of another name, where positions begin again."""
        self._lineage.renamed(file)
        # A capturer that begins in this epoch cannot go back to what was prepared before it: it would stop.
        self._begin(epoch, BinlogOffset(file, FIRST_EVENT))

    def _begin(self, epoch: int, start: BinlogOffset) -> None:
        self._epoch = epoch
        self._skip = set()  # places in the former binlog: in this one other transactions may be there
        self._prepared.move(start)
        self.boundary, self.again, self._settled = start, False, start.order
        self._enter()
        self.resume()

    def resume(self) -> None:
        """Drops the transaction that was being read: reading begins again at `boundary`."""
        # `_prepared` is not reset: what is prepared survives a broken connection.
        self._group = False  # between a GTID event and the end of its transaction or statement
        self._block = False  # rows and statements belong together up to COMMIT
        self._xa = False
        self._skipping = False
        self._known = False  # it has been sent before, but for what was prepared
        self._gtid: Gtid | None = None
        self._start = 0
        self._row = 0
        self._prefix = ""
        self._handed = 0  # rows that were returned: a rollback cannot take them back any more
        self._kept: list[RowChange] = []
        self._kept_bytes = 0
        if self._savepoints:
            self._savepoints = {}

    def feed(self, event: Event) -> Sequence[RowChange]:
        """
        The changes that may be sent now, in order; all of them belong to transaction `number`.

        Often empty: changes are kept until their transaction, or a portion of it, is complete.
        """
        return self._readers[type(event)](event)

    def _moved(self, event: Rotate) -> Sequence[RowChange]:
        # No transaction goes on in the next file.
        self._refuse_open()
        self.resume()
        self._lineage.enter(event.file)
        self._enter()
        self._reach(event.offset)
        return ()

    def _file_began(self, event: FormatDescription) -> Sequence[RowChange]:
        self._lineage.file_made(event.created)
        return ()

    def _reach(self, offset: int) -> None:
        self.boundary = tuple.__new__(
            BinlogOffset, (self._file, offset)
        )  # half the time of BinlogOffset(...)
        if self.again:  # never True again: a later connection begins at `boundary`
            self.again = self.boundary.order < self._settled

    def _is_skipped(self) -> bool:
        return self.boundary.order in self._skip

    def _enter(self) -> None:
        self._file = self._lineage.file
        # The rest of Position's text is added by `_number` and `_rows`: this is a hot path.
        self._places = str(Position(self._epoch, file_number(self._file), 0))[: len("eeee.ffffffff.")]

    def _began(self, event: Gtid) -> Sequence[RowChange]:
        if self._group:
            self._refuse_open()
            self.resume()
        # Only if it differs: capture and outbox compare boundaries by identity.
        if self.boundary.offset != event.start:
            self._reach(event.start)
        self.committed = event.committed // 1_000  # from µs
        self._gtid, shared = event, self._lineage.shared
        self._known = self.again or (shared is not None and self._lineage.is_known(event, shared))
        self._group, self._block, self._xa = True, event.standalone is False, event.prepared
        self._start = event.start
        self._skipping = bool(self._skip) and self._is_skipped()
        return ()

    def _refuse_open(self) -> None:
        if self._row:
            self._stop("a transaction without an end (the server broke off while writing it)", RELOAD_ALL)

    def _rows(self, event: RowsEvent) -> Sequence[RowChange]:
        if self._skipping or (self._known and not self._xa):
            return ()
        if not self._group:
            self._stop("row changes outside of a transaction", f"set gtid_mode=ON; {START_OVER}", "")
        # Only transactions with mapped rows get a number: the others take no memory in Checkpoints.
        if not self._row:
            self._number()
        # Local names and one concatenation: this loop runs for every row of every mapped table.
        schema, table, kind, prefix, row = event.schema, event.table, event.kind, self._prefix, self._row
        keep, new = self._kept.append, tuple.__new__  # half the time of RowChange(...), and every field
        for before, after in event.images:
            row += 1
            keep(new(RowChange, (schema, table, kind, before, after, f"{prefix}{row:08x}", None)))
        self._row = row
        self._kept_bytes += event.size
        if self._xa:  # no portions: a prepared transaction may still be rolled back
            self._bound(event)
        elif len(self._kept) >= PORTION or self._kept_bytes >= PORTION_BYTES:
            self.partly = (self._gtid and self._gtid.gtid) or ""
            return self._release()
        return ()

    def _number(self) -> None:
        """
        Called at the first row change of a transaction: gives it its number and the prefix of its positions.
        """
        self.number += 1
        self._prefix = f"{self._places}{self._start:016x}."

    def _bound(self, event: RowsEvent) -> None:
        if not self._prepared.takes(len(self._kept), self._kept_bytes):
            what = f"XA transactions on {event.schema}.{event.table} and others"
            self._stop(f"{what} that wait for their outcome are too large for memory", _TOO_LARGE)

    def _query(self, event: Query) -> Sequence[RowChange]:
        if event.sql == "BEGIN":  # of nearly every transaction
            self._block = True
            return ()
        verdict = judge(event.sql, event.schema, self._mapping, self.dialect.under(event.sql_mode))
        match verdict.meaning:
            case Meaning.BEGIN:
                self._block = True
            case Meaning.XA_BEGIN:
                self._block = self._xa = True
            case Meaning.SAVEPOINT:
                self._savepoints[verdict.name] = self._handed + len(self._kept)
            case Meaning.ROLLBACK_TO:
                self._take_back(self._savepoints.get(verdict.name))
            # Where this does not hold, the statement goes on to the last case, like a harmless one.
            case Meaning.STOP if found := self._obstacle(verdict, event):
                self._stop(found, verdict.fix, tables=verdict.tables)
            case Meaning.COMMIT | Meaning.ROLLBACK | Meaning.XA_COMMIT | Meaning.XA_ROLLBACK:
                return self._decided(verdict, event.end)
            # Outside of BEGIN and COMMIT a statement, such as DDL, commits by itself.
            case _ if not self._block:
                self._redefined |= not verdict.writes
                self._demand(verdict)
                return self._end(event.end)
        return ()

    def _demand(self, verdict: Verdict) -> None:
        """Before anything after the statement: it may have changed what preflight demands."""
        asked = bool(verdict.asks) and not (self._skipping or self._known)
        if asked and (lacking := self.demanded(verdict)):
            self._stop(lacking.found, lacking.fix, lacking.remedy, lacking.tables)

    def _obstacle(self, verdict: Verdict, event: Query) -> str:
        """What a statement does that stops capture; empty if it does not after all."""
        end = BinlogOffset(self._file, event.end)
        if self._skipping or self._known:
            return ""
        if verdict.retypes:
            (table,) = verdict.tables  # an ALTER TABLE has one
            return "" if self._same_values(table, verdict.retypes, end) else verdict.found
        if verdict.writes:
            why = self._leads(verdict, self.dialect.under(event.sql_mode), end, self._redefined)
            self._redefined = False
            return f"{verdict.found}, and {why}" if why else ""
        return verdict.found

    def _decided(self, verdict: Verdict, end: int) -> Sequence[RowChange]:
        """Handles the outcome of this transaction, or of a prepared one."""
        if verdict.meaning is Meaning.ROLLBACK:
            self._take_back(0)
        elif verdict.meaning is not Meaning.COMMIT:
            self._resolve(verdict.name, committed=verdict.meaning is Meaning.XA_COMMIT)
        return self._end(end)

    def _take_back(self, rows: int | None) -> None:
        """Drops all but the transaction's first `rows` rows. None: it is not known how many remain."""
        if not self._row:
            return
        if rows is None or rows < self._handed:  # some of them have been sent already
            self._stop("row changes that the same transaction takes back (ROLLBACK)", RELOAD_ALL)
        # `_row` stays as it is: positions have to rise, and a gap does no harm.
        del self._kept[rows - self._handed :]

    def _xa_prepared(self, event: XaPrepared) -> Sequence[RowChange]:
        if event.one_phase:
            self._kept = [] if self._known else self._kept  # it has been sent
            return self._end(event.end)
        if not self._skipping:  # the operator's load may be from before the outcome
            before = self._lineage.history
            if self._gtid and self._gtid.gtid:
                before = before.before(self._gtid.gtid)
            self._prepared.add(event.xid, Prepared(self.boundary, self._kept, self._kept_bytes, before))
        self._kept = []
        return self._end(event.end)

    def _resolve(self, xid: str, *, committed: bool) -> None:
        # Before the return: whatever the outcome, its memory is free and `restart` moves on.
        prepared = self._prepared.resolve(xid)
        if not committed or self._skipping or self._known:
            return
        if prepared is None and not self._shown(self.boundary):
            self._stop(_NOT_PREPARED, RELOAD_ALL)
        if prepared and prepared.changes:
            self._number()
            self._kept = [
                change._replace(position=f"{self._prefix}{row:08x}")  # that of XA COMMIT, not of the prepare
                for row, change in enumerate(prepared.changes, start=1)
            ]

    def _ended(self, event: Xid) -> Sequence[RowChange]:
        return self._end(event.end)

    def _passed(self, event: Passed) -> Sequence[RowChange]:
        if not self._group:
            self._reach(event.end)
        return ()

    def _heartbeat(self, event: Heartbeat) -> Sequence[RowChange]:
        # Inside of a transaction, its offset is no boundary.
        if not self._group and event.file == self._file and event.offset > self.boundary.offset:
            self._reach(event.offset)
        return ()

    def _incident(self, event: Incident) -> Sequence[RowChange]:
        lost = "an incident: the server could not log some changes"
        return self._unreadable(Unreadable(event.start, event.end, lost, RELOAD_ALL))

    def _unreadable(self, event: Unreadable) -> Sequence[RowChange]:
        sent_before = self._known and not self._xa  # what is prepared still has to be sent
        if not (sent_before or self._is_skipped()):
            self._stop(event.found, event.fix, event.remedy, event.tables)
        # Otherwise the transaction that is skipped goes on, and its end is still to be read.
        return self._end(event.end) if event.last or not self._block else ()

    def _end(self, end: int) -> Sequence[RowChange]:
        released = self._kept
        if self._gtid is not None and not self._known:
            self._lineage.ended(self._gtid)
            if self._gtid.gtid == self.partly:
                self.partly = ""
        self.resume()
        self._reach(end)
        return released

    def _release(self) -> Sequence[RowChange]:
        released, self._kept, self._kept_bytes = self._kept, [], 0
        self._handed += len(released)
        return released

    def _stop(self, found: str, fix: str, remedy: str = PASS, tables: Iterable[str] = ()) -> NoReturn:
        """Raises CaptureStopped. `tables` have to be loaded again; none given means all mapped ones."""
        at = f"{self.boundary} ({_IN_THE_STACK}{self.boundary})"
        every = [table.source for table in self._mapping.tables]
        fix = fix.replace("{at}", at) + (_STEPS if remedy else "")
        raise CaptureStopped(f"at {self.boundary}: {found}", fix, remedy, tables or every, str(self.boundary))
