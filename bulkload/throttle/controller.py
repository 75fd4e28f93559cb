"""Holds the load back: the operator's limits, what DynamoDB takes, how the source and its replica do."""

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
from bulkload.throttle.shared_counters import Board
from rowferry.control_table import ControlTable
from rowferry.mysql import server

EVERY = 1.0  # seconds


class Watched:
    """A server that is asked for a number, over a connection that is made anew when it breaks."""

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
        """Closes the connection."""
        if self._connection is not None:
            with contextlib.suppress(pymysql.err.Error):
                self._connection.close()
            self._connection = None


class Governor:
    """Looks around once a second, in its own thread, and says on the board how fast the workers may be."""

    def __init__(
        self,
        board: Board,
        workers: int,
        control: ControlTable,
        connect: Connect | None = None,
        replica: Connect | None = None,
        share: int = 1,
    ) -> None:
        """`share`: so many such loads together may write what the limits say."""
        self.held: str | None = "not yet looked around"
        """Why no chunk may be begun; None: it may."""
        self.rate = inf
        """WCU/s that all workers together may write."""
        self._board = board
        self._workers = workers
        self._control = control
        self._share = share
        self._threads = Watched(connect, server.threads_running) if connect else None
        self._lag = Watched(replica, server.replica_lag) if replica else None
        self._adaptive = Adaptive()
        self._limits = Limits()
        self._last = (time.monotonic(), 0.0, 0)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="governor", daemon=True)

    def __enter__(self) -> "Governor":
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
        """One look around."""
        with contextlib.suppress(ClientError, BotoCoreError):  # the limits stay as they were
            self._limits = Limits.read(self._control)
        self._pace(self._limits)
        self.held = self._reason(self._limits)

    def _pace(self, limits: Limits) -> None:
        now = time.monotonic()
        units, throttles, _ = self._board.totals()
        before, units_before, throttles_before = self._last
        seconds = max(now - before, 1e-3)
        adapted = self._adaptive.step((units - units_before) / seconds, throttles - throttles_before, seconds)
        self._last = (now, units, throttles)
        self.rate = min(adapted, (limits.wcu or inf) / self._share)
        self._board.allow(self.rate / self._workers, (limits.rows or inf) / self._workers)

    def _reason(self, limits: Limits) -> str | None:
        if limits.paused:
            return "paused by `ferry throttle --pause`"
        if limits.threads_running and self._threads:
            running = self._threads.number()
            if running is None:
                return "the source does not say how many threads are running"
            if running > limits.threads_running:
                return f"{running} threads are running at the source"
        if limits.lag and self._lag:
            lag = self._lag.number()
            if lag is None:
                return "the replica does not say how far it is behind"
            if lag > limits.lag:
                return f"the replica is {lag} s behind"
        return None
