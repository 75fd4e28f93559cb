"""The reason why a move waits, and what to do."""

from collections.abc import Iterator, Mapping
from typing import Any

SILENT_AFTER = 30.0  # seconds; a running capturer writes its checkpoint about once a second
EXPIRES_SOON = 0.25
"""Share of the retention: with less left, the operator has to act."""


def waits(state: Mapping[str, Any]) -> str:
    """The first reason in the order of a move, with what to do; empty when nothing waits."""
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
            " raise StreamRetentionHours now (`sam deploy`), then find out what stops the consumer"
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
        yield f"the load of {table['table']} is not done: run `ferry load` to its end"
