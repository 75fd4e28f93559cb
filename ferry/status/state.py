"""
The state of a move, read from the control table, AWS and the source: the fields of `ferry status --json`.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ferry.context import Context, Stack, find_stack
from ferry.status.advice import waits
from ferry.status.backlog import backlog, kept, oldest_seconds
from ferry.status.lag import lag_bytes, lag_seconds
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import (
    APPLIED,
    CHECKPOINT,
    CUTOVER,
    MARKER,
    VERIFIED,
    ControlTable,
    chunk_number,
    chunks_of,
    load_key,
    marker_key,
)
from rowferry.histogram import percentile
from rowferry.mysql import server
from rowferry.position import BinlogOffset


def look(context: Context, connection: server.Connection | None) -> dict[str, Any]:
    """The whole state, by about a dozen small requests. `connection`: to the source, None without one."""
    # Not context.stack, which is looked up once: `--watch` has to show a switch that has been turned since.
    control, stack = context.control, find_stack(context.client("cloudformation"), context.stack.name)
    checkpoint, counters, now = control.get(CHECKPOINT), control.get(APPLIED), time.time()
    captured = connection if connection and _is_captured(connection, checkpoint) else None
    state: dict[str, Any] = {
        "stack": stack.name,
        "switch": stack.output("SwitchState"),
        "bulk": bulk(control, [table.source for table in context.mapping.tables]),
        "capture": capture(checkpoint, captured, now) | lag(context, captured, checkpoint),
        **applied(counters),
        "queue": queued(context.client("sqs"), stack.output("QuarantineUrl")),
        "backlog": waiting(context, stack, checkpoint, counters, now),
        "marker": marker(control),
        "verified": verified(control.get(VERIFIED), now),
        "cutover": control.get(CUTOVER).get("phase", "open"),
    }
    state["waits"] = waits(state)
    return state


def _is_captured(connection: server.Connection, checkpoint: Mapping[str, Any]) -> bool:
    """On another server, as right after a failover, the offsets of the checkpoint mean nothing."""
    return server.identify(connection).identity == checkpoint.get("server")


def lag(
    context: Context, connection: server.Connection | None, checkpoint: Mapping[str, Any]
) -> dict[str, Any]:
    """The lag of capture in seconds. `connection`: to the captured server, None without one."""
    if connection is None or not checkpoint:
        return {"lag_seconds": None}
    reached = BinlogOffset(checkpoint["file"], checkpoint["offset"])
    return {"lag_seconds": lag_seconds(connection, context.source, reached)}


def waiting(
    context: Context, stack: Stack, checkpoint: Mapping[str, Any], counters: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """The backlog with its retention; `now` in seconds since 1970."""
    kinesis, stream = context.client("kinesis"), stack.output("StreamName")
    oldest = oldest_seconds(counters, kinesis, stream, now, applying=stack.switch_is_on)
    described = kinesis.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
    return kept(backlog(checkpoint, counters, oldest), described["RetentionPeriodHours"])


def verified(found: Mapping[str, Any], now: float) -> dict[str, Any] | None:
    """The last verify; `now` in seconds since 1970."""
    if not found:
        return None
    minutes = round((now - found["at"] / 1000) / 60, 1)
    return {"minutes": minutes, "left": found["left"], "unsettled": found["unsettled"]}


def bulk(control: ControlTable, sources: Sequence[str]) -> list[dict[str, Any]]:
    """For each source table: state (none, loading, done), chunks done and planned, rows, items, unusable."""
    checkpoint = Checkpoint.read(control)
    return [_bulk_of(control, name, checkpoint) for name in sources]


def _bulk_of(control: ControlTable, name: str, checkpoint: Checkpoint) -> dict[str, Any]:
    plan = control.get(load_key(name))
    if not checkpoint.has(plan.get("epoch")):  # capture was reset since: the load has to be done again
        plan = {}
    count = int(plan.get("chunks", 0))
    # Higher numbers are leftovers of a planning that was interrupted (bulkload/direct/ledger.py).
    chunks = [chunk for chunk in control.items(chunks_of(name)) if chunk_number(chunk["pk"]) <= count]
    done = [chunk for chunk in chunks if chunk["state"] == "done"]
    sums = {field: sum(int(chunk.get(field, 0)) for chunk in done) for field in ("rows", "items", "unusable")}
    return {"table": name, "state": plan.get("state", "none"), "done": len(done), "chunks": count, **sums}


def capture(
    checkpoint: Mapping[str, Any], connection: server.Connection | None, now: float
) -> dict[str, Any]:
    """
    The capturer's state, position, lag and failovers; `connection`: to the captured server, None without one;
    `now` in seconds since 1970.
    """
    if not checkpoint:
        none = dict.fromkeys(("position", "server", "epoch", "lag_bytes", "age_seconds"))
        return {"state": "none", **none, "epochs": [], "changes": 0}
    view = Checkpoint.of(checkpoint)
    reached = view.position
    updated = checkpoint.get("updated_ms")
    return {
        "state": checkpoint.get("state", "capturing"),
        "reason": checkpoint.get("reason", ""),
        "fix": checkpoint.get("fix", ""),
        "position": str(reached),
        "server": view.server,
        "epoch": view.epoch,
        "epochs": [epoch.fields for epoch in view.epochs],
        "binlog": f"{checkpoint['file']}:{checkpoint['offset']}",
        "lag_bytes": None if connection is None else lag_bytes(connection, reached),
        "age_seconds": None if updated is None else round(max(0.0, now - updated / 1000), 1),
        "changes": checkpoint.get("changes", 0),
    }


def applied(counters: Mapping[str, Any]) -> dict[str, Any]:
    """Counters of the consumer, and the lag in milliseconds of 50 % and of 99 % of the changes."""
    return {
        "applied": counters.get("applied", 0),
        "repeats": counters.get("repeats", 0),
        "quarantined": counters.get("quarantined", 0),
        "lag_ms": {
            "half": _rounded(percentile(counters, 0.5)),
            "99 of 100": _rounded(percentile(counters, 0.99)),
        },
    }


def _rounded(lag: float | None) -> int | None:
    return None if lag is None else round(lag)


def queued(sqs: Any, url: str) -> int:
    """The approximate number of messages in the quarantine, including those that are being read."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found.get(name, 0)) for name in names)


def marker(control: ControlTable) -> dict[str, Any]:
    """How many lanes have applied the last marker; None without one."""
    asked = control.get(MARKER)
    lanes = asked.get("lanes", 0)
    done = control.get(marker_key(asked["id"])).get("applied", set()) if asked else set()
    return {"position": asked.get("position"), "applied": len(done), "lanes": lanes}
