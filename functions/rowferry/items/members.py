"""The part of an item that a row owns: the places and values of its members."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

from rowferry.errors import EmptyKey, ReservedName, ValueOutOfRange
from rowferry.items.keys import column_of
from rowferry.mapping.table import Layout, MapEntry, Place, SetEntry, TableMapping, Ttl
from rowferry.mapping.template import Template
from rowferry.values import Attribute, Row, text

MAX_NAME = 65_535  # bytes of an attribute name
_DAY = 86_400  # seconds
_DATE = re.compile(r"\d{4}-\d\d-\d\d( .*)?")

type _Named = tuple[str, Attribute | None]
type Members = dict[Place, Attribute | None]
"""Values by their places; None: nothing is stored there, or no longer."""


def members_of(row: Row, table: TableMapping) -> Members:
    """The members of a row, by their places. Raises an UnusableChange if it can have none."""
    if table.layout is Layout.ITEM_PER_ROW:
        return _item(row, table)
    place = _place(row, table)
    if table.member_value is None:
        return {place: _map(_stored(row, table), table)}
    value = table.member_value.attribute_of(row)
    if isinstance(place, SetEntry) and value is not None:
        value = {"S": place.prefix + _plain(value, table)}
    return {place: value}


def places_left(row: Row, table: TableMapping) -> Members:
    """
    The members that are removed with a row, each with None.

    The row's values are not looked at: a row with an unusable value can be deleted.
    """
    if table.layout is not Layout.ITEM_PER_ROW:
        return {_place(row, table): None}
    if table.whole:
        return {}
    names: dict[Place, None] = {name: None for name, _ in table.attributes}
    if table.attribute is not None:
        names[table.attribute] = None
    else:
        names |= {found[0]: None for column in table.include or row if (found := table.stored(column))}
    return {**names, table.ttl.attribute: None} if table.ttl else {**names}


def _place(row: Row, table: TableMapping) -> Place:
    name = table.prefix + _name(row, table)
    if len(name.encode()) > MAX_NAME:
        raise EmptyKey(f"a member name of {table.source} is longer than {MAX_NAME} bytes", "shorten it")
    if table.attribute is None:
        if name in table.reserved:
            raise ReservedName(
                f"a member of {table.source} has the name of a key attribute or of {sorted(table.reserved)}",
                "change the row's name in MySQL, give a `prefix`, or choose other key attribute names",
            )
        return name
    if table.layout is Layout.NESTED_MAP:
        return MapEntry(table.attribute, name)
    if table.separator in name:
        raise ReservedName(
            f"a member name of {table.source} holds the separator {table.separator!r}",
            "choose another `separator` in the mapping",
        )
    return SetEntry(table.attribute, name + table.separator)


def _name(row: Row, table: TableMapping) -> str:
    named = table.member_name
    assert named is not None  # the mapping has one in these layouts
    value = named.key(row) if isinstance(named, Template) else column_of(row, named, table)
    name = None if value is None else text(value)
    if not name:
        raise EmptyKey(
            f"member name of {table.source} is empty or NULL", "an attribute needs a name: fill the column"
        )
    return name


def _item(row: Row, table: TableMapping) -> Members:
    stored = _stored(row, table)
    if table.attribute is not None:
        stored = iter([(table.attribute, _map(stored, table))])
    return _distinct((*stored, *_further(row, table)), table, table.reserved)


def _map(found: Iterable[_Named], table: TableMapping) -> Attribute:
    return {"M": {name: value for name, value in _distinct(found, table).items() if value is not None}}


def _distinct(
    found: Iterable[_Named], table: TableMapping, reserved: frozenset[str] = frozenset()
) -> Members:
    """The values by name. Raises ReservedName for a name that occurs twice: one of the two would be lost."""
    named: Members = {}
    for name, value in found:
        if name in named or name in reserved:
            raise ReservedName(
                f"column or attribute {name!r} of {table.source} is a reserved name or occurs twice",
                "leave it out or rename it in the mapping: `exclude`, or columns.NAME.name",
            )
        named[name] = value
    return named


def _stored(row: Row, table: TableMapping) -> Iterator[_Named]:
    """The row's columns, and in a member its additional attributes."""
    for column in table.include if table.include is not None else row:
        if found := table.stored(column):
            yield found[0], found[1].attribute_of(row)
    if table.layout is not Layout.ITEM_PER_ROW:
        yield from _further(row, table)


def _further(row: Row, table: TableMapping) -> Iterator[_Named]:
    for name, source in table.attributes:
        yield name, source.attribute_of(row)
    if table.ttl is not None:
        yield table.ttl.attribute, _expiry(row, table.ttl, table)


def _plain(value: Attribute, table: TableMapping) -> str:
    """The text of a value in a string set."""
    ((kind, content),) = value.items()
    if kind == "BOOL":
        return "true" if content else "false"
    if kind not in ("S", "N"):
        raise ValueOutOfRange(
            f"a member of {table.source} has no text for a string set", "use another layout"
        )
    return str(content)


def _is_no_day(written: str) -> bool:
    """Whether it is a date that MySQL stores and the calendar does not have: 0000-00-00, 2026-02-31."""
    try:
        date.fromisoformat(written[:10])
    except ValueError:
        return _DATE.fullmatch(written) is not None
    return False


def _expiry(row: Row, ttl: Ttl, table: TableMapping) -> Attribute | None:
    """Seconds since 1970; a DATETIME is read as UTC. None for NULL, and for a date such as 0000-00-00."""
    value = column_of(row, ttl.column, table)
    match value:
        case None:
            return None
        case str() if _is_no_day(value):
            return None
        case int() | Decimal():
            seconds = int(value)
        case datetime():  # before date: a datetime is one
            seconds = int(value.replace(tzinfo=UTC, microsecond=0).timestamp())
        case date():
            seconds = int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
        case _:
            raise ValueOutOfRange(
                f"column {ttl.column!r} of {table.source} does not hold a time for a ttl",
                "name a DATE, DATETIME, TIMESTAMP or a whole number of seconds since 1970",
            )
    return {"N": str(seconds + ttl.days * _DAY)}
