"""The part of capture that reads: from the source's binlog to encoded changes in the outbox, step by step."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from capturer.decoder.events import Heartbeat, Rotate
from capturer.parts import CaptureParts, Vitals
from capturer.source.binlog import Binlog, ConnectionLost, Doubtful, ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.events import Event, Unreadable
from capturer.source.history import prove
from capturer.source.place import ContinuityLost
from capturer.source.transactions import Transactions
from capturer.state.checkpoint_item import Progress
from capturer.state.status import START_OVER, CaptureStatus
from capturer.stream.encoding import encoded
from capturer.stream.outbox import Encoded, Outbox
from capturer.telemetry import say
from rowferry.change import RowChange
from rowferry.errors import CaptureStopped, RowferryError, SourceNotReady
from rowferry.history import History
from rowferry.mysql.server import identify
from rowferry.position import FIRST_EVENT, BinlogOffset

LOOK_EVERY = 30.0  # seconds between looks whether SOURCE_HOST still names the server that is read
LONGEST_PAUSE = 10.0  # seconds between attempts to reach the source
NOW, FULL = 0.0, -1.0
"""What `step` returns besides seconds: call it again at once; call it when the outbox has space."""


def reconnect_pause(failures: int, share: float) -> float:
    """Seconds before the next attempt after so many in a row that failed; `share`, 0 to 1, spreads them."""
    # The exponent is bounded: after two hours without the source, 2**failures would be no float any more.
    return min(LONGEST_PAUSE, 0.25 * (1 << min(failures, 10))) * (1 + share) / 2


class SourceReading:
    """
    Reads the binlog in steps; reconnects after a pause when the connection breaks.

    One thread, or one task of a scheduler, calls `step` again and again: it returns NOW, FULL, or the seconds
    until the next step is due. A step connects, or reads one event; it blocks for no more than that. `stop`
    may be called from any thread.
    """

    def __init__(
        self,
        parts: CaptureParts,
        transactions: Transactions,
        definitions: Definitions,
        outbox: Outbox,
        vitals: Vitals,
        progress: Progress,
    ) -> None:
        self._parts = parts
        self._transactions = transactions
        self._definitions = definitions
        self._demands = parts.demands(parts.source, parts.mapping, parts.clock)
        transactions.demanded = self._demands.after
        self._outbox = outbox
        self._vitals = vitals
        self._progress = progress
        self._stopping = False
        self._binlog: Binlog | None = None
        self._events: Iterator[Event] | None = None
        self._connected = self._look_at = 0.0
        self._failures = 0
        self._boundary = self._placed = transactions.boundary
        self._place = transactions.place
        self._doubted: tuple[int, BinlogOffset] | None = None
        self._held: Encoded | None = None

    def stop(self) -> None:
        """Ends the step that is waiting for the source; later steps read nothing."""
        # The flag before the binlog; `_connect` sets the binlog before it looks at the flag. So one of the
        # two always notices the other.
        self._stopping = True
        if (binlog := self._binlog) is not None:
            binlog.interrupt()

    def step(self) -> float:
        """
        Raises CaptureStopped, SourceNotReady or Refused, which end capture.

        Success says nothing about the source: while it cannot be reached, the status is `waiting`.
        """
        if self._held is not None:
            return self._hand_over(self._held)
        try:
            if self._events is None:
                self._events = self._connect()
            elif self._parts.clock() >= self._look_at:
                self._look_around()
            else:
                self._read(self._next(self._events))
        except ConnectionLost as error:
            return self._lost(error)
        except BaseException:
            self.close()
            raise
        return self._pace()

    def _pace(self) -> float:
        return NOW if self._held is None else FULL

    def close(self) -> None:
        """Drops the connection. Called by the thread that calls `step`, or after it has ended."""
        if (binlog := self._binlog) is not None:
            binlog.close()
        self._binlog = self._events = None

    def _lost(self, error: SourceNotReady) -> float:
        self.close()
        if self._stopping:
            return NOW
        # A connection that lasted starts the pauses from the shortest again.
        lasted = self._parts.clock() - self._connected > LONGEST_PAUSE
        self._failures = 0 if lasted else self._failures + 1
        self._vitals.reading = CaptureStatus.of("waiting", error)
        say(logging.WARNING, error.found, fix=error.fix)
        # Before the next connection, which reads the transaction that broke off from its start.
        self._transactions.resume()
        return reconnect_pause(self._failures, self._parts.random.random())

    def _connect(self) -> Iterator[Event]:
        """Begins to read at the newest boundary, on a connection whose server has what was captured."""
        source = self._parts.source
        self._connected = self._parts.clock()
        self._look_at = self._connected + LOOK_EVERY
        connection = source.connect()
        try:
            self._follow(connection)
            self._demands.check_now()
            # Before the events, so that the answers are of a time before most of the DDL that is still to be
            # read.
            self._definitions.learn()
        except Exception as error:
            connection.close()
            raise explained(source, error) from error
        self._boundary = self._transactions.boundary
        binlog = self._binlog = self._parts.binlog(
            source, self._parts.mapping, self._boundary,
            self._definitions, self._definitions.reshaped, self._transactions.dialect, connection,
        )  # fmt: skip
        if self._stopping:  # `stop` may have found no binlog to interrupt yet
            raise ConnectionLost("capture stops", "nothing to do")
        return binlog.events()

    def _follow(self, connection: Any) -> None:
        """Proves the server's history; in another binlog, begins the next epoch."""
        transactions, place = self._transactions, self._transactions.place
        server = identify(connection)
        transactions.dialect = self._definitions.dialect = server.dialect
        patience = self._parts.source.patience
        proven = prove(connection, server, place, transactions.partly, patience, self._wait_for)
        if not proven.begins:
            return
        epoch = self._next_epoch(server.identity, proven.start, place.boundary)
        transactions.begin_epoch(
            epoch, server.identity, proven.start, proven.shared, last_is_there=proven.last_is_there
        )
        self._definitions.forget()
        say(
            logging.WARNING, "the source has another binlog, with all that was captured: it is followed",
            server=server.identity, former=place.past.server, epoch=epoch, at=str(proven.start),
            captured=str(place.boundary),
        )  # fmt: skip
        if self._parts.lease.took_over and not transactions.number:
            say(
                logging.WARNING,
                "the former capturer was killed: it may have sent more than its checkpoint says. Rows of"
                " transactions that the former server lost may be in the targets: run `ferry verify`",
            )

    def _wait_for(self, lost: History) -> None:
        self._vitals.reading = CaptureStatus(
            "waiting",
            f"the server has not executed what was captured: {lost.listing()}",
            "nothing to do while a replica still applies it; otherwise capture stops",
        )

    def _look_around(self) -> None:
        """A name may have moved to another server without an end of the connections to the former one."""
        self._look_at = self._parts.clock() + LOOK_EVERY
        source = self._parts.source
        try:
            with closing(source.connect()) as connection:
                found = identify(connection).identity
        except (SourceNotReady, pymysql.Error, OSError):
            return  # whether the source can be read, the connection that reads it shows
        if found != self._transactions.place.past.server:
            raise ConnectionLost(
                f"SOURCE_HOST names another server now ({found})",
                "nothing to do: the capturer connects again",
            )

    def _next(self, events: Iterator[Event]) -> Event:
        try:
            return next(events)
        except Doubtful as error:
            raise self._once_more(error) from error

    def _once_more(self, error: CaptureStopped) -> RowferryError:
        """
        The first time at a place, a reason to read it again over a new connection; then the error itself.
        """
        if self._doubted == (self._transactions.epoch, self._transactions.boundary):
            return error
        self._doubted = (self._transactions.epoch, self._transactions.boundary)
        return ConnectionLost(error.found, "nothing to do: it is read once more over a new connection")

    def _read(self, event: Event) -> None:
        transactions = self._transactions
        try:
            changes = self._feed(event)
        except CaptureStopped as error:
            raise self._once_more(error) if isinstance(event, Unreadable) else error from error
        # `is not`: a boundary that has moved is another object. While `again`, it is before the checkpoint,
        # which must not move back.
        if changes or (transactions.boundary is not self._boundary and not transactions.again):
            if transactions.boundary is not self._placed:
                # One object for each boundary: the outbox compares them by identity.
                self._placed, self._place = transactions.boundary, transactions.place
            self._boundary = transactions.boundary
            self._hand_over(self._encoded(changes))
            self._demands.look()
        # An idle server sends nothing else.
        elif isinstance(event, Heartbeat):
            self._demands.look()
        # A Rotate does not show that the server reads its binlog: it makes one at the start of each dump.
        if self._vitals.reading.state == "waiting" and not isinstance(event, Rotate):
            self._vitals.reading = CaptureStatus()
            say(logging.INFO, "reading again", at=str(transactions.boundary))

    def _feed(self, event: Event) -> Sequence[RowChange]:
        try:
            return self._transactions.feed(event)
        except ContinuityLost as error:
            if not error.renamed_to:
                raise self._once_more(CaptureStopped(error.found, START_OVER)) from error
            self._begin_renamed(error.renamed_to)
        return self._transactions.feed(event)

    def _begin_renamed(self, file: str) -> None:
        place = self._transactions.place
        start = BinlogOffset(file, FIRST_EVENT)
        epoch = self._next_epoch(place.past.server, start, place.boundary)
        self._transactions.rename(epoch, file)
        self._definitions.forget()
        say(
            logging.WARNING, "the source's binlog has another name: it is followed",
            epoch=epoch, at=str(start), captured=str(place.boundary),
        )  # fmt: skip

    def _next_epoch(self, server: str, start: BinlogOffset, ended: BinlogOffset) -> int:
        try:
            return self._progress.begin_epoch(server, start, ended)
        except (BotoCoreError, ClientError) as error:
            raise ConnectionLost(
                f"the next epoch cannot be written to the control table ({type(error).__name__})",
                "nothing to do: it is tried again",
            ) from error

    def _encoded(self, changes: Sequence[RowChange]) -> Encoded:
        read = self._transactions
        mapping, lanes = self._parts.mapping, self._parts.lanes
        parts = [part for change in changes for part in encoded(change, mapping, lanes)]
        # Also without changes: the boundary alone moves the checkpoint on.
        return Encoded(parts, read.committed, read.number, self._place)

    def _hand_over(self, encoded: Encoded) -> float:
        self._held = None if self._outbox.add(encoded) else encoded
        return self._pace()


def explained(source: ReplicationClient, error: Exception) -> Exception:
    """Our own error for one of the driver or of the control table; a fault of ours stays as it is."""
    if isinstance(error, (BotoCoreError, ClientError)):
        return ConnectionLost(
            f"the control table cannot be read ({type(error).__name__})", "nothing to do: it is tried again"
        )
    return source.explain(error) if isinstance(error, (pymysql.Error, OSError)) else error
