"""
The tables of a mapping file. Unknown names are refused: a misspelt option without effect would lose data.
"""

from collections.abc import Mapping as Dict
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, NamedTuple

from rowferry.errors import MappingError
from rowferry.mapping import filters, hooks, source_name
from rowferry.mapping.attribute_source import AttributeSource, ColumnSource, Text
from rowferry.mapping.file_values import Values, null_of, only, template_of, text_of, type_of
from rowferry.mapping.table import KEY_TYPES, RESERVED, ColumnRule, KeyAttribute, Layout, TableMapping, Ttl
from rowferry.mapping.template import Template

NAMES = frozenset(
    [
        *("source", "target", "layout", "hash_key", "range_key"),
        *("member_name", "member_value", "attribute", "prefix", "separator"),
        *("include", "exclude", "columns", "attributes", "null"),
        *("where", "ttl", "hook"),
    ]
)
EVERYTHING = "*"
"""The member_value that means a map of the row's columns."""


class _WordRule(NamedTuple):
    """
    Words of an entry, and what is said where they break the rule that they are listed under.

    `found` and `fix` may hold {layout}, and {words} for those of the words that it is about.
    """

    words: frozenset[str]
    found: str
    fix: str

    def error(self, where: str, layout: Layout, words: AbstractSet[str]) -> MappingError:
        named = {"layout": layout, "words": " and ".join(sorted(words))}
        return MappingError(f"{where}: {self.found.format(**named)}", self.fix.format(**named))


_MEMBERS = _WordRule(
    frozenset({"member_name", "member_value"}),
    "{layout} without members",
    'give member_name and member_value ("*": all columns)',
)
_CONTAINER = _WordRule(
    frozenset({"attribute"}), "{layout} without attribute", "name the one that holds the members"
)
_SEPARATOR = _WordRule(
    frozenset({"separator"}), "separator has no meaning with {layout}", f"use {Layout.STRING_SET}"
)
_TTL = _WordRule(
    frozenset({"ttl"}),
    "ttl with {layout}, where the rows of an item may disagree",
    "give it to an item-per-row source of the same target, such as the orders of the lines",
)
_CHOICE = _WordRule(
    frozenset({"include", "exclude"}),
    "include and exclude together",
    "keep one: include names all there are",
)
_OF_COLUMNS = _WordRule(
    frozenset({"include", "exclude", "attributes"}),
    "{words} without columns to store",
    'write member_value = "*", or remove it',
)
type _Rules = Dict[Layout, tuple[_WordRule, ...]]
_NEEDED: _Rules = {
    Layout.ITEM_PER_ROW: (),
    Layout.ATTRIBUTE_PER_ROW: (_MEMBERS,),
    Layout.NESTED_MAP: (_MEMBERS, _CONTAINER),
    Layout.STRING_SET: (_MEMBERS, _CONTAINER),
}
_WITHOUT_MEANING: _Rules = {
    Layout.ITEM_PER_ROW: (
        _WordRule(_MEMBERS.words | {"separator"}, "item-per-row has no members", "remove {words}"),
    ),
    Layout.ATTRIBUTE_PER_ROW: (
        _WordRule(
            frozenset({"attribute"}),
            "attribute has no meaning with {layout}",
            f"remove it, or use {Layout.NESTED_MAP}",
        ),
        _SEPARATOR,
        _TTL,
    ),
    Layout.NESTED_MAP: (_SEPARATOR, _TTL),
    Layout.STRING_SET: (_TTL,),
}
_NOT_TOGETHER: _Rules = {
    **dict.fromkeys(Layout, (_CHOICE,)),
    Layout.ITEM_PER_ROW: (
        _WordRule(
            frozenset({"attribute", "prefix"}),
            "prefix has no meaning where the columns are in an attribute",
            "remove it",
        ),
        _CHOICE,
    ),
}


def tables(document: Dict[str, Any]) -> tuple[TableMapping, ...]:
    """
    The tables of a document as tomllib returns it. Raises MappingError that names the entry and the fix.

    Each table is checked alone. What two tables of one target must agree on, `Mapping` checks.
    """
    only(document, {"table"}, "the file")
    entries = document.get("table", [])
    if not isinstance(entries, list) or not entries:
        raise MappingError("no [[table]] entry", "add one for each table to migrate")
    return tuple(_table(entry, f"table {number}") for number, entry in enumerate(entries, 1))


def _table(entry: Any, where: str) -> TableMapping:
    only(entry, NAMES, where)
    found = source_name.parsed(text_of(entry, "source", where))
    if found is None:
        raise MappingError(
            f"{where}: source has no dot between a schema and a table",
            'write "schema.table", and a schema with a dot in its name as in SQL: "`my.shop`.purchase"',
        )
    return _Reader(entry, source_name.source_of(*found)).table(*found)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one entry; messages begin with `where`."""

    entry: Dict[str, Any]
    where: str

    def table(self, schema: str, table: str) -> TableMapping:
        entry, where, layout = self.entry, self.where, self._layout()
        self._refuse_misplaced(layout)  # first: the next lines read words that it has found to be there
        rules = self._rules()
        values = Values(rules, self._null(grouped=layout is not Layout.ITEM_PER_ROW))
        mapped = TableMapping(
            schema=schema,
            table=table,
            target=text_of(entry, "target", where),
            layout=layout,
            hash_key=_key(entry.get("hash_key"), f"{where}: hash_key"),
            range_key=_key(entry["range_key"], f"{where}: range_key") if "range_key" in entry else None,
            member_name=_name(entry["member_name"], f"{where}: member_name")
            if "member_name" in entry
            else None,
            member_value=self._member_value(values),
            attribute=text_of(entry, "attribute", where) if "attribute" in entry else None,
            prefix=text_of(entry, "prefix", where) if "prefix" in entry else "",
            separator=text_of(entry, "separator", where) if "separator" in entry else ":",
            include=tuple(_names(entry, "include", where)) if "include" in entry else None,
            exclude=frozenset(_names(entry, "exclude", where)) if "exclude" in entry else frozenset(),
            rules=rules,
            attributes=self._attributes(values),
            keep_null=values.keep_null,
            where=filters.parse(entry["where"], f"{where}: where") if "where" in entry else None,
            ttl=_ttl(entry["ttl"], f"{where}: ttl") if "ttl" in entry else None,
            hook=hooks.load(text_of(entry, "hook", where), where) if "hook" in entry else None,
        )
        _refuse_names(mapped)
        _refuse_set(mapped)
        return mapped

    def _layout(self) -> Layout:
        name = text_of(self.entry, "layout", self.where)
        try:
            return Layout(name)
        except ValueError:
            known = ", ".join(Layout)
            raise MappingError(f"{self.where}: layout is {name!r}", f"use one of {known}") from None

    def _refuse_misplaced(self, layout: Layout) -> None:
        """Refuses words that have no meaning in this layout, and the absence of words that it needs."""
        given = self.entry.keys()
        for rule in _NEEDED[layout]:
            if not rule.words <= given:
                raise rule.error(self.where, layout, rule.words)
        for rule in _WITHOUT_MEANING[layout]:
            if extra := rule.words & given:
                raise rule.error(self.where, layout, extra)
        for rule in _NOT_TOGETHER[layout]:
            if rule.words <= given:
                raise rule.error(self.where, layout, rule.words)
        stores_columns = layout is Layout.ITEM_PER_ROW or self.entry["member_value"] == EVERYTHING
        if not stores_columns and (extra := _OF_COLUMNS.words & given):
            raise _OF_COLUMNS.error(self.where, layout, extra)

    def _null(self, *, grouped: bool) -> bool:
        # a member whose only value is NULL would vanish, and the row with it
        alone = grouped and self.entry["member_value"] != EVERYTHING
        default = "attribute" if alone and self.entry["layout"] != Layout.STRING_SET else "leave-out"
        return null_of(self.entry.get("null", default), self.where)

    def _rules(self) -> dict[str, ColumnRule]:
        entries = self.entry.get("columns", {})
        if not isinstance(entries, dict):
            raise MappingError(f"{self.where}: columns is not a table", "write columns.NAME = { type = ... }")
        return {name: self._rule(rule, f"{self.where}: columns.{name}") for name, rule in entries.items()}

    def _rule(self, rule: Any, where: str) -> ColumnRule:
        only(rule, {"name", "type", "null"}, where)
        return ColumnRule(
            text_of(rule, "name", where) if "name" in rule else None,
            type_of(rule, where),
            null_of(rule["null"], where) if "null" in rule else None,
        )

    def _member_value(self, values: "Values") -> AttributeSource | None:
        given = self.entry.get("member_value")
        if given is None or given == EVERYTHING:
            return None
        return values.source(given, f"{self.where}: member_value")

    def _attributes(self, values: "Values") -> tuple[tuple[str, AttributeSource], ...]:
        entries = self.entry.get("attributes", {})
        if not isinstance(entries, dict):
            raise MappingError(f"{self.where}: attributes is not a table", 'write attributes.NAME = "..."')
        return tuple(
            (name, values.source(entry, f"{self.where}: attributes.{name}"))
            for name, entry in entries.items()
        )


def _key(entry: Any, where: str) -> KeyAttribute:
    only(entry, {"attribute", "type", "column", "template", "constant"}, where)
    attribute = text_of(entry, "attribute", where)
    kind = entry.get("type", "S")
    if not isinstance(kind, str) or kind not in KEY_TYPES:
        raise MappingError(f"{where}: type is {kind!r}", "a DynamoDB key is S, N or B")
    made = entry.keys() & {"column", "template", "constant"}
    if len(made) > 1:
        raise MappingError(f"{where}: {' and '.join(sorted(made))} together", "keep one")
    if "template" in entry:
        return KeyAttribute(attribute, kind, None, template_of(text_of(entry, "template", where), where))
    if "constant" in entry:
        return KeyAttribute(attribute, kind, None, _constant(entry, where))
    column = text_of(entry, "column", where) if "column" in entry else attribute
    if "${" in column:
        raise MappingError(f"{where}: column {column!r} is a text with columns", "write template = instead")
    return KeyAttribute(attribute, kind, column)


def _name(entry: Any, where: str) -> str | Template:
    """A column, a template with ${column}, or a constant."""
    where = f"{where}: member_name"
    if isinstance(entry, dict):
        only(entry, {"constant"}, where)
        return _constant(entry, where)
    if not isinstance(entry, str) or not entry:
        raise MappingError(
            f"{where} is not understood", 'write "column", "text ${column}" or { constant = "..." }'
        )
    return template_of(entry, where) if "${" in entry else entry


def _constant(entry: Dict[str, Any], where: str) -> Template:
    value = entry.get("constant")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise MappingError(f"{where}: constant is {value!r}", "write text or a whole number")
    return Template((str(value),))


def _ttl(entry: Any, where: str) -> Ttl:
    only(entry, {"attribute", "column", "days"}, where)
    days = entry.get("days", 0)
    if isinstance(days, bool) or not isinstance(days, int):  # a bool is an int
        raise MappingError(f"{where}: days is {days!r}", "write a whole number")
    return Ttl(text_of(entry, "attribute", where), text_of(entry, "column", where), days)


def _refuse_names(table: TableMapping) -> None:
    keys = [key.attribute for key in table.keys]
    if len(set(keys)) < len(keys):
        raise MappingError(
            f"{table.source}: key attribute {keys[0]!r} occurs twice",
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
        if table.include is None:
            named += [rule.name for rule in table.rules.values() if rule.name]
        named += [found[0] for column in table.include or () if (found := table.stored(column))]
    for name in named:
        if name in table.reserved or named.count(name) > 1:
            raise MappingError(
                f"{table.source}: attribute {name!r} occurs twice, is a key, or is Rowferry's own",
                "choose another name",
            )


def _refuse_set(table: TableMapping) -> None:
    if table.layout is not Layout.STRING_SET:
        return
    if not isinstance(table.member_value, ColumnSource | Text):
        raise MappingError(
            f"{table.source}: string-set holds `name{table.separator}value`",
            "let member_value be a column or a text",
        )
    if len(table.separator) != 1:
        raise MappingError(f"{table.source}: separator is {table.separator!r}", "one character")
    if table.keep_null or table.member_value.keep_null:
        raise MappingError(f"{table.source}: a string set cannot hold NULL", 'remove null = "attribute"')


def _names(entry: Dict[str, Any], name: str, where: str) -> list[str]:
    value = entry[name]
    if not isinstance(value, list) or not all(isinstance(column, str) and column for column in value):
        raise MappingError(f"{where}: {name} is not a list of columns", f'write {name} = ["...", "..."]')
    return value
