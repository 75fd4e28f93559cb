"""
The short form: some hundred schedules of the real code, and each broken variant found.

`python -m tests.simulation --seeds 100000` is the long form.
"""

import pytest

from tests.simulation.world import BROKEN, MAPPINGS, hunt, simulate

SEEDS = range(500)


@pytest.mark.parametrize("layout", MAPPINGS)
def test_no_schedule_goes_wrong(layout: str) -> None:
    assert hunt(SEEDS, layout=layout) is None


@pytest.mark.parametrize("layout", ["nested-map", "string-set"])
@pytest.mark.parametrize("broken", ["no-runs", "visibility-gap", "no-lane-order"])
def test_the_broken_variant_is_found_in_other_layouts(broken: str, layout: str) -> None:
    assert hunt(range(1500), broken, layout), f"the simulation does not see {broken}"


@pytest.mark.parametrize("broken", BROKEN)
def test_the_broken_variant_is_found(broken: str) -> None:
    assert hunt(range(1500), broken), f"the simulation does not see {broken}"


def test_a_seed_gives_the_same_schedule_again() -> None:
    assert simulate(7, "no-position") == simulate(7, "no-position") is not None
