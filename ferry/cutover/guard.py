"""
The guard: a small process in a session of its own that lifts the fence when the one that put it up dies.

It reads one pipe. The first line has its facts, a JSON object with the password, which so is on no command
line. Then single bytes: POINT before the point of no return is recorded, DONE at an orderly end. An end of
the pipe without DONE is a death, and so is silence beyond the limit. Before POINT the application cannot have
moved, so the fence is lifted even if the control table does not answer; later a conditional write decides.
"""

import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import boto3
import pymysql
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from bulkload.connection import connect
from ferry import audit_log
from ferry.cutover import fences
from ferry.cutover.journal import IMPATIENT, Journal
from ferry.cutover.phases import LIFTABLE, Phase, State
from rowferry.control_table import ControlTable
from rowferry.errors import Refused, RowferryError
from rowferry.mysql.address import Address

POINT, DONE = b"p", b"d"
READY = b"ready\n"
TRY_FOR, AGAIN_AFTER = 600.0, 1.0  # seconds


@dataclass(slots=True)
class Guard:
    """The parent's end."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, facts: Mapping[str, Any]) -> "Guard":
        """Starts it and waits until it is ready. Raises Refused when it fails to start."""
        command = [sys.executable, "-m", "ferry.cutover.guard"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C and the end of the terminal reach the command's process group, not this one.
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
        )
        guard = cls(process)
        guard._say(json.dumps(dict(facts)).encode() + b"\n")
        assert process.stdout is not None
        if process.stdout.readline() != READY:
            guard.end()
            raise Refused("the guard could not start", "see the line above; nothing was fenced")
        return guard

    def point(self) -> None:
        """From now on it lifts the fence only if the journal allows it. Raises Refused when it has ended."""
        if not self._say(POINT):
            raise Refused("the guard has ended", "see its message; then run `ferry cutover` again")

    def end(self) -> None:
        """Ends it without lifting anything, and waits for its end."""
        self._say(DONE)
        with suppress(OSError):
            self.process.stdin.close()  # type: ignore[union-attr]
        self.process.wait()
        self.process.stdout.close()  # type: ignore[union-attr]

    def _say(self, what: bytes) -> bool:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(what)
            self.process.stdin.flush()
        except OSError:
            return False
        return True


def facts(
    address: Address, control: ControlTable, region: str | None, state: State, seconds: float
) -> dict[str, Any]:
    """The facts that the guard needs; `seconds` until silence counts as death."""
    return {
        "address": asdict(address),
        "table": control.name,
        "region": region,
        "state": asdict(state) | {"phase": str(state.phase), "fence": dict(state.fence)},
        "seconds": seconds,
    }


def main() -> int:
    """Waits for the parent's end."""
    # They are meant for the command. The guard ends with the pipe.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    known = json.loads(_line())
    address = Address(**known["address"])
    client = boto3.client("dynamodb", region_name=known["region"], config=Config(**IMPATIENT))
    state = State(**{**known["state"], "phase": Phase(known["state"]["phase"])})
    journal = Journal(
        ControlTable(client, known["table"]), secrets.token_hex(8), f"guard of {audit_log.who()}", state=state
    )
    connect(address).close()  # an address that fails now would fail then
    os.write(1, READY)
    parent = Parent()
    parent.listen(known["seconds"])
    return 0 if parent.is_done else _lift(journal, address, parent)


def _line() -> bytes:
    text = b""
    # Byte by byte: a buffer would also take the bytes that `Parent` waits for with select.
    while not text.endswith(b"\n") and (byte := os.read(0, 1)):
        text += byte
    return text


@dataclass(slots=True)
class Parent:
    """What the guard has read from the process that put the fence up."""

    heard: bytes = b""
    is_gone: bool = False

    @property
    def is_done(self) -> bool:
        """Whether it came to an orderly end."""
        return self.heard.endswith(DONE)

    @property
    def cannot_point(self) -> bool:
        """Whether it is dead, and did not reach the point of no return."""
        return self.is_gone and POINT not in self.heard

    def listen(self, seconds: float) -> None:
        """Reads until its end, or until it has been silent for so many seconds without POINT."""
        deadline = time.monotonic() + seconds
        while not self.is_done and not self.is_gone:
            # After POINT silence is no death, because the point of no return may be recorded: only the
            # end of the pipe counts.
            left = None if POINT in self.heard else max(0.0, deadline - time.monotonic())
            if not self._hear(left):
                return

    def pause(self, seconds: float) -> None:
        """Waits so many seconds, or until its orderly end."""
        if self.is_gone:
            time.sleep(seconds)
        else:
            self._hear(seconds)

    def _hear(self, seconds: float | None) -> bool:
        if not select.select([0], [], [], seconds)[0]:
            return False
        byte = os.read(0, 1)
        self.heard += byte
        self.is_gone = not byte
        return True


def _lift(journal: Journal, address: Address, parent: Parent) -> int:
    run, deadline = journal.state.id, time.monotonic() + TRY_FOR
    said = ""
    while time.monotonic() < deadline and not parent.is_done:
        try:
            return 0 if _tried(journal, address, run, certain=parent.cannot_point) else 1
        except (RowferryError, OSError, pymysql.err.Error, ClientError, BotoCoreError) as error:
            if (now := f"{type(error).__name__}: {error}") != said:
                _report(f"guard: the fence is not lifted yet, trying again ({now})")
                said = now
            parent.pause(AGAIN_AFTER)
    if parent.is_done:  # it was only silent, and has lifted the fence itself
        return 0
    _report("guard: the fence could NOT be lifted: run `ferry cutover --lift`")
    return 1


def _tried(journal: Journal, address: Address, run: str, *, certain: bool) -> bool:
    """Whether the fence is lifted now; False where it has to stay. Raises the error that prevents it."""
    try:
        # Its own id: an earlier try may have recorded LIFTING, and then failed.
        if journal.read().phase not in LIFTABLE or journal.state.id not in (run, journal.id):
            return _stays(journal.state)
        # Before the fence is lifted: from here on the run cannot record the point of no return any more.
        journal.move(Phase.LIFTING)
    except (ClientError, BotoCoreError):
        # After POINT the point of no return may be recorded: only the control table knows.
        if not certain:
            raise
        _report("guard: the control table does not answer")
    with connect(address) as connection:
        fences.lift(journal.state.fence, connection)
    _report(
        "guard: ferry cutover died before the point of no return: the fence is lifted, MySQL takes writes"
    )
    journal.move(Phase.LIFTED)
    audit_log.record(journal.control, "guard", "the fence is lifted, ferry cutover had died")
    return True


def _stays(state: State) -> bool:
    lifted = state.phase in (Phase.OPEN, Phase.LIFTED)
    _report(f"guard: the cutover is {state.phase}: " + ("nothing to do" if lifted else "the fence stays"))
    return lifted


def _report(line: str) -> None:
    with suppress(OSError):  # the terminal may be gone
        os.write(2, line.encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
