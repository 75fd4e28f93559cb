"""`ferry status --watch`: the state repeatedly, with the rates in between."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

type State = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rates:
    """Changes captured and applied, and rows loaded, a second; seconds left (None: unknown)."""

    captured: float
    applied: float
    rows: float
    load_left: float | None
    backlog_left: float | None

    @property
    def fields(self) -> dict[str, float | None]:
        return {
            "captured_per_second": round(self.captured, 1),
            "applied_per_second": round(self.applied, 1),
            "rows_per_second": round(self.rows, 1),
            "load_seconds_left": self.load_left and round(self.load_left),
            "backlog_seconds_left": self.backlog_left and round(self.backlog_left),
        }


def rates(before: State, now: State, seconds: float) -> Rates:
    """The rates between two states, `seconds` apart."""

    def rate(value: Callable[[State], float]) -> float:
        return max(0.0, value(now) - value(before)) / seconds

    captured, rows = rate(lambda state: state["capture"]["changes"]), rate(_rows)
    applied, chunks = rate(lambda state: state["applied"]), rate(_chunks)
    open_ = sum(load["chunks"] for load in now["bulk"]) - _chunks(now)
    shrinking = applied - captured
    backlog = now["backlog"]["changes"]
    return Rates(
        captured,
        applied,
        rows,
        0.0 if not open_ else open_ / chunks if chunks else None,
        0.0 if not backlog else backlog / shrinking if shrinking > 0 else None,
    )


def _rows(state: State) -> float:
    return float(sum(load["rows"] for load in state["bulk"]))


def _chunks(state: State) -> float:
    return float(sum(load["done"] for load in state["bulk"]))


def watched(
    look: Callable[[], State], every: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Iterator[tuple[State, Rates | None]]:
    """Yields a state now, and another every so many seconds, with the rates since the one before. Endless."""
    before, at = look(), clock()
    yield before, None
    while True:
        sleep(every)
        state, now = look(), clock()
        yield state, rates(before, state, max(1e-3, now - at))
        before, at = state, now


def show(
    look: Callable[[], State],
    every: float,
    line: Callable[[State], str],
    table: Callable[[State], Table],
    console: Console | None = None,
) -> None:
    """Shows the state until it is interrupted: a screen on a terminal, else one line each time."""
    console = console or Console()
    states = watched(look, every, time.monotonic, time.sleep)
    if not console.is_terminal:
        for state, found in states:
            print(line(state) + (f"; {_text(found)}" if found else ""), flush=True)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for state, found in states:
            now = time.strftime("%H:%M:%S")
            words = f"{now}, every {every:g} s, Ctrl-C ends; {_text(found) if found else 'rates follow'}"
            live.update(Group(Text(line(state)), Text(), table(state), Text(), Text(words)), refresh=True)


def _text(found: Rates) -> str:
    text = f"captured {found.captured:,.0f}/s, applied {found.applied:,.0f}/s"
    if found.rows or found.load_left:
        text += f", load {found.rows:,.0f} rows/s, {_time(found.load_left)} left"
    return text + ("" if found.backlog_left == 0.0 else f", backlog {_time(found.backlog_left)} left")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "? time"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
