"""Loads from exported files whose passes Spark runs, in local mode: real Spark, real files, the emulated cloud."""

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bulkload.lock import LOADER
from lab.cloud import ROOT, Cloud
from tests.integration.test_import import BUCKET, KILLS, NEW, ROWS, Bed, expected, in_order, shuffled
from tests.integration.move_bed import PURCHASE

PYTHON = ROOT / "build/tools/spark/bin/python"
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java 17: install default-jre-headless"),
    pytest.mark.skipif(not PYTHON.exists(), reason="Spark is not installed: make spark"),
]


class SparkBed(Bed):
    def command(self, *arguments: str) -> list[str]:
        (_, *rest) = super().command(*arguments)
        return [str(PYTHON), *rest, "--spark"]


@pytest.fixture
def bed(fresh_cloud: Cloud, tmp_path: Path) -> Bed:
    return SparkBed(fresh_cloud, tmp_path)


def test_into_the_table_that_exists(bed: Bed) -> None:
    bed.export(*shuffled(ROWS))
    (outcome,), _ = bed.load()
    assert (outcome["state"], outcome["rows"], outcome["items"]) == ("done", 3000, 300)
    assert bed.items("purchase") == expected(ROWS)
    assert not (bed.folder / "work/purchase").exists()
