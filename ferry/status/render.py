"""The output of `ferry status`: a line whose fields are always the same, and a table."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def line(state: Mapping[str, Any]) -> str:
    """The state in one line, whose fields are always the same."""
    captured = state["capture"]
    done, chunks = (sum(table[name] for table in state["bulk"]) for name in ("done", "chunks"))
    lag = "?" if captured["lag_bytes"] is None else f"{captured['lag_bytes']:,}"
    seconds = "?" if captured["lag_seconds"] is None else f"{captured['lag_seconds']:,}"
    age = "?" if captured["age_seconds"] is None else f"{captured['age_seconds']:.0f}"
    return (
        f"bulk {done}/{chunks}; switch {state['switch']};"
        f" capture {captured['state']} {captured.get('binlog', '-')} lag {lag} B {seconds} s,"
        f" reported {age} s ago; captured {captured['changes']}; applied {state['applied']};"
        f" repeats {state['repeats']}; quarantine {state['queue']}; waits: {state['waits'] or 'no'}"
    )


def _backlog_text(waiting: Mapping[str, Any]) -> str:
    text = f"{waiting['changes']:,} changes, {waiting['records']:,} records"
    if waiting["oldest_seconds"]:
        text += f", the oldest for {waiting['oldest_seconds']:,.0f} s"
    if waiting["hours_left"] is not None:
        text += (
            f"; the stream keeps it for {waiting['hours_left']:g} of {waiting['retention_hours']} hours more"
        )
    return text


def server_text(captured: Mapping[str, Any]) -> str:
    text = f"{captured['server']}, epoch {captured['epoch']}"
    *former, present = captured["epochs"]
    if former:
        text += (
            f", since {present['file']}:{present['offset']}; failovers: {len(former)}, the last one from"
            f" {former[-1]['server']} at {former[-1]['end']}"
        )
    return text


def table(state: Mapping[str, Any]) -> Table:
    """The state as a table, a row for each part."""
    rows = Table(show_header=False, box=None, pad_edge=False)
    for load in state["bulk"]:
        rows.add_row(
            f"bulk {load['table']}",
            f"{load['state']}, {load['done']:,} of {load['chunks']:,} chunks, {load['rows']:,} rows,"
            f" {load['items']:,} items, {load['unusable']:,} unusable",
        )
    captured, lag, mark = state["capture"], state["lag_ms"], state["marker"]
    rows.add_row("captured", f"{captured['changes']:,} changes, up to {captured['position'] or '-'}")
    if captured["state"] != "none":
        rows.add_row("server", server_text(captured))
    rows.add_row("applied", f"{state['applied']:,} changes, {state['repeats']:,} repeats")
    if lag["half"] is not None:
        rows.add_row("lag", f"half within {lag['half']:,} ms, 99 of 100 within {lag['99 of 100']:,} ms")
    rows.add_row("quarantine", f"{state['queue']:,} messages, {state['quarantined']:,} changes so far")
    rows.add_row("backlog", _backlog_text(state["backlog"]))
    if last := state["verified"]:
        rows.add_row(
            "verified",
            f"{last['minutes']:,.0f} min ago, {last['left']:,} differences, {last['unsettled']:,} unsettled",
        )
    if state["cutover"] != "open":
        rows.add_row("cutover", state["cutover"])
    if mark["position"]:
        rows.add_row("marker", f"{mark['applied']} of {mark['lanes'] or '?'} lanes, for {mark['position']}")
    return rows
