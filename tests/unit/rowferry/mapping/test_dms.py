"""The table mapping JSON of AWS DMS: as its documentation has it, there and back."""

import json
from typing import Any

import pytest

from ferry.commands.mapping import toml_text
from ferry.dms_export import export
from ferry.verify.oracle import mapping_words
from rowferry.errors import MappingError
from rowferry.items.effects import places_of
from rowferry.mapping import Mapping, dms, file
from rowferry.values import Json
from tests.support.paths import ROOT

CUSTOMER = {
    "FirstName": "Randy", "LastName": "Marsh", "StoreId": 5, "HomeAddress": "221B Baker Street",
    "HomePhone": "123", "WorkAddress": None, "NickName": "R", "income": 7,
}  # fmt: skip
KEPT = ["FirstName", "LastName", "HomeAddress", "HomePhone", "WorkAddress"]


def selection(table: str = "customer", action: str = "include", **more: Any) -> dict[str, Any]:
    return {
        "rule-type": "selection",
        "rule-id": "1",
        "object-locator": {"schema-name": "test", "table-name": table},
        "rule-action": action,
        **more,
    }


def mapped(
    action: str = "map-record-to-record", table: str = "customer", **parameters: Any
) -> dict[str, Any]:
    name = {
        "target-attribute-name": "CustomerName",
        "attribute-type": "scalar",
        "attribute-sub-type": "string",
        "value": "${FirstName},${LastName}",
    }
    contact = {
        "target-attribute-name": "ContactDetails",
        "attribute-type": "document",
        "attribute-sub-type": "dynamodb-map",
        "value": {"M": {"Home": {"M": {"Address": {"S": "${HomeAddress}"}, "Phone": {"N": "${HomePhone}"}}},
                        "Work": {"M": {"Address": {"S": "${WorkAddress}"}}}}},
    }  # fmt: skip
    return {
        "rule-type": "object-mapping",
        "rule-id": "2",
        "rule-action": action,
        "object-locator": {"schema-name": "test", "table-name": table},
        "target-table-name": "customer_t",
        "mapping-parameters": {
            "partition-key-name": "CustomerName",
            "exclude-columns": KEPT,
            "attribute-mappings": [name, contact],
            **parameters,
        },
    }


def mapping(*rules: dict[str, Any]) -> Mapping:
    return Mapping.parse_dms(json.dumps({"rules": rules}))


def item(found: Mapping, row: dict[str, Any]) -> dict[str, Any]:
    (effect,) = places_of(row, found.tables[0])
    return {**effect.key.attributes(), **(effect.members or {})}


CONTACT = {
    "M": {
        "Home": {"M": {"Address": {"S": "221B Baker Street"}, "Phone": {"N": "123"}}},
        "Work": {"M": {}},
    }
}


def test_columns_that_are_not_excluded_become_attributes() -> None:
    assert item(mapping(selection("%"), mapped()), CUSTOMER) == {
        "CustomerName": {"S": "Randy,Marsh"},
        "ContactDetails": CONTACT,
        "StoreId": {"N": "5"},
        "NickName": {"S": "R"},
        "income": {"N": "7"},
    }


def test_or_entries_of_one_document() -> None:
    assert item(mapping(selection(), mapped("map-record-to-document")), CUSTOMER) == {
        "CustomerName": {"S": "Randy,Marsh"},
        "ContactDetails": CONTACT,
        "_doc": {"M": {"StoreId": {"N": "5"}, "NickName": {"S": "R"}, "income": {"N": "7"}}},
    }


def test_a_key_without_an_attribute_mapping_is_the_column_of_its_name() -> None:
    rules = mapped(**{"partition-key-name": "NickName", "sort-key-name": "CustomerName"})
    found = item(mapping(selection(), rules), CUSTOMER)
    assert (found["NickName"], found["CustomerName"]) == ({"S": "R"}, {"S": "Randy,Marsh"})
    assert any("type of key NickName" in note for note in dms.document({"rules": [selection(), rules]}).notes)


def test_a_column_alone_keeps_its_bytes_and_documents() -> None:
    def scalar(name: str, kind: str, column: str) -> dict[str, Any]:
        said = {"attribute-type": "scalar", "attribute-sub-type": kind, "value": f"${{{column}}}"}
        return {"target-attribute-name": name, **said}

    values = [scalar("k", "binary", "b"), scalar("photo", "binary", "p"), scalar("doc", "string", "j")]
    rules = [
        selection(),
        mapped("map-record-to-document", **{"partition-key-name": "k", "attribute-mappings": values}),
    ]
    row = {"b": b"\0", "p": b"\xff", "j": Json([1])}
    members = {"photo": {"B": b"\xff"}, "doc": {"S": "[1]"}}
    found = item(mapping(*rules), row)
    assert found.items() >= {"k": {"B": b"\0"}, **members}.items()
    assert mapping_words.key_of("B", "${b}", mapping_words.Row({"b": b"\0"}, {"b": "blob"})) == "AA=="
    assert item(mapping(*rules), {**row, "b": 7})["k"] == {"B": b"7"}


@pytest.mark.parametrize(
    ("conditions", "passing"),
    [
        ([("gte", "6")], [6, 7]),
        ([("ste", "6")], [5, 6]),
        ([("lte", "5"), ("eq", "7")], [5, 7]),
        ([("noteq", "6")], [5, 7]),
        ([("between", "6", "7")], [6, 7]),
        ([("notbetween", "6", "6")], [5, 7]),
        ([("null",)], [None]),
        ([("notnull",)], [5, 6, 7]),
    ],
)
def test_source_filters(conditions: list[tuple[str, ...]], passing: list[Any]) -> None:
    written = [
        {
            "filter-operator": name,
            **(dict(zip(("start-value", "end-value"), values, strict=True)) if len(values) == 2 else {}),
            **({"value": values[0]} if len(values) == 1 else {}),
        }
        for name, *values in conditions
    ]
    one = {"filter-type": "source", "column-name": "StoreId", "filter-conditions": written}
    found = mapping(selection(filters=[one]), mapped())
    table = found.tables[0]
    assert [s for s in (5, 6, 7, None) if places_of({**CUSTOMER, "StoreId": s}, table)] == passing
    other = {"column-name": "income", "filter-conditions": [{"filter-operator": "eq", "value": "8"}]}
    assert not places_of(CUSTOMER, mapping(selection(filters=[one, other]), mapped()).tables[0])


def test_wildcards_select_and_exclude() -> None:
    found = mapping(selection("cust%"), selection("%_old", "exclude"), mapped(), mapped(table="cust_old"))
    assert [table.source for table in found.tables] == ["test.customer"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({}, "no `rules`"),
        ({"rules": [7]}, "no `rules`"),
        (
            [{"rule-type": "transformation", "rule-id": "9", "rule-action": "convert-lowercase"}],
            "rule 9: rule-type 'transformation' with rule-action 'convert-lowercase'",
        ),
        ([selection(), mapped(**{"attribute-mappings": {}})], "attribute-mappings is not a list"),
        ([selection(), mapped(**{"attribute-mappings": [7]})], "an entry without a name"),
        ([selection(), mapped(**{"attribute-mappings": [{"value": "a"}]})], "an entry without a name"),
        (
            [selection(), mapped(**{"attribute-mappings": [{"target-attribute-name": "a"}] * 2})],
            "a name twice",
        ),
        ([selection(), mapped(**{"exclude-columns": "income"})], "exclude-columns is not a list"),
        ([selection("%", "ignore"), mapped()], "rule-action 'ignore'"),
        ([selection(), mapped("remove-record")], "rule-action 'remove-record'"),
        ([selection(), selection("other"), mapped()], "test.other is selected and has no object-mapping"),
        ([selection("%"), mapped(table="%")], "write one for each table"),
        ([selection(), mapped(**{"condition-expression": {}})], "condition-expression cannot be expressed"),
        ([selection(), {**mapped(), "mapping-parameters": {}}], "no partition-key-name"),
        ([selection(), {**mapped(), "object-locator": {"schema-name": "test"}}], "no table-name"),
        ([selection(), mapped(**{"partition-key-name": "ContactDetails"})], "a key is a scalar"),
        ([selection(filters=[{"column-name": "a"}]), mapped()], "no filter-conditions"),
        ([selection(filters=[{"filter-type": "target"}]), mapped()], "filter is not understood"),
        (
            [
                selection(filters=[{"column-name": "a", "filter-conditions": [{"filter-operator": "like"}]}]),
                mapped(),
            ],
            "filter-operator 'like'",
        ),
        ([selection("other", "exclude"), mapped(table="other")], "no [[table]]"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_rule(rules: Any, said: str) -> None:
    with pytest.raises(MappingError) as refused:
        Mapping.parse_dms(json.dumps(rules if isinstance(rules, dict) else {"rules": rules}))
    assert said in str(refused.value)


def test_the_mapping_of_the_article_runs_unchanged() -> None:
    found = Mapping.load(ROOT / "functions" / "article-dms.json")
    row = {"customerid": "c1", "orderid": "o1", "productid": "p1", "quantity": 3}
    assert item(found, row) == {
        "customer_orderid": {"S": "c1|o1"}, "productid": {"S": "p1"}, "quantity": {"N": "3"}
    }  # fmt: skip


@pytest.mark.parametrize(
    "rules",
    [
        [selection(), mapped()],
        [selection(), mapped("map-record-to-document")],
        [
            selection(filters=[{"column-name": "a", "filter-conditions": [{"filter-operator": "null"}]}]),
            mapped(),
        ],
        json.loads((ROOT / "functions" / "article-dms.json").read_text())["rules"],
    ],
)
def test_there_and_back(rules: Any) -> None:
    document = dms.document({"rules": rules}).document
    first = Mapping(file.tables(document))
    assert Mapping.parse(toml_text(document)) == first
    exported, beyond = export(first)
    assert beyond == []
    second = Mapping(file.tables(dms.document(exported).document))
    row = {**CUSTOMER, "customerid": "c", "orderid": "o", "productid": "p", "a": None}
    assert item(second, row) == item(first, row)


def test_what_dms_cannot_express_is_named() -> None:
    text = """[[table]]
    source = "s.t"
    target = "t"
    layout = "item-per-row"
    hash_key = { attribute = "id" }
    """
    for words, reason in {
        'prefix = "x"': "prefix",
        'hook = "hooks.example:cents"': "hook",
        'ttl = { attribute = "e", column = "a" }': "ttl",
        'include = ["a"]': "include",
        'columns.a = { type = "string" }': "columns",
        'null = "attribute"': "null",
        'attribute = "doc"': "attribute doc",
        'attributes.x = "a"': "from column a without a type",
        'attributes.x = { template = "${a}", type = "json" }': "of type json",
        'attributes.x = "$${a}"': "plain ${",
        'where = { column = "a", lt = 5 }': "operator lt",
        'where = { or = [{ column = "a", eq = 5 }, { column = "b", eq = 5 }] }': "several columns",
    }.items():
        exported, beyond = export(Mapping.parse(text + words))
        assert exported == {"rules": []} and len(beyond) == 1 and reason in beyond[0], words
    assert "layout" in export(Mapping.load(ROOT / "functions" / "purchase.toml"))[1][0]
