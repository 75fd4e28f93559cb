"""What the control table says of capture: the checkpoint item and the marker that ferry asks for."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from capturer.state.status import AFRESH, CaptureStatus, Counters
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
from rowferry.position import BinlogOffset, Position


class Progress:
    """
    The checkpoint item, written only by the holder of the lease.

    Counters are written as totals and not added, so that a request that is
    repeated because its answer was lost counts once.
    """

    def __init__(
        self,
        table: ControlTable,
        token: int,
        lanes: int,
        tables: Iterable[str] = (),
        anew: str = "",
        skip: Iterable[BinlogOffset] = (),
    ) -> None:
        """
        `tables` are the source tables that are captured; each new word `anew` begins capture once more.

        What is given to `skip` when capture begins means places of a former binlog,
        and never counts again: the new one may have other transactions there.
        """
        self._table = table
        self._token = token
        self._lanes = lanes
        self._tables = sorted(tables)
        self._anew = anew
        self._skip: list[Plain] = [*map(str, skip)]
        self._item: dict[str, Any] = {}
        self._before = Counters()
        self.epoch = 1

    @property
    def skip(self) -> list[BinlogOffset]:
        """The places in this binlog that are to be passed over, also by the word of `ferry resume`."""
        former = self._item.get("former_skip", ())
        word = self._table.get(PASSED)
        passed = word["at"] if word.get("epoch") == self.epoch else []
        given = (at for at in self._skip if at not in former)
        return [BinlogOffset.parse(str(at)) for at in (*given, *passed)]

    def claim(self) -> None:
        """From here on the previous holder cannot write any more. LeaseLost when a newer one has claimed."""
        item = self._table.get(CHECKPOINT)
        if not item:
            return
        if item["token"] > self._token:
            raise _lost()
        self._item = item = self._update({"token": self._token}, item["token"])
        self._before = Counters(item["changes"], item["records"], item["bytes"])
        self.epoch = item["epoch"]

    def start(self, server: str, end: BinlogOffset, now_ms: int) -> BinlogOffset:
        """
        Where to resume: `end` at the first start or anew, saved before anything is sent.

        Beginning anew raises the epoch, so that what was sent before is below
        the floors of the load that has to follow. Refused for another number
        of lanes, CaptureStopped for another server than the checkpoint's.
        """
        item = self._item
        if not item:
            return self._first(server, end, now_ms)
        if item["lanes"] != self._lanes:
            raise Refused(
                f"the checkpoint was made with {item['lanes']} lanes, this capturer has {self._lanes}",
                f"start it with LANES={item['lanes']}: else changes of one item could overtake each other",
            )
        if self._anew and item.get("anew") != self._anew:
            return self._begin_anew(server, end)
        if item["server"] != server:
            raise CaptureStopped(
                f"the source is another server ({server}) than the checkpoint's ({item['server']})",
                f"point SOURCE_HOST at the checkpoint's server; where that is gone, {AFRESH}",
            )
        resumed = BinlogOffset(item["file"], item["offset"])
        more = set(self._tables) - set(item.get("tables", ()))
        since = _since(self.epoch, resumed) if more or "since" not in item else str(item["since"])
        since = max([since, *(_behind(self.epoch, place) for place in self.skip)])
        # Nobody shall take the former end's standing for this one's, up to the first save.
        fields: dict[str, Plain] = {"tables": [*self._tables], "since": since, **_standing(CaptureStatus())}
        self._item = self._update(fields, self._token)
        return resumed

    @property
    def restart(self) -> BinlogOffset | None:
        """Where to read from, for what is prepared and has no outcome yet; None: from where to resume."""
        file = self._item.get("restart_file")
        return BinlogOffset(file, self._item["restart_offset"]) if file else None

    def is_shown(self, place: BinlogOffset) -> bool:
        """
        Whether the loads show what was committed there: each began behind it, or has not begun yet.

        Where it does, it is left out of the stream, so from now on no export of before may be loaded.
        """
        floors, before, here = (
            self._table.get(FLOORS), str(Position(self.epoch, 0, 0)), str(place.position(self.epoch))
        )  # fmt: skip
        shown = all(
            floors.get(table, "") > here
            or (
                floors.get(table, "") < before
                and self._table.get(load_key(table)).get("epoch", 0) < self.epoch
            )
            for table in self._tables
        )
        if shown and (since := _behind(self.epoch, place)) > self._item.get("since", ""):
            self._item = self._update({"since": since}, self._token)
        return shown

    def save(
        self,
        reached: BinlogOffset,
        read: BinlogOffset,
        counters: Counters,
        standing: CaptureStatus,
        now_ms: int,
        restart: BinlogOffset | None = None,
    ) -> None:
        """
        Everything before `reached` is on the stream; `read` is how far the binlog has been read.

        `restart` is where the oldest XA transaction starts that has no outcome before `reached`.
        """
        total = self._before + counters
        self._update(
            {
                "file": reached.file,
                "offset": reached.offset,
                "read_file": read.file,
                "read_offset": read.offset,
                **_restart(restart if restart != reached else None),
                "changes": total.changes,
                "records": total.records,
                "bytes": total.bytes,
                **_standing(standing),
                "updated_ms": now_ms,
            },
            self._token,
        )

    def stop(self, standing: CaptureStatus, now_ms: int) -> None:
        """Writes why capture did not even begin; nothing before the first checkpoint."""
        if self._item:
            self._update({**_standing(standing), "updated_ms": now_ms}, self._token)

    def wanted_marker(self) -> Marker | None:
        """The marker that has been asked for and not sent."""
        item = self._table.get(MARKER)
        if not item.get("id") or item.get("sent") == item["id"]:
            return None
        return Marker(item["id"], item["position"])

    def marker_sent(self, marker: Marker) -> None:
        """The marker is on the stream, in every lane. Says nothing when another one is wanted by now."""
        with suppress(ConditionFailed):
            self._table.update(
                MARKER, set={"sent": marker.id, "lanes": self._lanes}, only_if={"id": marker.id}
            )

    def _first(self, server: str, start: BinlogOffset, now_ms: int) -> BinlogOffset:
        self._item = self._update(
            {
                "epoch": self.epoch, "server": server, "lanes": self._lanes, "token": self._token,
                "file": start.file, "offset": start.offset, "since": _since(self.epoch, start),
                "read_file": start.file, "read_offset": start.offset,
                "changes": 0, "records": 0, "bytes": 0, "tables": [*self._tables], "anew": self._anew,
                "former_skip": self._skip,
                **_standing(CaptureStatus()), "updated_ms": now_ms,
            },
            None,
        )  # fmt: skip
        return start

    def _begin_anew(self, server: str, start: BinlogOffset) -> BinlogOffset:
        self.epoch += 1
        self._item = self._update(
            {
                "epoch": self.epoch, "server": server, "anew": self._anew, "tables": [*self._tables],
                "file": start.file, "offset": start.offset, "since": _since(self.epoch, start),
                "read_file": start.file, "read_offset": start.offset, "former_skip": self._skip,
                **_restart(None), **_standing(CaptureStatus()),
            },
            self._token,
        )  # fmt: skip
        return start

    def _update(self, fields: Mapping[str, Plain], token: int | None) -> dict[str, Any]:
        try:
            return self._table.update(CHECKPOINT, set=fields, only_if={"token": token})
        except ConditionFailed as error:
            raise _lost() from error


def _restart(restart: BinlogOffset | None) -> dict[str, Plain]:
    file, offset = restart or ("", 0)
    return {"restart_file": file, "restart_offset": offset}


def _standing(standing: CaptureStatus) -> dict[str, Plain]:
    again: list[Plain] = [*standing.again]
    return {
        "state": standing.state, "reason": standing.reason, "fix": standing.fix,
        "remedy": standing.remedy, "again": again, "stopped_at": standing.at,
    }  # fmt: skip


def _since(epoch: int, start: BinlogOffset) -> str:
    """From where on every change is on the stream: no load may show less."""
    return str(start.position(epoch))


def _behind(epoch: int, place: BinlogOffset) -> str:
    """The same where the transaction at this place is left out of the stream."""
    return _since(epoch, place._replace(offset=place.offset + 1))


def _lost() -> LeaseLost:
    return LeaseLost("a newer capturer writes the checkpoint", "nothing to do: it has taken over")
