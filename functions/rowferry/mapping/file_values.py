"""Values in a mapping file: what an attribute holds, and the options that occur in many places."""

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
    """Reads what an attribute holds, under the mapping's rules for columns and its default for NULL."""

    rules: Dict[str, ColumnRule]
    keep_null: bool

    def source(self, entry: Any, where: str) -> AttributeSource:
        """
        A column, a template with ${column}, or a table with one of column, template, constant, map, list.
        """
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
        raise MappingError(
            f"{where}: {kind} has the wrong value", "write map = { name = ... } or list = [ ... ]"
        )


def _constant(given: Any, where: str) -> Attribute:
    try:
        return plain_attribute(given)
    except ValueOutOfRange:
        raise MappingError(
            f"{where}: DynamoDB cannot store the constant", "write a number in its range, or text"
        ) from None


def template_of(text: str, where: str) -> Template:
    """The template in a text. Raises MappingError that begins with `where`."""
    try:
        return Template.parse(text)
    except MappingError as error:
        raise MappingError(f"{where}: {error.found}", error.fix) from None


def type_of(entry: Dict[str, Any], where: str) -> AttributeType | None:
    """The entry's `type`; None if it has none. Raises MappingError."""
    if "type" not in entry:
        return None
    try:
        return AttributeType(entry["type"])
    except ValueError:
        raise MappingError(
            f"{where}: type is {entry['type']!r}", f"use one of {', '.join(AttributeType)}"
        ) from None


def null_of(given: Any, where: str) -> bool:
    """Whether a NULL is stored, from the words of NULLS. Raises MappingError."""
    if not isinstance(given, str) or given not in NULLS:
        raise MappingError(f"{where}: null is {given!r}", 'write "leave-out" or "attribute"')
    return NULLS[given]


def only(entry: Any, names: frozenset[str] | set[str], where: str) -> None:
    """Raises MappingError unless the entry is a table with no other names."""
    if not isinstance(entry, dict):
        raise MappingError(f"{where} is missing or not a table", f"it has {', '.join(sorted(names))}")
    for name in entry.keys() - names:
        raise MappingError(f"{where}: unknown name {name!r}", f"it has {', '.join(sorted(names))}")


def text_of(entry: Dict[str, Any], name: str, where: str) -> str:
    """The text of a name. Raises MappingError if it is missing, not text, or empty."""
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise MappingError(f"{where}: {name} is missing or not text", f'write {name} = "..."')
    return value
