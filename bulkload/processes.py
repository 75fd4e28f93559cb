"""Start and end of worker processes. The load, the export and verify start theirs here."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

SPAWN = multiprocessing.get_context("spawn")
"""A forked process would share sockets, and locks that other threads hold."""


def pool[T](processes: int, begin: Callable[[T], None], argument: T) -> ProcessPoolExecutor:
    """
    A pool of so many processes, each of which first calls `begin` with the argument; both are pickled.

    They leave Ctrl-C to the command and end with it, also when it is killed. An error in `begin` breaks the
    pool: do what may fail in the first piece of work, whose caller then gets the error.
    """
    return ProcessPoolExecutor(processes, SPAWN, _begin, (begin, argument))


def leave_interrupts() -> None:
    """Ignores Ctrl-C from now on: it reaches all processes of a terminal, and the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _begin[T](begin: Callable[[T], None], argument: T) -> None:
    leave_interrupts()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(argument)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        # sys.exit would end only this thread; an orderly end would wait for work that nobody collects.
        os._exit(1)
