"""`ferry status`: one line with constant fields, a table, and why it waits."""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from ferry import watch
from ferry.backlog import backlog, kept, oldest_seconds
from ferry.cutover.journal import CUTOVER
from ferry.lag import lag_bytes, lag_seconds
from ferry.settings import Setting, Stack, find_stack
from ferry.standing import line, table
from ferry.waits import waits
from rowferry.control_table import APPLIED, CHECKPOINT, MARKER, VERIFIED, ControlTable
from rowferry.mysql import server
from rowferry.position import BinlogOffset

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
               lag_bytes, lag_seconds: binlog beyond it, and since when its first transaction has been there
               (null without --source); age_seconds: since it last reported
  applied      changes applied; repeats: already held by the item; quarantined: set aside
  lag_ms       from the commit in MySQL to being applied, since the beginning: half of the changes, 99 of 100
  queue        messages in the quarantine now
  backlog      captured changes that are not applied, and their records on the stream; oldest_seconds: since
               when the oldest waits, as the last batch had it; hours_left: of retention_hours, for which the
               stream keeps it
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
            watch.show(lambda: look(setting, connection), arguments.watch, line, table)
        state = look(setting, connection)
    finally:
        if connection is not None:
            connection.close()
    if arguments.json:
        print(json.dumps(state))
    else:
        print(line(state))
        Console().print(table(state))
    return 0


def look(setting: Setting, connection: server.Connection | None) -> dict[str, Any]:
    """Everything, by a dozen of small requests."""
    control, stack = setting.control, find_stack(setting.client("cloudformation"), setting.stack.name)
    checkpoint, counters, now = control.get(CHECKPOINT), control.get(APPLIED), time.time()
    state: dict[str, Any] = {
        "stack": stack.name,
        "switch": stack.output("SwitchState"),
        "bulk": bulk(control, [table.source for table in setting.mapping.tables]),
        "capture": capture(checkpoint, connection, now) | behind(setting, connection, checkpoint),
        **applied(counters),
        "queue": queued(setting.client("sqs"), stack.output("QuarantineUrl")),
        "backlog": waiting(setting, stack, checkpoint, counters, now),
        "marker": marker(control),
        "verified": verified(control.get(VERIFIED), now),
        "cutover": control.get(CUTOVER).get("phase", "open"),
    }
    state["waits"] = waits(state)
    return state


def behind(
    setting: Setting, connection: server.Connection | None, checkpoint: Mapping[str, Any]
) -> dict[str, Any]:
    """For how long what capture has not reached has been in the binlog."""
    if connection is None or not checkpoint:
        return {"lag_seconds": None}
    reached = BinlogOffset(checkpoint["file"], checkpoint["offset"])
    return {"lag_seconds": lag_seconds(connection, setting.source, reached)}


def waiting(
    setting: Setting, stack: Stack, checkpoint: Mapping[str, Any], counters: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """The backlog; `now` in seconds since 1970."""
    kinesis, stream = setting.client("kinesis"), stack.output("StreamName")
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
    checkpoint: Mapping[str, Any], connection: server.Connection | None, now: float
) -> dict[str, Any]:
    """The capturer's state, position and lag; `now` in seconds since 1970."""
    if not checkpoint:
        return {"state": "none", "position": None, "lag_bytes": None, "age_seconds": None, "changes": 0}
    reached = BinlogOffset(checkpoint["file"], checkpoint["offset"]).position(checkpoint["epoch"])
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
