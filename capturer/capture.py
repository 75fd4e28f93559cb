"""
The threads of capture: one reads the binlog, a few send, the calling one keeps lease, checkpoint and markers.

Whatever ends capture, the order is: reading stops, what was read is sent, the checkpoint is saved, the lease
is released.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from capturer.decoder.events import Rotate
from capturer.source.binlog import Binlog, ConnectionLost, ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.transactions import Transactions
from capturer.state.checkpoint_item import Progress
from capturer.state.lease import Lease
from capturer.state.status import START_OVER, CaptureStatus
from capturer.stream.encoding import encoded
from capturer.stream.lanes import Lanes
from capturer.stream.outbox import Outbox
from capturer.stream.sender import Sender, Sent
from capturer.telemetry import PERIOD, Metrics, say
from rowferry.change import Marker, RowChange
from rowferry.control_table import FLOORS, ControlTable
from rowferry.errors import CaptureStopped, LeaseLost, RowferryError, SourceNotReady
from rowferry.mapping import Mapping
from rowferry.mysql.conditions import advice, check, require
from rowferry.mysql.server import identify
from rowferry.mysql.snapshot import current_offset
from rowferry.position import BinlogOffset, Position

SENDERS = 2  # threads with one request at a time each; also the connections of the stream's client
FLUSH_WITHIN = 15.0
"""Seconds to send what has been read before it ends: with the rest below the 25 s that a stop may take."""
SAVE_EVERY, LOOK_EVERY, TICK = 1.0, 0.1, 0.1  # seconds; a look for a marker is part of the cutover's pause
LONGEST_PAUSE = 10.0  # seconds between attempts to reach the source


@dataclass(frozen=True, slots=True)
class CaptureParts:
    """
    What capture works with. Tests use other parts.

    `clock` returns seconds and never goes back; `now_ms` returns milliseconds since 1970. `reset` is the word
    of --reset, empty for none; `skip` are the boundaries of transactions that the operator has dealt with.
    """

    source: ReplicationClient
    mapping: Mapping
    lanes: int
    control: ControlTable
    kinesis: Any
    stream: str
    lease: Lease
    metrics: Metrics
    skip: Iterable[BinlogOffset] = ()
    reset: str = ""
    clock: Callable[[], float] = time.monotonic
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000
    random: Random = Random()  # noqa: RUF009 - one for all is enough for jitter


def reconnect_pause(failures: int, share: float) -> float:
    """Seconds before the next attempt after so many in a row that failed; `share`, 0 to 1, spreads them."""
    # The exponent is bounded: after two hours without the source, 2**failures would be no float any more.
    return min(LONGEST_PAUSE, 0.25 * (1 << min(failures, 10))) * (1 + share) / 2


class Capture:
    """One run of the capturer: `run` once, in the thread that handles signals."""

    def __init__(self, parts: CaptureParts) -> None:
        self.parts = parts
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._binlog: Binlog | None = None
        self._failure: BaseException | None = None
        self.flushed = True
        """Whether everything that was read is on the stream."""
        self._status = CaptureStatus()
        self._sending_trouble = ""
        self._lag_ms = 0
        self._marker: Marker | None = None
        self._marker_placed = False
        self._due: dict[str, float] = {}

    def stop(self) -> None:
        """Ends `run` in the order above. May be called from a signal handler and from any thread."""
        # The flag before the binlog; `_read_once` sets the binlog before it looks at the flag. So one of the
        # two always notices the other.
        self._stopping.set()
        self._woken.set()
        if (binlog := self._binlog) is not None:
            binlog.interrupt()

    def run(self) -> None:
        """
        Captures until `stop`.

        Raises CaptureStopped, LeaseLost, SourceNotReady or Refused; for all but LeaseLost the checkpoint has
        been saved, with the reason. Success does not mean that everything read has been sent: see `flushed`.
        """
        if not self._acquire():
            return
        tables = [table.source for table in self.parts.mapping.tables]
        self._progress = Progress(
            self.parts.control, self.parts.lease.token, self.parts.lanes, tables, self.parts.reset,
            self.parts.skip,
        )  # fmt: skip
        self._definitions = Definitions(
            self.parts.source,
            self.parts.mapping,
            # Functions, because epoch and boundary change and `_transactions` is made later.
            epoch=lambda: self._progress.epoch,
            at=lambda: self._transactions.boundary,
            floors=lambda: self.parts.control.get(FLOORS),
        )
        try:
            # No other thread runs yet, so `_give_up` may release the lease at once.
            start = self._begin()
        except Exception as error:
            self._give_up(error)
            raise
        progress, lanes = self._progress, Lanes(self.parts.lanes, random=self.parts.random.random)
        self._outbox = Outbox(lanes, start, self.parts.clock, progress.restart)
        self._transactions = Transactions(
            self.parts.mapping,
            progress.epoch,
            start,
            progress.skip,
            progress.restart,
            self._definitions.same_values,
            progress.is_shown,
        )
        self._sender = Sender(self.parts.kinesis, self.parts.stream, self.parts.lease.token, self.parts.lanes)
        reader = self._thread("reader", self._read)
        senders = [self._thread(f"sender-{number}", self._send) for number in range(SENDERS)]
        try:
            self._keep()
        except LeaseLost as error:
            # Replaces a thread's failure: with the lease lost, `_end` must save and release nothing.
            self._failure = error
        finally:
            self._end(reader, senders)
        if self._failure is not None:
            raise self._failure

    def _acquire(self) -> bool:
        """Waits for the lease. False if capture was stopped before it had it."""
        lease, reported = self.parts.lease, False
        while not self._stopping.is_set():
            try:
                if lease.try_acquire():
                    say(logging.INFO, "lease acquired", token=lease.token)
                    return True
            except (BotoCoreError, ClientError) as error:
                say(logging.WARNING, "the lease cannot be read; trying again", error=type(error).__name__)
            else:
                if not reported:
                    say(logging.INFO, "waiting for the lease: another capturer has it")
                reported = True
            # The time of a silent holder is measured between these calls: a longer pause delays the takeover.
            self._stopping.wait(min(1.0, lease.period))
        return False

    def _begin(self) -> BinlogOffset:
        """Checks the source; returns where to resume: at a first start or a reset, where the binlog ends."""
        # First: from here on, a former holder that still runs cannot move the checkpoint.
        self._progress.claim()
        connection = self.parts.source.connect()
        try:
            server = identify(connection)
            conditions = check(connection, server, self.parts.mapping)
            require(conditions)
            # It need not wait for visibility, as no snapshot belongs to it: the watermarks of the load do
            # that.
            end = current_offset(connection, server)
            self._definitions.learn()  # before capture is reported as running, and somebody alters a table
        except Exception as error:
            raise self._explained(error) from error
        finally:
            connection.close()
        for line in advice(conditions):
            say(logging.WARNING, line)
        self._server = server.identity
        start = self._progress.start(server.identity, end, self.parts.now_ms())
        # `is`: a checkpoint may be at the same offset without this being a first start.
        if start is end:
            say(
                logging.INFO, "first start, or a reset: capture begins where the binlog ends now", at=str(end)
            )
        say(logging.INFO, "capturing", at=str(start), epoch=self._progress.epoch, lanes=self.parts.lanes)
        return start

    def _explained(self, error: Exception) -> Exception:
        return error if isinstance(error, RowferryError) else self.parts.source.explain(error)

    def _give_up(self, error: Exception) -> None:
        """Writes into the checkpoint, if there is one, why capture did not begin; releases the lease."""
        # Checkpoint and lease are another capturer's now.
        if isinstance(error, LeaseLost):
            return
        if isinstance(error, RowferryError):
            status = CaptureStatus.of("stopped", error)
            self._quietly("saving the reason", lambda: self._progress.stop(status, self.parts.now_ms()))
        if isinstance(error, CaptureStopped):
            self.parts.metrics.stopped()
        self._quietly("releasing the lease", self.parts.lease.release)

    def _thread(self, name: str, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - whatever ends a thread ends capture, and `run` raises it
                # The first one is kept: others may follow from the stop that it causes.
                self._failure = self._failure or error
            finally:
                self._stopping.set()
                self._woken.set()

        # daemon: `_end` does not wait for a reader that is connecting, and the process has to end all the
        # same.
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    # The reader

    def _read(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = self.parts.clock()
            try:
                self._read_once()
            except ConnectionLost as error:
                if self._stopping.is_set():
                    return
                # A connection that lasted starts the pauses from the shortest again.
                failures = 0 if self.parts.clock() - began > LONGEST_PAUSE else failures + 1
                self._status = CaptureStatus.of("waiting", error)
                say(logging.WARNING, error.found, fix=error.fix)
                # Before the next connection, which reads the transaction that broke off from its start.
                self._transactions.resume()
                self._stopping.wait(reconnect_pause(failures, self.parts.random.random()))

    def _read_once(self) -> None:
        """Reads from the newest boundary until capture stops or the connection breaks."""
        # At every connection: after a failover the host name may be another server's, where the same file and
        # offset mean another transaction.
        self._same_server()
        boundary = self._transactions.boundary
        # Before the events, so that the answers are of a time before most of the DDL that is still to be
        # read.
        self._definitions.learn()
        binlog = self._binlog = Binlog(
            self.parts.source,
            self.parts.mapping,
            boundary,
            self._definitions,
            self._definitions.reshaped,
            self._transactions.dialect,
        )
        try:
            if self._stopping.is_set():  # `stop` may have found no binlog to interrupt yet
                return
            for event in binlog.events():
                changes = self._transactions.feed(event)
                # `is not`: a boundary that has moved is another object. While `again`, it is before the
                # checkpoint, which must not move back.
                if changes or (self._transactions.boundary is not boundary and not self._transactions.again):
                    boundary = self._transactions.boundary
                    self._pass_on(changes)
                if self._stopping.is_set():
                    return
                # A Rotate does not show that the server reads its binlog: it makes one at the start of each
                # dump.
                if self._status.state == "waiting" and not isinstance(event, Rotate):
                    self._status = CaptureStatus()
                    say(logging.INFO, "reading again", at=str(self._transactions.boundary))
        finally:
            self._binlog = None
            binlog.close()

    def _pass_on(self, changes: Iterable[RowChange]) -> None:
        read = self._transactions
        parts = [part for change in changes for part in encoded(change, self.parts.mapping, self.parts.lanes)]
        # Also without changes: the boundary alone moves the checkpoint on.
        self._outbox.add(parts, read.committed, read.number, read.boundary, read.restart)

    def _same_server(self) -> None:
        connection = self.parts.source.connect()
        try:
            server = identify(connection)
        except Exception as error:
            raise self._explained(error) from error
        finally:
            connection.close()
        self._transactions.dialect = self._definitions.dialect = server.dialect
        if server.identity != self._server:
            raise CaptureStopped(
                f"the source is another server ({server.identity}) than before ({self._server})",
                f"point SOURCE_HOST at the former server; where that is gone, {START_OVER}",
            )

    # The senders

    def _send(self) -> None:
        while parcels := self._outbox.take():
            # Before the lease is checked: compression takes time, and nothing slow may come between check and
            # request.
            records = self._sender.pack(parcels)
            if self.parts.lease.valid():
                sent = self._sender.send(parcels, records)
            else:
                # Failed, not dropped: the lanes retry them, and they are sent once a renewal succeeds.
                sent = Sent((), parcels, trouble="the lease is not renewed")
            self._sending_trouble = sent.trouble
            if sent.trouble and self._is_due("complaint", PERIOD):
                say(logging.WARNING, "records were not accepted; they are sent again", error=sent.trouble)
            if sent.accepted:
                oldest = min(parcel.committed for parcel in sent.accepted)
                self._lag_ms = max(self._lag_ms, self.parts.now_ms() - oldest)
            self._outbox.settle(sent)

    # The keeper

    def _keep(self) -> None:
        """
        Keeps lease, checkpoint, markers and metrics until capture stops, and then until everything is sent.
        """
        while not self._stopping.is_set():
            self._tick()
            self._woken.wait(TICK)
        # `stop` has done so already, but a thread that failed has only set the events.
        if (binlog := self._binlog) is not None:
            binlog.interrupt()
        # Nothing is added any more, so that the wait below ends when everything is sent.
        self._outbox.shut()
        deadline = self.parts.clock() + FLUSH_WITHIN
        # The lease is renewed meanwhile: without it, the senders send nothing more.
        while not self._outbox.wait_empty(TICK) and self.parts.clock() < deadline:
            self._tick()
        self.flushed = self._outbox.wait_empty(0)

    def _tick(self) -> None:
        if self._is_due("lease", self.parts.lease.period):
            self._quietly("renewing the lease", self._renew)
        if self._is_due("save", SAVE_EVERY):
            self._quietly("saving the checkpoint", self._save)
        if self._is_due("marker", LOOK_EVERY):
            self._quietly("looking for a marker", self._mark)
        if self._is_due("metrics", PERIOD):
            counters = self._outbox.reached().sent
            lag, self._lag_ms = self._lag_ms, 0
            self.parts.metrics.running(counters, max(0, lag))

    def _is_due(self, what: str, period: float) -> bool:
        now = self.parts.clock()
        if now < self._due.get(what, now):
            return False
        # From now, not from when it was due: after a long pause it must not run several times in a row.
        self._due[what] = now + period
        return True

    def _renew(self) -> None:
        try:
            self.parts.lease.renew()
        except (BotoCoreError, ClientError):
            self._due["lease"] = self.parts.clock() + 1.0  # a retry before the lease's margin is used up
            raise

    def _save(self) -> None:
        # One view, taken under the outbox's lock: offset, counters and restart have to belong together.
        reach = self._outbox.reached()
        status = self._status
        if status.state == "capturing" and self._sending_trouble:
            status = CaptureStatus(
                "waiting", f"the stream refuses records ({self._sending_trouble})", "see the stream's limits"
            )
        self._progress.save(reach.reached, reach.read, reach.sent, status, self.parts.now_ms(), reach.restart)

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
        if not self._marker_placed and Position.parse(wanted.position) <= read.position(self._progress.epoch):
            self._outbox.mark(wanted, self.parts.now_ms())
            self._marker_placed = True
        if self._marker_placed and self._outbox.marked(wanted):
            self._progress.marker_sent(wanted)
            say(logging.INFO, "marker sent", id=wanted.id)

    def _quietly(self, what: str, work: Callable[[], None]) -> None:
        """Does the work; if the control table cannot be reached, logs it: the next tick retries."""
        try:
            work()
        # Not LeaseLost, which has to end capture. ValueError: a marker whose position is not one.
        except (BotoCoreError, ClientError, ValueError) as error:
            say(logging.WARNING, f"{what} failed and will be retried", error=type(error).__name__)

    # The end

    def _end(self, reader: threading.Thread, senders: Iterable[threading.Thread]) -> None:
        self._stopping.set()
        self._outbox.close()
        reader.join(1.0)  # no longer: it may be connecting, and the outbox takes nothing of it any more
        for sender in senders:
            # A request takes at most the margin (kinesis_config): nothing is in flight when the lease is
            # released.
            sender.join(self.parts.lease.margin + 1)
        failure = self._failure
        if isinstance(failure, LeaseLost):
            return
        if isinstance(failure, RowferryError):
            state = "stopped" if isinstance(failure, CaptureStopped | SourceNotReady) else "waiting"
            self._status = CaptureStatus.of(state, failure)
        # Otherwise `_save` would report a clean stop as a stream that refuses records.
        self._sending_trouble = ""
        try:
            self._quietly("saving the checkpoint", self._save)
        except LeaseLost as error:
            self._failure = error
            return
        if isinstance(failure, CaptureStopped):
            self.parts.metrics.stopped()
        self._quietly("releasing the lease", self.parts.lease.release)
