"""Why a move is not further, and what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

SILENT_AFTER = 30.0  # seconds; a capturer writes its checkpoint about once a second
EXPIRES_SOON = 0.25
"""Of the retention: with less of it left something has to be done."""


def waits(state: Mapping[str, Any]) -> str:
    """Why it is not further, and what to do: the first reason in the order of a move."""
    return next(_reasons(state), "")


def _reasons(state: Mapping[str, Any]) -> Iterator[str]:
    yield from _backlog_waits(state["backlog"])
    yield from _capture_waits(state["capture"])
    for table in state["bulk"]:
        yield from _load_waits(table)
    if state["switch"] != "ON":
        yield "the switch is OFF: run `ferry switch on`"
    if state["queue"]:
        yield f"{state['queue']} messages are in the quarantine: run `ferry quarantine retry`"


def _backlog_waits(waiting: Mapping[str, Any]) -> Iterator[str]:
    left, kept = waiting["hours_left"], waiting["retention_hours"]
    if left is not None and left < kept * EXPIRES_SOON:
        yield (
            f"the stream loses the oldest changes in {left:g} hours:"
            " raise StreamRetentionHours now (`sam deploy`), then look for what holds the consumer up"
        )


def _capture_waits(captured: Mapping[str, Any]) -> Iterator[str]:
    if captured["state"] == "none":
        yield "no capturer has run yet: start it (CapturerCount=1)"
    elif captured["state"] == "stopped":
        yield f"the capturer has stopped ({captured['reason']}): {captured['fix']}"
    elif captured["state"] == "waiting":
        yield f"the capturer waits ({captured['reason']}): {captured['fix']}"
    elif (captured["age_seconds"] or 0) > SILENT_AFTER:
        yield f"the capturer has not reported for {captured['age_seconds']:.0f} s: see its log, or start it"


def _load_waits(table: Mapping[str, Any]) -> Iterator[str]:
    if table["state"] == "none":
        yield f"the load of {table['table']} has not begun: run `ferry load`"
    elif table["state"] != "done" and table["done"] == table["chunks"]:
        yield f"{table['unusable']} rows of {table['table']} are unusable: see `ferry load --help`"
    elif table["state"] != "done":
        yield f"the load of {table['table']} is not done: let `ferry load` go on"
