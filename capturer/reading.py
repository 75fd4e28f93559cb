"""The part of capture that reads: from the source's binlog to encoded changes in the outbox, step by step."""

import logging
from collections.abc import Iterator, Sequence

from capturer.decoder.events import Rotate
from capturer.parts import CaptureParts, Vitals
from capturer.source.binlog import Binlog, ConnectionLost, ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.events import Event
from capturer.source.transactions import Transactions
from capturer.state.status import START_OVER, CaptureStatus
from capturer.stream.encoding import encoded
from capturer.stream.outbox import Encoded, Outbox
from capturer.telemetry import say
from rowferry.change import RowChange
from rowferry.errors import CaptureStopped, RowferryError
from rowferry.mysql.server import identify

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
        server: str,
    ) -> None:
        """`server` is the identity of the source at the start."""
        self._parts = parts
        self._transactions = transactions
        self._definitions = definitions
        self._outbox = outbox
        self._vitals = vitals
        self._server = server
        self._stopping = False
        self._binlog: Binlog | None = None
        self._events: Iterator[Event] | None = None
        self._connected = 0.0
        self._failures = 0
        self._boundary = transactions.boundary
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
            else:
                self._read(next(self._events))
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

    def _lost(self, error: ConnectionLost) -> float:
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
        """Begins to read at the newest boundary."""
        self._connected = self._parts.clock()
        # At every connection: after a failover the host name may be another server's, where the same file and
        # offset mean another transaction.
        self._same_server()
        self._boundary = self._transactions.boundary
        # Before the events, so that the answers are of a time before most of the DDL that is still to be
        # read.
        self._definitions.learn()
        binlog = self._binlog = self._parts.binlog(
            self._parts.source, self._parts.mapping, self._boundary,
            self._definitions, self._definitions.reshaped, self._transactions.dialect,
        )  # fmt: skip
        if self._stopping:  # `stop` may have found no binlog to interrupt yet
            raise ConnectionLost("capture stops", "nothing to do")
        return binlog.events()

    def _read(self, event: Event) -> None:
        transactions = self._transactions
        changes = transactions.feed(event)
        # `is not`: a boundary that has moved is another object. While `again`, it is before the checkpoint,
        # which must not move back.
        if changes or (transactions.boundary is not self._boundary and not transactions.again):
            self._boundary = transactions.boundary
            self._hand_over(self._encoded(changes))
        # A Rotate does not show that the server reads its binlog: it makes one at the start of each dump.
        if self._vitals.reading.state == "waiting" and not isinstance(event, Rotate):
            self._vitals.reading = CaptureStatus()
            say(logging.INFO, "reading again", at=str(transactions.boundary))

    def _encoded(self, changes: Sequence[RowChange]) -> Encoded:
        read = self._transactions
        mapping, lanes = self._parts.mapping, self._parts.lanes
        parts = [part for change in changes for part in encoded(change, mapping, lanes)]
        # Also without changes: the boundary alone moves the checkpoint on.
        return Encoded(parts, read.committed, read.number, read.boundary, read.restart)

    def _hand_over(self, encoded: Encoded) -> float:
        self._held = None if self._outbox.add(encoded) else encoded
        return self._pace()

    def _same_server(self) -> None:
        connection = self._parts.source.connect()
        try:
            server = identify(connection)
        except Exception as error:
            raise explained(self._parts.source, error) from error
        finally:
            connection.close()
        self._transactions.dialect = self._definitions.dialect = server.dialect
        if server.identity != self._server:
            raise CaptureStopped(
                f"the source is another server ({server.identity}) than before ({self._server})",
                f"point SOURCE_HOST at the former server; where that is gone, {START_OVER}",
            )


def explained(source: ReplicationClient, error: Exception) -> Exception:
    """Our own error for the driver's; ours as they are."""
    return error if isinstance(error, RowferryError) else source.explain(error)
