"""
Lifts the fence when cutover dies before the application has been pointed to DynamoDB.

A process of its own, in a session of its own, that cutover starts before it raises the fence. It reads from a
pipe: how to lift the fence, then nothing until either a word that all is well, or the end of the pipe. At
its end it takes the cutover's state from `fenced` to `lifted`; cutover takes it from `fenced` to `moving`
before it points the application to DynamoDB. Only one of the two can.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bulkload.connection import Address
from ferry.fences import Fence, Spec, fence
from rowferry.control import CUTOVER, ControlTable
from rowferry.errors import Refused

FENCED, MOVING, LIFTED, DONE = "fenced", "moving", "lifted", "done"
READY = "ready"
TRIES, PAUSE = 600, 1.0  # ten minutes for a server or AWS that is away


@dataclass(slots=True)
class Guard:
    """The process, from cutover's side."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, spec: Spec, admin: Address, control: str, region: str | None) -> "Guard":
        """Comes back once it watches. Refused when it does not."""
        process = subprocess.Popen(
            [sys.executable, "-m", "ferry.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert process.stdin and process.stdout  # as asked for
        told = {"spec": spec.fields(), "admin": asdict(admin), "control": control, "region": region}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(told), file=process.stdin, flush=True)
        if process.stdout.readline().strip() != READY:
            raise Refused("the guard of the fence could not be started", "see what it said, then try again")
        return cls(process)

    def dismiss(self) -> None:
        """All is well without it. The pipe does not end before the word has been read."""
        with contextlib.suppress(BrokenPipeError):
            self.process.communicate("dismissed\n")


def take(control: ControlTable, wanted: str, before: str, **more: Any) -> bool:
    """Takes the cutover from one state to another; whether nobody else has before."""
    try:
        control.update(CUTOVER, set={"state": wanted, **more}, only_if={"state": before})
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        return False
    return True


def main() -> int:
    """Reads, waits, lifts."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    told = json.loads(sys.stdin.readline())
    control = ControlTable(boto3.client("dynamodb", region_name=told["region"]), told["control"])
    raised = fence(Spec(**told["spec"]), Address(**told["admin"]))
    print(READY, flush=True)
    if sys.stdin.readline():
        return 0
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - whoever listened is gone
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
        os.dup2(nowhere.fileno(), sys.stderr.fileno())
    return 0 if _lift(control, raised) else 1


def _lift(control: ControlTable, raised: Fence) -> bool:
    """Until it has been done, or is not its business."""
    mine = False
    for _ in range(TRIES):
        with contextlib.suppress(Exception):  # a server or AWS that is away comes back
            mine = mine or take(control, LIFTED, FENCED, by="guard")
            if not mine:
                return True
            raised.lift()
            return True
        time.sleep(PAUSE)
    return False


if __name__ == "__main__":
    sys.exit(main())
