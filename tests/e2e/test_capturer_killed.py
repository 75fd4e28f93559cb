"""The capturer is killed in mid-stream, again and again: the items still equal MySQL in the end."""

import json
import time
from pathlib import Path
from random import Random

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import Rehearsal, wait_for
from lab.shop import Shop
from rowferry.control_table import APPLIED, CHECKPOINT

pytestmark = pytest.mark.integration

KILLS = 3
ROWS = 5_000
RATE = 400  # row changes a second


def test_killed_three_times_in_mid_stream_nothing_is_lost_or_applied_twice(
    mysql: Server, fresh_cloud: Cloud, tmp_path: Path
) -> None:
    shops = [Shop(name, Random(name)) for name in "ab"]
    rehearsal = Rehearsal(tmp_path, mysql, fresh_cloud, shops, lease_seconds=6)
    rehearsal.deploy()
    rehearsal.fill(ROWS)
    random = Random(1)
    try:
        with rehearsal.traffic(RATE), rehearsal.capturing():
            rehearsal.ferry("load")
            assert rehearsal.control.get(APPLIED) == {}
            rehearsal.ferry("switch", "on")
            for _ in range(KILLS):
                _wait_until_captured(rehearsal, more=RATE)
                time.sleep(random.uniform(0, 1))
                rehearsal.kill_capturer()
                rehearsal.start_capturer()
            _wait_until_captured(rehearsal, more=RATE)
            rehearsal.fence()
            rehearsal.ferry("drain")
        summary = json.loads(rehearsal.ferry("verify", "--json", capture=True))
    finally:
        rehearsal.tidy()
    assert summary["rows"] == _rows(mysql) > 0
    assert (summary["missing"], summary["extra"], summary["different"]) == (0, 0, 0)
    assert rehearsal.control.get(APPLIED)["repeats"] > 0, "no kill made the capturer send anything twice"


def _wait_until_captured(rehearsal: Rehearsal, more: int) -> None:
    goal = rehearsal.control.get(CHECKPOINT)["changes"] + more
    reached = lambda: bool(rehearsal.control.get(CHECKPOINT)["changes"] >= goal)  # noqa: E731
    wait_for(reached, f"{more} more changes", rehearsal.fail_if_broken)


def _rows(server: Server) -> int:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM purchase")
        return int(cursor.fetchone()[0])
