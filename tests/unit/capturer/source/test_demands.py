"""When the demands are asked, and what follows; what is asked is tried on real servers."""

from typing import Any

import pytest

from capturer.ddl.verdicts import Meaning, Verdict
from capturer.source.binlog import ConnectionLost
from capturer.source.demands import EVERY, TABLES_AT_ONCE, Demands
from rowferry.errors import LOAD, PASS, CaptureStopped
from rowferry.mapping import Mapping
from rowferry.mysql.condition import Condition
from tests.support.mappings import PURCHASE, purchase_of

BROKEN = Condition("binlog_format", "MIXED", holds=False, fix="SET GLOBAL binlog_format=ROW")
LOSING = Condition("engine of test.purchase", "BLACKHOLE", holds=False, fix="ALTER TABLE", loses=True)
FILTER = Condition("binlog of schema test", "left out", holds=False, fix="remove it", loses=True)
GONE = Condition("table test.purchase", "missing", holds=False, fix="correct the mapping")


class Asked(Demands):
    """Asks nobody: the test gives the answers."""

    def __init__(
        self, *answers: Condition | Exception, mapping: str = PURCHASE, logged: bool = False
    ) -> None:
        self.time = 0.0
        super().__init__(None, Mapping.parse(mapping), lambda: self.time)  # type: ignore[arg-type]
        self.answers = answers
        self.asked: list[list[str]] = []
        self._keys_logged = logged

    def _ask(self, tables: Any, **_: Any) -> list[Condition]:
        self.asked.append([table.source for table in tables])
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
        return [answer for answer in self.answers if isinstance(answer, Condition)]


def test_a_setting_that_is_wrong_by_now_stops_capture_with_its_fix() -> None:
    with pytest.raises(CaptureStopped) as stopped:
        Asked(BROKEN).check_now()
    assert stopped.value.found == "binlog_format is MIXED, which it was not before"
    assert (stopped.value.fix, stopped.value.remedy) == ("SET GLOBAL binlog_format=ROW", "")


@pytest.mark.parametrize("condition", [LOSING, FILTER])
def test_where_changes_are_missing_for_good_the_tables_have_to_be_loaded_again(condition: Condition) -> None:
    with pytest.raises(CaptureStopped) as stopped:
        Asked(condition).check_now()
    assert (stopped.value.remedy, stopped.value.tables) == (LOAD, ["test.purchase"])


def test_a_table_that_is_gone_by_now_stops_capture_at_its_statement_only() -> None:
    Asked(GONE).check_now()


def test_a_look_is_taken_once_in_a_while() -> None:
    demands = Asked()
    for demands.time in (1.0, EVERY - 1, EVERY, EVERY + 1, 2 * EVERY - 1, 2 * EVERY):
        demands.look()
    assert len(demands.asked) == 2
    demands.check_now()
    demands.time = 3 * EVERY - 1
    demands.look()
    assert len(demands.asked) == 3


def test_a_look_at_a_source_that_is_away_is_taken_later() -> None:
    demands = Asked(ConnectionLost("away", "wait"))
    demands.time = EVERY
    demands.look()
    demands.answers = (BROKEN,)
    demands.look()
    demands.time = 2 * EVERY
    with pytest.raises(CaptureStopped):
        demands.look()


def test_of_many_tables_each_look_asks_some() -> None:
    names = [f"test.t{number}" for number in range(TABLES_AT_ONCE + 2)]
    demands = Asked(mapping="".join(purchase_of(name, name) for name in names))
    for round_ in (1, 2, 3):
        demands.time = round_ * EVERY
        demands.look()
    assert demands.asked == [names[:TABLES_AT_ONCE], names[TABLES_AT_ONCE:], names[:TABLES_AT_ONCE]]


ALTERED = Verdict(Meaning.HARMLESS, asks=frozenset(["test.purchase"]))
KEYED = Verdict(
    Meaning.HARMLESS,
    asks=frozenset(["test.purchase"]),
    acting=frozenset([("test.purchase", "ON DELETE CASCADE")]),
)


def test_after_ddl_the_table_is_asked() -> None:
    demands = Asked()
    assert demands.after(ALTERED) is None and demands.asked == [["test.purchase"]]
    demands.answers = (LOSING,)
    lacking = demands.after(ALTERED)
    assert lacking and lacking.remedy == LOAD and lacking.tables == {"test.purchase"}


def test_a_key_that_acts_unseen_stops_by_its_statement_even_if_it_is_gone_by_now() -> None:
    lacking = Asked().after(KEYED)
    assert lacking and lacking.remedy == PASS and "{at}" in lacking.fix
    assert lacking.found.startswith("a foreign key of test.purchase with ON DELETE CASCADE")


def test_a_server_that_logs_what_its_keys_change_may_have_them() -> None:
    assert Asked(logged=True).after(KEYED) is None


def test_after_ddl_a_source_that_is_away_is_asked_by_the_next_connection() -> None:
    with pytest.raises(ConnectionLost):
        Asked(ConnectionLost("away", "wait")).after(ALTERED)
