"""
Reads some items and their rows for verify: items by key, rows by a condition that misses none.

Part of verify's independent reading: shares no code with the parts that it checks. A condition may find more
rows than those of the items: each row's members are computed, and those of other items are dropped.
"""

import json
import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

from ferry.verify.oracle import mapping_words, source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.members import Member, expected, found
from ferry.verify.oracle.sql_literals import BYTES, DAYS, EXACT, TEXTS, literal
from rowferry.errors import Refused, Unapplied

AT_ONCE = 100  # keys of a BatchGetItem, its maximum; and of a condition
FOUND = EXACT | DAYS | TEXTS | BYTES | {"enum"}
type Key = str
"""An item's key, as in Member."""
type Members = tuple[Member, ...]
"""Sorted."""


def types_of(connection: Any, pair: Pair) -> dict[str, str]:
    """The types of the carried columns, by name. Raises Refused where one is missing."""
    types = source_text.types(connection, pair.schema, pair.table)
    columns = pair.columns(list(types))
    for column in columns:
        if column not in types:
            raise Refused(
                f"{pair.schema}.{pair.table} has no column {column}, or there is no such table",
                "correct the mapping, or GRANT SELECT on it",
            )
    return {name: types[name] for name in columns}


@dataclass(frozen=True, slots=True)
class ItemMembers:
    """An item's members, and its `_pos`; None where it has none, or does not exist."""

    members: Members = ()
    position: str | None = None


@dataclass(slots=True)
class RowLookup:
    """Reads rows of one source by the keys of their items."""

    pair: Pair
    types: Mapping[str, str]
    connection: Any
    _columns: list[tuple[int, str, str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._columns = list(_columns(self.pair, self.types))

    def of(self, keys: Sequence[Key]) -> Iterator[Member]:
        """The members that the rows of these items should make."""
        wanted = set(keys)
        if self.condition(keys) is None:
            yield from self._read(None, wanted)
            return
        for some in batched(keys, AT_ONCE, strict=False):
            yield from self._read(self.condition(some), wanted)

    def condition(self, keys: Sequence[Key]) -> str | None:
        """A condition in SQL that finds at least the rows of these items; None: all rows have to be read."""
        each = [self._condition(key) for key in keys]
        return None if None in each else " OR ".join(map(str, each))

    def _read(self, where: str | None, wanted: set[Key]) -> Iterator[Member]:
        pair = self.pair
        for rows in source_text.rows(self.connection, pair.schema, pair.table, self.types, where):
            for member in expected(pair, self.types, iter(rows)):
                if member.key in wanted:
                    yield member

    def _condition(self, key: Key) -> str | None:
        parts = json.loads(key)
        literals = [
            f"{source_text.quoted(column)} = {text}"
            for number, column, before, after in self._columns
            if (text := _literal(self.types[column], parts[number], before, after))
        ]
        return f"({' AND '.join(literals)})" if literals else None


def _columns(pair: Pair, types: Mapping[str, str]) -> Iterator[tuple[int, str, str, str]]:
    """Key attributes that determine a column's value: their number, the column, the text before and after."""
    if "hook" in pair.entry:
        return
    for number, (_, _, made) in enumerate(pair.keys):
        if isinstance(made, str):
            parts = list(mapping_words.pieces(made)) if "${" in made else [("", made), ("", None)]
            named = [column for _, column in parts if column]
            # From a text of two columns neither value is certain: `a|b` and `c` look like `a` and `b|c`.
            if len(named) == 1 and types[named[0]] in FOUND:
                (before, _), (after, _) = parts
                yield number, named[0], before, after


def _literal(type_: str, part: tuple[str, str | None], before: str, after: str) -> str | None:
    """The column's value as an SQL literal; None where the server may not find the row by it."""
    kind, content = part
    if content is None or not (content.startswith(before) and content.endswith(after)):
        return None
    value = content[len(before) : len(content) - len(after)]
    if type_ in BYTES:
        return literal(type_, b64decode(value)) if kind == "B" and not before + after else None
    return literal(type_, value) if kind == "S" or type_ in EXACT else None


@dataclass(slots=True)
class ItemLookup:
    """Reads items of one target by key; its sources are `pairs`."""

    client: Any
    pairs: Sequence[Pair]

    def of(self, keys: Sequence[Key]) -> dict[Key, ItemMembers]:
        """Each item, by strongly consistent reads; those that do not exist have no members."""
        items = dict.fromkeys(keys, ItemMembers())
        for some in batched(keys, AT_ONCE, strict=False):
            for item in self._get(some):
                key = self.key(item)
                members = found(self.pairs[0], item, self.pairs[1:])
                items[key] = ItemMembers(tuple(sorted(members)), item.get("_pos", {}).get("S"))
        return items

    def _get(self, keys: Sequence[Key]) -> Iterator[dict[str, Any]]:
        wanted = {"Keys": [self.attributes(key) for key in keys], "ConsistentRead": True}
        asked = {self.target: wanted}
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4):
            answer = self.client.batch_get_item(RequestItems=asked)
            yield from answer["Responses"].get(self.target, ())
            # BatchGetItem succeeds although it has left keys out (above 16 MB, or throttled).
            asked = answer.get("UnprocessedKeys", {})
            if not asked:
                return
            time.sleep(pause)
        raise Unapplied(f"{self.target} goes on throttling reads", "raise its capacity, then run it again")

    def attributes(self, key: Key) -> dict[str, Any]:
        """The key for the low-level client."""
        return {
            name: {kind: b64decode(content) if kind == "B" else content}
            for (name, _, _), (kind, content) in zip(self.pairs[0].keys, json.loads(key), strict=True)
        }

    @property
    def target(self) -> str:
        return self.pairs[0].target

    def key(self, item: Mapping[str, Any]) -> Key:
        """The item's key as in Member."""
        alone = {name: item[name] for name, _, _ in self.pairs[0].keys}
        return next(iter(found(_whole(self.pairs[0]), alone))).key


def _whole(pair: Pair) -> Pair:
    """The pair as if a row were an item: such an item has a member even without attributes."""
    return Pair(pair.schema, pair.table, pair.target, pair.keys)


def together(members: Iterator[Member]) -> dict[Key, Members]:
    """The members by key, sorted."""
    found: dict[Key, list[Member]] = defaultdict(list)
    for member in members:
        found[member.key].append(member)
    return {key: tuple(sorted(some)) for key, some in found.items()}
