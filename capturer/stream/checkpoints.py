"""Up to which transaction boundary every change is on the stream. Pure: no I/O, no clock."""

from collections import deque


class Checkpoints[Place]:
    """
    The boundaries that have been read and are not yet safe to resume from.

    A boundary is safe once the lanes hold no change of its transaction or an earlier one. So nothing is
    counted for each change: the number of the oldest transaction that is left in the lanes decides.
    """

    def __init__(self, start: Place) -> None:
        self._reached = start
        self._ahead: deque[tuple[int, Place]] = deque()

    def ended(self, transaction: int, boundary: Place) -> None:
        """
        Adds a boundary; every change before it belongs to `transaction` or an earlier one.

        A transaction without mapped rows repeats the number of the last one that had some: it moves that
        one's boundary and takes no memory.
        """
        if self._ahead and self._ahead[-1][0] == transaction:
            self._ahead[-1] = (transaction, boundary)
        else:
            self._ahead.append((transaction, boundary))

    def reached(self, oldest: int | None) -> Place:
        """The newest boundary before which nothing is left in the lanes; `oldest` is Lanes.oldest."""
        # `<`: other changes of the oldest transaction may still be in the lanes.
        while self._ahead and (oldest is None or self._ahead[0][0] < oldest):
            self._reached = self._ahead.popleft()[1]
        return self._reached
