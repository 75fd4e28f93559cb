"""The history that a boundary is true of: what was captured, and in which log. Pure."""

from datetime import UTC, datetime

from capturer.decoder.events import Gtid
from capturer.source.place import ContinuityLost, Past
from capturer.state.status import START_OVER
from rowferry.errors import CaptureStopped
from rowferry.history import History
from rowferry.position import BinlogOffset, base_name, file_number


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
        self.history = past.history
        self._created = past.created if knows_file else 0
        self._last, self._committed = past.last, past.committed
        self._shared = past.shared
        self._expected = (past.last, past.committed)
        self._is_due = False
        self.gtid, self._gtid_committed = "", 0

    def past(self, restart_history: History | None) -> Past:
        """What the present boundary is true of; `restart_history`: of the place to restart at, if another."""
        before = self.history if restart_history is None else restart_history
        return Past(
            self.server, self.history, before, self._created, self._last, self._committed, self._shared
        )

    def another_log(self, server: str, file: str, shared: BinlogOffset, *, has_last: bool) -> None:
        """
        Reading goes on in another log: what the history has before `shared` is known there.

        `has_last`: the newest captured transaction must be met before `shared`.
        """
        self.server, self.file, self._shared, self._created = server, file, shared, 0
        self._expected = (self._last, self._committed)
        self._is_due = has_last and bool(self._last)

    def renamed(self, file: str) -> None:
        """The same log goes on under another name: it is the next epoch, of the same history."""
        self.file, self._created = file, 0

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

    def begins(self, event: Gtid) -> bool:
        """A transaction begins; whether it was captured from another log."""
        self.gtid, self._gtid_committed = event.gtid or "", event.original or event.committed
        return self._shared is not None and self._is_known(event.start, self._shared)

    def before(self) -> History:
        """A history without the present transaction, for a place to restart at that is before it."""
        return self.history.before(self.gtid) if self.gtid else self.history

    def ended(self) -> None:
        """The transaction that began last was captured."""
        if self.gtid:
            self.history = self.history.plus(self.gtid)
            self._last, self._committed = self.gtid, self._gtid_committed

    def _is_known(self, start: int, end: BinlogOffset) -> bool:
        # In another log than that of `end`, which follows it, there is no such place.
        if base_name(self.file) == base_name(end.file) and BinlogOffset(self.file, start).order >= end.order:
            self._refuse_without_last()
            self._shared = None
            return False
        if not self.gtid or self.gtid not in self.history:
            return False
        last, committed = self._expected
        if self.gtid == last and self._gtid_committed != committed:
            raise CaptureStopped(
                f"the server has another transaction {self.gtid} than the one that was captured: it was"
                " restored from a copy and has used the number again",
                START_OVER,
            )
        self._is_due = self._is_due and self.gtid != last
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
