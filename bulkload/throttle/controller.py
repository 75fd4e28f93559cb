"""
Limits the load's rate: the operator's limits, DynamoDB's throttling, load of the source, lag of its replica.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from math import inf
from typing import Any

import pymysql
from botocore.exceptions import BotoCoreError, ClientError

from bulkload.connection import Connect
from bulkload.throttle.limits import Limits
from bulkload.throttle.rate import Adaptive
from bulkload.throttle.shared_counters import SharedCounters
from rowferry.control_table import ControlTable
from rowferry.mysql import server

EVERY = 1.0  # seconds between two checks


class Watched:
    """A server that is asked for a number, over a connection that is opened again when it breaks."""

    def __init__(self, connect: Connect, ask: Callable[[Any], int | None]) -> None:
        self._connect = connect
        self._ask = ask
        self._connection: Any = None

    def number(self) -> int | None:
        """The number; None where the server has none, or cannot be asked."""
        try:
            self._connection = self._connection or self._connect()
            return self._ask(self._connection)
        except pymysql.err.Error:
            self.close()
            return None

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(pymysql.err.Error):
                self._connection.close()
            self._connection = None


class RateController:
    """
    Checks all limits once a second, in its own thread, and sets the workers' rates in the shared counters.

    A context manager. `held` and `rate` are for the load to read.
    """

    def __init__(
        self,
        counters: SharedCounters,
        workers: int,
        control: ControlTable,
        connect: Connect | None = None,
        replica: Connect | None = None,
        share: int = 1,
    ) -> None:
        """`share`: the number of controllers (Spark tasks) that divide the write limit among them."""
        self.held: str | None = "the limits are not read yet"
        """The reason why no chunk may be started; None: chunks may start."""
        self.rate = inf
        """WCU/s that all workers together may write."""
        self._counters = counters
        self._workers = workers
        self._control = control
        self._share = share
        self._threads = Watched(connect, server.threads_running) if connect else None
        self._lag = Watched(replica, server.replica_lag) if replica else None
        self._adaptive = Adaptive()
        self._limits = Limits()
        self._last = (time.monotonic(), 0.0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="controller", daemon=True)

    def __enter__(self) -> "RateController":
        # Before the first chunk: a load that was paused must not write for a second.
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        for watched in filter(None, (self._threads, self._lag)):
            watched.close()

    def _run(self) -> None:
        while not self._ended.wait(EVERY):
            self.look()

    def look(self) -> None:
        """Checks all limits once."""
        with contextlib.suppress(ClientError, BotoCoreError):  # the limits stay as they were
            # Read each time: `ferry throttle` changes them while the load runs.
            self._limits = Limits.read(self._control)
        self._adjust_rate(self._limits)
        self.held = self._reason(self._limits)

    def _adjust_rate(self, limits: Limits) -> None:
        now = time.monotonic()
        units, throttles, _ = self._counters.totals()
        before, units_before, throttles_before = self._last
        seconds = max(now - before, 1e-3)
        adapted = self._adaptive.step((units - units_before) / seconds, throttles - throttles_before, seconds)
        self._last = (now, units, throttles)
        self.rate = min(adapted, (limits.wcu or inf) / self._share)
        # Equal shares rather than one bucket: that would need a lock, which a killed process could leave
        # locked.
        self._counters.allow(self.rate / self._workers, (limits.rows or inf) / self._workers)

    def _reason(self, limits: Limits) -> str | None:
        if limits.paused:
            return "paused by `ferry throttle --pause`"
        # Unknown holds the load back like a value above the limit.
        if limits.threads_running and self._threads:
            running = self._threads.number()
            if running is None:
                return "the number of running threads at the source is unknown"
            if running > limits.threads_running:
                return f"{running} threads are running at the source"
        if limits.lag and self._lag:
            lag = self._lag.number()
            if lag is None:
                return "the replica's lag is unknown"
            if lag > limits.lag:
                return f"the replica is {lag} s behind"
        return None
