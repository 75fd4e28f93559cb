"""The rate of a load: state machines without I/O or clock."""

from dataclasses import dataclass
from math import inf

_BURST = 1.0  # seconds: an idle bucket saves up the tokens of this time, no more
_DUST = 1e-6  # seconds: shorter pauses are rounding errors


@dataclass(slots=True)
class TokenBucket:
    """
    A token bucket that may go into debt: the cost of a request is known only once it is answered.

    `now` is seconds of a monotonic clock; `rate` is tokens a second, and may change at any time.
    """

    _tokens: float = 0.0
    _last: float | None = None

    def take(self, amount: float, rate: float, now: float) -> float:
        """
        Takes the tokens and returns 0, or takes none and returns the seconds to wait before another try.
        """
        self._refill(rate, now)
        if self._tokens < 0 and (pause := -self._tokens / rate if rate else inf) > _DUST:
            return pause
        self._tokens -= amount
        return 0.0

    def correct(self, amount: float) -> None:
        """Takes the difference to the real cost; a negative amount gives tokens back."""
        self._tokens -= amount

    def _refill(self, rate: float, now: float) -> None:
        passed = now - (now if self._last is None else self._last)
        self._last = now
        # Without a limit there is nothing to compute, and inf * 0 is not a number.
        self._tokens = 0.0 if rate == inf else min(rate * _BURST, self._tokens + rate * passed)


@dataclass(slots=True)
class Adaptive:
    """
    A rate in WCU/s that follows what the table takes: additive increase, multiplicative decrease.

    Unlimited until DynamoDB first throttles.
    """

    rate: float = inf
    _peak: float = 0.0

    FACTOR = 0.7
    """What is left of the rate that went through, after a step with throttles."""
    LEAST = 5.0
    """WCU/s: the lowest rate after throttles, and the smallest increase a second."""
    RISE = 0.02
    """The increase each second, as a share of the highest rate that went through."""

    def step(self, used: float, throttles: int, seconds: float) -> float:
        """Returns the new rate. `used`: the WCU/s that went through in the last `seconds`."""
        self._peak = max(self._peak, used)
        if throttles:
            # By what went through: the rate itself is infinite until now, or higher than the table ever took.
            self.rate = max(self.LEAST, min(self.rate, used) * self.FACTOR)
        else:
            self.rate += max(self.LEAST, self._peak * self.RISE) * seconds
        return self.rate
