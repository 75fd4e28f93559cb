"""Progress of long work, on standard error: a bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 5.0  # seconds between two lines


@dataclass(frozen=True, slots=True)
class Shown:
    """
    Functions to call during the work: `step(done, total, note)`, total 0 when unknown, and `report(line)`.
    """

    step: Callable[[int, int, str], None]
    report: Callable[[str], None]


@contextmanager
def progress(
    what: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic, unit: str = "rows"
) -> Iterator[Shown]:
    """Context manager: shows the progress of `what`, counted in `unit`."""
    stream = stream or sys.stderr
    if stream.isatty():
        with _bar(what, Console(file=stream), unit) as shown:
            yield shown
    else:
        yield _lines(what, stream, clock, unit)


@contextmanager
def _bar(what: str, console: Console, unit: str) -> Iterator[Shown]:
    columns = ("{task.description}", BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    started = time.monotonic()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=None, note="")
        before: int | None = None

        def step(done: int, total: int, note: str) -> None:
            nonlocal before
            before = done if before is None else before
            text = f"{note}, {_rate(done - before, started, time.monotonic(), unit)}"
            # The total is often an estimate, and may be too low.
            bar.update(task, completed=min(done, total or done), total=total or None, note=text)

        # A message may have square brackets, which rich would take for markup.
        yield Shown(step, lambda line: console.print(line, markup=False, highlight=False))


def _lines(what: str, stream: TextIO, clock: Callable[[], float], unit: str) -> Shown:
    started = last = clock()
    before: int | None = None  # the work of an earlier run, which is not part of the rate

    def report(line: str) -> None:
        print(line, file=stream, flush=True)

    def step(done: int, total: int, note: str) -> None:
        nonlocal last, before
        before = done if before is None else before
        now = clock()
        if now - last >= LINE_EVERY:
            last = now
            left = _remaining(done, total, done - before, now - started)
            report(f"{what}: {note}, {_rate(done - before, started, now, unit)}{left}")

    return Shown(step, report)


def _rate(done: int, started: float, now: float, unit: str) -> str:
    return f"{done / max(now - started, 1e-3):,.0f} {unit}/s"


def _remaining(done: int, total: int, lately: int, passed: float) -> str:
    if not total or not lately:
        return ""
    seconds = max(0, total - done) * passed / lately
    return f", {min(100, 100 * done // total)} %, {seconds:,.0f} s left"
