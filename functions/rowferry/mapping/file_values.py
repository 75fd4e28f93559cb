"""The values in a mapping file: what an attribute holds, and the small words that stand in many places."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any

from rowferry.errors import MappingError, ValueOutOfRange
from rowferry.mapping.attribute_source import (
    AttributeSource,
    AttributeType,
    ColumnSource,
    Constant,
    ListOf,
    MapOf,
    Text,
    plain_attribute,
)
from rowferry.mapping.table import ColumnRule
from rowferry.mapping.template import Template
from rowferry.values import Attribute

NULLS = {"leave-out": False, "attribute": True}


@dataclass(frozen=True, slots=True)
class Values:
    """Reads what an attribute holds, with what the mapping says of the columns."""

    rules: Dict[str, ColumnRule]
    keep_null: bool

    def source(self, entry: Any, where: str) -> AttributeSource:
        """A column, a text with ${column}, or a table with one of column, template, constant, map, list."""
        if isinstance(entry, str) and entry:
            return self.source({"template" if "${" in entry else "column": entry}, where)
        kinds = {"column", "template", "constant", "map", "list"}
        if not isinstance(entry, dict) or len(entry.keys() & kinds) != 1:
            raise MappingError(
                f"{where} is not understood",
                'write "column", "text ${column}", or { } with one of column, template, constant, map, list',
            )
        if "constant" in entry:
            only(entry, {"constant"}, where)
            return Constant(_constant(entry["constant"], where))
        if "map" in entry or "list" in entry:
            return self._several(entry, where)
        only(entry, {"column", "template", "type", "null"}, where)
        return self._one(entry, where)

    def _one(self, entry: Dict[str, Any], where: str) -> AttributeSource:
        kind = type_of(entry, where)
        kept = null_of(entry["null"], where) if "null" in entry else None
        if "template" in entry:
            template = template_of(text_of(entry, "template", where), where)
            return Text(template, kind, self.keep_null if kept is None else kept)
        column = text_of(entry, "column", where)
        rule = self.rules.get(column, ColumnRule())
        if kept is None:
            kept = self.keep_null if rule.keep_null is None else rule.keep_null
        return ColumnSource(column, kind or rule.type, kept)

    def _several(self, entry: Dict[str, Any], where: str) -> AttributeSource:
        kind = "map" if "map" in entry else "list"
        only(entry, {kind}, where)
        inside = entry[kind]
        if kind == "map" and isinstance(inside, dict):
            return MapOf(tuple((name, self.source(part, f"{where}.{name}")) for name, part in inside.items()))
        if kind == "list" and isinstance(inside, list):
            return ListOf(tuple(self.source(part, f"{where}[{n}]") for n, part in enumerate(inside)))
        raise MappingError(f"{where}: {kind} is no {kind}", "write map = { name = ... } or list = [ ... ]")


def _constant(given: Any, where: str) -> Attribute:
    try:
        return plain_attribute(given)
    except ValueOutOfRange:
        raise MappingError(
            f"{where}: DynamoDB has no such constant", "write a number in its range, or text"
        ) from None


def template_of(text: str, where: str) -> Template:
    """The template in a text. MappingError when it is none."""
    try:
        return Template.parse(text)
    except MappingError as error:
        raise MappingError(f"{where}: {error.found}", error.fix) from None


def type_of(entry: Dict[str, Any], where: str) -> AttributeType | None:
    """What `type` says; None without it."""
    if "type" not in entry:
        return None
    try:
        return AttributeType(entry["type"])
    except ValueError:
        raise MappingError(
            f"{where}: type is {entry['type']!r}", f"use one of {', '.join(AttributeType)}"
        ) from None


def null_of(given: Any, where: str) -> bool:
    """Whether a NULL is stored."""
    if not isinstance(given, str) or given not in NULLS:
        raise MappingError(f"{where}: null is {given!r}", 'write "leave-out" or "attribute"')
    return NULLS[given]


def only(entry: Any, names: frozenset[str] | set[str], where: str) -> None:
    """MappingError unless the entry is a table that has no other names."""
    if not isinstance(entry, dict):
        raise MappingError(f"{where} is missing or not a table", f"it has {', '.join(sorted(names))}")
    for name in entry.keys() - names:
        raise MappingError(f"{where}: unknown name {name!r}", f"it has {', '.join(sorted(names))}")


def text_of(entry: Dict[str, Any], name: str, where: str) -> str:
    """A name's text, which must not be empty."""
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise MappingError(f"{where}: {name} is missing or not text", f'write {name} = "..."')
    return value
