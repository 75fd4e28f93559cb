"""`ferry status`: one line with constant fields, a table, and why it waits."""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from ferry import watch
from ferry.cutover.journal import CUTOVER
from ferry.settings import Setting, find_stack
from rowferry import source
from rowferry.control import APPLIED, CHECKPOINT, MARKER, VERIFIED, ControlTable
from rowferry.position import Position, file_number

SILENT_AFTER = 30.0  # seconds; a capturer writes its checkpoint about once a second
LAG_BASE = 1.25
"""The consumer counts lags in buckets: N holds those above 1.25**(N-1) and up to 1.25**N milliseconds."""
EPILOG = """\
examples:
  ferry status
  ferry status --json | jq .waits
  ferry status --watch            # a screen that goes on; without a terminal a line every 2 seconds

fields of the line and of --json:
  bulk         chunks of the bulk load done, of all planned
  switch       ON when the consumer applies changes
  capture      none, capturing, waiting or stopped; position: up to where every change is on the stream;
               lag_bytes: binlog beyond it (null without --source); age_seconds: since it last reported
  applied      changes applied; repeats: already held by the item; quarantined: set aside
  lag_ms       from the commit in MySQL to being applied, since the beginning: half of the changes, 99 of 100
  queue        messages in the quarantine now
  backlog      captured changes that are not applied; the stream keeps a change for retention_hours
  verified     the last `ferry verify`: minutes since its end, differences left, unsettled items; null: none
  cutover      its phase: open, fencing, fenced, pointing, done, lifting, lifted
  marker       lanes that have applied the last marker (`ferry drain`), of all
  waits        why it is not further, and what to do; empty when nothing waits

exit status: 0; 2 an error"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "status",
        parents=[common],
        help="how far everything is, and why it waits",
        description="How far everything is, and why it waits.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=2.0,
        metavar="SECONDS",
        help="look again every so many seconds (2), until Ctrl-C; with the rates in between",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    connection = setting.connect() if setting.has_source else None
    try:
        if arguments.watch and arguments.json:
            for state, found in watch.watched(
                lambda: look(setting, connection), arguments.watch, time.monotonic, time.sleep
            ):
                print(json.dumps({**state, "rates": found and found.fields}), flush=True)
        if arguments.watch:
            watch.show(lambda: look(setting, connection), arguments.watch, line, _table)
        state = look(setting, connection)
    finally:
        if connection is not None:
            connection.close()
    if arguments.json:
        print(json.dumps(state))
    else:
        print(line(state))
        Console().print(_table(state))
    return 0


def look(setting: Setting, connection: source.Connection | None) -> dict[str, Any]:
    """Everything, by a dozen of small requests."""
    control, stack = setting.control, find_stack(setting.client("cloudformation"), setting.stack.name)
    checkpoint, counters, now = control.get(CHECKPOINT), control.get(APPLIED), time.time()
    state: dict[str, Any] = {
        "stack": stack.name,
        "switch": stack.output("SwitchState"),
        "bulk": bulk(control, [table.source for table in setting.mapping.tables]),
        "capture": capture(checkpoint, connection, now),
        **applied(counters),
        "queue": queued(setting.client("sqs"), stack.output("QuarantineUrl")),
        "backlog": {
            "changes": max(0, checkpoint.get("changes", 0) - counters.get("changes", 0)),
            "retention_hours": int(stack.parameters.get("StreamRetentionHours", "0")) or None,
        },
        "marker": marker(control),
        "verified": verified(control.get(VERIFIED), now),
        "cutover": control.get(CUTOVER).get("phase", "open"),
    }
    state["waits"] = waits(state)
    return state


def verified(found: Mapping[str, Any], now: float) -> dict[str, Any] | None:
    """The last verify; `now` in seconds since 1970."""
    if not found:
        return None
    minutes = round((now - found["at"] / 1000) / 60, 1)
    return {"minutes": minutes, "left": found["left"], "unsettled": found["unsettled"]}


def bulk(control: ControlTable, sources: Sequence[str]) -> list[dict[str, Any]]:
    """For each source table: state (none, loading, done), chunks done and planned, rows, items, unusable."""
    epoch = control.get(CHECKPOINT).get("epoch")
    return [_bulk_of(control, name, epoch) for name in sources]


def _bulk_of(control: ControlTable, name: str, epoch: int | None) -> dict[str, Any]:
    plan = control.get(f"load#{name}")
    if plan.get("epoch") != epoch:  # capture has begun anew since: the load has to be done again
        plan = {}
    count = int(plan.get("chunks", 0))
    chunks = [
        chunk for chunk in control.items(f"chunk#{name}#") if int(chunk["pk"].rpartition("#")[2]) <= count
    ]
    done = [chunk for chunk in chunks if chunk["state"] == "done"]
    sums = {field: sum(int(chunk.get(field, 0)) for chunk in done) for field in ("rows", "items", "unusable")}
    return {"table": name, "state": plan.get("state", "none"), "done": len(done), "chunks": count, **sums}


def capture(
    checkpoint: Mapping[str, Any], connection: source.Connection | None, now: float
) -> dict[str, Any]:
    """The capturer's state, position and lag; `now` in seconds since 1970."""
    if not checkpoint:
        return {"state": "none", "position": None, "lag_bytes": None, "age_seconds": None, "changes": 0}
    reached = Position(checkpoint["epoch"], file_number(checkpoint["file"]), checkpoint["offset"])
    updated = checkpoint.get("updated_ms")
    return {
        "state": checkpoint.get("state", "capturing"),
        "reason": checkpoint.get("reason", ""),
        "fix": checkpoint.get("fix", ""),
        "position": str(reached),
        "binlog": f"{checkpoint['file']}:{checkpoint['offset']}",
        "lag_bytes": None if connection is None else lag_bytes(connection, reached),
        "age_seconds": None if updated is None else round(max(0.0, now - updated / 1000), 1),
        "changes": checkpoint.get("changes", 0),
    }


def lag_bytes(connection: source.Connection, reached: Position) -> int:
    """Bytes of binlog that the source has written beyond the position."""
    files = {
        file_number(row["log_name"]): int(row["file_size"])
        for row in source.rows(connection, "SHOW BINARY LOGS")
    }
    later = sum(size for number, size in files.items() if number > reached.file)
    return later + max(0, files.get(reached.file, 0) - reached.offset)


def applied(counters: Mapping[str, Any]) -> dict[str, Any]:
    """Counters of the consumer, and the lag in milliseconds of half and of 99 in 100 changes."""
    lags = sorted((int(name[4:]), int(count)) for name, count in counters.items() if name.startswith("lag_"))
    return {
        "applied": counters.get("applied", 0),
        "repeats": counters.get("repeats", 0),
        "quarantined": counters.get("quarantined", 0),
        "lag_ms": {"half": _share(lags, 0.5), "99 of 100": _share(lags, 0.99)},
    }


def _share(lags: Sequence[tuple[int, int]], share: float) -> int | None:
    left = share * sum(count for _, count in lags)
    for bucket, count in lags:
        left -= count
        if left <= 0:
            return round(LAG_BASE**bucket)
    return None


def queued(sqs: Any, url: str) -> int:
    """Messages in the quarantine, about."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found.get(name, 0)) for name in names)


def marker(control: ControlTable) -> dict[str, Any]:
    """How many lanes have applied the last marker; None without one."""
    asked = control.get(MARKER)
    lanes = asked.get("lanes", 0)
    done = control.get(f"{MARKER}#{asked['id']}").get("applied", set()) if asked else set()
    return {"position": asked.get("position"), "applied": len(done), "lanes": lanes}


def waits(state: Mapping[str, Any]) -> str:
    """Why it is not further, and what to do: the first reason in the order of a move."""
    return next(_reasons(state), "")


def _reasons(state: Mapping[str, Any]) -> Iterator[str]:
    yield from _capture_waits(state["capture"])
    for table in state["bulk"]:
        yield from _load_waits(table)
    if state["switch"] != "ON":
        yield "the switch is OFF: run `ferry switch on`"
    if state["queue"]:
        yield f"{state['queue']} messages are in the quarantine: run `ferry quarantine retry`"


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


def line(state: Mapping[str, Any]) -> str:
    """Everything in one line whose fields are always the same."""
    captured = state["capture"]
    done, chunks = (sum(table[name] for table in state["bulk"]) for name in ("done", "chunks"))
    lag = "?" if captured["lag_bytes"] is None else f"{captured['lag_bytes']:,}"
    age = "?" if captured["age_seconds"] is None else f"{captured['age_seconds']:.0f}"
    return (
        f"bulk {done}/{chunks}; switch {state['switch']};"
        f" capture {captured['state']} {captured.get('binlog', '-')} lag {lag} B,"
        f" reported {age} s ago; captured {captured['changes']}; applied {state['applied']};"
        f" repeats {state['repeats']}; quarantine {state['queue']}; waits: {state['waits'] or 'no'}"
    )


def _table(state: Mapping[str, Any]) -> Table:
    table = Table(show_header=False, box=None, pad_edge=False)
    for load in state["bulk"]:
        table.add_row(
            f"bulk {load['table']}",
            f"{load['state']}, {load['done']:,} of {load['chunks']:,} chunks, {load['rows']:,} rows,"
            f" {load['items']:,} items, {load['unusable']:,} unusable",
        )
    captured, lag, mark = state["capture"], state["lag_ms"], state["marker"]
    table.add_row("captured", f"{captured['changes']:,} changes, up to {captured['position'] or '-'}")
    table.add_row("applied", f"{state['applied']:,} changes, {state['repeats']:,} repeats")
    if lag["half"] is not None:
        table.add_row("lag", f"half within {lag['half']:,} ms, 99 of 100 within {lag['99 of 100']:,} ms")
    table.add_row("quarantine", f"{state['queue']:,} messages, {state['quarantined']:,} changes so far")
    kept = state["backlog"]["retention_hours"]
    table.add_row(
        "backlog",
        f"{state['backlog']['changes']:,} changes"
        + (f"; the stream keeps each for {kept} hours" if kept else ""),
    )
    if last := state["verified"]:
        table.add_row(
            "verified",
            f"{last['minutes']:,.0f} min ago, {last['left']:,} differences, {last['unsettled']:,} unsettled",
        )
    if state["cutover"] != "open":
        table.add_row("cutover", state["cutover"])
    if mark["position"]:
        table.add_row("marker", f"{mark['applied']} of {mark['lanes'] or '?'} lanes, for {mark['position']}")
    return table
