"""The part of capture that sends: from the outbox to the stream, step by step."""

import logging

from capturer.parts import CaptureParts, Vitals
from capturer.stream.outbox import Outbox
from capturer.stream.sender import Sender, Sent
from capturer.telemetry import PERIOD, say


class Sending:
    """
    Sends what is due. Several threads may call `step`, each with one request at a time; the outbox gives each
    its own lanes.
    """

    def __init__(self, parts: CaptureParts, outbox: Outbox, vitals: Vitals) -> None:
        self._parts = parts
        self._outbox = outbox
        self._vitals = vitals
        self._sender = Sender(parts.kinesis, parts.stream, parts.lease.token, parts.lanes)
        self._complained = float("-inf")

    def step(self) -> bool:
        """One request. Returns whether there was one: if not, wait for the outbox. Raises nothing."""
        parcels = self._outbox.take()
        if not parcels:
            return False
        # Before the lease is checked: compression takes time, and nothing slow may come between check and
        # request.
        records = self._sender.pack(parcels)
        if self._parts.lease.valid():
            sent = self._sender.send(parcels, records)
        else:
            # Failed, not dropped: the lanes retry them, and they are sent once a renewal succeeds.
            sent = Sent((), parcels, trouble="the lease is not renewed")
        self._report(sent)
        self._outbox.settle(sent)
        return True

    def _report(self, sent: Sent) -> None:
        self._vitals.sending = sent.trouble
        now = self._parts.clock()
        if sent.trouble and now - self._complained >= PERIOD:
            self._complained = now
            say(logging.WARNING, "records were not accepted; they are sent again", error=sent.trouble)
        if sent.accepted:
            oldest = min(parcel.committed for parcel in sent.accepted)
            self._vitals.lag_ms = max(self._vitals.lag_ms, self._parts.now_ms() - oldest)
