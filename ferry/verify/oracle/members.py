"""
The members that rows should make, and the members that items have: the two sides that `ferry verify`
compares.

Shares no code with the parts that it checks (mapping, items, values, folding, and
how the load cuts and reads): the mapping file is read again here, rows are the
text that MySQL itself prints, and what an item should contain is computed again
from the documented format. Keep it that way: else one mistake could hide on both
sides. Two things are shared because there is only one of them: the user's hooks
(with the class in which they see JSON), and the conversion of DMS's JSON to the
words of a mapping file.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ferry.verify.oracle import hooks, mapping_words
from ferry.verify.oracle import values as oracle_values
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.mapping_words import LONGEST_KEYS, EntryWords, Row

OWN = frozenset({"_pos", "_ttl"})
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
PRESENT = ""
"""The name of the member for the item itself, where an item is a row: no attribute has an empty name."""


class Member(NamedTuple):
    """
    One member of one item: the key as JSON, the member's name, the value as `TYPE:content` (values.short).
    """

    key: str
    member: str
    value: str


# The source's side


def expected(pair: Pair, types: Mapping[str, str], rows: Iterator[Sequence[Any]]) -> Iterator[Member]:
    """
    The members that rows should make.

    `types` are the columns' MySQL types by name, in the order of the rows'
    values; values are cells of `source_text.rows`.
    """
    words = pair.words
    hook = hooks.load(pair.entry["hook"]) if "hook" in pair.entry else None
    for values in rows:
        row = Row(dict(zip(types, values, strict=True)), types)
        for carried in _carried(pair, row, hook):
            yield from _nowhere(pair) if carried is None else _members(pair, words, carried)


def _carried(pair: Pair, row: Row, hook: hooks.Hook | None) -> Iterable[Row | None]:
    """The rows that are left of a row after `where` and the hook; None where they fail."""
    try:
        if "where" in pair.entry and not mapping_words.carried(pair.entry["where"], row):
            return ()
    except oracle_values.UNFIT:
        return (None,)
    return (row,) if hook is None else hooks.rows(hook, row)


def _nowhere(pair: Pair) -> Iterator[Member]:
    """The member of a row that cannot have one: it matches no item."""
    yield Member(_dumps([[kind, None] for _, kind, _ in pair.keys]), PRESENT, "")


def key_text(pair: Pair, row: Row) -> str | None:
    """The key of the row's item, as in Member; None where no item can have it."""
    parts = _key(pair, row)
    return None if any(content is None for _, content in parts) else _dumps(parts)


def has_item(key: str) -> bool:
    """Whether there can be an item of a Member's key: not where the row has none that DynamoDB takes."""
    return "null" not in key or all(content is not None for _, content in json.loads(key))


def _key(pair: Pair, row: Row) -> list[tuple[str, str | None]]:
    """By key attribute its type and content, None for what DynamoDB does not take."""
    parts: list[tuple[str, str | None]] = []
    for (_, kind, made), longest in zip(pair.keys, LONGEST_KEYS, strict=False):
        content = mapping_words.key_of(kind, made, row)
        usable = content is not None and mapping_words.is_key(kind, content, longest)
        parts.append((kind, content if usable else None))
    return parts


def _members(pair: Pair, words: EntryWords, row: Row) -> Iterator[Member]:
    key = _dumps(_key(pair, row))
    if pair.item_per_row:
        if not pair.shared:
            yield Member(key, PRESENT, "")
        members = words.columns(row)
        if "attribute" in pair.entry:
            members = iter([(pair.entry["attribute"], oracle_values.map_of(dict(members)))])
        for name, content in (*members, *words.attributes(row), *words.ttl(row)):
            yield Member(key, name, oracle_values.short(content))
        return
    try:
        named = mapping_words.name_of(pair.member_name, row)
    except ValueError:  # bytes, or JSON
        named = None
    if pair.member_value == "*":
        value: str | None = oracle_values.map_of(dict(words.columns(row)))
    else:
        value = words.value(pair.member_value, row)
    if value is None:
        return
    member = "" if named is None else pair.entry.get("prefix", "") + named
    if "attribute" in pair.entry:
        member = f"{pair.entry['attribute']}[{member}]"
    if pair.entry.get("layout") == "string-set":
        value = f"S:{_lower(value)}"
    yield Member(key, member, oracle_values.short(value))


def _lower(value: str) -> str:
    """The text of a value in a string set."""
    kind, _, content = value.partition(":")
    return content.lower() if kind == "BOOL" else content


# The target's side


def found(pair: Pair, item: Mapping[str, Mapping[str, Any]], others: Sequence[Pair] = ()) -> Iterator[Member]:
    """The members that an item has; none for a tombstone. `others`: pairs with the same target."""
    if "_ttl" in item:
        return
    names = {name for name, _, _ in pair.keys}
    key = _dumps([_key_content(item[name]) for name, _, _ in pair.keys])
    if pair.item_per_row and not pair.shared:
        yield Member(key, PRESENT, "")
    inside = {
        p.entry["attribute"]: p for p in (pair, *others) if "attribute" in p.entry and not p.item_per_row
    }
    for name, attribute in item.items():
        if name in inside:
            yield from _inside(key, name, attribute, inside[name])
        elif name not in names and name not in OWN:
            yield Member(key, name, oracle_values.short(oracle_values.found_content(attribute)))


def _inside(key: str, name: str, attribute: Mapping[str, Any], pair: Pair) -> Iterator[Member]:
    for entry, value in attribute.get("M", {}).items():
        yield Member(key, f"{name}[{entry}]", oracle_values.short(oracle_values.found_content(value)))
    for text in attribute.get("SS", ()):
        member, _, content = text.partition(pair.entry.get("separator", ":"))
        yield Member(key, f"{name}[{member}]", oracle_values.short(f"S:{content}"))
    if not attribute.keys() & {"M", "SS"}:
        yield Member(key, name, oracle_values.short(oracle_values.found_content(attribute)))


def _key_content(attribute: Mapping[str, Any]) -> list[str]:
    return oracle_values.found_content(attribute).split(":", 1)
