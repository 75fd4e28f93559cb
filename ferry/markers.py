"""
Markers through the lanes: proof that everything before them has been applied.

The control table has one request at a time. The capturer sends the marker through every lane once everything
before its position is on the stream; the consumer records each lane that has applied it.
"""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rowferry.checkpoint import Checkpoint
from rowferry.control_table import CHECKPOINT, LEASE, MARKER, ControlTable, marker_key
from rowferry.errors import Refused
from rowferry.mysql.server import Connection, identify
from rowferry.position import Position
from rowferry.renewals import RenewalWatch

PAUSE = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Drained:
    """The outcome of a marker for `position`, the source's end: `applied` of `lanes`, after `seconds`."""

    position: str
    applied: int
    lanes: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Whether every lane has applied the marker."""
        return 0 < self.lanes <= self.applied


def drain(
    control: ControlTable,
    connection: Connection,
    timeout: float,
    report: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Drained:
    """
    Requests a marker at the source's present end and waits until all lanes have applied it, or the timeout.

    Complete means: every change up to `position` is in DynamoDB or in the quarantine. Changes after the call
    are not covered. There is one marker at a time; another process's marker for a later position serves as
    well. Raises Refused when no capturer runs on this server, it stopped, or its lease is not renewed.
    """
    return begin(control, connection, clock).wait(timeout, report, clock, sleep)


def begin(
    control: ControlTable, connection: Connection, clock: Callable[[], float] = time.monotonic
) -> "Draining":
    """Requests a marker at the source's present end. Raises Refused when no capturer runs on this server."""
    started = clock()
    end = source_end(control, connection)
    _ask(control, end)
    return Draining(control, end, started)


@dataclass(frozen=True, slots=True)
class Draining:
    """A marker for `end`, the source's end, requested at `started` (of `clock`)."""

    control: ControlTable
    end: Position
    started: float

    def wait(
        self,
        timeout: float,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Drained:
        """Waits until all lanes have applied it, or the timeout. Raises Refused as `drain`."""
        said, lease = "", _LeaseWatch()
        while True:
            drained = _look(self.control, self.end, clock() - self.started)
            # After a look: a timeout of 0 asks once.
            if drained.complete or drained.seconds >= timeout:
                return drained
            if not drained.lanes:
                # The time after the read (rowferry.renewals): with the time before it a capturer would seem
                # dead too early.
                lease.check(self.control.get(LEASE), clock())
            if (now := progress_of(drained)) != said:
                report(f"waiting: {now}")
                said = now
            sleep(PAUSE)


@dataclass(slots=True)
class _LeaseWatch:
    """The capturer's lease, which it renews several times within the time that it is valid."""

    watch: RenewalWatch = field(default_factory=RenewalWatch)

    def check(self, lease: dict[str, Any], now: float) -> None:
        """
        Raises Refused when the lease has not changed for its whole TTL: no capturer would send the marker.
        """
        unchanged = self.watch.look(lease, now)
        if lease and unchanged > lease["ttl_ms"] / 1000:
            raise Refused(
                f"no capturer runs: its lease has not been renewed for {unchanged:.0f} s",
                "start it (CapturerCount=1) or see its log for why it ends, then run `ferry drain` again",
            )


def source_end(control: ControlTable, connection: Connection) -> Position:
    """The present end of the binlog. Raises Refused when another server is being captured, or none."""
    # In this order, for `position_at`.
    server = identify(connection)
    return Checkpoint.read(control).refuse_none().position_at(connection, server)


def _ask(control: ControlTable, end: Position) -> None:
    control.update(MARKER, set={"id": uuid.uuid4().hex, "position": str(end), "lanes": 0})


def _look(control: ControlTable, end: Position, seconds: float) -> Drained:
    # Read the checkpoint last: the marker of a capturer of an old epoch must not count for the new one.
    request = control.get(MARKER)
    if request["position"] < str(end):  # another drain, which began earlier, has replaced the request
        _ask(control, end)
        request = control.get(MARKER)
    applied = control.get(marker_key(request["id"])).get("applied", set())
    checkpoint = control.get(CHECKPOINT)
    if checkpoint.get("epoch") != end.epoch:  # a position of the old server means nothing on the new one
        raise Refused(
            "the source failed over meanwhile, or capture was reset",
            "run the command again once `ferry status` shows the new server; fence that one, where writes are"
            " to stop",
        )
    lanes = int(checkpoint.get("lanes", 0))
    marked = request.get("sent") == request["id"] or len(applied) == lanes > 0
    if marked and request["position"] >= str(end):  # all lanes may have it before the capturer records it
        return Drained(str(end), len(applied), lanes, seconds)
    if checkpoint.get("state") == "stopped":
        raise Refused(f"the capturer has stopped ({checkpoint.get('reason')})", str(checkpoint.get("fix")))
    return Drained(str(end), 0, 0, seconds)


def progress_of(drained: Drained) -> str:
    if not drained.lanes:
        return f"the capturer has not reached {drained.position} yet"
    return f"{drained.applied} of {drained.lanes} lanes have applied everything before {drained.position}"
