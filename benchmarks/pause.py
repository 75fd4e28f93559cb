"""
How long the application cannot write: real cutovers of the rehearsal under traffic.

    .venv/bin/python -m benchmarks.pause --rate 500 --runs 5

The traffic is the shop's, at `rate` row changes per second. Each run is `ferry cutover` as an operator runs
it, then `--back`. `backlog` is the number of changes that wait when the command begins: the emulated DynamoDB
takes about 500 requests per second. `verify` is a separate figure: of everything, if no verify of what
changed is installed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from lab.cloud import cloud
from lab.database import database
from lab.rehearsal import ROOT, Rehearsal, wait_for
from lab.shop import Shop
from rowferry.control_table import APPLIED, CHECKPOINT, CUTOVER

FOLDER = ROOT / "build/pause"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", type=float, default=500.0)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--live", type=float, default=10.0, help="seconds of traffic before each fence")
    parser.add_argument("--lanes", type=int, default=256)
    arguments = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    hook = FOLDER / "hooks/point-to-dynamodb"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\n")
    hook.chmod(0o755)
    shops = [Shop(name, Random(name)) for name in "ab"]
    with database(FOLDER / "server") as server, cloud(FOLDER / "cloud") as aws:
        rehearsal = Rehearsal(FOLDER, server, aws, shops, lanes=arguments.lanes)
        rehearsal.deploy()
        rehearsal.fill(arguments.rows)
        try:
            with rehearsal.capturing():
                rehearsal.ferry("load", capture=True)
                rehearsal.ferry("switch", "on")
                runs = [_run(rehearsal, arguments) for _ in range(arguments.runs)]
        finally:
            rehearsal.tidy()
    pauses = [run["pause_seconds"] for run in runs]
    print(f"pause: median {statistics.median(pauses):.2f} s, longest {max(pauses):.2f} s, of {len(pauses)}")
    return 0


def _run(rehearsal: Rehearsal, arguments: argparse.Namespace) -> dict[str, Any]:
    control = rehearsal.control
    began = time.monotonic()
    rehearsal.ferry("verify", capture=True)
    with rehearsal.traffic(arguments.rate):
        time.sleep(arguments.live)
        backlog = control.get(CHECKPOINT)["changes"] - control.get(APPLIED).get("changes", 0)
        requests = control.get(APPLIED).get("requests", 0)
        found = _cut_over(rehearsal)
        for writer in rehearsal.writers:
            writer.join(10)
    changes = sum(writer.changes for writer in rehearsal.writers)
    found |= {"backlog": backlog, "changes_per_second": round(changes / (time.monotonic() - began))}
    print(json.dumps(found | {"requests": requests}), flush=True)
    summary = json.loads(rehearsal.ferry("verify", "--json", capture=True))
    assert summary["missing"] + summary["extra"] + summary["different"] == 0
    _ferry(rehearsal, "cutover", "--back", "--application-is-on-mysql")
    wait_for(lambda: control.get(CUTOVER)["phase"] == "lifted", "the lifting", seconds=60)
    return found


def _cut_over(rehearsal: Rehearsal) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        _ferry(
            rehearsal, "cutover", "--execute", "--json", "--hooks", str(FOLDER / "hooks"), "--max-lag", "30"
        )
    )
    return found


def _ferry(rehearsal: Rehearsal, *arguments: str) -> str:
    admin = rehearsal.server.admin
    environment = rehearsal.environment | {
        "ROWFERRY_ADMIN": f"mysql://{admin.user}@{rehearsal.server.host}:{rehearsal.server.port}",
        "ROWFERRY_ADMIN_PASSWORD": admin.password,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions")]),
    }
    command = [sys.executable, "-m", "ferry.cli", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=Path(ROOT), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
