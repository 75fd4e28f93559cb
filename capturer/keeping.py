"""The part of capture that keeps lease, checkpoint, markers and metrics, step by step."""

import logging
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from capturer.parts import CaptureParts, Vitals
from capturer.source.place import Place
from capturer.state.checkpoint_item import Progress
from capturer.state.status import CaptureStatus
from capturer.stream.outbox import Outbox
from capturer.telemetry import PERIOD, say
from rowferry.change import Marker
from rowferry.position import Position

SAVE_EVERY, LOOK_EVERY, TICK = 1.0, 0.1, 0.1  # seconds; a look for a marker is part of the cutover's pause


class Keeping:
    """
    Renews the lease, saves the checkpoint, sends markers, reports metrics: each when it is due.

    One thread, or one task of a scheduler, calls `step` every TICK seconds.
    """

    def __init__(self, parts: CaptureParts, progress: Progress, outbox: Outbox, vitals: Vitals) -> None:
        self._parts = parts
        self._progress = progress
        self._outbox = outbox
        self._vitals = vitals
        self._marker: Marker | None = None
        self._marker_placed = False
        self._due: dict[str, float] = {}

    def step(self) -> None:
        """Raises LeaseLost, which ends capture. A control table that cannot be reached is tried again."""
        if self._is_due("lease", self._parts.lease.period):
            quietly("renewing the lease", self._renew)
        if self._is_due("save", SAVE_EVERY):
            self.save()
        if self._is_due("marker", LOOK_EVERY):
            quietly("looking for a marker", self._mark)
        if self._is_due("metrics", PERIOD):
            counters = self._outbox.reached().sent
            lag, self._vitals.lag_ms = self._vitals.lag_ms, 0
            self._parts.metrics.running(counters, max(0, lag))

    def save(self) -> None:
        """Saves the checkpoint, if the control table can be reached. Raises LeaseLost."""
        quietly("saving the checkpoint", self._save)

    def _is_due(self, what: str, period: float) -> bool:
        now = self._parts.clock()
        if now < self._due.get(what, now):
            return False
        # From now, not from when it was due: after a long pause it must not run several times in a row.
        self._due[what] = now + period
        return True

    def _renew(self) -> None:
        try:
            self._parts.lease.renew()
        except (BotoCoreError, ClientError):
            self._due["lease"] = self._parts.clock() + 1.0  # a retry before the lease's margin is used up
            raise

    def _save(self) -> None:
        # One view, taken under the outbox's lock: place and counters have to belong together.
        reach = self._outbox.reached()
        status, refused = self._vitals.reading, self._vitals.sending
        if status.state == "capturing" and refused:
            status = CaptureStatus(
                "waiting", f"the stream refuses records ({refused})", "see the stream's limits"
            )
        now = self._parts.now_ms()
        self._progress.save(reach.reached, reach.read, reach.sent, status, now)

    def _mark(self) -> None:
        wanted = self._progress.wanted_marker()
        # There is one marker at a time: a new request replaces it.
        if wanted != self._marker:
            self._marker, self._marker_placed = wanted, False
        if wanted is None:
            return
        read = self._outbox.reached().read
        # `read` is enough, it need not be on the stream yet: each lane keeps its order, so the marker arrives
        # after everything before it.
        if not self._marker_placed and _is_passed(Position.parse(wanted.position), read):
            self._outbox.mark(wanted, self._parts.now_ms())
            self._marker_placed = True
        if self._marker_placed and self._outbox.marked(wanted):
            self._progress.marker_sent(wanted)
            say(logging.INFO, "marker sent", id=wanted.id)


def _is_passed(wanted: Position, read: Place) -> bool:
    """
    Whether everything before the position was read. Never of an older epoch: its end may have been read in
    another server's binlog only in part, and greater positions of that one do not show how far.
    """
    return wanted.epoch == read.epoch and wanted <= read.boundary.position(read.epoch)


def quietly(what: str, work: Callable[[], None]) -> None:
    """Does the work; if the control table cannot be reached, logs it: the next step retries."""
    try:
        work()
    # Not LeaseLost, which has to end capture. ValueError: a marker whose position is not one.
    except (BotoCoreError, ClientError, ValueError) as error:
        say(logging.WARNING, f"{what} failed and will be retried", error=type(error).__name__)
