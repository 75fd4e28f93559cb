"""
Where each row should be and what is there: the two sides that `ferry verify` compares.

Shares no code with the parts that it checks (mapping, items, values, plan, and
how the load cuts and reads): the mapping file is read again here, rows are
taken as the text that MySQL itself prints, and what an item should hold is
worked out anew from the documented format. So that one mistake cannot hide on
both sides, keep it that way. Two things are shared because there is only one
of them: the user's hooks (with the class in which they see JSON), and how DMS's
JSON is turned into the words of a mapping file.
"""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ferry import hooked, wording, written
from ferry.wording import Row, Words
from rowferry.mapping import dms

OWN = frozenset({"_pos", "_ttl"})
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
PRESENT = ""
"""The member that stands for the item itself, where an item is a row: no attribute has an empty name."""


class Place(NamedTuple):
    """One member of one item: the key as JSON, the member's name, the value as `TYPE:content`."""

    key: str
    member: str
    value: str


@dataclass(frozen=True, slots=True)
class Pair:
    """
    One source table and its target; `keys` are (attribute, type, column or text with columns).

    `entry` is the mapping file's, for all that is not said by the others. With
    `shared` other sources write into the same items.
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
        """Each row is an item, rather than a member of one."""
        return self.member_name is None

    @property
    def words(self) -> Words:
        """What the entry says of values."""
        keys = {
            role: {"attribute": name, "column": made}
            for role, (name, _, made) in zip(("hash_key", "range_key"), self.keys, strict=False)
        }
        return Words(
            {**keys, "member_name": self.member_name, "member_value": self.member_value, **self.entry}
        )

    def key_fields(self, key: str) -> dict[str, Any]:
        """The key of a Place by attribute names."""
        return {name: content for (name, _, _), (_, content) in zip(self.keys, json.loads(key), strict=True)}

    def columns(self, there: Sequence[str]) -> list[str]:
        """Of the table's columns, those that have to be read; those that are missing come last."""
        if "hook" in self.entry:
            return list(there)
        named = list(_named(self))
        words = self.words
        every = self.item_per_row or self.member_value == "*"
        read = [name for name in there if name in named or (every and words.stores(name))]
        return [*read, *(name for name in dict.fromkeys(named) if name not in there)]


def _named(pair: Pair) -> Iterator[str]:
    """Columns that the entry names."""
    made = [made for _, _, made in pair.keys] + [pair.member_name, pair.member_value]
    for source in [*made, *pair.entry.get("attributes", {}).values()]:
        yield from _columns(source)
    yield from pair.entry.get("include", ())
    yield from _columns(pair.entry.get("where", {}))
    yield from _columns(pair.entry.get("ttl", {}))


def _columns(source: Any) -> Iterator[str]:
    if isinstance(source, str):
        if "${" in source:
            yield from (column for _, column in wording.pieces(source) if column)
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
    """The pairs of a mapping file that is known to be right."""
    text = file.read_text(encoding="utf-8")
    found = dms.document(json.loads(text)).document if file.suffix == ".json" else tomllib.loads(text)
    entries = found["table"]
    targets = [entry["target"] for entry in entries]
    return [_pair(entry, shared=targets.count(entry["target"]) > 1) for entry in entries]


def _pair(entry: Mapping[str, Any], *, shared: bool) -> Pair:
    schema, table = entry["source"].split(".", 1)
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


def _made(key: Mapping[str, Any]) -> Any:
    if "constant" in key:
        return {"constant": key["constant"]}
    return key.get("template") or key.get("column", key["attribute"])


# The source's side


def expected(pair: Pair, types: Mapping[str, str], rows: Iterator[Sequence[Any]]) -> Iterator[Place]:
    """
    The places that rows should have.

    `types` are the columns' MySQL types by name, in the order of the rows'
    values; values are cells as `reading.rows` gives them.
    """
    words = pair.words
    hook = hooked.load(pair.entry["hook"]) if "hook" in pair.entry else None
    for values in rows:
        row = Row(dict(zip(types, values, strict=True)), types)
        for carried in _carried(pair, row, hook):
            yield from _nowhere(pair) if carried is None else _places(pair, words, carried)


def _carried(pair: Pair, row: Row, hook: hooked.Hook | None) -> Iterable[Row | None]:
    """What `where` and the hook make of a row; None where they fail."""
    try:
        if "where" in pair.entry and not wording.carried(pair.entry["where"], row):
            return ()
    except written.UNFIT:
        return (None,)
    return (row,) if hook is None else hooked.rows(hook, row)


def _nowhere(pair: Pair) -> Iterator[Place]:
    """The place of a row that can have none: no item is there."""
    yield Place(_dumps([[kind, None] for _, kind, _ in pair.keys]), PRESENT, "")


def _places(pair: Pair, words: Words, row: Row) -> Iterator[Place]:
    key = _dumps([[kind, wording.key_of(kind, made, row)] for _, kind, made in pair.keys])
    if pair.item_per_row:
        if not pair.shared:
            yield Place(key, PRESENT, "")
        members = words.columns(row)
        if "attribute" in pair.entry:
            members = iter([(pair.entry["attribute"], written.map_of(dict(members)))])
        for name, content in (*members, *words.attributes(row), *words.ttl(row)):
            yield Place(key, name, written.short(content))
        return
    try:
        named = wording.name_of(pair.member_name, row)
    except ValueError:  # bytes, or JSON
        named = None
    if pair.member_value == "*":
        value: str | None = written.map_of(dict(words.columns(row)))
    else:
        value = words.value(pair.member_value, row)
    if value is None:
        return
    member = "" if named is None else pair.entry.get("prefix", "") + named
    if "attribute" in pair.entry:
        member = f"{pair.entry['attribute']}[{member}]"
    if pair.entry.get("layout") == "string-set":
        value = f"S:{_lower(value)}"
    yield Place(key, member, written.short(value))


def _lower(value: str) -> str:
    """The text of a value in a string set."""
    kind, _, content = value.partition(":")
    return content.lower() if kind == "BOOL" else content


# The target's side


def found(pair: Pair, item: Mapping[str, Mapping[str, Any]], others: Sequence[Pair] = ()) -> Iterator[Place]:
    """The places that an item has; none for a tombstone. `others` share the target."""
    if "_ttl" in item:
        return
    names = {name for name, _, _ in pair.keys}
    key = _dumps([_key_content(item[name]) for name, _, _ in pair.keys])
    if pair.item_per_row and not pair.shared:
        yield Place(key, PRESENT, "")
    inside = {
        p.entry["attribute"]: p for p in (pair, *others) if "attribute" in p.entry and not p.item_per_row
    }
    for name, attribute in item.items():
        if name in inside:
            yield from _inside(key, name, attribute, inside[name])
        elif name not in names and name not in OWN:
            yield Place(key, name, written.short(written.found_content(attribute)))


def _inside(key: str, name: str, attribute: Mapping[str, Any], pair: Pair) -> Iterator[Place]:
    """The members in a map or a set."""
    for entry, value in attribute.get("M", {}).items():
        yield Place(key, f"{name}[{entry}]", written.short(written.found_content(value)))
    for text in attribute.get("SS", ()):
        member, _, content = text.partition(pair.entry.get("separator", ":"))
        yield Place(key, f"{name}[{member}]", written.short(f"S:{content}"))
    if not attribute.keys() & {"M", "SS"}:
        yield Place(key, name, written.short(written.found_content(attribute)))


def _key_content(attribute: Mapping[str, Any]) -> list[str]:
    return written.found_content(attribute).split(":", 1)
