"""How processes beside a command's own begin and end. The load, the export and verify begin theirs here."""

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
    So many processes, each of which calls `begin` with the argument first; both travel to it (pickle).

    They leave Ctrl-C to the command and end with it, also when it is killed. What `begin` raises, breaks
    the pool: what may fail is better made for the first piece of work, whose caller gets the error.
    """
    return ProcessPoolExecutor(processes, SPAWN, _begin, (begin, argument))


def leave_interrupts() -> None:
    """From now on Ctrl-C, which reaches all processes of a terminal, is for the parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _begin[T](begin: Callable[[T], None], argument: T) -> None:
    leave_interrupts()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    begin(argument)


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
