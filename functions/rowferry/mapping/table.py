"""One source table and the items that it becomes, as the mapping defines them."""

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from rowferry.mapping.attribute_source import AttributeSource, AttributeType, ColumnSource
from rowferry.mapping.filters import Where
from rowferry.mapping.hooks import Hook
from rowferry.mapping.source_name import parsed, source_of
from rowferry.mapping.template import Template

POSITION = "_pos"
"""The item attribute that holds the position of the newest change in the item."""
EXPIRES = "_ttl"
"""The item attribute that makes an item a tombstone: seconds since 1970 at which DynamoDB may remove it."""
RESERVED = frozenset({POSITION, EXPIRES})
KEY_TYPES = frozenset({"S", "N", "B"})
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_HASH_KEY, MAX_RANGE_KEY = 2048, 1024  # bytes


class Layout(StrEnum):
    """Where a row is in an item."""

    ATTRIBUTE_PER_ROW = "attribute-per-row"
    """All rows with one key are one item; each row is one attribute, its member."""
    NESTED_MAP = "nested-map"
    """As before, but the members are the entries of one map attribute."""
    STRING_SET = "string-set"
    """As before, but the members are the strings `name:value` of one string set attribute."""
    ITEM_PER_ROW = "item-per-row"
    """Each row is an item; each column is an attribute, or an entry of one map attribute."""


class MapEntry(NamedTuple):
    """The place of a member in a map attribute."""

    attribute: str
    name: str


class SetEntry(NamedTuple):
    """The place of a member in a string set; `prefix` is its name with the separator, `p1:`."""

    attribute: str
    prefix: str


type Place = str | MapEntry | SetEntry
"""Where a member is in its item: an attribute's name, or an entry of a map or a set."""


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """One attribute of the item's key: name, type (S, N or B), and its source: a column or a template."""

    attribute: str
    type: str
    column: str | None
    template: Template | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it is built from; none for a constant."""
        return (self.column,) if self.column is not None else self.template.columns if self.template else ()


class ColumnRule(NamedTuple):
    """How a column is stored: its name, its type, whether NULL is kept. None: the default."""

    name: str | None = None
    type: AttributeType | None = None
    keep_null: bool | None = None


@dataclass(frozen=True, slots=True)
class Ttl:
    """
    The attribute with the time after which DynamoDB may remove a live item: the column's time plus `days`.
    """

    attribute: str
    column: str
    days: int


@dataclass(frozen=True, slots=True)
class Target:
    """
    A DynamoDB table as all its sources together use it.

    `maps` are its map attributes that hold members: an empty one counts as absent. `ttl` is its TTL attribute
    if that is the user's. With `merge` a write has to read the old item first.
    """

    maps: frozenset[str] = frozenset()
    ttl: str | None = None
    merge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """One source table and the items that it becomes. docs/mapping.md has the meaning of each option."""

    schema: str
    table: str
    target: str
    layout: Layout
    hash_key: KeyAttribute
    range_key: KeyAttribute | None = None
    member_name: str | Template | None = None
    """A column or a template that names the row's member; None with item-per-row."""
    member_value: AttributeSource | None = None
    """What the member holds; None: a map of the row's columns."""
    attribute: str | None = None
    """The attribute that holds the members (item-per-row: the columns)."""
    prefix: str = ""
    """Precedes the members' names; with item-per-row the columns' names."""
    separator: str = ":"
    include: tuple[str, ...] | None = None
    exclude: frozenset[str] = frozenset()
    rules: Dict[str, ColumnRule] = field(default_factory=dict)
    attributes: tuple[tuple[str, AttributeSource], ...] = ()
    keep_null: bool = False
    where: Where | None = None
    ttl: Ttl | None = None
    hook: Hook | None = None
    shared: bool = False
    """Other sources have the same target, so that an item may belong to several rows. Set by Mapping."""
    into: Target = field(default_factory=Target)
    """The target as all its sources use it. Set by Mapping."""
    source: str = field(init=False, repr=False, compare=False)
    """`schema.table`, as in messages and in the control table; with quotes where they are needed."""
    reserved: frozenset[str] = field(init=False, repr=False, compare=False)
    """Attribute names that no member may have. Used for each row, so computed once."""
    straight_keys: tuple[tuple[str, int], ...] = field(default=(), init=False, repr=False, compare=False)
    """
    The key's columns with the most bytes of a text there; empty if the fast path for lanes does not apply.
    """
    # What `stored` has found: it is called for each column of each row.
    _resolved: dict[str, tuple[str, ColumnSource] | None] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", source_of(self.schema, self.table))
        object.__setattr__(self, "reserved", RESERVED | {key.attribute for key in self.keys})
        straight = [
            (key.column, longest if key.type == "S" else 0)  # 0: a text is never taken as a number
            # Not strict: there may be no range key.
            for key, longest in zip(self.keys, (MAX_HASH_KEY, MAX_RANGE_KEY), strict=False)
            if key.column is not None and key.type != "B"
        ]
        if self.simple and len(straight) == len(self.keys):
            object.__setattr__(self, "straight_keys", tuple(straight))

    def is_called(self, name: str) -> bool:
        """Whether that is the table's name, with or without quotes that are not needed."""
        return parsed(name) == (self.schema, self.table)

    @property
    def keys(self) -> tuple[KeyAttribute, ...]:
        """The item's key attributes, hash key first."""
        return (self.hash_key,) if self.range_key is None else (self.hash_key, self.range_key)

    @property
    def whole(self) -> bool:
        """An item belongs to one row alone, so that it can be replaced."""
        return self.layout is Layout.ITEM_PER_ROW and not self.shared

    @property
    def holds_columns(self) -> bool:
        """The row's columns are stored, not one value."""
        return self.layout is Layout.ITEM_PER_ROW or self.member_value is None

    @property
    def every_column(self) -> bool:
        """Columns that the mapping does not name are carried as well, and columns that are added later."""
        return self.hook is not None or (self.holds_columns and self.include is None)

    @property
    def simple(self) -> bool:
        """Neither filter nor hook: every row is carried, as one row."""
        return self.where is None and self.hook is None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the mapping names and the source must have. With a hook, only those of `where`."""
        if self.hook is not None:
            return tuple(dict.fromkeys(self.where.columns)) if self.where else ()
        return tuple(dict.fromkeys(self._named()))

    def _named(self) -> Iterator[str]:
        for key in self.keys:
            yield from key.columns
        if self.member_name is not None:
            yield from (self.member_name,) if isinstance(self.member_name, str) else self.member_name.columns
        if self.member_value is not None:
            yield from self.member_value.columns
        for _, source in self.attributes:
            yield from source.columns
        yield from self.include or ()
        yield from self.rules
        yield from self.where.columns if self.where else ()
        yield from (self.ttl.column,) if self.ttl else ()

    @property
    def group_columns(self) -> tuple[str, ...]:
        """The columns of the item's key, in its order."""
        return tuple(dict.fromkeys(column for key in self.keys for column in key.columns))

    @property
    def place_columns(self) -> tuple[str, ...]:
        """The columns that identify a row's place in its item, and so the row."""
        name = self.member_name
        named = () if name is None else (name,) if isinstance(name, str) else name.columns
        return tuple(dict.fromkeys((*self.group_columns, *named)))

    @property
    def load_merges(self) -> bool:
        """
        A chunk of the bulk load may lack a part of the item, so that the load has to merge.

        Other sources write to it, or its rows may be in two chunks, because different key columns give the
        same key: `a|b` and `c`, `a` and `b|c`; or as numbers 1 and 1.0.
        """
        if self.whole:
            return False
        alike = any(len(key.columns) > 1 or (key.template and key.type == "N") for key in self.keys)
        return self.shared or self.hook is not None or alike or not self.group_columns

    def travels(self, column: str) -> bool:
        """Whether the column is carried from MySQL."""
        if self.hook is not None or column in self.columns:
            return True
        return self.every_column and column not in self.exclude

    def stored(self, column: str) -> tuple[str, ColumnSource] | None:
        """The name and the source under which a column is stored among the row's columns; None: it is not."""
        try:
            return self._resolved[column]
        except KeyError:
            found = self._resolved[column] = self._resolve(column)
            return found

    def _resolve(self, column: str) -> tuple[str, ColumnSource] | None:
        if column in self.exclude or (self.include is not None and column not in self.include):
            return None
        if self.include is None and column in self._elsewhere:
            return None
        rule = self.rules.get(column, ColumnRule())
        keep = self.keep_null if rule.keep_null is None else rule.keep_null
        prefix = (
            self.prefix if self.layout is Layout.ITEM_PER_ROW else ""
        )  # otherwise the member's name has it
        return rule.name or prefix + column, ColumnSource(column, rule.type, keep)

    @property
    def _elsewhere(self) -> set[str | None]:
        """Columns whose value alone is a key attribute or the member's name: the item holds them already."""
        alone: set[str | None] = {key.column for key in self.keys}
        return alone | {self.member_name} if isinstance(self.member_name, str) else alone
