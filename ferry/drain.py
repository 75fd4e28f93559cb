"""`ferry drain`: proves that everything before the fence has been applied."""

import argparse
import json
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ferry.settings import Setting
from rowferry import source
from rowferry.control import CHECKPOINT, MARKER, ControlTable
from rowferry.errors import Refused
from rowferry.position import Position

PAUSE = 0.2  # seconds
SILENCE = 60.0  # seconds; a capturer writes its checkpoint every second, one that is replaced is back by then
EPILOG = """\
examples:
  mysql -e 'SET GLOBAL super_read_only = ON'     # the fence; MariaDB: SET GLOBAL read_only = ON
  ferry drain
  ferry drain --timeout 600 --json

Reads where the source's binlog ends now, and sends a marker through every lane once everything before
that is on the stream. When all lanes have applied it, every change up to the printed position is in
DynamoDB or in the quarantine (`ferry status` counts it). Without a fence, changes made after the command
began are not covered.

exit status: 0 drained; 1 not within --timeout; 2 an error"""


@dataclass(frozen=True, slots=True)
class Drained:
    """How far the marker for `position`, the source's end, got: `applied` of `lanes`, after `seconds`."""

    position: str
    applied: int
    lanes: int
    seconds: float

    @property
    def complete(self) -> bool:
        """Every lane has applied the marker."""
        return 0 < self.lanes <= self.applied


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "drain",
        parents=[common],
        help="wait until everything up to now is applied",
        description="Waits until everything that is in the source's binlog now has been applied.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="give up after this time (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    if not setting.stack.switch_is_on:
        raise Refused("the switch is OFF, so nothing is applied", "run `ferry switch on` first")
    connection = setting.connect()
    try:
        drained = drain(setting.control, connection, arguments.timeout, _tell)
    finally:
        connection.close()
    if arguments.json:
        fields = {"position": drained.position, "lanes": drained.lanes, "applied": drained.applied}
        print(json.dumps({**fields, "drained": drained.complete, "seconds": round(drained.seconds, 3)}))
    elif drained.complete:
        print(f"drained: everything before {drained.position} is applied, in all {drained.lanes} lanes")
    if not drained.complete:
        print(
            f"not drained in {drained.seconds:.0f} s: {_progress(drained)}: see `ferry status`, run it again",
            file=sys.stderr,
        )
    return 0 if drained.complete else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def drain(
    control: ControlTable,
    connection: source.Connection,
    timeout: float,
    tell: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Drained:
    """
    Asks for a marker at the source's present end and waits until all lanes have applied it, or the timeout.

    Refused when no capturer runs on this server, it stopped or fell silent, or another drain began meanwhile.
    """
    started = clock()
    end = _end(control, connection)
    marker = uuid.uuid4().hex
    control.update(MARKER, set={"id": marker, "position": str(end), "lanes": 0})
    said, heard, since = "", -1, started
    while True:
        drained, reported = _look(control, marker, end, clock() - started)
        if drained.complete or drained.seconds >= timeout:
            return drained
        if reported != heard:
            heard, since = reported, clock()
        elif not drained.lanes and clock() - since >= SILENCE:
            raise Refused(
                f"the capturer has not reported for {SILENCE:.0f} s",
                "look at its log and whether it runs (CapturerCount=1), then run `ferry drain` again",
            )
        if (now := _progress(drained)) != said:
            tell(f"waiting: {now}")
            said = now
        sleep(PAUSE)


def _end(control: ControlTable, connection: source.Connection) -> Position:
    server = source.identify(connection)
    checkpoint = control.get(CHECKPOINT)
    if not checkpoint:
        raise Refused("no capturer has run yet", "start the capturer (CapturerCount=1)")
    if checkpoint["server"] != server.identity:
        raise Refused(
            f"the source is server {server.identity}, but {checkpoint['server']} is being captured",
            "name in --source the server that the capturer reads (its parameter SourceHost)",
        )
    return source.current_offset(connection, server).position(checkpoint["epoch"])


def _look(control: ControlTable, marker: str, end: Position, seconds: float) -> tuple[Drained, int]:
    """How far the marker is, and when the capturer has last reported (milliseconds since 1970)."""
    # The checkpoint last: what a stale capturer of the old epoch marked must not pass for the new one's.
    request = control.get(MARKER)
    applied = control.get(f"{MARKER}#{marker}").get("applied", set())
    checkpoint = control.get(CHECKPOINT)
    if request.get("id") != marker:
        raise Refused("another drain has begun meanwhile", "wait for that one")
    if checkpoint.get("epoch") != end.epoch:  # a position of the old server says nothing about the new one
        raise Refused(
            "the source failed over meanwhile", "fence the new server, then run `ferry drain` again"
        )
    reported = int(checkpoint.get("updated_ms", 0))
    if request.get("sent") == marker:
        return Drained(str(end), len(applied), int(request["lanes"]), seconds), reported
    if checkpoint.get("state") == "stopped":
        raise Refused(f"the capturer has stopped ({checkpoint.get('reason')})", str(checkpoint.get("fix")))
    return Drained(str(end), 0, 0, seconds), reported


def _progress(drained: Drained) -> str:
    if not drained.lanes:
        return f"the capturer has not reached {drained.position} yet"
    return f"{drained.applied} of {drained.lanes} lanes have applied everything before {drained.position}"
