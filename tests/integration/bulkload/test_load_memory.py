"""The load's memory does not grow with the table; `make load-memory` measures ten million rows."""

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow]

_MEASURED = (
    "from benchmarks.load_memory import measure; found = measure(200_000); print(found.rows, found.mebibytes)"
)


def test_two_processes_and_their_parent_stay_small() -> None:
    """In a process of its own: the parent counts too, and this one has the memory of all tests before."""
    done = subprocess.run([sys.executable, "-c", _MEASURED], capture_output=True, text=True, check=True)
    rows, mebibytes = map(float, done.stdout.split()[-2:])
    assert rows >= 200_000
    assert 0 < mebibytes < 300
