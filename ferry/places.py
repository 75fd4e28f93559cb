"""
Where each row should be and what is there: the two sides that `ferry verify` compares.

Shares no code with the parts that it checks (mapping, items, values, plan, and
how the load cuts and reads): the mapping file is read again here, rows are
taken as the text that MySQL itself prints, and what an item should hold is
worked out anew from the documented format. So that one mistake cannot hide on
both sides, keep it that way.
"""

import json
import tomllib
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

OWN = frozenset({"_pos", "_ttl"})
EXACT = Context(prec=80)  # a DECIMAL has up to 65 digits
INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
CLOCKS = frozenset({"datetime", "timestamp", "time"})
BINARIES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
LONG = 40
"""Values of more characters are compared by their hash, so that the working file stays small."""
PRESENT = ""
"""The member that stands for the item itself, where an item is a row: no attribute has an empty name."""


class Place(NamedTuple):
    """One member of one item: the key as JSON, the member's name, the value as `TYPE:content`."""

    key: str
    member: str
    value: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One source table and its target; `keys` are (attribute, type, column)."""

    schema: str
    table: str
    target: str
    keys: tuple[tuple[str, str, str], ...]
    member_name: str | None
    member_value: str | None

    @property
    def item_per_row(self) -> bool:
        """Each row is an item, rather than a member of one."""
        return self.member_name is None

    def key_fields(self, key: str) -> dict[str, Any]:
        """The key of a Place by attribute names."""
        return {name: content for (name, _, _), (_, content) in zip(self.keys, json.loads(key), strict=True)}


def read_pairs(file: Path) -> list[Pair]:
    """The pairs of a mapping file that is known to be right."""
    return [_pair(entry) for entry in tomllib.loads(file.read_text(encoding="utf-8"))["table"]]


def _pair(entry: Mapping[str, Any]) -> Pair:
    schema, table = entry["source"].split(".", 1)
    keys = [entry[name] for name in ("hash_key", "range_key") if name in entry]
    return Pair(
        schema,
        table,
        entry["target"],
        tuple((key["attribute"], key.get("type", "S"), key.get("column", key["attribute"])) for key in keys),
        entry.get("member_name"),
        entry.get("member_value"),
    )


# The source's side


def expected(pair: Pair, types: Mapping[str, str], rows: Iterator[Sequence[Any]]) -> Iterator[Place]:
    """
    The places that rows should have.

    `types` are the columns' MySQL types by name, in the order of the rows'
    values; values are what MySQL prints (bytes for binary columns, None for NULL).
    """
    names = list(types)
    at = {name: index for index, name in enumerate(names)}
    write = [_writer(types[name]) for name in names]
    keys = [(kind, at[column], _key_writer(kind, types[column])) for _, kind, column in pair.keys]
    others = [index for name, index in at.items() if name not in {column for _, _, column in pair.keys}]
    for row in rows:
        key = _dumps([[kind, None if row[index] is None else text(row[index])] for kind, index, text in keys])
        if pair.member_name is not None and pair.member_value is not None:
            name, value = at[pair.member_name], at[pair.member_value]
            member = "" if row[name] is None else _plain(types[names[name]], row[name])
            yield Place(key, member, "NULL:" if row[value] is None else write[value](row[value]))
        else:
            yield Place(key, PRESENT, "")
            for index in others:
                if row[index] is not None:
                    yield Place(key, names[index], write[index](row[index]))


def _writer(kind: str) -> Callable[[Any], str]:
    if kind in INTEGERS:
        return lambda text: _short("N", str(int(text)))
    if kind == "decimal":
        return _decimal
    if kind in ("float", "double"):
        return lambda text: _short("N", _number(Decimal(repr(float(text)))))
    if kind in BINARIES:
        return lambda content: _short("B", b64encode(content).decode())
    if kind in CLOCKS:
        return lambda text: _short("S", _clock(text))
    return lambda text: _short("S", text)


def _decimal(text: str) -> str:
    value = Decimal(text)
    digits = len(str(int("".join(map(str, value.as_tuple().digits)).rstrip("0") or "0")))
    return _short("N", _number(value)) if digits <= 38 else _short("S", str(value))


def _key_writer(kind: str, column: str) -> Callable[[Any], str]:
    if kind == "N":
        return lambda text: _number(Decimal(text))
    if kind == "B":
        return lambda content: b64encode(content).decode()
    return lambda text: _plain(column, text)


def _plain(kind: str, text: Any) -> str:
    """The value as a key or a name: text as it is, numbers without trailing zeros."""
    if kind in ("decimal", "double"):
        return _number(Decimal(text) if kind == "decimal" else Decimal(repr(float(text))))
    return _clock(text) if kind in CLOCKS else str(text)


def _clock(text: str) -> str:
    """A time as items have it: no fraction when it is zero, else six digits."""
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction:0<6}" if fraction.strip("0") else whole


# The target's side


def found(pair: Pair, item: Mapping[str, Mapping[str, Any]]) -> Iterator[Place]:
    """The places that an item has; none for a tombstone."""
    if "_ttl" in item:
        return
    names = {name for name, _, _ in pair.keys}
    key = _dumps([_key_content(item[name]) for name, _, _ in pair.keys])
    if pair.item_per_row:
        yield Place(key, PRESENT, "")
    for name, attribute in item.items():
        if name not in names and name not in OWN:
            yield Place(key, name, _content(attribute))


def _key_content(attribute: Mapping[str, Any]) -> list[str]:
    ((kind, content),) = attribute.items()
    if kind == "N":
        return [kind, _number(Decimal(content))]
    return [kind, b64encode(content).decode() if kind == "B" else content]


def _content(attribute: Mapping[str, Any]) -> str:
    ((kind, content),) = attribute.items()
    match kind:
        case "N":
            return _short("N", _number(Decimal(content)))
        case "B":
            return _short("B", b64encode(content).decode())
        case "NULL":
            return "NULL:"
        case "S":
            return _short("S", content)
    return _short(kind, json.dumps(content, sort_keys=True, default=repr))


# Both


def _number(value: Decimal) -> str:
    return f"{value.normalize(EXACT):f}" if value else "0"


def _short(kind: str, content: str) -> str:
    if len(content) <= LONG:
        return f"{kind}:{content}"
    return f"{kind}:#{blake2b(content.encode(), digest_size=16).hexdigest()}:{len(content)}"


def _dumps(key: Sequence[Any]) -> str:
    return json.dumps(key, ensure_ascii=False, separators=(",", ":"))
