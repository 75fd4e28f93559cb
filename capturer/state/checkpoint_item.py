"""Capture in the control table: the checkpoint item, and the marker that ferry requests."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from capturer.source.place import Past, Place
from capturer.state.status import START_OVER, CaptureStatus, Counters
from rowferry.change import Marker
from rowferry.control_table import (
    CHECKPOINT,
    FLOORS,
    MARKER,
    PASSED,
    ConditionFailed,
    ControlTable,
    Plain,
    load_key,
)
from rowferry.errors import CaptureStopped, LeaseLost, Refused
from rowferry.history import History
from rowferry.position import BinlogOffset, Position

_WORD = "anew"
"""
The item's field for the last word of --reset. It keeps its name from 0.1: with another one, a stack that is
redeployed with the same word would start over, and lose what it has not captured.
"""


class Present(NamedTuple):
    """
    The source as it is now: its identity, and where its binlog ends.

    `past_at` returns what an offset of this server's binlog is true of; it reads a file's GTIDs.
    """

    server: str
    end: BinlogOffset
    past_at: Callable[[BinlogOffset], Past]

    def place(self, epoch: int) -> Place:
        """The end, as the place where capture begins."""
        return Place.of(epoch, self.end, None, self.past_at(self.end))


class Progress:
    """
    The checkpoint item, written only by the holder of the lease: each write is conditional on its token.

    Counters are written as totals, not added, so that a request that is repeated because its answer was lost
    counts once.
    """

    def __init__(
        self,
        table: ControlTable,
        token: int,
        lanes: int,
        tables: Iterable[str] = (),
        reset: str = "",
        skip: Iterable[BinlogOffset] = (),
    ) -> None:
        """
        `tables` are the source tables that are captured; each new word `reset` starts capture over, once.

        Offsets in `skip` that were given when capture began are of a former binlog, and are ignored from then
        on: in the new binlog other transactions may be there.
        """
        self._table = table
        self._token = token
        self._lanes = lanes
        self._tables = sorted(tables)
        self._reset = reset
        self._skip: list[Plain] = [*map(str, skip)]
        self._item: dict[str, Any] = {}
        self._before = Counters()
        self.epoch = 1

    @property
    def skip(self) -> list[BinlogOffset]:
        """
        Boundaries in this binlog whose transactions are skipped: as given, and as confirmed by `ferry
        resume`.
        """
        former = self._item.get("former_skip", ())
        confirmation = self._table.get(PASSED)
        # Of this epoch alone: after a reset, file and offset mean another transaction.
        passed = confirmation["at"] if confirmation.get("epoch") == self.epoch else []
        given = (at for at in self._skip if at not in former)
        return [BinlogOffset.parse(str(at)) for at in (*given, *passed)]

    def claim(self) -> None:
        """
        Takes the item over: from here on the previous holder's writes fail.

        Raises LeaseLost if a newer capturer has claimed it. Call it before anything else.
        """
        item = self._table.get(CHECKPOINT)
        if not item:
            return
        if item["token"] > self._token:
            raise _lost()
        # On condition of the token that was read: of two that claim at the same time, one fails.
        self._item = item = self._update({"token": self._token}, item["token"])
        self._before = Counters(item["changes"], item["records"], item["bytes"])
        self.epoch = item["epoch"]

    @property
    def begins(self) -> bool:
        """Whether capture begins where the binlog ends: at a first start or a reset. Call `claim` before."""
        return not self._item or bool(self._reset and self._item.get(_WORD) != self._reset)

    def start(self, now: Present, now_ms: int) -> Place:
        """
        Where to resume: the binlog's end at a first start or a reset, saved before anything is sent.

        A reset raises the epoch, so that what was sent before is below the floors of the load that has to
        follow. Raises Refused for another number of lanes, CaptureStopped for another server than that of a
        checkpoint without a history, which version 0.2 wrote.
        """
        item = self._item
        if not item:
            return self._first(now, now_ms)
        # Also before a reset: records of the former number may still wait on the stream.
        if item["lanes"] != self._lanes:
            raise Refused(
                f"the checkpoint was made with {item['lanes']} lanes, this capturer has {self._lanes}",
                f"start it with LANES={item['lanes']}: otherwise changes of one item may overtake each other",
            )
        if self.begins:
            return self._start_over(now)
        resumed = self._beyond_reserved(self._resumed(item, now))
        more = set(self._tables) - set(item.get("tables", ()))
        # A table that was added has no changes on the stream from before: no older snapshot of it may be
        # loaded.
        here = _since(resumed.epoch, resumed.boundary)
        since = here if more or "since" not in item else str(item["since"])
        # What is skipped is not on the stream: only a load from after it has those changes.
        since = max([since, *(_after(self.epoch, place) for place in self.skip)])
        # The status too: until the first save, that of the former run would pass for this one's.
        fields: dict[str, Plain] = {"tables": [*self._tables], "since": since, **_status(CaptureStatus())}
        self._item = self._update(fields, self._token)
        return resumed

    def _resumed(self, item: Mapping[str, Any], now: Present) -> Place:
        boundary = BinlogOffset(item["file"], item["offset"])
        if "history" not in item and item["server"] != now.server:
            raise CaptureStopped(
                f"the source is another server ({now.server}) than the checkpoint's ({item['server']}), and"
                " the checkpoint, which version 0.2 wrote, does not say what was captured",
                f"point SOURCE_HOST at the checkpoint's server; where that is gone, {START_OVER}",
            )
        if "history" not in item:
            return Place.of(item["epoch"], boundary, _offset(item, "restart"), now.past_at(boundary))
        history = History.parse(item["history"])
        past = Past(
            server=item["server"],
            history=history,
            restart_history=History.parse(item["restart_history"]) if item["restart_history"] else history,
            created=item["created"],
            last=item["last_gtid"],
            committed=item["last_committed"],
            shared=_offset(item, "shared"),
        )
        return Place.of(item["epoch"], boundary, _offset(item, "restart"), past)

    def begin_epoch(self, server: str, start: BinlogOffset, ended: BinlogOffset) -> int:
        """
        Reserves the next epoch for a server whose binlog is read from `start`; returns its number.

        Called before anything of it is sent: two servers never have the same epoch. The checkpoint itself
        moves on when everything before is on the stream. `ended` is how far the epoch before was read.
        """
        epochs = self._epochs()
        newest = epochs[-1]
        newest["end"] = str(ended)
        number = int(newest["epoch"]) + 1
        epochs.append(_epoch(number, server, start))
        # Places that were given are of the former binlog: in this one other transactions may be there.
        self._item = self._update({"epochs": epochs, "former_skip": self._skip}, self._token)
        self.epoch = number  # not before: what fails has not begun
        return number

    def _beyond_reserved(self, resumed: Place) -> Place:
        """
        The place in an epoch above those that a capturer reserved, and perhaps sent in, before it was killed.

        Its items may have positions of that epoch: changes of a lower one would count as repeats.
        """
        newest = self._epochs()[-1]
        if newest["epoch"] <= resumed.epoch:
            return resumed
        began = f"{newest['file']}:{newest['offset']}"
        number = self.begin_epoch(resumed.past.server, resumed.boundary, BinlogOffset.parse(began))
        return resumed._replace(epoch=number)

    def _epochs(self) -> list[Any]:
        """The epochs since capture began, oldest first."""
        if found := self._item.get("epochs"):
            return [*map(dict, found)]
        at = BinlogOffset(self._item["file"], self._item["offset"])
        return [_epoch(self._item["epoch"], self._item["server"], at)]

    def is_shown(self, place: BinlogOffset) -> bool:
        """
        Whether every load shows what was committed at `place`: it began after it, or has not begun yet.

        If so, the change is left out of the stream, and `since` rises: no export from before may be loaded
        then.
        """
        floors = self._table.get(FLOORS)
        shown = all(self._is_shown_by_load(table, floors.get(table, ""), place) for table in self._tables)
        if shown and (since := _after(self.epoch, place)) > self._item.get("since", ""):
            # Called by the reader while the keeper saves: an update writes only the fields that it names.
            self._item = self._update({"since": since}, self._token)
        return shown

    def _is_shown_by_load(self, table: str, floor: str, place: BinlogOffset) -> bool:
        """`floor` is the position up to which the table's load shows every change; empty before any load."""
        first = self._item.get("first_epoch", self.epoch)
        if floor >= str(Position(first, 0, 0)):
            # Above, not equal: a load with its floor at `place` does not show what starts there.
            return floor > str(place.position(self.epoch))
        load_began = self._table.get(load_key(table)).get("epoch", 0) >= first
        return not load_began  # one that is still to come shows all that is committed now

    def save(
        self, reached: Place, read: Place, counters: Counters, status: CaptureStatus, now_ms: int
    ) -> None:
        """
        Saves the checkpoint: everything before `reached` is on the stream; the binlog was read up to `read`.

        Raises LeaseLost if a newer capturer writes the item.
        """
        total = self._before + counters
        self._update(
            {
                **_place(reached),
                "read_file": read.boundary.file,
                "read_offset": read.boundary.offset,
                "changes": total.changes,
                "records": total.records,
                "bytes": total.bytes,
                **_status(status),
                "updated_ms": now_ms,
            },
            self._token,
        )

    def stop(self, status: CaptureStatus, now_ms: int) -> None:
        """Saves why capture did not begin; does nothing before the first checkpoint."""
        if self._item:
            self._update({**_status(status), "updated_ms": now_ms}, self._token)

    def wanted_marker(self) -> Marker | None:
        """The marker that was requested and has not been sent; None if there is none."""
        item = self._table.get(MARKER)
        if not item.get("id") or item.get("sent") == item["id"]:
            return None
        return Marker(item["id"], item["position"])

    def marker_sent(self, marker: Marker) -> None:
        """
        Records that the marker is on the stream in every lane, unless another one has been requested since.
        """
        with suppress(ConditionFailed):
            self._table.update(
                MARKER, set={"sent": marker.id, "lanes": self._lanes}, only_if={"id": marker.id}
            )

    def _first(self, now: Present, now_ms: int) -> Place:
        start = now.place(self.epoch)
        self._item = self._update(
            {
                **self._begun(start), "lanes": self._lanes, "token": self._token,
                "changes": 0, "records": 0, "bytes": 0, "updated_ms": now_ms,
            },
            None,  # there must be no item: of two first starts, one fails
        )  # fmt: skip
        return start

    def _start_over(self, now: Present) -> Place:
        # The item is kept: after deleting it the epoch would be 1 again, and old records would pass for new
        # ones. Word, epoch and offset are one update, so that a crash repeats or loses no reset.
        self.epoch = int(self._epochs()[-1]["epoch"]) + 1
        start = now.place(self.epoch)
        self._item = self._update(self._begun(start), self._token)
        return start

    def _begun(self, start: Place) -> dict[str, Plain]:
        """The fields with which capture begins at a place."""
        return {
            **_place(start), "first_epoch": start.epoch,
            "epochs": [_epoch(start.epoch, start.past.server, start.boundary)],
            "since": _since(start.epoch, start.boundary),
            "read_file": start.boundary.file, "read_offset": start.boundary.offset,
            "tables": [*self._tables], _WORD: self._reset, "former_skip": self._skip,
            **_status(CaptureStatus()),
        }  # fmt: skip

    def _update(self, fields: Mapping[str, Plain], token: int | None) -> dict[str, Any]:
        try:
            return self._table.update(CHECKPOINT, set=fields, only_if={"token": token})
        except ConditionFailed as error:
            raise _lost() from error


def _epoch(number: int, server: str, start: BinlogOffset) -> dict[str, Plain]:
    return {"epoch": number, "server": server, "file": start.file, "offset": start.offset, "end": ""}


def _place(place: Place) -> dict[str, Plain]:
    """A place as fields of the checkpoint. They belong together: one update writes them all."""
    past = place.past
    prepared = place.restart != place.boundary
    restart, shared = place.restart if prepared else ("", 0), past.shared or ("", 0)
    return {
        "epoch": place.epoch, "server": past.server,
        "file": place.boundary.file, "offset": place.boundary.offset, "created": past.created,
        "history": str(past.history), "last_gtid": past.last, "last_committed": past.committed,
        "shared_file": shared[0], "shared_offset": shared[1],
        "restart_file": restart[0], "restart_offset": restart[1],
        "restart_history": str(past.restart_history) if prepared else "",
    }  # fmt: skip


def _offset(item: Mapping[str, Any], name: str) -> BinlogOffset | None:
    file = item.get(f"{name}_file")
    return BinlogOffset(file, item[f"{name}_offset"]) if file else None


def _status(status: CaptureStatus) -> dict[str, Plain]:
    again: list[Plain] = [*status.again]
    return {
        "state": status.state, "reason": status.reason, "fix": status.fix,
        "remedy": status.remedy, "again": again, "stopped_at": status.at,
    }  # fmt: skip


def _since(epoch: int, start: BinlogOffset) -> str:
    """Position from which on every change is on the stream: a load must not show less than up to here."""
    return str(start.position(epoch))


def _after(epoch: int, place: BinlogOffset) -> str:
    """The same if the transaction at this place is left out of the stream."""
    # One byte more is greater than this transaction's changes and less than those of the next one.
    return _since(epoch, place._replace(offset=place.offset + 1))


def _lost() -> LeaseLost:
    return LeaseLost("a newer capturer writes the checkpoint", "nothing to do: it has taken over")
