"""An address on loopback that leads to one server and is moved to another, as a DNS name is at a failover."""

import socket
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from lab.process import free_port
from lab.server import Server

_AT_ONCE = 1 << 16  # bytes


class Endpoint(Server):
    """
    What a move has as its source: the accounts of the servers, and an address of its own.

    It is nothing to start or stop; `move` is what happens to it.
    """

    def __init__(self, server: Server) -> None:
        self.flavor, self.version, self.folder = server.flavor, server.version, server.folder
        self.host, self.admin, self.capture = server.host, server.admin, server.capture
        self._process = None
        self._leads_to: int | None = server.port
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._portion: int | None = None
        self._brought: Counter[socket.socket] = Counter()
        self.stalled, self._released = threading.Event(), threading.Event()
        self._listener = socket.create_server((self.host, free_port()), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, name="endpoint", daemon=True).start()

    def move(self, server: Server | None, *, drop: bool = True) -> None:
        """
        New connections lead to `server`; to None, they are refused. With `drop`, those that are open break.
        """
        with self._lock:
            self._leads_to = server.port if server else None
        if drop:
            self.drop()

    def stall(self, portion: int) -> None:
        """
        A connection that brings more bytes than `portion` at a stretch stops there, until `drop`.

        At a stretch: since it was last asked something, so it is a long answer; the next one to ask for it
        stops as well. Then `stalled` is set.
        """
        self.stalled.clear()
        self._released.clear()
        with self._lock:
            self._brought.clear()
            self._portion = portion

    def drop(self) -> None:
        """Breaks every connection that is open now."""
        self._portion = None
        self._released.set()
        with self._lock:
            broken = list(self._open)
        for end in broken:
            _shut(end)

    def close(self) -> None:
        """Ends it with its connections."""
        _shut(self._listener)  # wakes `accept`, as closing alone does not
        self._listener.close()
        self.drop()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        with near, suppress(OSError):
            with self._lock:
                port = self._leads_to
            if port is None:
                return
            with socket.create_connection((self.host, port)) as far:
                self._carry(near, far, port)

    def _carry(self, near: socket.socket, far: socket.socket, port: int) -> None:
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {near, far}
        try:
            asking = threading.Thread(target=_pump, args=(near, far, lambda _: self._asked(far)), daemon=True)
            asking.start()
            _pump(far, near, lambda count: self._answers(far, count))
            asking.join()
        finally:
            with self._lock:
                self._open -= {near, far}

    def _asked(self, far: socket.socket) -> bool:
        with self._lock:
            self._brought.pop(far, None)
        return True

    def _answers(self, far: socket.socket, count: int) -> bool:
        """Whether so many bytes more may pass; those that stalled never do."""
        with self._lock:
            self._brought[far] += count
            if self._portion is None or self._brought[far] <= self._portion:
                return True
        self.stalled.set()
        self._released.wait()
        return False


def _pump(source: socket.socket, target: socket.socket, passes: Callable[[int], bool]) -> None:
    with suppress(OSError):
        while (data := source.recv(_AT_ONCE)) and passes(len(data)):
            target.sendall(data)
    for end in (source, target):
        _shut(end)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
