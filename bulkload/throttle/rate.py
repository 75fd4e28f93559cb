"""How fast a load may go: state machines without input, output or clock."""

from dataclasses import dataclass
from math import inf

_BURST = 1.0  # seconds' worth of tokens that an idle bucket holds
_DUST = 1e-6  # seconds: shorter pauses are what rounding leaves


@dataclass(slots=True)
class TokenBucket:
    """
    A token bucket that goes into debt: what a request costs is known when it is answered.

    `now` is seconds of a clock that does not go back; `rate` is tokens a second, and may change at any time.
    """

    _tokens: float = 0.0
    _last: float | None = None

    def take(self, amount: float, rate: float, now: float) -> float:
        """Takes the tokens and returns 0, or takes none and returns the seconds to wait before it may."""
        self._refill(rate, now)
        if self._tokens < 0 and (pause := -self._tokens / rate if rate else inf) > _DUST:
            return pause
        self._tokens -= amount
        return 0.0

    def correct(self, amount: float) -> None:
        """Takes (or, below 0, gives back) what was found to be needed besides."""
        self._tokens -= amount

    def _refill(self, rate: float, now: float) -> None:
        passed = now - (now if self._last is None else self._last)
        self._last = now
        self._tokens = 0.0 if rate == inf else min(rate * _BURST, self._tokens + rate * passed)


@dataclass(slots=True)
class Adaptive:
    """
    A rate in WCU/s that finds what the table takes: lowered by a factor when throttled, else raised steadily.

    Without a limit until DynamoDB first throttles.
    """

    rate: float = inf
    _peak: float = 0.0

    FACTOR = 0.7
    LEAST = 5.0
    RISE = 0.02
    """Of the highest rate that was seen to go through, each second."""

    def step(self, used: float, throttles: int, seconds: float) -> float:
        """The rate from now on. `used` is the WCU/s that went through in the last `seconds`."""
        self._peak = max(self._peak, used)
        if throttles:
            self.rate = max(self.LEAST, min(self.rate, used) * self.FACTOR)
        else:
            self.rate += max(self.LEAST, self._peak * self.RISE) * seconds
        return self.rate
