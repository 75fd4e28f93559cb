from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ferry.verify.oracle import mapping_words
from ferry.verify.oracle.hooks import cell_of
from ferry.verify.oracle.values import UNFIT
from rowferry.errors import MappingError, ValueOutOfRange
from rowferry.mapping import filters

CASES = [
    ({"eq": 5}, 5, True),
    ({"eq": "5"}, 5, True),
    ({"eq": "5.0"}, Decimal("5.00"), True),
    ({"ne": 5}, 6, True),
    ({"ne": 5}, None, False),
    ({"lt": 10}, 9, True),
    ({"lt": "10"}, "9", False),
    ({"le": 1.5}, 1.5, True),
    ({"gt": 5}, None, False),
    ({"ge": 5}, 5, True),
    ({"between": [1, 3]}, 3, True),
    ({"between": ["a", "c"]}, "cc", False),
    ({"in": ["open", "held"]}, "held", True),
    ({"in": [1, 2]}, 3, False),
    ({"prefix": "ab"}, "abc", True),
    ({"prefix": "ab"}, "Abc", False),
    ({"prefix": "2026-"}, date(2026, 1, 2), True),
    ({"null": True}, None, True),
    ({"null": False}, None, False),
    ({"null": False}, "", True),
    ({"ge": "2002-01-01"}, date(2002, 1, 1), True),
    ({"ge": "2002-01-01"}, datetime(2002, 1, 1, 5), True),  # noqa: DTZ001
    ({"lt": date(2002, 1, 1)}, date(2001, 12, 31), True),
    ({"lt": datetime(2002, 1, 1, 6)}, datetime(2002, 1, 1, 5), True),  # noqa: DTZ001
    ({"le": date(2002, 1, 1)}, datetime(2002, 1, 1), True),  # noqa: DTZ001
    ({"between": ["2001-01-01", "2002-01-01"]}, datetime(2002, 1, 1), True),  # noqa: DTZ001
    ({"eq": datetime(2002, 1, 1)}, date(2002, 1, 1), True),  # noqa: DTZ001
    ({"eq": "2002-01-01 05:00:00.000000"}, datetime(2002, 1, 1, 5), True),  # noqa: DTZ001
    ({"eq": "2002-01-01T05:00:00.5"}, datetime(2002, 1, 1, 5, 0, 0, 500_000), True),  # noqa: DTZ001
    ({"eq": "soon"}, date(2002, 1, 1), False),
    ({"ge": "2002-01-01"}, "0000-00-00", False),
    ({"gt": "-01:00:00"}, timedelta(minutes=-1), True),
    ({"lt": "100:00:00"}, timedelta(hours=99), True),
    ({"eq": "ab"}, b"ab", True),
    ({"eq": "2002-01-01 03:04:05.5"}, datetime(2002, 1, 1, 3, 4, 5, 500_000), True),  # noqa: DTZ001
    ({"eq": "2002-01-01T03:04:05.000"}, datetime(2002, 1, 1, 3, 4, 5), True),  # noqa: DTZ001
    ({"lt": "2002-01-01 03:04:05.25"}, datetime(2002, 1, 1, 3, 4, 5, 200_000), True),  # noqa: DTZ001
    ({"le": "2002-01-01"}, datetime(2002, 1, 1), True),  # noqa: DTZ001
    ({"gt": date(2002, 1, 1)}, datetime(2002, 1, 1), False),  # noqa: DTZ001
    ({"eq": "2002-01-01 00:00:00"}, date(2002, 1, 1), True),
]


@pytest.mark.parametrize(("condition", "value", "passes"), CASES)
def test_a_condition_and_verifys_own_reading_of_it(
    condition: dict[str, Any], value: Any, passes: bool
) -> None:
    entry = {"column": "c", **condition}
    assert filters.parse(entry, "t: where").matches({"c": value}) is passes
    kind, cell = cell_of(value)
    assert mapping_words.carried(entry, mapping_words.Row({"c": cell}, {"c": kind})) is passes


def test_conditions_are_joined() -> None:
    entry = {
        "or": [{"column": "a", "eq": 1}, {"and": [{"column": "b", "gt": 1}, {"column": "c", "null": True}]}]
    }
    where = filters.parse(entry, "t: where")
    assert where.matches({"a": 1, "b": 0, "c": 0}) and where.matches({"a": 0, "b": 2, "c": None})
    assert not where.matches({"a": 0, "b": 2, "c": 0})
    assert list(where.columns) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("condition", "value"),
    [({"eq": "abc"}, 5), ({"eq": 5}, b"5"), ({"lt": 5}, b"5"), ({"eq": time(3, 4)}, "03:04:00")],
)
def test_a_constant_of_another_type_is_reported(condition: dict[str, Any], value: Any) -> None:
    entry = {"column": "c", **condition}
    with pytest.raises(ValueOutOfRange, match="'c'"):
        filters.parse(entry, "t").matches({"c": value})
    kind, cell = cell_of(value)
    with pytest.raises(UNFIT):
        mapping_words.carried(entry, mapping_words.Row({"c": cell}, {"c": kind}))


@pytest.mark.parametrize(
    "entry",
    [
        "status = 'open'",
        {},
        {"column": "c"},
        {"column": "c", "eq": 1, "ne": 2},
        {"column": "c", "like": "x"},
        {"column": 1, "eq": 1},
        {"column": "c", "between": [1]},
        {"column": "c", "in": []},
        {"column": "c", "in": 5},
        {"column": "c", "null": "yes"},
        {"column": "c", "prefix": 5},
        {"column": "c", "eq": [1]},
        {"column": "c", "lt": datetime(2026, 1, 1, tzinfo=UTC)},
        {"and": []},
        {"and": [{"column": "c", "eq": 1}], "or": []},
        {"or": {"column": "c", "eq": 1}},
    ],
)
def test_what_is_no_condition_is_refused(entry: Any) -> None:
    with pytest.raises(MappingError) as refused:
        filters.parse(entry, "t: where")
    assert refused.value.found.startswith("t: where") and refused.value.fix
