"""
Starts the emulated AWS (ministack) with the corrections that a rehearsal needs.

lab/cloud.py runs it on ministack's own Python, in the checkout:
`python -m lab.emulator.cloud_launcher PARENT_PID`.
Each correction replaces a private name of one exact ministack version, so another version is refused.

* Kinesis event source mappings     kinesis_delivery.py; ministack's own poller loses failed records
* a mapping's State                 is Disabled if CloudFormation created it disabled
* a mapping's BatchSize             defaults to 100, as on AWS
* StartingPositionTimestamp         is kept, so that AT_TIMESTAMP works
* expiry of Kinesis records         checks the oldest record; ministack copies every shard at every request
* logs of an invocation             waits 5 ms for a silent function's log instead of 50 ms
* ImportTable                       begins after LAB_IMPORT_SECONDS instead of one second
"""

import contextlib
import ctypes
import importlib.metadata
import json
import os
import signal
import sys
import time
from bisect import bisect_left
from collections.abc import Mapping
from typing import Any

from lab.emulator.kinesis_delivery import Poller, arrival
from lab.emulator.kinesis_poller import is_true

MINISTACK = "1.5.33"
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run ministack until it is killed; environment variables configure it (see lab/cloud.py)."""
    require_version()
    end_with(int(sys.argv.pop(1)))
    from ministack import app

    correct_mappings()
    correct_kinesis()
    correct_worker()
    correct_import(float(os.environ["LAB_IMPORT_SECONDS"]))
    Poller().start()
    app.main()


def require_version() -> None:
    """Refuse every version of ministack but the one whose private names are replaced here."""
    found = importlib.metadata.version("ministack")
    if found != MINISTACK:
        sys.exit(
            f"ministack is {found}, {MINISTACK} is needed, which is corrected here: run `make setup`. "
            "To upgrade: change MINISTACK in lab/emulator/cloud_launcher.py, "
            "and tests/integration/lab/test_cloud.py must pass."
        )


def end_with(parent: int) -> None:
    """End the whole process group, functions included, as soon as the parent has ended, even by SIGKILL."""
    # Not SIGTERM: hypercorn handles it with a slow shutdown, which a running function would outlive.
    signal.signal(signal.SIGUSR1, lambda *_: os.killpg(0, signal.SIGKILL))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    # It has ended before prctl: no signal will come.
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)


def correct_mappings() -> None:
    """
    Keep the starting timestamp, use AWS's default batch size, and report a disabled mapping as Disabled.
    """
    from ministack.services import lambda_svc
    from ministack.services.cloudformation import provisioners

    create, respond = lambda_svc._create_esm, lambda_svc._esm_response
    provision = provisioners._lambda_esm_create

    def with_default(asked: dict[str, Any]) -> dict[str, Any]:
        return {"BatchSize": 100, **asked} if ":kinesis:" in asked.get("EventSourceArn", "") else asked

    def keep(esm_id: str, asked: Mapping[str, Any]) -> None:
        if "StartingPositionTimestamp" in asked and esm_id in lambda_svc._esms:
            lambda_svc._esms[esm_id]["StartingPositionTimestamp"] = float(asked["StartingPositionTimestamp"])

    def create_by_api(asked: dict[str, Any]) -> Any:
        answer = create(with_default(asked))
        keep(json.loads(answer[2]).get("UUID", ""), asked)
        return answer

    def create_by_stack(logical_id: str, asked: dict[str, Any], stack: str) -> Any:
        answer = provision(logical_id, with_default(asked), stack)
        keep(answer[0], asked)
        return answer

    def respond_with_state(mapping: Mapping[str, Any]) -> dict[str, Any]:
        state = "Enabled" if is_true(mapping["Enabled"]) else "Disabled"
        return {**respond(mapping), "State": "Deleting" if mapping["State"] == "Deleting" else state}

    lambda_svc._create_esm = create_by_api
    lambda_svc._esm_response = respond_with_state
    provisioners._lambda_esm_create = create_by_stack  # for updates that replace the mapping
    provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]["create"] = create_by_stack


def correct_kinesis() -> None:
    """Expire records from each shard's oldest one on; they arrive in order."""
    from ministack.services import kinesis

    def expire(stream: Mapping[str, Any]) -> None:
        cutoff = time.time() - stream["RetentionPeriodHours"] * 3600
        for shard in stream["shards"].values():
            records = shard["records"]
            if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
                shard["records"] = records[bisect_left(records, cutoff, key=arrival) :]

    kinesis._expire_records = expire


def correct_worker() -> None:
    """Do not delay a silent function's answer by 50 ms; a late line is logged with the next invocation."""
    from ministack.core import lambda_runtime

    drain = lambda_runtime.Worker._drain_stderr_bounded
    lambda_runtime.Worker._drain_stderr_bounded = lambda worker: drain(worker, first_line_wait=0.005)


def correct_import(seconds: float) -> None:
    """Let an import take a while, so that the load that waits for it can be killed during it."""
    from ministack.services import dynamodb

    dynamodb._IMPORT_COMPLETE_AFTER_SEC = seconds


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
