import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.verify.diff import Difference, compare
from ferry.verify.oracle.mapping_entry import Pair, read_pairs
from ferry.verify.oracle.members import PRESENT, Member, expected, found
from rowferry.mapping import Mapping
from rowferry.mapping.source_name import source_of
from tests.support.mappings import PURCHASE_FILE, purchase_of

PURCHASE = Pair(
    "test", "purchase", "purchase", (("c", "S", "customerid"), ("o", "N", "orderid")), "productid", "quantity"
)
CUSTOMER = Pair("test", "customer", "customer", (("id", "N", "id"),), None, None)


def values(kind: str, *texts: Any) -> list[str]:
    """What a column of the type, filled with what MySQL prints, gives."""
    types = {"customerid": "varchar", "orderid": "bigint", "productid": "varchar", "quantity": kind}
    rows = [("c", "1", f"p{n:03}", text) for n, text in enumerate(texts)]
    return [member.value for member in expected(PURCHASE, types, iter(rows))]


@pytest.mark.parametrize(
    ("kind", "text", "attribute"),
    [
        ("int", "007", {"N": "7"}),
        ("bigint", "18446744073709551615", {"N": "18446744073709551615"}),
        ("decimal", "-1.50", {"N": "-1.5"}),
        ("decimal", "0.00", {"N": "0"}),
        ("decimal", "100", {"N": "1E2"}),
        ("decimal", "9" * 39, {"S": "9" * 39}),
        ("double", "1.1e300", {"S": "x"}),
        ("double", "1.7e-5", {"N": "0.000017"}),
        ("varchar", "한글 ", {"S": "한글 "}),
        ("text", "x" * 1000, {"S": "x" * 1000}),
        ("varbinary", b"\x00\xff", {"B": b"\x00\xff"}),
        ("date", "2026-11-23", {"S": "2026-11-23"}),
        ("datetime", "2026-11-23 01:02:03.000", {"S": "2026-11-23 01:02:03"}),
        ("datetime", "2026-11-23 01:02:03.5", {"S": "2026-11-23 01:02:03.500000"}),
        ("time", "-00:00:01.25", {"S": "-00:00:01.250000"}),
        ("varchar", None, {"NULL": True}),
    ],
)
def test_a_value_is_compared_with_its_attribute(kind: str, text: Any, attribute: dict[str, Any]) -> None:
    item = {"c": {"S": "c"}, "o": {"N": "1"}, "p000": attribute, "_pos": {"S": "x"}}
    (member,) = found(PURCHASE, item)
    same = attribute != {"S": "x"}
    assert (values(kind, text) == [member.value]) is same


@pytest.mark.parametrize(
    ("kind", "text", "attribute"),
    [
        ("int", "1", {"S": "1"}),
        ("int", "1", {"N": "2"}),
        ("varchar", "1", {"N": "1"}),
        ("varchar", "a", {"S": "A"}),
        ("varchar", "a ", {"S": "a"}),
        ("varbinary", b"a", {"S": "a"}),
        ("varchar", "", {"NULL": True}),
        ("text", "x" * 1000, {"S": "x" * 999 + "y"}),
        ("int", "1", {"L": [{"N": "1"}]}),
    ],
)
def test_another_type_or_value_is_different(kind: str, text: Any, attribute: dict[str, Any]) -> None:
    (member,) = found(PURCHASE, {"c": {"S": "c"}, "o": {"N": "1"}, "p000": attribute})
    assert values(kind, text) != [member.value]


def test_keys_of_both_sides_are_written_alike() -> None:
    types = {"customerid": "decimal", "orderid": "bigint", "productid": "datetime", "quantity": "int"}
    (member,) = expected(PURCHASE, types, iter([("1.50", "10", "2026-11-23 01:02:03.000000", "1")]))
    item = {"c": {"S": "1.5"}, "o": {"N": "10.0"}, "2026-11-23 01:02:03": {"N": "1"}}
    assert [member] == list(found(PURCHASE, item))
    assert PURCHASE.key_fields(member.key) == {"c": "1.5", "o": "10"}


def test_a_tombstone_and_an_item_without_members_are_absent() -> None:
    key = {"c": {"S": "c"}, "o": {"N": "1"}, "_pos": {"S": "x"}}
    assert list(found(PURCHASE, key)) == []
    assert list(found(PURCHASE, {**key, "p": {"N": "1"}, "_ttl": {"N": "1"}})) == []
    assert list(found(CUSTOMER, {"id": {"N": "1"}, "_ttl": {"N": "1"}})) == []


def test_a_row_without_other_columns_is_still_an_item() -> None:
    types = {"id": "int", "name": "varchar"}
    want = list(expected(CUSTOMER, types, iter([("1", None), ("2", "b")])))
    assert want == [
        *found(CUSTOMER, {"id": {"N": "1"}}),
        *found(CUSTOMER, {"id": {"N": "2"}, "name": {"S": "b"}}),
    ]
    assert [member.member for member in want] == [PRESENT, PRESENT, "name"]


def test_a_row_without_a_key_is_missing_not_an_error() -> None:
    types = {"customerid": "varchar", "orderid": "bigint", "productid": "varchar", "quantity": "int"}
    (member,) = expected(PURCHASE, types, iter([(None, "1", None, "1")]))
    assert (json.loads(member.key)[0], member.member) == (["S", None], "")


def test_the_documented_mapping_is_read() -> None:
    (pair,) = read_pairs(PURCHASE_FILE)
    assert pair.keys == (("customerid", "S", "customerid"), ("orderid", "S", "orderid"))
    assert (pair.member_name, pair.member_value, pair.item_per_row) == ("productid", "quantity", False)


@given(schema=st.text("a.`# é", min_size=1), table=st.text("a.`# é", min_size=1))
def test_every_name_is_read_as_the_mapping_reads_it(
    schema: str, table: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "names.toml"
    file.write_text(purchase_of(source_of(schema, table)))
    (pair,), (entry,) = read_pairs(file), Mapping.load(file).tables
    assert (pair.schema, pair.table) == (entry.schema, entry.table) == (schema, table)


members = st.lists(
    st.builds(
        Member, st.sampled_from("ab"), st.sampled_from(["", "x", "y"]), st.sampled_from(["N:1", "N:2", "S:1"])
    ),
    max_size=12,
)


@given(
    members,
    st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "x", "y"])), max_size=6),
    st.randoms(),
)
def test_all_differences_and_no_others_are_found(
    source: list[Member], there: set[tuple[str, str]], pick: Any
) -> None:
    target = [Member(*where, pick.choice(["N:1", "N:2", "S:1"])) for where in there]
    differences = list(compare(iter(sorted(source)), iter(sorted(target))))
    first: dict[tuple[str, str], str] = {}
    double = 0
    for member in sorted(source):
        double += member[:2] in first
        first.setdefault(member[:2], member.value)
    have = {member[:2]: member.value for member in target}
    assert {d.member[:2] for d in differences if d.kind == "missing"} == first.keys() - have.keys()
    assert {d.member[:2] for d in differences if d.kind == "extra"} == have.keys() - first.keys()
    assert {d.member[:2] for d in differences if d.kind == "different"} == {
        where for where in first.keys() & have.keys() if first[where] != have[where]
    }
    assert sum(d.kind == "double" for d in differences) == double


def test_differences_name_types_not_values() -> None:
    (difference,) = compare(iter([Member("k", "m", "N:42")]), iter([Member("k", "m", "S:42")]))
    assert difference == Difference("different", Member("k", "m", "N:42"), "N", "S")
