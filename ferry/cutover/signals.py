"""Signals and the pause limit: exceptions before the point of no return, ignored after it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rowferry.errors import RowferryError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TimedOut(RowferryError):
    """--pause-limit has passed."""


class _Late(BaseException):
    """Becomes TimedOut. Not an Exception, which botocore would treat as a failed request, and retry."""


class Interrupted(KeyboardInterrupt):
    """A signal, before the point of no return."""


@contextmanager
def interruptible(seconds: float) -> Iterator[None]:
    """Signals raise Interrupted, and the clock TimedOut, until the end of the context. Main thread only."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        _ignore()  # a second signal must not interrupt the lifting of the fence
        raise Interrupted(signal.Signals(number).name)

    def late(_number: int, _frame: FrameType | None) -> None:
        _ignore()
        raise _Late

    before = {number: signal.signal(number, interrupt) for number in SIGNALS}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except _Late:
        raise TimedOut(
            f"the pause would be longer than {seconds:g} s", "raise --pause-limit, or try later"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _restore(before)


@contextmanager
def deferred() -> Iterator[None]:
    """Ignores signals. Not with SIG_IGN: a hook would inherit that, and Ctrl-C could not end it."""
    before = {number: signal.signal(number, _nothing) for number in SIGNALS}
    try:
        yield
    finally:
        _restore(before)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    pass


def _ignore() -> None:
    for number in SIGNALS:
        signal.signal(number, _nothing)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _restore(before: Any) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)
