"""Spark's environment, and whether its tests can run."""

import os
import shutil

import pytest

from lab.cloud import ROOT

SPARK = ROOT / "build/tools/spark"
PYTHON = str(SPARK / "bin/python")
"""Has pyspark, and the packages of the load."""
SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""For a virtual machine that runs for seconds: compiling well would cost a quarter of the time."""
os.environ["SPARK_SUBMIT_OPTS"] = SHORT_LIVED  # what spark-submit starts the driver's with
NEEDED = (
    pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java 17: install default-jre-headless"),
    pytest.mark.skipif(not (SPARK / "bin/python").exists(), reason="Spark is not installed: make spark"),
)
