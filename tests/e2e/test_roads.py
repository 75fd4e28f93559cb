"""
Every road of a bulk load under live traffic, killed at random moments or with many rows: the items equal
MySQL.

ROWFERRY_ROWS: rows before the traffic starts. ROWFERRY_KILLS: how often each road is killed; with 0 every
road goes with both layouts.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import Cloud
from lab.cloud import cloud as run_cloud
from lab.database import Server
from tests.support.kill_stages import FILES, IMPORTED, ROADS, SPARK, Road
from tests.support.killed_move import LAYOUTS, Moving, Report
from tests.support.spark import NEEDED

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("ROWFERRY_KILLS", "1"))
ROWS = int(os.environ.get("ROWFERRY_ROWS", 6_000 + 1_000 * KILLS))
ONE, SET = LAYOUTS
CASES = [*((road, ONE) for road in ROADS), *((road, SET) for road in ((FILES,) if KILLS else ROADS))]
PARAMETERS = [pytest.param(road, layout, marks=NEEDED if road is SPARK else ()) for road, layout in CASES]


@pytest.fixture(scope="module")
def slow_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An import lasts long enough to be killed beside it again and again."""
    with run_cloud(tmp_path_factory.mktemp("cloud"), import_seconds=max(1, 2 * KILLS)) as running:
        yield running


@pytest.mark.parametrize(("road", "layout"), PARAMETERS, ids=lambda case: getattr(case, "name", case))
def test_items_equal_mysql(mysql: Server, slow_cloud: Cloud, tmp_path: Path, road: Road, layout: str) -> None:
    slow_cloud.reset()
    moving = Moving(tmp_path, mysql, slow_cloud, road, layout)
    report: Report = moving.run(ROWS, KILLS)
    print(report.line, flush=True)
    assert (report.kills, report.quarantined) == (KILLS, 0)
    assert report.rows > 0 and report.applied > 0
    assert report.imports == (road.parameters == IMPORTED), "a killed import was begun again"
    assert (report.missing, report.extra, report.different) == (0, 0, 0)
