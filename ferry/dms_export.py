"""A mapping as the table mapping JSON of AWS DMS, and the tables that DMS cannot express."""

from collections.abc import Iterator
from typing import Any

from rowferry.mapping import KeyAttribute, Layout, Mapping, TableMapping
from rowferry.mapping.attribute_source import (
    AttributeSource,
    AttributeType,
    ColumnSource,
    Constant,
    ListOf,
    MapOf,
    Text,
)
from rowferry.mapping.filters import Compare, Joined, Where
from rowferry.mapping.template import Template

_SUB_TYPES = {"S": "string", "N": "number", "B": "binary"}
_TAGS = {
    AttributeType.STRING: "S",
    AttributeType.NUMBER: "N",
    AttributeType.BINARY: "B",
    AttributeType.BOOLEAN: "BOOL",
}
# DMS's words; it has none for `lt` and `gt`, which are reported as beyond it.
_OPERATORS = {"eq": "eq", "ne": "noteq", "le": "ste", "ge": "gte"}
_DOCUMENT = "_doc"


class Beyond(Exception):
    """DMS cannot express it; the text names what."""


def export(mapping: Mapping) -> tuple[dict[str, Any], list[str]]:
    """The JSON of the tables that DMS can express, and the reasons why the others are left out."""
    rules: list[dict[str, Any]] = []
    beyond: list[str] = []
    for table in mapping.tables:
        reasons = list(_beyond(table))
        if reasons:
            beyond += [f"{table.source}: {reason}" for reason in reasons]
            continue
        try:
            rules += _rules(table, len(rules) + 1)
        except Beyond as reason:
            beyond.append(f"{table.source}: {reason}")
    return {"rules": rules}, beyond


def _beyond(table: TableMapping) -> Iterator[str]:
    """The reasons that concern the whole table."""
    if table.layout is not Layout.ITEM_PER_ROW:
        yield f"layout {table.layout}: DMS makes an item of each row"
    unsupported = {
        "hook": table.hook,
        "ttl": table.ttl,
        "prefix": table.prefix,
        "include (DMS has exclude-columns only)": table.include is not None,
        "columns": table.rules,
        'null = "attribute"': table.keep_null,
        "several sources for one target": table.shared,
        f"attribute {table.attribute} (DMS has {_DOCUMENT} only)": table.attribute not in (None, _DOCUMENT),
    }
    yield from (name for name, given in unsupported.items() if given)


def _rules(table: TableMapping, number: int) -> list[dict[str, Any]]:
    locator = {"schema-name": table.schema, "table-name": table.table}
    filters = [] if table.where is None else [_filter(part) for part in _all_of(table.where)]
    keys = [_attribute(key.attribute, _SUB_TYPES[key.type], _key(key)) for key in table.keys]
    columns = [key.column for key in table.keys if key.column is not None]
    excluded = sorted(table.exclude | set(columns))
    roles = ("partition-key-name", "sort-key-name")
    parameters = {
        **{role: key.attribute for role, key in zip(roles, table.keys, strict=False)},
        "exclude-columns": excluded,
        "attribute-mappings": [*keys, *(_mapped(name, source) for name, source in table.attributes)],
    }
    return [
        {
            **_head("selection", number),
            "object-locator": locator,
            "rule-action": "include",
            **({"filters": filters} if filters else {}),
        },
        {
            **_head("object-mapping", number + 1),
            "rule-action": "map-record-to-document" if table.attribute else "map-record-to-record",
            "object-locator": locator,
            "target-table-name": table.target,
            "mapping-parameters": parameters,
        },
    ]


def _head(kind: str, number: int) -> dict[str, str]:
    return {"rule-type": kind, "rule-id": str(number), "rule-name": str(number)}


def _key(key: KeyAttribute) -> str:
    return _text(
        Template(("", ""), (key.column,)) if key.column is not None else key.template or Template(("",))
    )


def _text(template: Template) -> str:
    """A template in DMS's syntax, which has no escape for a plain `${`."""
    if any("${" in part for part in template.texts):
        raise Beyond("a text with a plain ${")
    columns = [f"${{{column}}}" for column in template.columns]
    return template.texts[0] + "".join(a + b for a, b in zip(columns, template.texts[1:], strict=True))


def _attribute(name: str, kind: str, value: str) -> dict[str, Any]:
    return {
        "target-attribute-name": name,
        "attribute-type": "scalar",
        "attribute-sub-type": kind,
        "value": value,
    }


def _mapped(name: str, source: AttributeSource) -> dict[str, Any]:
    if isinstance(source, MapOf | ListOf):
        return {
            "target-attribute-name": name,
            "attribute-type": "document",
            "attribute-sub-type": "dynamodb-map" if isinstance(source, MapOf) else "dynamodb-list",
            "value": _tagged(source),
        }
    tag, value = next(iter(_tagged(source).items()))
    return _attribute(name, {**_SUB_TYPES, "BOOL": "boolean"}[tag], value)


def _tagged(source: AttributeSource) -> dict[str, Any]:
    """The value in DynamoDB's JSON, with templates for values."""
    match source:
        case MapOf():
            return {"M": {name: _tagged(inside) for name, inside in source.entries}}
        case ListOf():
            return {"L": [_tagged(inside) for inside in source.elements]}
        case Constant():
            ((tag, value),) = source.attribute.items()
            if tag not in ("S", "N"):
                raise Beyond(f"a constant of type {tag}")
            return {tag: _text(Template((value,)))}
        case Text():
            return {_tag(source.type or AttributeType.STRING, source.keep_null): _text(source.template)}
        case ColumnSource():
            if source.type is None:
                raise Beyond(f"an attribute from column {source.column} without a type")
            return {_tag(source.type, source.keep_null): "${" + source.column + "}"}


def _tag(kind: AttributeType, keep_null: bool) -> str:
    if keep_null or kind not in _TAGS:
        raise Beyond(f"an attribute of type {kind}" + (" that keeps NULL" if keep_null else ""))
    return _TAGS[kind]


def _all_of(where: Where) -> tuple[Where, ...]:
    return where.parts if isinstance(where, Joined) and where.every else (where,)


def _filter(where: Where) -> dict[str, Any]:
    """One filter: conditions on one column, of which one must hold."""
    parts = where.parts if isinstance(where, Joined) else (where,)
    if isinstance(where, Joined) and where.every:
        raise Beyond("an `and` inside of an `or`")
    columns = {part.column for part in parts if isinstance(part, Compare)}
    if len(columns) != 1 or not all(isinstance(part, Compare) for part in parts):
        raise Beyond("an `or` of several columns")
    conditions = [one for part in parts if isinstance(part, Compare) for one in _condition(part)]
    return {"filter-type": "source", "column-name": columns.pop(), "filter-conditions": conditions}


def _condition(part: Compare) -> list[dict[str, Any]]:
    values = [str(int(one) if isinstance(one, bool) else one) for one in part.operands]
    if part.operator in _OPERATORS:
        return [{"filter-operator": _OPERATORS[part.operator], "value": values[0]}]
    if part.operator == "in":
        return [{"filter-operator": "eq", "value": value} for value in values]
    if part.operator == "between":
        return [{"filter-operator": "between", "start-value": values[0], "end-value": values[1]}]
    if part.operator == "null":
        return [{"filter-operator": "null" if part.operands[0] else "notnull"}]
    raise Beyond(f"the operator {part.operator}")
