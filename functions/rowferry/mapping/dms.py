"""
Converts the table mapping JSON of AWS DMS into a mapping document.

Meaning: https://docs.aws.amazon.com/dms/latest/userguide/CHAP_Target.DynamoDB.html (object mapping),
CHAP_Tasks.CustomizingTasks.TableMapping.SelectionTransformation.Selections.html and
CHAP_Tasks.CustomizingTasks.Filters.html. A rule that cannot be expressed is refused with its id: with half a
mapping, data would be lost silently.
"""

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Any

from rowferry.errors import MappingError
from rowferry.mapping.source_name import source_of
from rowferry.mapping.template import Template

_FIX = "remove it, convert the rest with `ferry mapping import-dms`, and express it in the TOML"
_ACTIONS = {"map-record-to-record": None, "map-record-to-document": "_doc"}
_TYPES = {"string": None, "number": "number", "boolean": "boolean", "binary": "binary"}
_KEY_TYPES = {"string": "S", "number": "N", "binary": "B"}
_TAGS = {"S": None, "N": "number", "B": "binary", "BOOL": "boolean"}
_COLUMN = re.compile(r"\$\{([^}]*)\}")
_WILDCARDS = re.compile(r"(%)|(_)|\[([^\]]+)\]")
_COMPARES = {"eq": "eq", "noteq": "ne", "ste": "le", "lte": "le", "gte": "ge"}


@dataclass(slots=True)
class Converted:
    """The document as a TOML file would have it, and what the operator should know about the conversion."""

    document: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def document(rules: Any) -> Converted:
    """
    The mapping document of decoded DMS JSON. Raises MappingError if it is not one, or cannot be expressed.

    Called by Mapping and by verify's oracle. The document is not checked: `file.tables` does that.
    """
    found = rules.get("rules") if isinstance(rules, dict) else None
    if not isinstance(found, list) or not all(isinstance(rule, dict) for rule in found):
        raise MappingError("no `rules` list", 'DMS JSON is {"rules": [...]}')
    by_type: dict[str, list[_Rule]] = {"selection": [], "object-mapping": [], "table-settings": []}
    for rule in map(_Rule, found):
        if rule.kind not in by_type:
            said = f"rule-type {rule.kind!r} with rule-action {rule.action!r}"
            raise MappingError(f"{rule}: {said} cannot be expressed", _FIX)
        by_type[rule.kind].append(rule)
    notes = [f"{rule}: table-settings tune DMS, not Rowferry: left out" for rule in by_type["table-settings"]]
    entries = []
    for rule in by_type["object-mapping"]:
        selected = _selected(rule, by_type["selection"])
        if selected is None:
            notes.append(f"{rule}: {rule.schema}.{rule.table} is not selected: left out")
        else:
            entries.append(_entry(rule, selected, notes))
    _refuse_unmapped(by_type["selection"], by_type["object-mapping"], notes)
    return Converted({"table": entries}, notes)


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule; `str` is its name in messages."""

    body: Dict[str, Any]

    def __str__(self) -> str:
        return f"rule {self.body.get('rule-id', '?')}"

    @property
    def kind(self) -> str:
        return str(self.body.get("rule-type"))

    @property
    def action(self) -> str:
        return str(self.body.get("rule-action"))

    @property
    def schema(self) -> str:
        return self._located("schema-name")

    @property
    def table(self) -> str:
        return self._located("table-name")

    def _located(self, name: str) -> str:
        locator = self.body.get("object-locator")
        value = locator.get(name) if isinstance(locator, dict) else None
        if not isinstance(value, str) or not value:
            raise MappingError(f"{self}: object-locator has no {name}", f'write "{name}": "..."')
        return value

    def matches(self, schema: str, table: str) -> bool:
        """Whether a selection rule names the table; `%` stands for any text, `_` for one character."""
        return _like(self.schema, schema) and _like(self.table, table)

    @property
    def exact(self) -> bool:
        """
        It names one table. `_` is a wildcard to DMS, but part of most names, so it does not count as one.
        """
        return not any(mark in self.schema + self.table for mark in "%[")


def _like(pattern: str, name: str) -> bool:
    made, end = "", 0
    for found in _WILDCARDS.finditer(pattern):
        made += re.escape(pattern[end : found.start()])
        made += ".*" if found[1] else "." if found[2] else f"[{found[3]}]"
        end = found.end()
    return re.fullmatch(made + re.escape(pattern[end:]), name) is not None


def _selected(rule: _Rule, selections: list[_Rule]) -> list[Any] | None:
    """The filters of the rule that selects a mapped table; None if no rule does, or one excludes it."""
    if not rule.exact:
        raise MappingError(
            f"{rule}: an object-mapping for {rule.schema}.{rule.table}", "write one for each table"
        )
    found = [selection for selection in selections if selection.matches(rule.schema, rule.table)]
    for selection in found:
        if selection.action not in ("include", "explicit", "exclude"):
            raise MappingError(
                f"{selection}: rule-action {selection.action!r}", "use include, explicit or exclude"
            )
    included = [selection for selection in found if selection.action != "exclude"]
    if not included or len(included) < len(found):
        return None
    filters = [selection.body.get("filters") or [] for selection in included]
    if len([one for one in filters if one]) > 1:
        raise MappingError(f"{included[-1]}: two rules filter {rule.schema}.{rule.table}", "keep one of them")
    return next((one for one in filters if one), [])


def _refuse_unmapped(selections: list[_Rule], mapped: list[_Rule], notes: list[str]) -> None:
    """
    Without an object-mapping DMS uses the primary key, which is not in the JSON: such tables are refused.
    """
    tables = {(rule.schema, rule.table) for rule in mapped}
    for rule in selections:
        if rule.action == "exclude" or (rule.schema, rule.table) in tables:
            continue
        if rule.exact:
            raise MappingError(
                f"{rule}: {rule.schema}.{rule.table} is selected and has no object-mapping",
                "add one with partition-key-name",
            )
        notes.append(f"{rule}: of {rule.schema}.{rule.table} only tables with an object-mapping are moved")


def _entry(rule: _Rule, filters: list[Any], notes: list[str]) -> dict[str, Any]:
    if rule.action not in _ACTIONS:
        raise MappingError(f"{rule}: rule-action {rule.action!r}", f"use {' or '.join(_ACTIONS)}")
    parameters = rule.body.get("mapping-parameters")
    known = {"partition-key-name", "sort-key-name", "exclude-columns", "attribute-mappings"}
    if not isinstance(parameters, dict) or "partition-key-name" not in parameters:
        raise MappingError(f"{rule}: no partition-key-name", "name it in mapping-parameters")
    for name in parameters.keys() - known:
        raise MappingError(f"{rule}: {name} cannot be expressed", _FIX)
    mapped = _mapped(parameters.get("attribute-mappings", []), rule)
    container = _ACTIONS[rule.action]
    keys = [parameters[name] for name in ("partition-key-name", "sort-key-name") if name in parameters]
    excluded = parameters.get("exclude-columns", [])
    if not isinstance(excluded, list):
        raise MappingError(f"{rule}: exclude-columns is not a list", 'write ["...", "..."]')
    excluded = [*excluded]
    if container is None:  # an attribute mapping wins over the column of its name
        excluded += [name for name in dict.fromkeys((*keys, *mapped)) if name not in excluded]
    made = {name: _value(entry, rule) for name, entry in mapped.items() if name not in keys}
    roles = ("hash_key", "range_key")
    return {
        "source": source_of(rule.schema, rule.table),
        "target": rule.body.get("target-table-name", rule.table),
        "layout": "item-per-row",
        **{role: _key(name, mapped.get(name), rule, notes) for role, name in zip(roles, keys, strict=False)},
        **({"attribute": container} if container else {}),
        **({"exclude": excluded} if excluded else {}),
        **({"attributes": made} if made else {}),
        **({"where": _where(filters, rule)} if filters else {}),
    }


def _mapped(given: Any, rule: _Rule) -> dict[str, Dict[str, Any]]:
    """The attribute mappings by the name of the attribute."""
    mapped: dict[str, Dict[str, Any]] = {}
    for entry in given if isinstance(given, list) else [{}]:
        name = entry.get("target-attribute-name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name or name in mapped:
            raise MappingError(
                f"{rule}: attribute-mappings is not a list, or has an entry without a name, or a name twice",
                'write [{"target-attribute-name": "...", ...}], each name once',
            )
        mapped[name] = entry
    return mapped


def _key(name: str, entry: Dict[str, Any] | None, rule: _Rule, notes: list[str]) -> dict[str, Any]:
    if entry is None:
        notes.append(
            f"{rule}: the type of key {name} is not in the JSON: S is assumed; correct it if it is a number"
        )
        # One column without text is that column (Template.alone), so its bytes are not converted to text.
        return {"attribute": name, "type": "S", "template": _template("${" + name + "}")}
    kind = str(entry.get("attribute-sub-type")).lower()
    if entry.get("attribute-type") != "scalar" or kind not in _KEY_TYPES:
        raise MappingError(f"{rule}: key {name} is {kind}", "a key is a scalar string, number or binary")
    return {
        "attribute": name,
        "type": _KEY_TYPES[kind],
        "template": _template(_text(entry.get("value"), rule)),
    }


def _value(entry: Dict[str, Any], rule: _Rule) -> Any:
    kind, sub, value = (entry.get(name) for name in ("attribute-type", "attribute-sub-type", "value"))
    if kind == "document" and sub in ("dynamodb-map", "dynamodb-list"):
        return _tagged(value, rule)
    if kind != "scalar" or str(sub).lower() not in _TYPES:
        raise MappingError(f"{rule}: attribute-type {kind} of {sub} cannot be expressed", _FIX)
    return _typed(_text(value, rule), _TYPES[str(sub).lower()])


def _tagged(value: Any, rule: _Rule) -> Any:
    """A value in DynamoDB's own JSON, {"M": {"Home": {"S": "${HomeAddress}"}}}."""
    if isinstance(value, dict) and len(value) == 1:
        ((tag, content),) = value.items()
        if tag == "M" and isinstance(content, dict):
            return {"map": {name: _tagged(inside, rule) for name, inside in content.items()}}
        if tag == "L" and isinstance(content, list):
            return {"list": [_tagged(inside, rule) for inside in content]}
        if tag in _TAGS:
            return _typed(_text(content, rule), _TAGS[tag])
    raise MappingError(f"{rule}: a document value is not understood", f"use M, L, {', '.join(_TAGS)}")


def _typed(written: str, kind: str | None) -> dict[str, Any]:
    """DMS makes text of a template, whatever its columns are; a text without columns is a constant."""
    made = _template(written)
    alone = Template.parse(made).alone
    value = {"template": made} if alone is None else {"column": alone}  # bytes have no text in a template
    return {**value, "type": kind or "string"}


def _template(written: str) -> str:
    """DMS has no escape for a plain `${`: everything that is not a column is text."""
    parts = _COLUMN.split(written)
    return str(Template(tuple(parts[::2]), tuple(parts[1::2])))


def _text(value: Any, rule: _Rule) -> str:
    if not isinstance(value, str):
        raise MappingError(f"{rule}: a value is not text", 'write "${column}"')
    return value


def _where(filters: list[Any], rule: _Rule) -> dict[str, Any]:
    """Filters are joined by AND, the conditions of one filter by OR."""
    parts = [_filter(one, rule) for one in filters]
    return parts[0] if len(parts) == 1 else {"and": parts}


def _filter(one: Any, rule: _Rule) -> dict[str, Any]:
    if not isinstance(one, dict) or one.get("filter-type", "source") != "source" or "column-name" not in one:
        raise MappingError(f"{rule}: a filter is not understood", "filter-type source, column-name")
    conditions = one.get("filter-conditions") or []
    parts = [part for condition in conditions for part in _condition(one["column-name"], condition, rule)]
    if not parts:
        raise MappingError(f"{rule}: a filter has no filter-conditions", "add one")
    return parts[0] if len(parts) == 1 else {"or": parts}


def _condition(column: str, condition: Dict[str, Any], rule: _Rule) -> list[dict[str, Any]]:
    name, value = condition.get("filter-operator"), condition.get("value")
    ends = [condition.get("start-value"), condition.get("end-value")]
    if name in _COMPARES and value is not None:
        return [{"column": column, _COMPARES[name]: value}]
    if name == "between" and None not in ends:
        return [{"column": column, "between": ends}]
    if name == "notbetween" and None not in ends:
        return [{"column": column, "lt": ends[0]}, {"column": column, "gt": ends[1]}]
    if name in ("null", "notnull"):
        return [{"column": column, "null": name == "null"}]
    raise MappingError(
        f"{rule}: filter-operator {name!r} cannot be expressed, or its value is missing",
        f"use {', '.join(_COMPARES)}, between, notbetween, null, notnull",
    )
