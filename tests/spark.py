"""Spark's environment, and whether its tests can run."""

import shutil

import pytest

from lab.cloud import ROOT

SPARK = ROOT / "build/tools/spark"
PYTHON = str(SPARK / "bin/python")
"""Has pyspark, and the packages of the load."""
NEEDED = (
    pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java 17: install default-jre-headless"),
    pytest.mark.skipif(not (SPARK / "bin/python").exists(), reason="Spark is not installed: make spark"),
)
