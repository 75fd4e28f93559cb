"""Sets of transactions, against Python's own sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.history import NOTHING, History

A, B = "3e11fa47-71ca-11e1-9e33-c80aa9429562", "4e11fa47-71ca-11e1-9e33-c80aa9429562"
GTIDS = st.builds(
    lambda source, number: f"{source}:{number}", st.sampled_from([A, B, f"{A}:tag"]), st.integers(1, 12)
)


def history(gtids: list[str]) -> History:
    found = History()
    for gtid in gtids:
        found = found.plus(gtid)
    return found


def every(found: History) -> set[str]:
    sources = (A, B, f"{A}:tag")
    return {gtid for source in sources for number in range(14) if (gtid := f"{source}:{number}") in found}


@given(st.lists(GTIDS), st.lists(GTIDS))
def test_it_is_a_set(first: list[str], second: list[str]) -> None:
    one, other = history(first), history(second)
    assert every(one) == set(first)
    assert every(one.minus(other)) == set(first) - set(second)
    assert every(one.union(other)) == set(first) | set(second)
    assert one.within(other) is (set(first) <= set(second))
    assert bool(one) is bool(first)
    assert (one == other) is (set(first) == set(second))


def test_histories_that_begin_alike_do_not_share_what_is_added() -> None:
    one, other = NOTHING.plus(f"{A}:1"), NOTHING.plus(f"{A}:2")
    assert (str(one), str(other), str(NOTHING)) == (f"{A}:1", f"{A}:2", "")
    assert NOTHING._state[1] == [], "several threads may begin with it"


@given(st.lists(GTIDS))
def test_its_text_is_read_back(gtids: list[str]) -> None:
    assert History.parse(str(history(gtids))) == history(gtids)


@given(st.lists(st.tuples(st.sampled_from(["0-1", "0-2", "7-1"]), st.integers(1, 9))))
def test_of_mariadb_everything_up_to_the_number_is_in_it(executed: list[tuple[str, int]]) -> None:
    found = history([f"{source}-{number}" for source, number in executed])
    highest = {source: max(n for name, n in executed if name == source) for source, _ in executed}
    for source in ("0-1", "0-2", "7-1"):
        for number in range(1, 11):
            assert (f"{source}-{number}" in found) is (number <= highest.get(source, 0))
    assert History.parse(str(found)) == found


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", ""),
        (f"{A.upper()}:1-3:5,\n {B}:7", f"{A}:1-3:5,{B}:7"),
        (f"{A}:1-2:tag:4-5:other:6", f"{A}:1-2,{A}:other:6,{A}:tag:4-5"),
        (f"{A}:5:1-2:3", f"{A}:1-3:5"),
        ("0-2-3,0-1-4", "0-1-4,0-2-3"),
    ],
)
def test_the_texts_of_servers(text: str, read: str) -> None:
    assert str(History.parse(text)) == read


@pytest.mark.parametrize("text", ["nonsense", "0-1", f"{A}", f"{A}:x-y", "1-2-3-4"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a GTID set|invalid literal"):
        History.parse(text)


def test_missing_transactions_are_listed_in_ranges() -> None:
    captured, server = History.parse(f"{A}:1-120:130"), History.parse(f"{A}:1-100")
    assert captured.minus(server).listing() == f"{A}:101-120, {A}:130"
    assert History.parse("0-1-8,1-1-2").minus(History.parse("0-1-7")).listing(1) == "0-1-8, and 1 more ranges"
    assert str(History.parse(f"{A}:1-5,{A}:tag:6,{B}:7").of_source(A)) == f"{A}:1-5,{A}:tag:6"
