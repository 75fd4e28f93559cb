"""
The source fails over under traffic, in the middle of a load, of drains and of transactions: nothing is lost
and nothing comes twice.

ROWFERRY_PROMOTIONS: how often each kind of server fails over.
"""

import os
from pathlib import Path

import pytest

from lab.cloud import Cloud
from tests.support.failover.failing_move import FailingMove
from tests.support.failover.replicas import replicas

pytestmark = pytest.mark.integration

PROMOTIONS = int(os.environ.get("ROWFERRY_PROMOTIONS", "3"))
ROWS = 3_000  # a large transaction changes all: it comes in portions


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_a_move_survives_promotions(
    flavor: str, fresh_cloud: Cloud, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    servers = tmp_path_factory.getbasetemp() / "servers"
    with replicas(servers, flavor, name=tmp_path.name) as pair:
        report = FailingMove(tmp_path, pair, fresh_cloud).run(ROWS, PROMOTIONS)
    print(report.line, flush=True)
    assert (report.lost, report.twice, report.ghosts) == ([], [], [])
    assert (report.wrong_rows, report.quarantined) == (0, 0)
    assert sum(report.verified.values()) == 0
    assert (report.promotions, report.epoch) == (PROMOTIONS, PROMOTIONS + 1)
    assert report.changes > 0 and report.interrupted > 0
