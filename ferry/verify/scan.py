"""Both sides of a target read into a working file: in tasks, several at once, as fast as they may be."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from math import inf
from typing import Any

from bulkload.throttle.rate import TokenBucket
from ferry.verify import tasks
from ferry.verify.diff import Side, Sides
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.ranges import cut
from ferry.verify.tasks import ReadCounts, ReadTask, RowRange, ScanPage, TaskResult

CHUNK_ROWS = 20_000
PAGE_UNITS = 256.0
"""Read units of a page of a scan with strongly consistent reads: 1 MB, 4 KB for each."""


type Numbered = tuple[int, ReadTask]


@dataclass(slots=True)
class RateLimitedQueue:
    """
    Tasks of one kind. Each is taken to cost `guess` until it is known; `most` may be spent a second.

    `later` are found one by one, when they are asked for.
    """

    later: Iterator[Numbered]
    guess: float
    most: float = inf
    _waiting: deque[Numbered] = field(default_factory=deque)
    _bucket: TokenBucket = field(default_factory=TokenBucket)

    def pause(self, now: float) -> float | None:
        """Seconds until the next may be read; None where none waits. `now` is of a clock that only rises."""
        if not self._waiting:
            self._waiting.extend(task for task in [next(self.later, None)] if task)
        # Takes nothing: only asks for the time to wait.
        return self._bucket.take(0, self.most, now) if self._waiting else None

    def take(self) -> Numbered:
        """The next one."""
        self._bucket.correct(self.guess)
        return self._waiting.popleft()

    def put(self, task: Numbered) -> None:
        """One more."""
        self._waiting.append(task)

    def spent(self, cost: float) -> None:
        """What one has cost."""
        self._bucket.correct(cost - self.guess)


@dataclass(frozen=True, slots=True)
class Scanner:
    """
    Reads all `pairs`, target by target. `connect` opens a connection for reading; `executor` has `count`
    readers. At most so many `rows` of the source and `units` of the target a second.
    """

    pairs: Sequence[Pair]
    connect: Callable[[], Any]
    executor: Executor
    count: int
    rows: float = inf
    units: float = inf
    chunk: int = CHUNK_ROWS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def target(self, numbers: tuple[int, ...], sides: Sides, step: Callable[[ReadCounts], None]) -> None:
        """
        Reads what of the target whose sources have these numbers is not in the file yet. `step` gets the
        counts of what is.
        """
        with closing(self.connect()) as connection:
            self._all(self._flows(connection, numbers, sides), sides, step)

    def _flows(self, connection: Any, numbers: tuple[int, ...], sides: Sides) -> dict[Side, RateLimitedQueue]:
        known = sides.tasks()
        rows = int(min(self.chunk, self.rows))
        chunks = RateLimitedQueue(self._chunks(connection, numbers, sides, known, rows), rows, self.rows)
        pages = RateLimitedQueue(self._pages(numbers, sides, known), PAGE_UNITS, self.units)
        return {"source": chunks, "target": pages}

    def _chunks(
        self,
        connection: Any,
        numbers: tuple[int, ...],
        sides: Sides,
        known: list[tuple[int, ReadTask, bool]],
        rows: int,
    ) -> Iterator[Numbered]:
        """Those that were cut and not read, then new ones."""
        last: dict[int, RowRange] = {}
        for number, task, done in known:
            if isinstance(task, RowRange):
                last[task.pair] = task
                if not done:
                    yield number, task
        for pair in numbers:
            if pair in last and last[pair].range.until is None:
                continue
            after = last[pair].range.until if pair in last else None
            for range_ in cut(connection, self.pairs[pair], rows, after):
                chunk = RowRange(pair, range_)
                yield sides.announce(chunk), chunk

    def _pages(
        self, numbers: tuple[int, ...], sides: Sides, known: list[tuple[int, ReadTask, bool]]
    ) -> Iterator[Numbered]:
        """Those that follow what was read, or the first of each segment."""
        pages = [(number, task, done) for number, task, done in known if isinstance(task, ScanPage)]
        begun = {page.segment for _, page, _ in pages}
        # Those of the interrupted verify, whatever --parallel says now: a place belongs to its segment.
        segments = pages[0][1].segments if pages else self.count
        yield from ((number, page) for number, page, done in pages if not done)
        for segment in range(segments):
            if segment not in begun:
                page = ScanPage(numbers, segment, segments)
                yield sides.announce(page), page

    def _all(
        self, flows: dict[Side, RateLimitedQueue], sides: Sides, step: Callable[[ReadCounts], None]
    ) -> None:
        under_way: dict[Future[TaskResult], tuple[Side, int]] = {}
        while True:
            pause = self._hand_out(flows, under_way)
            if not under_way:
                if pause is None:
                    return
                self.sleep(pause)
            finished, _ = wait(under_way, pause, FIRST_COMPLETED)
            for future in finished:
                side, number = under_way.pop(future)
                self._keep(flows[side], sides, side, number, future.result())
            step(sides.counts())

    def _hand_out(
        self, flows: dict[Side, RateLimitedQueue], under_way: dict[Future[TaskResult], tuple[Side, int]]
    ) -> float | None:
        """
        Gives the readers as much as they take.

        Seconds until a rate limit lets more be handed out; None where none holds it back: the readers have
        enough, or there is nothing left.
        """
        sides = [side for side, _ in under_way.values()]
        while len(sides) <= self.count:  # one more than readers, so that none waits for its next
            pauses = _waiting(flows, self.clock())
            if not pauses:
                return None
            if (pause := min(pauses.values())) > 0:
                return pause
            side = min((side for side in pauses if not pauses[side]), key=sides.count)
            number, task = flows[side].take()
            under_way[self.executor.submit(tasks.read, task)] = side, number
            sides.append(side)
        return None

    def _keep(self, flow: RateLimitedQueue, sides: Sides, side: Side, number: int, got: TaskResult) -> None:
        # First the result, which announces the page that follows in the same transaction: no crash can lose
        # it.
        following = sides.add(number, side, got)
        if got.following and following:
            flow.put((following, got.following))
        flow.spent(got.counts.rows if side == "source" else got.units)


def _waiting(flows: dict[Side, RateLimitedQueue], now: float) -> dict[Side, float]:
    """The sides that have something to read, and the seconds until they may."""
    pauses = {side: flow.pause(now) for side, flow in flows.items()}
    return {side: pause for side, pause in pauses.items() if pause is not None}
