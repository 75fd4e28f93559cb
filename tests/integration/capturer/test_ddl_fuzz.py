"""A short form of `make fuzz-ddl`."""

import pytest

from lab.server import Server
from tests.fuzz.world import run
from tests.support.matrix_bed import server

__all__ = ["server"]
pytestmark = pytest.mark.integration

STATEMENTS, SEED = 200, 20261128


def test_random_statements_are_judged_as_the_server_shows(server: Server) -> None:
    tally = run(server, SEED, STATEMENTS)
    assert not tally.failures, "\n".join(tally.failures)
    # Otherwise nothing was tried.
    assert tally.done == STATEMENTS
    assert min(tally.stopped, tally.changed, tally.done - tally.refused) > STATEMENTS / 10
