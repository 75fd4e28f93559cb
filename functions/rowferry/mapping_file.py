"""A mapping file's tables. Unknown names are refused: a misspelt option that does nothing would cost data."""

from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Any

from rowferry import filters, hooks
from rowferry.errors import MappingError
from rowferry.sources import Column, Constant, ListOf, MapOf, Source, Text, Type, plain_attribute
from rowferry.table import KEY_TYPES, RESERVED, ColumnRule, KeyAttribute, Layout, TableMapping, Ttl
from rowferry.template import Template

NAMES = frozenset(
    [
        *("source", "target", "layout", "hash_key", "range_key"),
        *("member_name", "member_value", "attribute", "prefix", "separator"),
        *("include", "exclude", "columns", "attributes", "null"),
        *("where", "ttl", "hook"),
    ]
)
NULLS = {"leave-out": False, "attribute": True}
EVERYTHING = "*"
"""The member_value that stands for a map of the row's columns."""


def tables(document: Dict[str, Any]) -> tuple[TableMapping, ...]:
    """The tables of a document as tomllib gives it. MappingError names the entry and the fix."""
    only(document, {"table"}, "the file")
    entries = document.get("table", [])
    if not isinstance(entries, list) or not entries:
        raise MappingError("no [[table]] entry", "add one for each table to migrate")
    return tuple(_table(entry, f"table {number}") for number, entry in enumerate(entries, 1))


def _table(entry: Any, where: str) -> TableMapping:
    only(entry, NAMES, where)
    schema, _, table = _text(entry, "source", where).partition(".")
    if not table:
        raise MappingError(f"{where}: source has no dot", 'write "schema.table"')
    return _Reader(entry, f"{schema}.{table}").table(schema, table)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one entry; `where` begins its messages."""

    entry: Dict[str, Any]
    where: str

    def table(self, schema: str, table: str) -> TableMapping:
        entry, where, layout = self.entry, self.where, self._layout()
        self._refuse_misplaced(layout)
        rules = self._rules()
        values = _Values(rules, self._null(grouped=layout is not Layout.ITEM_PER_ROW))
        mapped = TableMapping(
            schema=schema,
            table=table,
            target=_text(entry, "target", where),
            layout=layout,
            hash_key=_key(entry.get("hash_key"), f"{where}: hash_key"),
            range_key=_key(entry["range_key"], f"{where}: range_key") if "range_key" in entry else None,
            member_name=_name(entry["member_name"], f"{where}: member_name")
            if "member_name" in entry
            else None,
            member_value=self._member_value(values),
            attribute=_text(entry, "attribute", where) if "attribute" in entry else None,
            prefix=_text(entry, "prefix", where) if "prefix" in entry else "",
            separator=_text(entry, "separator", where) if "separator" in entry else ":",
            include=tuple(_names(entry, "include", where)) if "include" in entry else None,
            exclude=frozenset(_names(entry, "exclude", where)) if "exclude" in entry else frozenset(),
            rules=rules,
            attributes=self._attributes(values),
            keep_null=values.keep_null,
            where=filters.parse(entry["where"], f"{where}: where") if "where" in entry else None,
            ttl=_ttl(entry["ttl"], f"{where}: ttl") if "ttl" in entry else None,
            hook=hooks.load(_text(entry, "hook", where), where) if "hook" in entry else None,
        )
        _refuse_names(mapped)
        _refuse_set(mapped)
        return mapped

    def _layout(self) -> Layout:
        name = _text(self.entry, "layout", self.where)
        try:
            return Layout(name)
        except ValueError:
            known = ", ".join(Layout)
            raise MappingError(f"{self.where}: layout is {name!r}", f"use one of {known}") from None

    def _refuse_misplaced(self, layout: Layout) -> None:
        """Names that say nothing in this layout, and names that it cannot do without."""
        given, where = self.entry.keys(), self.where
        members = {"member_name", "member_value"}
        if layout is Layout.ITEM_PER_ROW and (extra := given & (members | {"separator"})):
            raise MappingError(
                f"{where}: item-per-row has no members", f"remove {' and '.join(sorted(extra))}"
            )
        if layout is not Layout.ITEM_PER_ROW and not members <= given:
            raise MappingError(
                f"{where}: {layout} without members", 'give member_name and member_value ("*": all columns)'
            )
        inside = layout in (Layout.NESTED_MAP, Layout.STRING_SET)
        if inside and "attribute" not in given:
            raise MappingError(f"{where}: {layout} without attribute", "name the one that holds the members")
        if layout is Layout.ATTRIBUTE_PER_ROW and "attribute" in given:
            raise MappingError(
                f"{where}: attribute has no meaning with {layout}", f"remove it, or use {Layout.NESTED_MAP}"
            )
        if layout is not Layout.STRING_SET and "separator" in given:
            raise MappingError(f"{where}: separator has no meaning with {layout}", f"use {Layout.STRING_SET}")
        if layout is not Layout.ITEM_PER_ROW and "ttl" in given:
            raise MappingError(
                f"{where}: ttl with {layout}, where the rows of an item may disagree",
                "give it to an item-per-row source of the same target, such as the orders of the lines",
            )
        one = layout is not Layout.ITEM_PER_ROW and self.entry["member_value"] != EVERYTHING
        if one and (extra := given & {"include", "exclude", "attributes"}):
            raise MappingError(
                f"{where}: {' and '.join(sorted(extra))} without columns to store",
                'write member_value = "*", or remove it',
            )
        if {"include", "exclude"} <= given:
            raise MappingError(
                f"{where}: include and exclude together", "keep one: include names all there are"
            )

    def _null(self, *, grouped: bool) -> bool:
        # a member whose only value is NULL would vanish, and the row with it
        alone = grouped and self.entry["member_value"] != EVERYTHING
        default = "attribute" if alone and self.entry["layout"] != Layout.STRING_SET else "leave-out"
        return _null(self.entry.get("null", default), self.where)

    def _rules(self) -> dict[str, ColumnRule]:
        entries = self.entry.get("columns", {})
        if not isinstance(entries, dict):
            raise MappingError(f"{self.where}: columns is no table", "write columns.NAME = { type = ... }")
        return {name: self._rule(rule, f"{self.where}: columns.{name}") for name, rule in entries.items()}

    def _rule(self, rule: Any, where: str) -> ColumnRule:
        only(rule, {"name", "type", "null"}, where)
        return ColumnRule(
            _text(rule, "name", where) if "name" in rule else None,
            _type(rule, where),
            _null(rule["null"], where) if "null" in rule else None,
        )

    def _member_value(self, values: "_Values") -> Source | None:
        given = self.entry.get("member_value")
        if given is None or given == EVERYTHING:
            return None
        return values.source(given, f"{self.where}: member_value")

    def _attributes(self, values: "_Values") -> tuple[tuple[str, Source], ...]:
        entries = self.entry.get("attributes", {})
        if not isinstance(entries, dict):
            raise MappingError(f"{self.where}: attributes is no table", 'write attributes.NAME = "..."')
        return tuple(
            (name, values.source(entry, f"{self.where}: attributes.{name}"))
            for name, entry in entries.items()
        )


@dataclass(frozen=True, slots=True)
class _Values:
    """Reads what an attribute holds, with what the mapping says of the columns."""

    rules: Dict[str, ColumnRule]
    keep_null: bool

    def source(self, entry: Any, where: str) -> Source:
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
            return Constant(plain_attribute(entry["constant"]))
        if "map" in entry or "list" in entry:
            return self._several(entry, where)
        only(entry, {"column", "template", "type", "null"}, where)
        return self._one(entry, where)

    def _one(self, entry: Dict[str, Any], where: str) -> Source:
        kind = _type(entry, where)
        kept = _null(entry["null"], where) if "null" in entry else None
        if "template" in entry:
            template = _template(_text(entry, "template", where), where)
            return Text(template, kind, self.keep_null if kept is None else kept)
        column = _text(entry, "column", where)
        rule = self.rules.get(column, ColumnRule())
        if kept is None:
            kept = self.keep_null if rule.keep_null is None else rule.keep_null
        return Column(column, kind or rule.type, kept)

    def _several(self, entry: Dict[str, Any], where: str) -> Source:
        kind = "map" if "map" in entry else "list"
        only(entry, {kind}, where)
        inside = entry[kind]
        if kind == "map" and isinstance(inside, dict):
            return MapOf(tuple((name, self.source(part, f"{where}.{name}")) for name, part in inside.items()))
        if kind == "list" and isinstance(inside, list):
            return ListOf(tuple(self.source(part, f"{where}[{n}]") for n, part in enumerate(inside)))
        raise MappingError(f"{where}: {kind} is no {kind}", "write map = { name = ... } or list = [ ... ]")


def _key(entry: Any, where: str) -> KeyAttribute:
    only(entry, {"attribute", "type", "column", "template", "constant"}, where)
    attribute = _text(entry, "attribute", where)
    kind = entry.get("type", "S")
    if not isinstance(kind, str) or kind not in KEY_TYPES:
        raise MappingError(f"{where}: type is {kind!r}", "a DynamoDB key is S, N or B")
    made = entry.keys() & {"column", "template", "constant"}
    if len(made) > 1:
        raise MappingError(f"{where}: {' and '.join(sorted(made))} together", "keep one")
    if "template" in entry:
        return KeyAttribute(attribute, kind, None, _template(_text(entry, "template", where), where))
    if "constant" in entry:
        return KeyAttribute(attribute, kind, None, _constant(entry, where))
    column = _text(entry, "column", where) if "column" in entry else attribute
    if "${" in column:
        raise MappingError(f"{where}: column {column!r} is a text with columns", "write template = instead")
    return KeyAttribute(attribute, kind, column)


def _name(entry: Any, where: str) -> str | Template:
    """A column, or a text with ${column}, or a constant."""
    where = f"{where}: member_name"
    if isinstance(entry, dict):
        only(entry, {"constant"}, where)
        return _constant(entry, where)
    if not isinstance(entry, str) or not entry:
        raise MappingError(
            f"{where} is not understood", 'write "column", "text ${column}" or { constant = "..." }'
        )
    return _template(entry, where) if "${" in entry else entry


def _constant(entry: Dict[str, Any], where: str) -> Template:
    value = entry.get("constant")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise MappingError(f"{where}: constant is {value!r}", "write text or a whole number")
    return Template((str(value),))


def _template(text: str, where: str) -> Template:
    try:
        return Template.parse(text)
    except MappingError as error:
        raise MappingError(f"{where}: {error.found}", error.fix) from None


def _ttl(entry: Any, where: str) -> Ttl:
    only(entry, {"attribute", "column", "days"}, where)
    days = entry.get("days", 0)
    if isinstance(days, bool) or not isinstance(days, int):
        raise MappingError(f"{where}: days is {days!r}", "write a whole number")
    return Ttl(_text(entry, "attribute", where), _text(entry, "column", where), days)


def _type(entry: Dict[str, Any], where: str) -> Type | None:
    if "type" not in entry:
        return None
    try:
        return Type(entry["type"])
    except ValueError:
        raise MappingError(f"{where}: type is {entry['type']!r}", f"use one of {', '.join(Type)}") from None


def _null(given: Any, where: str) -> bool:
    if not isinstance(given, str) or given not in NULLS:
        raise MappingError(f"{where}: null is {given!r}", 'write "leave-out" or "attribute"')
    return NULLS[given]


def _refuse_names(table: TableMapping) -> None:
    keys = [key.attribute for key in table.keys]
    if len(set(keys)) < len(keys):
        raise MappingError(
            f"{table.source}: key attribute {keys[0]!r} stands twice",
            "give hash key and range key different names",
        )
    if RESERVED & set(keys):
        raise MappingError(
            f"{table.source}: key attribute {' or '.join(sorted(RESERVED))}",
            "these are Rowferry's own: choose another",
        )
    inside = table.layout is not Layout.ITEM_PER_ROW  # then the columns' names are those of map entries
    named = [] if inside else [name for name, _ in table.attributes]
    named += [name for name in (table.attribute, table.ttl and table.ttl.attribute) if name]
    if not inside and table.attribute is None:
        named += [rule.name for rule in table.rules.values() if rule.name]
    for name in named:
        if name in table.reserved or named.count(name) > 1:
            raise MappingError(
                f"{table.source}: attribute {name!r} stands twice, is a key, or is Rowferry's own",
                "choose another name",
            )


def _refuse_set(table: TableMapping) -> None:
    if table.layout is not Layout.STRING_SET:
        return
    if not isinstance(table.member_value, Column | Text):
        raise MappingError(
            f"{table.source}: string-set holds `name{table.separator}value`",
            "let member_value be a column or a text",
        )
    if len(table.separator) != 1:
        raise MappingError(f"{table.source}: separator is {table.separator!r}", "one character")
    if table.keep_null or table.member_value.keep_null:
        raise MappingError(f"{table.source}: a string set has no NULL", 'remove null = "attribute"')


def only(entry: Any, names: frozenset[str] | set[str], where: str) -> None:
    """MappingError unless the entry is a table that has no other names."""
    if not isinstance(entry, dict):
        raise MappingError(f"{where} is missing or not a table", f"it has {', '.join(sorted(names))}")
    for name in entry.keys() - names:
        raise MappingError(f"{where}: unknown name {name!r}", f"it has {', '.join(sorted(names))}")


def _text(entry: Dict[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise MappingError(f"{where}: {name} is missing or not text", f'write {name} = "..."')
    return value


def _names(entry: Dict[str, Any], name: str, where: str) -> list[str]:
    value = entry[name]
    if not isinstance(value, list) or not all(isinstance(column, str) and column for column in value):
        raise MappingError(f"{where}: {name} is not a list of columns", f'write {name} = ["...", "..."]')
    return value
