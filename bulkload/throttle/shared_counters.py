"""
Numbers in memory that the load shares with its worker processes.

Each number has one writer, so there is no lock that a killed process could leave locked.
"""

from ctypes import c_double
from math import inf
from multiprocessing.sharedctypes import RawArray

_RENEWED, _STOPPED, _UNITS, _ROWS = range(4)
_HEAD = 4  # numbers that the load sets
_EACH = 3  # numbers that each worker counts: units, throttles, rows


class SharedCounters:
    """What the load sets for all workers, and what each of the `workers` has counted."""

    def __init__(self, workers: int) -> None:
        # Raw: an Array has the lock that is to be avoided here.
        self._numbers = RawArray(c_double, _HEAD + _EACH * workers)
        self.allow(inf, inf)

    @property
    def renewed(self) -> float:
        """When the loader's lock was renewed: time.monotonic(), the same for all processes of a machine."""
        return self._numbers[_RENEWED]

    @renewed.setter
    def renewed(self, when: float) -> None:
        self._numbers[_RENEWED] = when

    @property
    def stopped(self) -> bool:
        """Whether no request may be begun any more."""
        return bool(self._numbers[_STOPPED])

    def stop(self) -> None:
        """Ends all workers before their next request."""
        self._numbers[_STOPPED] = 1

    def allow(self, units: float, rows: float) -> None:
        """Sets what EACH worker may write (WCU/s) and read (rows/s); `inf`: no limit."""
        self._numbers[_UNITS], self._numbers[_ROWS] = units, rows

    @property
    def units(self) -> float:
        """WCU/s that each worker may write."""
        return self._numbers[_UNITS]

    @property
    def rows(self) -> float:
        """Rows/s that each worker may read."""
        return self._numbers[_ROWS]

    def add(self, worker: int, units: float = 0, throttles: int = 0, rows: int = 0) -> None:
        """Adds to the worker's counts. Only that worker may call it, one thread at a time."""
        first = _HEAD + _EACH * worker
        for place, amount in enumerate((units, throttles, rows), first):
            self._numbers[place] += amount

    def totals(self) -> tuple[float, int, int]:
        """WCU written, throttles met and rows read by all workers."""
        units, throttles, rows = (sum(self._numbers[_HEAD + place :: _EACH]) for place in range(_EACH))
        return units, int(throttles), int(rows)
