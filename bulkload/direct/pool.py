"""The load's side of its workers: assigns tasks, collects the outcome of each, replaces workers that died."""

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import inf
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Protocol

from bulkload.direct.worker import Failed, Loaded, Said, Task, WorkerParts, process, serve
from bulkload.lock import LONGEST_REQUEST
from bulkload.processes import SPAWN
from bulkload.throttle.shared_counters import SharedCounters
from rowferry.errors import Unapplied

TICK = 0.5  # seconds between two checks of the limits while no worker answers
QUIET = 30.0  # seconds until a worker's line that another one has said is repeated
MOST_DEATHS = 3
"""Of workers with the same chunk: then the chunk is the cause, which may be too large for the memory."""


class Running(Protocol):
    """A process or a thread."""

    def join(self, timeout: float | None = None) -> None: ...
    def is_alive(self) -> bool: ...


@dataclass(slots=True)
class Worker:
    """One worker, and its tasks by number."""

    running: Running
    connection: Connection
    tasks: dict[int, Task] = field(default_factory=dict)

    def end(self, deadline: float) -> None:
        """Waits for its end; a process that is alive after the deadline (time.monotonic()) is killed."""
        self.connection.close()
        self.running.join(max(0.0, deadline - time.monotonic()))
        if self.running.is_alive() and (kill := getattr(self.running, "kill", None)):
            kill()
            self.running.join()


type Launch = Callable[[WorkerParts, SharedCounters, int], Worker]


def in_process(parts: WorkerParts, counters: SharedCounters, slot: int) -> Worker:
    """A worker in a process of its own."""
    ours, theirs = SPAWN.Pipe()
    running = SPAWN.Process(target=process, args=(parts, theirs, counters, slot), daemon=True)
    running.start()
    theirs.close()  # else the end of the process would not close the connection, and go unnoticed
    return Worker(running, ours)


def in_thread(parts: WorkerParts, counters: SharedCounters, slot: int) -> Worker:
    """For a load with one worker, which needs no process."""
    ours, theirs = Pipe()
    running = threading.Thread(target=serve, args=(parts, theirs, counters, slot), daemon=True)
    running.start()
    return Worker(running, ours)


class Pool:
    """
    Runs tasks in `count` workers.

    `beat` is called at least once a second while tasks are running, and returns whether new ones may start.
    A task whose worker died is repeated, but only once no request of the dead worker can be in flight.
    """

    def __init__(
        self,
        parts: WorkerParts,
        counters: SharedCounters,
        count: int,
        beat: Callable[[], bool],
        report: Callable[[str], None],
    ) -> None:
        self._parts = parts
        self._counters = counters
        self._beat = beat
        self._report = report
        self._launch: Launch = in_process if count > 1 else in_thread
        self._count = count
        self._workers: list[Worker] = []
        self._waiting: deque[Task] = deque()
        self._resting: deque[tuple[float, Task]] = deque()
        self._deaths: Counter[int] = Counter()
        self._safe = 0.0
        self._said: dict[str, float] = {}

    def run(self, tasks: Iterable[Task], done: Callable[[Loaded], None]) -> None:
        """
        Runs all tasks, and calls `done` with each result, in this thread.

        Raises the error of a task that failed, or Unapplied when workers die with one chunk.
        """
        self._waiting.extend(tasks)
        try:
            for slot in range(self._count):
                self._workers.append(self._launch(self._parts, self._counters, slot))
            while self._open:
                if self._beat():
                    self._hand_out()
                self._collect(done)
        finally:
            self._close()

    @property
    def _open(self) -> bool:
        return bool(self._waiting or self._resting or any(worker.tasks for worker in self._workers))

    def _hand_out(self) -> None:
        while self._resting and self._resting[0][0] <= time.monotonic():
            self._waiting.append(self._resting.popleft()[1])
        for worker in self._workers:
            while (
                self._waiting and len(worker.tasks) <= self._parts.readers
            ):  # one more waits in the worker's queue
                task = self._waiting.popleft()
                # Noted before it is sent: `_replace` repeats what is noted, also what the dead worker never
                # got.
                worker.tasks[task.number] = task
                with contextlib.suppress(OSError):  # it died: `_collect` notices, too
                    worker.connection.send(task)

    def _collect(self, done: Callable[[Loaded], None]) -> None:
        connections = {worker.connection: slot for slot, worker in enumerate(self._workers)}
        for connection in wait(list(connections), TICK):
            assert isinstance(connection, Connection)
            slot = connections[connection]
            try:
                message: Loaded | Failed | Said = connection.recv()
            except (EOFError, OSError):
                self._replace(slot)
                continue
            if isinstance(message, Failed):
                raise message.error
            if isinstance(message, Said):
                self._say(message.line)
                continue
            del self._workers[slot].tasks[message.number]
            done(message)

    def _say(self, line: str) -> None:
        """All readers wait for the same, and each says so."""
        now = time.monotonic()
        if now - self._said.get(line, -inf) >= QUIET:
            self._said[line] = now
            self._report(line)

    def _replace(self, slot: int) -> None:
        dead = self._workers[slot]
        # Killed at once if it lives: its pipe is broken, and its chunks go to another worker.
        dead.end(time.monotonic())
        self._safe = time.monotonic() + LONGEST_REQUEST
        # At the end, so that `_hand_out` finds the one that rests longest in front.
        self._resting.extend((self._safe, task) for task in dead.tasks.values())
        # Which of its chunks was the cause is unknown, so each is counted.
        self._deaths.update(dead.tasks.keys())
        if any(count >= MOST_DEATHS for count in self._deaths.values()):
            raise Unapplied(
                f"worker processes were killed {MOST_DEATHS} times with the same chunk",
                "give the load more memory, or --chunk-rows fewer rows with --again; then run it again",
            )
        self._report(f"a worker process died: another one does its {len(dead.tasks)} chunks again")
        self._workers[slot] = self._launch(self._parts, self._counters, slot)

    def _close(self) -> None:
        """Afterwards no request of any worker is under way, also not of one that was killed."""
        # Before the pipes are closed: a worker whose pipe closes without this takes the load for dead, and
        # ends at once, in the middle of its requests.
        self._counters.stop()
        deadline = time.monotonic() + LONGEST_REQUEST
        for worker in self._workers:
            worker.end(deadline)
        # Until the last request of a worker that was killed has arrived or failed: the lock may be released,
        # and another loader begin, right after this.
        time.sleep(max(0.0, self._safe - time.monotonic()))
