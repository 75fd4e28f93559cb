"""
Which table goes to which item. Read from TOML; see functions/purchase.toml for the documented example.
"""

import tomllib
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from rowferry.errors import MappingError

POSITION = "_pos"
"""The item attribute that holds the position of the newest change in the item."""
EXPIRES = "_ttl"
"""The item attribute that makes an item a tombstone: seconds since 1970 at which DynamoDB may remove it."""
RESERVED = frozenset({POSITION, EXPIRES})
KEY_TYPES = frozenset({"S", "N", "B"})


class Layout(StrEnum):
    """How rows lie in an item."""

    ATTRIBUTE_PER_ROW = "attribute-per-row"
    """All rows with one key are one item; each row is one attribute, its member."""
    ITEM_PER_ROW = "item-per-row"
    """Each row is an item; each column is an attribute."""


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """One attribute of the item's key: its name and type (S, N or B) in DynamoDB, its column in MySQL."""

    attribute: str
    type: str
    column: str


@dataclass(frozen=True, slots=True)
class TableMapping:
    """One source table and the items it becomes."""

    schema: str
    table: str
    target: str
    layout: Layout
    hash_key: KeyAttribute
    range_key: KeyAttribute | None = None
    member_name: str | None = None
    """The column whose value names the row's attribute (attribute-per-row only)."""
    member_value: str | None = None
    """The column whose value the attribute holds (attribute-per-row only)."""

    @property
    def source(self) -> str:
        """`schema.table`, as in messages and in the control table."""
        return f"{self.schema}.{self.table}"

    @property
    def keys(self) -> tuple[KeyAttribute, ...]:
        """The item's key attributes, hash key first."""
        return (self.hash_key,) if self.range_key is None else (self.hash_key, self.range_key)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the mapping names; item-per-row carries all others too."""
        members = (self.member_name, self.member_value)
        return tuple(dict.fromkeys([key.column for key in self.keys] + [name for name in members if name]))

    @property
    def reserved(self) -> frozenset[str]:
        """Attribute names that no member may have."""
        return RESERVED | {key.attribute for key in self.keys}


@dataclass(frozen=True, slots=True)
class Mapping:
    """All mapped tables."""

    tables: tuple[TableMapping, ...]
    _by_name: Dict[tuple[str, str], TableMapping] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {(table.schema, table.table): table for table in self.tables})

    def find(self, schema: str, table: str) -> TableMapping | None:
        """The entry for a source table, None when it is not mapped."""
        return self._by_name.get((schema, table))

    @classmethod
    def load(cls, path: Path) -> Self:
        """The mapping in a TOML file. MappingError names the file, the entry and the fix."""
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise MappingError(f"{path}: {error.strerror}", "name an existing mapping file") from error
        except UnicodeDecodeError as error:
            raise MappingError(f"{path}: not UTF-8", "save the file as UTF-8") from error
        except MappingError as error:
            raise MappingError(f"{path}: {error.found}", error.fix) from error

    @classmethod
    def parse(cls, text: str) -> Self:
        """The mapping in TOML text. MappingError when it is not one."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"not TOML: {error}", "correct the line") from error
        _only(document, {"table"}, "the file")
        entries = document.get("table", [])
        if not isinstance(entries, list) or not entries:
            raise MappingError("no [[table]] entry", "add one for each table to migrate")
        tables = tuple(_table(entry, f"table {number}") for number, entry in enumerate(entries, 1))
        _refuse_twice([table.source for table in tables], "source", "map each source table once")
        _refuse_twice([table.target for table in tables], "target", "give each source table its own target")
        return cls(tables)


def _table(entry: Any, where: str) -> TableMapping:
    names = {"source", "target", "layout", "hash_key", "range_key", "member_name", "member_value"}
    _only(entry, names, where)
    schema, _, table = _text(entry, "source", where).partition(".")
    if not table:
        raise MappingError(f"{where}: source has no dot", 'write "schema.table"')
    where = f"{schema}.{table}"
    mapped = TableMapping(
        schema=schema,
        table=table,
        target=_text(entry, "target", where),
        layout=_layout(entry, where),
        hash_key=_key(entry.get("hash_key"), f"{where}: hash_key"),
        range_key=_key(entry["range_key"], f"{where}: range_key") if "range_key" in entry else None,
        member_name=_text(entry, "member_name", where) if "member_name" in entry else None,
        member_value=_text(entry, "member_value", where) if "member_value" in entry else None,
    )
    _refuse_members(mapped)
    _refuse_keys(mapped)
    return mapped


def _key(entry: Any, where: str) -> KeyAttribute:
    _only(entry, {"attribute", "type", "column"}, where)
    attribute = _text(entry, "attribute", where)
    kind = entry.get("type", "S")
    if not isinstance(kind, str) or kind not in KEY_TYPES:
        raise MappingError(f"{where}: type is {kind!r}", "a DynamoDB key is S, N or B")
    return KeyAttribute(attribute, kind, _text(entry, "column", where) if "column" in entry else attribute)


def _layout(entry: Dict[str, Any], where: str) -> Layout:
    name = _text(entry, "layout", where)
    try:
        return Layout(name)
    except ValueError:
        known = ", ".join(Layout)
        raise MappingError(f"{where}: layout is {name!r}", f"use one of {known}") from None


def _refuse_members(table: TableMapping) -> None:
    given = (table.member_name is not None, table.member_value is not None)
    if table.layout is Layout.ATTRIBUTE_PER_ROW and not all(given):
        raise MappingError(
            f"{table.source}: attribute-per-row without members", "give member_name and member_value"
        )
    if table.layout is Layout.ITEM_PER_ROW and any(given):
        raise MappingError(
            f"{table.source}: item-per-row has no members", "remove member_name and member_value"
        )


def _refuse_keys(table: TableMapping) -> None:
    names = [key.attribute for key in table.keys]
    _refuse_twice(names, f"{table.source}: key attribute", "give hash key and range key different names")
    if RESERVED & set(names):
        raise MappingError(
            f"{table.source}: key attribute {POSITION} or {EXPIRES}",
            "these are Rowferry's own: choose another",
        )


def _refuse_twice(names: list[str], what: str, fix: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise MappingError(f"{what} {name!r} stands twice", fix)


def _only(entry: Any, names: set[str], where: str) -> None:
    if not isinstance(entry, dict):
        raise MappingError(f"{where} is missing or not a table", f"it has {', '.join(sorted(names))}")
    for name in entry.keys() - names:
        raise MappingError(f"{where}: unknown name {name!r}", f"it has {', '.join(sorted(names))}")


def _text(entry: Dict[str, Any], name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise MappingError(f"{where}: {name} is missing or not text", f'write {name} = "..."')
    return value
