"""
How tests wait: for the event, for as long as it takes. The only deadline is the test's own, pytest's timeout.

A second deadline would decide by the machine's speed, and say less: pytest shows where the test waits.
"""

import select
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

LOOK = 0.02  # seconds


def wait_for[Found](what: Callable[[], Found], check: Callable[[], None] = lambda: None) -> Found:
    """What `what` finds, once that is true. `check` raises where it can no longer come."""
    while not (found := what()):
        check()
        time.sleep(LOOK)
    return found


type Running = subprocess.Popen[Any] | threading.Thread


def while_alive[Found](what: Callable[[], Found], *needed: Running) -> Found:
    """What `what` finds, once that is true. Fails with the output of any `needed` that ended before."""
    while not (found := what()):
        if ended := [one for one in needed if _has_ended(one)]:
            if found := what():  # it came just before the end
                return found
            raise AssertionError(*map(_end_of, ended))
        time.sleep(LOOK)
    return found


def _has_ended(one: Running) -> bool:
    """With its children that have its stderr: the guard of a cutover goes on when the cutover is dead."""
    if isinstance(one, threading.Thread):
        return not one.is_alive()
    if one.poll() is None:
        return False
    if one.stderr is None or one.stderr.closed:
        return True
    pipe = select.poll()
    pipe.register(one.stderr, 0)
    return any(event & select.POLLHUP for _, event in pipe.poll(0))


def _end_of(one: Running) -> str:
    if isinstance(one, threading.Thread):
        return f"{one.name} has ended"
    written = "".join(str(text) for text in one.communicate() if text)
    return f"ended with status {one.returncode}: {written}"
