"""
Some items and their rows, read for verify: the items by key, the rows by a condition that leaves none out.

Part of verify's independent reading: shares no code with the parts that it checks. A condition may find more
rows than those of the items; what a row makes is worked out anew, and counts where it makes one of them.
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

AT_ONCE = 100  # keys of a BatchGetItem, which takes no more; and of a condition
FOUND = EXACT | DAYS | TEXTS | BYTES | {"enum"}
type Key = str
"""An item's key, as in Place."""
type Members = tuple[Member, ...]
"""In order."""


def types_of(connection: Any, pair: Pair) -> dict[str, str]:
    """The types of the columns that travel, by name. Refused where one is missing."""
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
    """An item's places, and its `_pos`; None where it has none, or is none."""

    places: Members = ()
    position: str | None = None


@dataclass(slots=True)
class RowLookup:
    """The rows of one source."""

    pair: Pair
    types: Mapping[str, str]
    connection: Any
    _columns: list[tuple[int, str, str, str]] = field(init=False)

    def __post_init__(self) -> None:
        self._columns = list(_columns(self.pair, self.types))

    def of(self, keys: Sequence[Key]) -> Iterator[Member]:
        """What the rows of these items have to be."""
        wanted = set(keys)
        if self.condition(keys) is None:
            yield from self._read(None, wanted)
            return
        for some in batched(keys, AT_ONCE, strict=False):
            yield from self._read(self.condition(some), wanted)

    def condition(self, keys: Sequence[Key]) -> str | None:
        """In SQL, what finds at least the rows of these items; None where all rows have to be read."""
        each = [self._condition(key) for key in keys]
        return None if None in each else " OR ".join(map(str, each))

    def _read(self, where: str | None, wanted: set[Key]) -> Iterator[Member]:
        pair = self.pair
        for rows in source_text.rows(self.connection, pair.schema, pair.table, self.types, where):
            for place in expected(pair, self.types, iter(rows)):
                if place.key in wanted:
                    yield place

    def _condition(self, key: Key) -> str | None:
        parts = json.loads(key)
        literals = [
            f"{source_text.quoted(column)} = {text}"
            for number, column, before, behind in self._columns
            if (text := _literal(self.types[column], parts[number], before, behind))
        ]
        return f"({' AND '.join(literals)})" if literals else None


def _columns(pair: Pair, types: Mapping[str, str]) -> Iterator[tuple[int, str, str, str]]:
    """Key attributes that tell a column's value: their number, the column, the text before and behind."""
    if "hook" in pair.entry:
        return
    for number, (_, _, made) in enumerate(pair.keys):
        if isinstance(made, str):
            parts = list(mapping_words.pieces(made)) if "${" in made else [("", made), ("", None)]
            named = [column for _, column in parts if column]
            if len(named) == 1 and types[named[0]] in FOUND:
                (before, _), (behind, _) = parts
                yield number, named[0], before, behind


def _literal(type_: str, part: tuple[str, str | None], before: str, behind: str) -> str | None:
    """The column's value in SQL; None where it is not certain that the server finds it."""
    kind, content = part
    if content is None or not (content.startswith(before) and content.endswith(behind)):
        return None
    value = content[len(before) : len(content) - len(behind)]
    if type_ in BYTES:
        return literal(type_, b64decode(value)) if kind == "B" and not before + behind else None
    return literal(type_, value) if kind == "S" or type_ in EXACT else None


@dataclass(slots=True)
class ItemLookup:
    """The items of one target, whose sources are `pairs`."""

    client: Any
    pairs: Sequence[Pair]

    def of(self, keys: Sequence[Key]) -> dict[Key, ItemMembers]:
        """Each item, read consistently; those that are not there have no places."""
        items = dict.fromkeys(keys, ItemMembers())
        for some in batched(keys, AT_ONCE, strict=False):
            for item in self._get(some):
                key = self.key(item)
                places = found(self.pairs[0], item, self.pairs[1:])
                items[key] = ItemMembers(tuple(sorted(places)), item.get("_pos", {}).get("S"))
        return items

    def _get(self, keys: Sequence[Key]) -> Iterator[dict[str, Any]]:
        wanted = {"Keys": [self.attributes(key) for key in keys], "ConsistentRead": True}
        asked = {self.target: wanted}
        for pause in (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4):
            answer = self.client.batch_get_item(RequestItems=asked)
            yield from answer["Responses"].get(self.target, ())
            asked = answer.get("UnprocessedKeys", {})
            if not asked:
                return
            time.sleep(pause)
        raise Unapplied(f"{self.target} takes no more reads", "raise its capacity, then run it again")

    def attributes(self, key: Key) -> dict[str, Any]:
        """The key as the client takes it."""
        return {
            name: {kind: b64decode(content) if kind == "B" else content}
            for (name, _, _), (kind, content) in zip(self.pairs[0].keys, json.loads(key), strict=True)
        }

    @property
    def target(self) -> str:
        """The table's name."""
        return self.pairs[0].target

    def key(self, item: Mapping[str, Any]) -> Key:
        """The item's key as in Place."""
        alone = {name: item[name] for name, _, _ in self.pairs[0].keys}
        return next(iter(found(_whole(self.pairs[0]), alone))).key


def _whole(pair: Pair) -> Pair:
    """As if a row were an item, which has a place without any attribute."""
    return Pair(pair.schema, pair.table, pair.target, pair.keys)


def together(places: Iterator[Member]) -> dict[Key, Members]:
    """The places by key, in order."""
    found: dict[Key, list[Member]] = defaultdict(list)
    for place in places:
        found[place.key].append(place)
    return {key: tuple(sorted(some)) for key, some in found.items()}
