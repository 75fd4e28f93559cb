"""One condition as each command prints it."""

from ferry.conditions import listed, one_line
from rowferry.mysql.conditions import Condition

HOLDS = Condition("lag", "0.1 s", holds=True, fix="wait")
BROKEN = Condition("verified", "3 left", holds=False, fix="run `ferry verify`")
ADVICE = Condition("metadata", "MINIMAL", holds=False, fix="SET it", needed=False)


def test_in_a_list_the_fix_has_a_line_of_its_own() -> None:
    assert list(listed(HOLDS)) == ["  ok    lag: 0.1 s"]
    assert list(listed(BROKEN)) == ["  FAIL  verified: 3 left", "        run `ferry verify`"]
    assert list(listed(ADVICE)) == ["  warn  metadata: MINIMAL", "        SET it"]


def test_among_messages_it_is_one_line() -> None:
    assert one_line(HOLDS) == "ok  lag: 0.1 s"
    assert one_line(BROKEN) == "NO  verified: 3 left: run `ferry verify`"
