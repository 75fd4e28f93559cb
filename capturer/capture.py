"""
One run of the capturer: its parts, and the threads that step them. One thread reads the binlog, a few send,
the calling one keeps lease, checkpoint and markers.

Whatever ends capture, the order is: reading stops, what was read is sent, the checkpoint is saved, the lease
is released.

A scheduler other than threads calls `acquire` until it is True, then `begin`, then the steps of the three
parts in any order; to end, `SourceReading.stop`, `Outbox.shut`, further steps of sending and keeping, and
`end`.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from capturer.keeping import TICK, Keeping, quietly
from capturer.parts import CaptureParts, Vitals
from capturer.reading import FULL, NOW, SourceReading, explained
from capturer.sending import Sending
from capturer.source.column_definitions import Definitions
from capturer.source.history import past_at
from capturer.source.place import Place
from capturer.source.reach import StatementReach
from capturer.source.transactions import Transactions
from capturer.state.checkpoint_item import Present, Progress
from capturer.state.status import CaptureStatus
from capturer.stream.lanes import Lanes
from capturer.stream.outbox import Outbox
from capturer.telemetry import say
from rowferry.control_table import FLOORS
from rowferry.errors import CaptureStopped, LeaseLost, RowferryError, SourceNotReady
from rowferry.mysql.conditions import advice, check, require
from rowferry.mysql.server import identify
from rowferry.mysql.snapshot import current_offset

SENDERS = 2  # threads with one request at a time each; also the connections of the stream's client
FLUSH_WITHIN = 15.0
"""Seconds to send what has been read before it ends: with the rest below the 25 s that a stop may take."""


@dataclass(frozen=True, slots=True)
class Begun:
    """The parts of a capture that has begun: step each, and all of them until the end."""

    reading: SourceReading
    sending: Sending
    keeping: Keeping
    outbox: Outbox


class Capture:
    """One run of the capturer: `run` once, in the thread that handles signals."""

    def __init__(self, parts: CaptureParts) -> None:
        self.parts = parts
        self.flushed = True
        """Whether everything that was read is on the stream."""
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._begun: Begun | None = None
        self._failure: BaseException | None = None
        self._vitals = Vitals()
        self._waiting = False

    def stop(self) -> None:
        """Ends `run` in the order above. May be called from a signal handler and from any thread."""
        # The flag first: `begin` sets `_begun` before `run` looks at the flag.
        self._stopping.set()
        self._woken.set()
        if (begun := self._begun) is not None:
            begun.reading.stop()

    def run(self) -> None:
        """
        Captures until `stop`.

        Raises CaptureStopped, LeaseLost, SourceNotReady or Refused; for all but LeaseLost the checkpoint has
        been saved, with the reason. Success does not mean that everything read has been sent: see `flushed`.
        """
        while not self._stopping.is_set() and not self.acquire():
            # The time of a silent holder is measured between the attempts: a longer pause delays the
            # takeover.
            self._stopping.wait(min(1.0, self.parts.lease.period))
        if self._stopping.is_set():
            return
        begun = self.begin()
        reader = self._thread("reader", lambda: self._read(begun))
        senders = [self._thread(f"sender-{number}", lambda: self._send(begun)) for number in range(SENDERS)]
        try:
            self._keep(begun)
        except LeaseLost as error:
            # Replaces a thread's failure: with the lease lost, `end` must save and release nothing.
            self._failure = error
        finally:
            self._join(begun, reader, senders)
            self.end(self._failure)
        if self._failure is not None:
            raise self._failure

    def acquire(self) -> bool:
        """One attempt to get the lease. Raises LeaseLost if another capturer has taken it over meanwhile."""
        lease = self.parts.lease
        try:
            if lease.try_acquire():
                say(logging.INFO, "lease acquired", token=lease.token)
                return True
        except (BotoCoreError, ClientError) as error:
            say(logging.WARNING, "the lease cannot be read; trying again", error=type(error).__name__)
        else:
            if not self._waiting:
                say(logging.INFO, "waiting for the lease: another capturer has it")
            self._waiting = True
        return False

    def begin(self) -> Begun:
        """
        Checks the source and makes the parts; call it once, with the lease.

        Raises what `run` raises; the reason is then in the checkpoint, if there is one, and the lease
        released.
        """
        parts = self.parts
        tables = [table.source for table in parts.mapping.tables]
        self._progress = Progress(
            parts.control, parts.lease.token, parts.lanes, tables, parts.reset, parts.skip
        )
        self._definitions = Definitions(
            parts.source,
            parts.mapping,
            # Functions, because epoch and boundary change and `_transactions` is made later.
            epoch=lambda: self._progress.epoch,
            at=lambda: self._transactions.boundary,
            floors=lambda: parts.control.get(FLOORS),
        )
        try:
            # Nothing has been sent yet, so `_give_up` may release the lease at once.
            start = self._checked()
        except Exception as error:
            self._give_up(error)
            raise
        self._begun = self._assembled(start)
        return self._begun

    def _assembled(self, start: Place) -> Begun:
        parts, progress = self.parts, self._progress
        outbox = Outbox(Lanes(parts.lanes, random=parts.random.random), start, parts.clock)
        self._transactions = Transactions(
            parts.mapping,
            start,
            progress.skip,
            self._definitions.same_values,
            progress.is_shown,
            leads=StatementReach(parts.source, parts.mapping),
        )
        return Begun(
            SourceReading(parts, self._transactions, self._definitions, outbox, self._vitals, progress),
            Sending(parts, outbox, self._vitals),
            Keeping(parts, progress, outbox, self._vitals),
            outbox,
        )

    def _checked(self) -> Place:
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
            present = Present(
                server.identity,
                current_offset(connection, server),
                lambda place: past_at(self.parts.source, connection, server, place),
            )
            self._definitions.learn()  # before capture is reported as running, and somebody alters a table
            begins = self._progress.begins
            start = self._progress.start(present, self.parts.now_ms())
        except Exception as error:
            raise explained(self.parts.source, error) from error
        finally:
            connection.close()
        for line in advice(conditions):
            say(logging.WARNING, line)
        at = str(start.boundary)
        if begins:
            say(logging.INFO, "first start, or a reset: capture begins where the binlog ends now", at=at)
        say(logging.INFO, "capturing", at=at, epoch=start.epoch, lanes=self.parts.lanes)
        return start

    def _give_up(self, error: Exception) -> None:
        """Writes into the checkpoint, if there is one, why capture did not begin; releases the lease."""
        # Checkpoint and lease are another capturer's now.
        if isinstance(error, LeaseLost):
            return
        if isinstance(error, RowferryError):
            status = CaptureStatus.of("stopped", error)
            quietly("saving the reason", lambda: self._progress.stop(status, self.parts.now_ms()))
        if isinstance(error, CaptureStopped):
            self.parts.metrics.stopped()
        quietly("releasing the lease", self.parts.lease.release)

    def end(self, failure: BaseException | None) -> None:
        """
        Saves the checkpoint with the reason and releases the lease; call it once no part is stepped any more.
        """
        if isinstance(failure, LeaseLost):
            return
        if isinstance(failure, RowferryError):
            state = "stopped" if isinstance(failure, CaptureStopped | SourceNotReady) else "waiting"
            self._vitals.reading = CaptureStatus.of(state, failure)
        # Otherwise a clean stop would be saved as a stream that refuses records.
        self._vitals.sending = ""
        assert self._begun is not None
        try:
            self._begun.keeping.save()
        except LeaseLost as error:
            self._failure = error
            return
        if isinstance(failure, CaptureStopped):
            self.parts.metrics.stopped()
        quietly("releasing the lease", self.parts.lease.release)

    # The threads

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

        # daemon: `_join` does not wait for a reader that is connecting, and the process has to end all the
        # same.
        thread = threading.Thread(target=run, name=name, daemon=True)
        thread.start()
        return thread

    def _read(self, begun: Begun) -> None:
        step, stopping = begun.reading.step, self._stopping
        try:
            while not stopping.is_set():
                pause = step()
                if pause == FULL:
                    begun.outbox.wait_space()
                elif pause != NOW:
                    stopping.wait(pause)
        finally:
            begun.reading.close()

    @staticmethod
    def _send(begun: Begun) -> None:
        while begun.outbox.wait_due():
            begun.sending.step()

    def _keep(self, begun: Begun) -> None:
        """Keeps until capture stops, and then until everything is sent."""
        while not self._stopping.is_set():
            begun.keeping.step()
            self._woken.wait(TICK)
        # `stop` may have come before there was a reader, and a thread that failed has only set the events.
        begun.reading.stop()
        # Nothing is added any more, so that the wait below ends when everything is sent.
        begun.outbox.shut()
        deadline = self.parts.clock() + FLUSH_WITHIN
        # The lease is renewed meanwhile: without it, the senders send nothing more.
        while not begun.outbox.wait_empty(TICK) and self.parts.clock() < deadline:
            begun.keeping.step()
        self.flushed = begun.outbox.wait_empty(0)

    def _join(self, begun: Begun, reader: threading.Thread, senders: Iterable[threading.Thread]) -> None:
        self._stopping.set()
        begun.reading.stop()
        begun.outbox.close()
        reader.join(1.0)  # no longer: it may be connecting, and the outbox takes nothing of it any more
        for sender in senders:
            # A request takes at most the margin (kinesis_config): nothing is in flight when the lease is
            # released.
            sender.join(self.parts.lease.margin + 1)
