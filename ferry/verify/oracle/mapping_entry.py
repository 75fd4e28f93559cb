"""A table of the mapping file, as verify itself reads it, by docs/mapping.md."""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferry.verify.oracle import mapping_words
from ferry.verify.oracle.mapping_words import EntryWords
from rowferry.mapping import dms


@dataclass(frozen=True, slots=True)
class Pair:
    """
    One source table and its target; `keys` are (attribute, type, column or template).

    `entry` is the table's entry in the mapping file, for everything else. `shared`:
    other sources write into the same items.
    """

    schema: str
    table: str
    target: str
    keys: tuple[tuple[str, str, Any], ...]
    member_name: Any = None
    member_value: Any = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    shared: bool = False

    @property
    def item_per_row(self) -> bool:
        """Whether each row is an item, instead of a member of one."""
        return self.member_name is None

    @property
    def words(self) -> EntryWords:
        """The entry's rules for values."""
        keys = {
            role: {"attribute": name, "column": made}
            for role, (name, _, made) in zip(("hash_key", "range_key"), self.keys, strict=False)
        }
        return EntryWords(
            {**keys, "member_name": self.member_name, "member_value": self.member_value, **self.entry}
        )

    def key_fields(self, key: str) -> dict[str, Any]:
        """The key of a Member by attribute names."""
        return {name: content for (name, _, _), (_, content) in zip(self.keys, json.loads(key), strict=True)}

    def key_columns(self) -> Iterator[str]:
        """The columns that the item's key is made of; with a hook, of the rows that it makes."""
        for _, _, made in self.keys:
            yield from _columns(made)

    def columns(self, there: Sequence[str]) -> list[str]:
        """Of the table's columns, those that have to be read; missing ones come last."""
        if "hook" in self.entry:
            return list(there)
        named = list(_named(self))
        words = self.words
        every = self.item_per_row or self.member_value == "*"
        read = [name for name in there if name in named or (every and words.stores(name))]
        # Not left out: types_of refuses them by name.
        return [*read, *(name for name in dict.fromkeys(named) if name not in there)]


def _named(pair: Pair) -> Iterator[str]:
    """The columns that the entry names."""
    made = [made for _, _, made in pair.keys] + [pair.member_name, pair.member_value]
    for source in [*made, *pair.entry.get("attributes", {}).values()]:
        yield from _columns(source)
    yield from pair.entry.get("include", ())
    yield from _columns(pair.entry.get("where", {}))
    yield from _columns(pair.entry.get("ttl", {}))


def _columns(source: Any) -> Iterator[str]:
    if isinstance(source, str):
        if "${" in source:
            yield from (column for _, column in mapping_words.pieces(source) if column)
        elif source != "*":
            yield source
    elif isinstance(source, list):
        for part in source:
            yield from _columns(part)
    elif isinstance(source, Mapping):
        if "column" in source:
            yield source["column"]
        for name in ("template", "list", "and", "or"):
            yield from _columns(source.get(name))
        yield from (column for part in source.get("map", {}).values() for column in _columns(part))


def read_pairs(file: Path) -> list[Pair]:
    """The pairs of a mapping file that has been checked (rowferry.mapping.Mapping.load raises its errors)."""
    text = file.read_text(encoding="utf-8")
    found = dms.document(json.loads(text)).document if file.suffix == ".json" else tomllib.loads(text)
    entries = found["table"]
    targets = [entry["target"] for entry in entries]
    return [_pair(entry, shared=targets.count(entry["target"]) > 1) for entry in entries]


def _pair(entry: Mapping[str, Any], *, shared: bool) -> Pair:
    schema, table = _names(entry["source"])
    keys = [entry[name] for name in ("hash_key", "range_key") if name in entry]
    return Pair(
        schema,
        table,
        entry["target"],
        tuple((key["attribute"], key.get("type", "S"), _made(key)) for key in keys),
        entry.get("member_name"),
        entry.get("member_value"),
        entry,
        shared,
    )


def _names(source: str) -> tuple[str, str]:
    """The schema up to the first dot and the table after it; a name may be in backquotes, as in SQL."""
    found: list[str] = []
    for _ in ("schema", "table"):
        end = source.find(".") if not found else len(source)
        if source.startswith("`"):
            end = 1
            while source[end : end + 2] == "``" or source[end] != "`":
                end += 2 if source[end] == "`" else 1
            found.append(source[1:end].replace("``", "`"))
            source = source[end + 2 :]
        else:
            found.append(source[:end])
            source = source[end + 1 :]
    return found[0], found[1]


def _made(key: Mapping[str, Any]) -> Any:
    if "constant" in key:
        return {"constant": key["constant"]}
    return key.get("template") or key.get("column", key["attribute"])
