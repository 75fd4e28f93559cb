"""What may follow what in a cutover."""

import pytest

from ferry.cutover.phases import LIFTABLE, Phase, State, advice, may_begin
from rowferry.errors import Refused


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.LIFTED])
def test_where_mysql_takes_writes_a_cutover_may_begin(phase: Phase) -> None:
    assert may_begin(State(phase), 0)


@pytest.mark.parametrize("phase", LIFTABLE)
def test_another_run_is_waited_for_until_it_must_be_dead(phase: Phase) -> None:
    state = State(phase, until=5_000, who="me@here")
    with pytest.raises(Refused, match="me@here is cutting over now"):
        may_begin(state, 5_000)
    assert not may_begin(state, 5_001)


@pytest.mark.parametrize("phase", [Phase.POINTING, Phase.DONE])
def test_after_the_point_of_no_return_nothing_begins_however_long_ago(phase: Phase) -> None:
    with pytest.raises(Refused, match=r"--back --application-is-on-mysql"):
        may_begin(State(phase, until=0), 10**15)


def test_the_application_moves_only_from_behind_a_fence_that_stands() -> None:
    for phase in set(Phase) - {Phase.FENCED, Phase.POINTING}:
        with pytest.raises(Refused):
            State(phase).require(Phase.POINTING)
    State(Phase.FENCED).require(Phase.POINTING)


def test_once_lifting_has_begun_the_application_cannot_move() -> None:
    for to in (Phase.FENCED, Phase.POINTING, Phase.DONE, Phase.FENCING):
        with pytest.raises(Refused):
            State(Phase.LIFTING).require(to)


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_has_advice(phase: Phase) -> None:
    assert "`ferry " in advice(phase)
