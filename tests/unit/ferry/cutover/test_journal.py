"""The record of a cutover, and how long it may keep a fence up."""

from ferry.cutover.journal import IMPATIENT


def test_a_silent_control_table_is_given_up_within_seconds() -> None:
    attempt = IMPATIENT["connect_timeout"] + IMPATIENT["read_timeout"]
    assert attempt * IMPATIENT["retries"]["total_max_attempts"] <= 10
