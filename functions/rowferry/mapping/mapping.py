"""
Which table goes to which item. docs/mapping.md explains every option.

Read from TOML, or from the table mapping JSON of AWS DMS where the file ends in .json.
"""

import json
import tomllib
from collections.abc import Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Self

from rowferry.errors import MappingError
from rowferry.mapping import dms, file
from rowferry.mapping.namespace import names_of
from rowferry.mapping.table import (
    Layout,
    TableMapping,
    Target,
)


@dataclass(frozen=True, slots=True)
class Mapping:
    """
    All mapped tables. Raises MappingError if two of them would write the same names of one target's items.

    It knows the file only: whether the tables and columns exist, `rowferry.mysql.conditions` checks.
    """

    tables: tuple[TableMapping, ...]
    _by_name: Dict[tuple[str, str], TableMapping] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _refuse_twice([table.source for table in self.tables])
        sources: dict[str, list[TableMapping]] = {}
        for table in self.tables:
            sources.setdefault(table.target, []).append(table)
        for together in sources.values():
            _refuse_collisions(together)
        tables = tuple(_joined(table, sources[table.target]) for table in self.tables)
        object.__setattr__(self, "tables", tables)
        object.__setattr__(self, "_by_name", {(table.schema, table.table): table for table in tables})

    def find(self, schema: str, table: str) -> TableMapping | None:
        """The entry for a source table; None if it is not mapped."""
        return self._by_name.get((schema, table))

    @classmethod
    def load(cls, path: Path) -> Self:
        """
        The mapping in a TOML file, or in DMS JSON (.json). Raises MappingError with the file and the fix.
        """
        try:
            text = path.read_text(encoding="utf-8")
            return cls.parse_dms(text) if path.suffix == ".json" else cls.parse(text)
        except OSError as error:
            raise MappingError(f"{path}: {error.strerror}", "name an existing mapping file") from error
        except UnicodeDecodeError as error:
            raise MappingError(f"{path}: not UTF-8", "save the file as UTF-8") from error
        except MappingError as error:
            raise MappingError(f"{path}: {error.found}", error.fix) from error

    @classmethod
    def parse(cls, text: str) -> Self:
        """The mapping in TOML text. Raises MappingError if it is not one."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise MappingError(f"not TOML: {error}", "correct the line") from error
        return cls(file.tables(document))

    @classmethod
    def parse_dms(cls, text: str) -> Self:
        """The mapping in DMS JSON text. Raises MappingError if it is not one, or cannot be expressed."""
        try:
            rules = json.loads(text)
        except json.JSONDecodeError as error:
            raise MappingError(f"not JSON: {error}", "correct the line") from error
        return cls(file.tables(dms.document(rules).document))


def _joined(table: TableMapping, together: list[TableMapping]) -> TableMapping:
    """The table, completed with what the sources of its target have to know of each other."""
    shared = len(together) > 1
    into = Target(
        maps=frozenset(t.attribute for t in together if t.layout is Layout.NESTED_MAP and t.attribute),
        ttl=table.ttl.attribute if table.ttl and not shared else None,  # see requests._mark
        merge=table.layout is Layout.STRING_SET,
    )
    return replace(table, shared=shared, into=into)


def _refuse_twice(names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise MappingError(f"source {name!r} occurs twice", "map each source table once")


def _refuse_collisions(together: Iterable[TableMapping]) -> None:
    """Sources of one target need the same key and distinct names, or they would overwrite each other."""
    for one, other in combinations(together, 2):
        where = f"{one.source} and {other.source} have the target {one.target}"
        if _keys(one) != _keys(other):
            raise MappingError(
                f"{where} but not its key", "give both the same key attributes, of the same types"
            )
        if one.ttl and other.ttl:
            raise MappingError(f"{where} and both a ttl", "an item has one: leave the other out")
        if clash := names_of(one).clash(names_of(other)):
            raise MappingError(
                f"{where} and may both write {clash}", "give one a `prefix`, or another `attribute`"
            )


def _keys(table: TableMapping) -> list[tuple[str, str]]:
    return [(key.attribute, key.type) for key in table.keys]
