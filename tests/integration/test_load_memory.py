"""The load's memory does not grow with the table; `make load-memory` measures ten million rows."""

import pytest

from benchmarks.load_memory import measure

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def test_two_processes_and_their_parent_stay_small() -> None:
    found = measure(200_000)
    assert found.rows >= 200_000
    assert found.mebibytes < 300
