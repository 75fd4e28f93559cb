"""The load is killed at random moments under live traffic, again and again: the items still equal MySQL."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import ROOT, Rehearsal, wait_for
from lab.shop import Shop

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("ROWFERRY_KILLS", "2"))
ROWS = 4_000 + 1_000 * KILLS
RATE = 100  # row changes a second
LOAD = ["load", "--processes", "2", "--chunk-rows", "20", "--max-rows", "1000"]


def test_killed_at_random_moments_under_traffic_nothing_is_lost(
    mysql: Server, fresh_cloud: Cloud, tmp_path: Path
) -> None:
    shops = [Shop(name, Random(name)) for name in "ab"]
    rehearsal = Rehearsal(tmp_path, mysql, fresh_cloud, shops)
    rehearsal.deploy()
    rehearsal.fill(ROWS)
    random = Random()
    try:
        with rehearsal.traffic(RATE), rehearsal.capturing():
            chunks = [_killed(rehearsal, random.uniform(0, 2)) for _ in range(KILLS)]
            rehearsal.ferry("load", "--processes", "2")
            rehearsal.ferry("switch", "on")
            rehearsal.fence()
            rehearsal.ferry("drain")
        summary = json.loads(rehearsal.ferry("verify", "--json", capture=True))
    finally:
        rehearsal.tidy()
    assert chunks == sorted(chunks) and chunks[-1] > 0
    assert summary["rows"] > 0
    assert (summary["missing"], summary["extra"], summary["different"]) == (0, 0, 0)


def _killed(rehearsal: Rehearsal, seconds: float) -> int:
    """The chunks that are done when a load was killed, so many seconds after it had begun to load."""
    command = [sys.executable, "-m", "ferry.cli", *LOAD]
    before = _done(rehearsal)
    process = subprocess.Popen(command, env=rehearsal.environment, cwd=ROOT)
    try:
        began = lambda: _done(rehearsal) > before or process.poll() is not None  # noqa: E731
        wait_for(began, 60, "a chunk", rehearsal.fail_if_broken)
        time.sleep(seconds)
        assert process.poll() is None, "the load ended before it was killed"
    finally:
        process.kill()
        process.wait()
    return _done(rehearsal)


def _done(rehearsal: Rehearsal) -> int:
    return sum(item["state"] == "done" for item in rehearsal.control.items("chunk#"))
