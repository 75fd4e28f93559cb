"""Pieces of verify's reading that wait, and when the next may be read: apart from input, output and clock."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from bulkload.throttle.rate import Bucket
from ferry.pieces import Piece

type Numbered = tuple[int, Piece]


@dataclass(slots=True)
class Flow:
    """
    Pieces of one kind. Each is taken to cost `guess` until it is known; `most` may be spent a second.

    `later` are found one by one, when they are asked for.
    """

    later: Iterator[Numbered]
    guess: float
    most: float = inf
    _waiting: deque[Numbered] = field(default_factory=deque)
    _bucket: Bucket = field(default_factory=Bucket)

    def pause(self, now: float) -> float:
        """Seconds until the next may be read; inf where none waits. `now` is of a clock that only rises."""
        if not self._waiting:
            self._waiting.extend(piece for piece in [next(self.later, None)] if piece)
        return self._bucket.take(0, self.most, now) if self._waiting else inf

    def take(self) -> Numbered:
        """The next one."""
        self._bucket.correct(self.guess)
        return self._waiting.popleft()

    def put(self, piece: Numbered) -> None:
        """One more."""
        self._waiting.append(piece)

    def spent(self, cost: float) -> None:
        """What one has cost."""
        self._bucket.correct(cost - self.guess)
