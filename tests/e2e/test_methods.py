"""
Every method of a bulk load under live traffic, killed at random moments or with many rows: the items equal
MySQL.

ROWFERRY_ROWS: rows before the traffic starts. ROWFERRY_KILLS: how often each method is killed; with 0 every
method goes with both layouts.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import Cloud
from lab.cloud import cloud as run_cloud
from lab.database import Server
from tests.support.kill_stages import FILES, IMPORTED, METHODS, SPARK, Method
from tests.support.killed_move import LAYOUTS, Moving, Report
from tests.support.spark import NEEDED

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("ROWFERRY_KILLS", "1"))
ROWS = int(os.environ.get("ROWFERRY_ROWS", 6_000 + 1_000 * KILLS))
ONE, SET = LAYOUTS
CASES = [
    *((method, ONE) for method in METHODS),
    *((method, SET) for method in ((FILES,) if KILLS else METHODS)),
]
PARAMETERS = [
    pytest.param(method, layout, marks=NEEDED if method is SPARK else ()) for method, layout in CASES
]


@pytest.fixture(scope="module")
def slow_cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An import lasts long enough to be killed beside it again and again."""
    with run_cloud(tmp_path_factory.mktemp("cloud"), import_seconds=max(1, 2 * KILLS)) as running:
        yield running


@pytest.mark.parametrize(("method", "layout"), PARAMETERS, ids=lambda case: getattr(case, "name", case))
def test_items_equal_mysql(
    mysql: Server, slow_cloud: Cloud, tmp_path: Path, method: Method, layout: str
) -> None:
    slow_cloud.reset()
    moving = Moving(tmp_path, mysql, slow_cloud, method, layout)
    report: Report = moving.run(ROWS, KILLS)
    print(report.line, flush=True)
    assert (report.kills, report.quarantined) == (KILLS, 0)
    assert report.rows > 0 and report.applied > 0
    assert report.imports == (method.parameters == IMPORTED), "a killed import was begun again"
    assert (report.missing, report.extra, report.different) == (0, 0, 0)
