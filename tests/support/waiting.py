"""
How tests wait: for the event, for as long as it takes. The only deadline is the test's own, pytest's timeout.

A second deadline would decide by the machine's speed, and say less: pytest shows where the test waits.
"""

import time
from collections.abc import Callable

LOOK = 0.02  # seconds


def wait_for[Found](what: Callable[[], Found], check: Callable[[], None] = lambda: None) -> Found:
    """What `what` finds, once that is true. `check` raises where it can no longer come."""
    while not (found := what()):
        check()
        time.sleep(LOOK)
    return found
