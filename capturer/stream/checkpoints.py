"""Up to which transaction boundary every change is on the stream. Pure: no I/O, no clock."""

from collections import deque


class Checkpoints[Place]:
    """
    The boundaries that have been read and are not yet safe to resume from, with what belongs to each.

    A transaction is safe when the lanes hold no change of it nor of an earlier
    one. So nothing is counted per change: the number of the oldest transaction
    that is left in the lanes decides.
    """

    def __init__(self, start: Place) -> None:
        self._reached = start
        self._ahead: deque[tuple[int, Place]] = deque()

    def ended(self, transaction: int, boundary: Place) -> None:
        """
        Every change before the boundary belongs to `transaction` or an earlier one.

        Transactions without mapped rows repeat the number of the last one that
        had some: they move the boundary and take no room.
        """
        if self._ahead and self._ahead[-1][0] == transaction:
            self._ahead[-1] = (transaction, boundary)
        else:
            self._ahead.append((transaction, boundary))

    def reached(self, oldest: int | None) -> Place:
        """The newest boundary before which nothing is left; `oldest` is Lanes.oldest: None when empty."""
        while self._ahead and (oldest is None or self._ahead[0][0] < oldest):
            self._reached = self._ahead.popleft()[1]
        return self._reached
