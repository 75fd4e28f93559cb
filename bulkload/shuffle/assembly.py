"""Assembles items from lines (bulkload.shuffle.lines), once all lines of an item are together."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bulkload.direct.grouping import CROWDED, MOST_MEMBERS, TWICE, Unusable
from bulkload.dynamodb.batch_writer import ITEM_TOO_LARGE
from bulkload.dynamodb.item_size import LARGEST, item_bytes
from bulkload.dynamodb.json_text import dumps, loads, one_line
from bulkload.shuffle.lines import HOPELESS
from rowferry.mapping import POSITION, Layout, TableMapping
from rowferry.position import Position
from rowferry.values import Attribute


class Assembled(NamedTuple):
    """An item in DynamoDB JSON, without a line end, and the number of its rows."""

    text: str
    rows: int


@dataclass(slots=True)
class Held:
    """The values of one KEY. Once they are too large for any item, only their number of rows is kept."""

    values: list[str] = field(default_factory=list)
    size: int = 0

    def take(self, value: str) -> None:
        self.size += len(value)
        self.values.append(value)
        if self.size > HOPELESS:
            rows = sum(int(one.partition(" ")[0]) for one in self.values)
            # Without MEMBERS, like a line that was too large by itself: `item` refuses the group.
            self.values = [f"{rows} "]


class Assembly:
    """
    Assembles the items of one target. `tables` are all its sources; `unusable` gets what cannot be an item.

    The order of an item's lines matters only for two rows with one place in it: the first one stays.
    """

    def __init__(
        self, tables: Sequence[TableMapping], position: Position, unusable: Callable[[Unusable], None]
    ) -> None:
        self.unusable = unusable
        self._source = ", ".join(table.source for table in tables)
        self._whole = all(table.whole for table in tables)
        self._maps = tables[0].into.maps
        self._keep_empty = not any(table.load_merges for table in tables)  # as the method `direct` does
        self._sets = {
            table.attribute: table.separator for table in tables if table.layout is Layout.STRING_SET
        }
        (table, *others) = tables
        self._joint = None if others or self._sets or self._whole else _joint(table)
        # The last two braces end the item and the line's object.
        self._stamp = f',"{POSITION}":{{"S":"{position}"}}}}}}'

    def item(self, key: str, values: Sequence[str]) -> Assembled | None:
        """
        The item of a KEY with all its values, `ROWS MEMBERS` each. None where the rows make no item, or it is
        unusable.
        """
        if line := self._only_line(values):
            return self._sized(key, *line)
        counts, texts = [], []
        for value in values:
            rows, separator, members = value.partition(" ")
            if not separator:
                raise ValueError("a line has no members: it was cut short")
            counts.append(int(rows))
            texts.append(members)
        if reason := _hopeless(sum(counts), texts):
            self._refuse(key, sum(counts), reason)
            return None
        inside = self._together(key, counts, texts)
        return None if inside is None else self._sized(key, sum(counts), inside)

    def _only_line(self, values: Sequence[str]) -> tuple[int, str] | None:
        """
        ROWS, and the inside of MEMBERS, of an item that has one line; None where that is not all of it.

        Most items are such: their text is taken as it is.
        """
        if len(values) > 1 or self._sets:
            return None
        rows, _, members = values[0].partition(" ")
        left_out, nothing_stored, nulls = not members, members == "{}", '":null' in members
        return None if left_out or nothing_stored or nulls else (int(rows), members[1:-1])

    def _sized(self, key: str, rows: int, members: str) -> Assembled | None:
        text = f'{{"Item":{key[:-1]}{"," if members else ""}{members}{self._stamp}'
        # a character has at most 4 bytes: shorter texts need not be measured
        if len(text) > LARGEST // 4 and _too_large(text):
            self._refuse(key, rows, ITEM_TOO_LARGE)
            return None
        return Assembled(text, rows)

    def _together(self, key: str, counts: Sequence[int], texts: Sequence[str]) -> str | None:
        """The inside of the members' JSON object; None where no row makes an attribute."""
        if self._joint and (joined := self._joint(texts)):
            return joined
        members = self._merged(key, counts, texts)
        return members if members or self._whole else None

    def _merged(self, key: str, counts: Sequence[int], texts: Sequence[str]) -> str:
        merge = Merge(self._maps, self._sets, keep_empty=self._keep_empty)
        for index, (count, text) in enumerate(zip(counts, texts, strict=True)):
            if self._whole and index:
                self._refuse_row(key, None)
                continue
            members = list(merge.members(json.loads(text)))
            twice = [name for place, name, _ in members if place in merge.seen and place[1:]]
            if count == 1 and twice:
                self._refuse_row(key, twice[0])
                continue
            for name in twice:
                self._refuse_row(key, name)
            merge.add(member for member in members if member[0] not in merge.seen)
        return one_line(dumps(merge.item()))[1:-1]

    def _refuse_row(self, key: str, name: str | None) -> None:
        member = {} if name is None else {"member": name}
        self.unusable(Unusable(self._source, {**key_values(key), **member}, TWICE))

    def _refuse(self, key: str, rows: int, reason: str) -> None:
        self.unusable(Unusable(self._source, key_values(key), reason, rows))


def _hopeless(rows: int, texts: Sequence[str]) -> str:
    """Why lines can never be an item, without looking into them; empty where they may."""
    if "" not in texts and sum(map(len, texts)) <= HOPELESS:
        return ""
    return CROWDED if rows > MOST_MEMBERS else ITEM_TOO_LARGE


type _Member = tuple[Any, str, Any]
"""Its place, its name, its value."""


class Merge:
    """
    Merges the members of several lines into one item. `maps`: attributes that are maps of members; `sets`:
    attributes that are string sets, with their separators.
    """

    def __init__(self, maps: Iterable[str], sets: dict[str | None, str], *, keep_empty: bool) -> None:
        self._maps = frozenset(maps)
        self._sets = sets
        self._keep_empty = keep_empty
        self.seen: dict[Any, Any] = {}

    def members(self, part: dict[str, Any]) -> Iterator[_Member]:
        for name, value in part.items():
            if name in self._maps:
                yield (name,), name, {}
                for entry, inside in value["M"].items():
                    yield (name, entry), entry, inside
            elif name in self._sets:
                yield from self._strings(name, value)
            else:
                yield (name, None), name, value

    def _strings(self, name: str, value: dict[str, Any]) -> Iterator[_Member]:
        for text in value["SS"]:
            prefix = text.partition(self._sets[name])[0]
            yield (name, prefix, ""), prefix, text
        for prefix in value.keys() - {"SS"}:
            yield (name, prefix[:-1], ""), prefix[:-1], None

    def add(self, members: Iterable[_Member]) -> None:
        """Adds members whose places are not taken."""
        self.seen |= {place: value for place, _, value in members}

    def item(self) -> dict[str, Attribute]:
        """The item without its key."""
        item: dict[str, Any] = {}
        for place, value in self.seen.items():
            match place:
                case (attribute,) if self._keep_empty:
                    item.setdefault(attribute, {"M": {}})
                case (attribute, None) if value is not None:
                    item[attribute] = value
                case (attribute, entry) if value is not None:
                    item.setdefault(attribute, {"M": {}})["M"][entry] = value
                case (attribute, _, _) if value is not None:
                    item.setdefault(attribute, {"SS": []})["SS"].append(value)
        for name in self._sets:
            if name in item:
                # As in put_members: the same item whatever the order of its lines.
                item[str(name)]["SS"].sort()
        return item


def _joint(table: TableMapping) -> Callable[[Sequence[str]], str]:
    """
    The function that joins the texts of distinct members; it returns "" where it cannot be sure of that.

    Two names are certainly different where they differ up to the first `":`.
    """
    begin, end = "{", "}"
    if table.attribute is not None:
        begin, end = one_line(dumps({table.attribute: {"M": {}}}))[:-3], "}}}"

    def join(texts: Sequence[str]) -> str:
        insides = [text[len(begin) : -len(end)] for text in texts]
        joined = ",".join(insides)
        if '":null' in joined or any("}," in inside for inside in insides):
            return ""
        names = {inside[: inside.find('":')] for inside in insides}
        return begin[1:] + joined + end[:-1] if len(names) == len(texts) else ""

    return join


def batches(items: Iterable[Assembled], most: int, characters: int) -> Iterator[list[Assembled]]:
    """
    Batches of at most `most` items. A batch ends with the item that brings it to so many `characters`.
    """
    batch: list[Assembled] = []
    size = 0
    for item in items:
        batch.append(item)
        size += len(item.text)
        if size >= characters or len(batch) == most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def key_values(key: str) -> dict[str, Any]:
    """The values of the key attributes by their names."""
    return {name: next(iter(value.values())) for name, value in loads(key).items()}


def item_of(text: str) -> dict[str, Attribute]:
    """The item of an assembled text, for the low-level client."""
    return loads(text[len('{"Item":') : -1])


def _too_large(text: str) -> bool:
    return len(text.encode()) > LARGEST and item_bytes(item_of(text)) > LARGEST


def key_of_item(item: dict[str, Attribute], table: TableMapping) -> dict[str, Any]:
    """The values of an item's key attributes by their names."""
    return {key.attribute: next(iter(item[key.attribute].values())) for key in table.keys}
