"""The history that a boundary is true of: what was captured, and in which log. Pure."""

from datetime import UTC, datetime

from capturer.decoder.events import Gtid
from capturer.source.place import ContinuityLost, Past
from capturer.state.status import START_OVER
from rowferry.errors import CaptureStopped
from rowferry.history import History
from rowferry.position import BinlogOffset, base_name, file_number

_AT_ONCE = 1_000  # transactions that are added to the history together


class Lineage:
    """
    Follows the transactions and files of one log, and from one server's log into another's.

    Transactions calls it. It raises CaptureStopped where the log proves not to be the one that was captured,
    and ContinuityLost where the log goes on as another one.
    """

    def __init__(self, past: Past, file: str, *, knows_file: bool) -> None:
        """Reading begins in `file`; `knows_file`: `created` of `past` is that file's time."""
        self.server = past.server
        self.file = file
        self._history = past.history
        self._created = past.created if knows_file else 0
        self._last, self._committed = past.last, past.committed
        self.shared = past.shared
        """Before that place, transactions may be known; None: none is."""
        self._expected = (past.last, past.committed)
        self._is_due = False
        # Not added to the history yet: that is done for many at once, as this runs for every transaction.
        self._new: list[Gtid] = []

    @property
    def history(self) -> History:
        """What was captured up to the present boundary."""
        if new := self._new:
            self._history = self._history.plus(*(event.gtid for event in new if event.gtid))
            last = new[-1]
            self._last, self._committed = last.gtid or "", last.original or last.committed
            new.clear()
        return self._history

    def past(self, restart_history: History | None) -> Past:
        """What the present boundary is true of; `restart_history`: of the place to restart at, if another."""
        history = self.history  # first: it is what brings `_last` up to date
        before = history if restart_history is None else restart_history
        return Past(self.server, history, before, self._created, self._last, self._committed, self.shared)

    def another_log(self, server: str, file: str, shared: BinlogOffset, *, has_last: bool) -> None:
        """
        Reading goes on in another log: what the history has before `shared` is known there.

        `has_last`: the newest captured transaction must be met before `shared`.
        """
        self.server, self.file, self.shared, self._created = server, file, shared, 0
        past = self.past(None)
        self._expected = (past.last, past.committed)
        self._is_due = has_last and bool(past.last)

    def renamed(self, file: str) -> None:
        """The same log goes on under another name: it is the next epoch, of the same history."""
        self.file, self._created = file, 0
        if self.shared is not None and base_name(self.shared.file) != base_name(file):
            self.shared = None  # the log is beyond it

    def enter(self, file: str) -> None:
        """The log goes on in that file; with a lower number, or of another log, positions would fall."""
        if file == self.file:
            return
        renamed = base_name(file) != base_name(self.file)
        if renamed or file_number(file) < file_number(self.file):
            raise ContinuityLost(
                f"after {self.file} the server's binlog goes on in {file}",
                "nothing to do: the capturer connects again and compares the server's history",
                file if renamed else "",
            )
        self.file, self._created = file, 0

    def file_made(self, created: int) -> None:
        """The time when the present file was made (s since 1970), as its first event says."""
        if self._created and created != self._created:
            raise CaptureStopped(
                f"{self.file} on the server is not the file that was captured: it was made {_utc(created)},"
                f" not {_utc(self._created)}. Its binlog was reset, or the server was restored from a copy",
                START_OVER,
            )
        self._created = created

    def ended(self, event: Gtid) -> None:
        """The transaction that began with this event was captured."""
        if event.gtid is None:
            return
        self._new.append(event)
        if len(self._new) >= _AT_ONCE:
            self.history  # noqa: B018 - adds them

    def is_known(self, event: Gtid, end: BinlogOffset) -> bool:
        """Whether the transaction that begins was captured from another log; `end` is `shared`."""
        # In another log than that of `end`, which follows it, there is no such place.
        same_log = base_name(self.file) == base_name(end.file)
        if same_log and BinlogOffset(self.file, event.start).order >= end.order:
            self._refuse_without_last()
            self.shared = None
            return False
        if not event.gtid or event.gtid not in self.history:
            return False
        last, committed = self._expected
        if event.gtid == last and (event.original or event.committed) != committed:
            raise CaptureStopped(
                f"the server has another transaction {last} than the one that was captured: it was"
                " restored from a copy and has used the number again",
                START_OVER,
            )
        self._is_due = self._is_due and event.gtid != last
        return True

    def _refuse_without_last(self) -> None:
        """MariaDB knows each server's highest number only: one that it never had may be below that."""
        if self._is_due:
            raise CaptureStopped(
                f"server {self.server} lacks captured transactions: its binlog does not have"
                f" {self._expected[0]}, but a later one of the same server",
                START_OVER,
            )


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
