"""Verify's readers: processes that each read one piece at a time, or one thread where that is enough."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process

from ferry.pieces import Got, Piece, Reader
from rowferry.errors import Unapplied

type Open = Callable[[], Reader]
"""Makes a reader, in whichever process it is called; so it has to be one that pickle takes."""

_own = threading.local()


@contextmanager
def started(open_: Open, processes: int) -> Iterator[Executor]:
    """
    So many readers; 0: a thread, as a process takes half a second to start. Unapplied when one was killed.
    """
    executor: Executor = (
        ProcessPoolExecutor(processes, get_context("spawn"), _begin_process, (open_,))
        if processes
        else ThreadPoolExecutor(1, "reader", _begin, (open_,))
    )
    try:
        yield executor
    except BrokenExecutor as error:
        raise Unapplied(
            "a reader was killed, as the system does for lack of memory",
            "run it again with a smaller --parallel: it goes on",
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def read(piece: Piece) -> Got:
    """Reads one piece, in a reader's process or thread."""
    if not hasattr(_own, "reader"):  # not when it began: what fails here is told
        _own.reader = _own.open()
    reader: Reader = _own.reader
    return reader.read(piece)


def _begin(open_: Open) -> None:
    _own.open = open_


def _begin_process(open_: Open) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the operator's Ctrl-C is for the command itself
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _begin(open_)


def _end_with_parent() -> None:
    """A command that was killed leaves no readers behind."""
    if parent := parent_process():
        parent.join()
    os._exit(1)
