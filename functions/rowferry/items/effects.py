"""What a row change does to which item, and the lanes in which it is sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rowferry.change import Kind, RowChange, refuse_oversized
from rowferry.errors import EmptyKey, HookFailed, ReservedName, UnknownTable, ValueOutOfRange
from rowferry.items.keys import ItemKey, KeyValue, key_of, lane_of, straight_lane
from rowferry.items.members import Members, members_of, places_left
from rowferry.mapping import Mapping
from rowferry.mapping.table import TableMapping, Target
from rowferry.values import Row

__all__ = [
    "Effect",
    "ItemKey",
    "KeyValue",
    "by_lane",
    "effects",
    "key_of",
    "lane_of",
    "places_of",
    "table_of",
]


@dataclass(frozen=True, slots=True)
class Effect:
    """
    What one row change does to one item.

    `members` maps each place that changes to its new value, or to None if it is removed. With `whole` the
    item has these members and no others; `members` itself is then None if the row was deleted.
    """

    key: ItemKey
    members: Members | None
    whole: bool = False
    target: Target = field(default_factory=Target)


def effects(change: RowChange, mapping: Mapping, lane: int = 0) -> list[Effect]:
    """
    The effects of a change: first on each item that the row leaves, then on each that it is in afterwards.

    Called by the consumer with the record's lane: a change with `lanes` set is sent in several of them, and
    only the effects on items of `lane` are returned. Raises an UnusableChange if the change can never be
    applied. Nothing is said about the item as it is now: repeats are found by its position when it is
    written.
    """
    refuse_oversized(change)
    table = table_of(change, mapping)
    # `_leaving` reads places, not values: a row with an unusable value can be deleted.
    old = _before(change, table, _leaving) or {}
    new = {} if change.after is None else _placed(change.after, table, members_of)
    found = [_effect(key, old.get(key), new.get(key), table) for key in (*(old.keys() - new.keys()), *new)]
    if change.lanes is not None:
        return [effect for effect in found if lane_of(effect.key, change.lanes) == lane]
    return found


def _effect(key: ItemKey, old: Members | None, new: Members | None, table: TableMapping) -> Effect:
    if table.whole:
        return Effect(key, None if new is None else _present(new), whole=True, target=table.into)
    # In this order: a member that stays keeps its value.
    return Effect(key, {**(old or {}), **(new or {})}, target=table.into)


def _present(members: Members) -> Members:
    return {place: value for place, value in members.items() if value is not None}


def places_of(row: Row, table: TableMapping) -> list[Effect]:
    """
    The effects of a row that exists: on one item, on none (filtered out) or on several (a hook).

    Called by the bulk load and by repair, so that they write what the stream writes for an insert.
    Raises an UnusableChange if the row can have no item.
    """
    return [_effect(key, None, members, table) for key, members in _placed(row, table, members_of).items()]


def _placed(
    row: Row, table: TableMapping, read: Callable[[Row, TableMapping], Members]
) -> dict[ItemKey, Members]:
    """What `read` finds by item, for the row or for the rows that the hook makes of it."""
    if table.simple:
        return {key_of(row, table): read(row, table)}
    items: dict[ItemKey, Members] = {}
    for carried in _carried(row, table):
        key, members = key_of(carried, table), read(carried, table)
        held = items.get(key)
        if held is None:
            items[key] = members
        elif table.whole or held.keys() & members.keys():  # one of the two rows would be lost
            raise HookFailed(
                f"the hook of {table.source} returned two rows with the same place in an item",
                "let it give each row a key of its own",
            )
        else:
            held.update(members)
    return items


def _carried(row: Row, table: TableMapping) -> list[Row]:
    """The rows that filter and hook make of a row of MySQL."""
    # The filter before the hook: it names columns of MySQL, not of the rows that the hook makes.
    if table.where is not None and not table.where.matches(row):
        return []
    return [row] if table.hook is None else table.hook.rows(row)


def _before[T](change: RowChange, table: TableMapping, read: Callable[[Row, TableMapping], T]) -> T | None:
    """
    What `read` finds in the before image.

    None also if that row could have no item: then it was quarantined, and the update that repairs it only
    adds.
    """
    if change.before is None:
        return None
    try:
        return read(change.before, table)
    except (EmptyKey, HookFailed, ReservedName, ValueOutOfRange):
        if change.after is None:  # a delete, which is quarantined as its insert was
            raise
        return None


def _leaving(row: Row, table: TableMapping) -> dict[ItemKey, Members]:
    return _placed(row, table, places_left)


def table_of(change: RowChange, mapping: Mapping) -> TableMapping:
    """The mapping's entry for the change. Raises UnknownTable if there is none."""
    table = mapping.find(change.schema, change.table)
    if table is None:
        raise UnknownTable(
            f"table {change.schema}.{change.table} is not in the mapping",
            "add it to the mapping file, deploy, then retry what was quarantined",
        )
    return table


def by_lane(change: RowChange, mapping: Mapping, lanes: int) -> Sequence[tuple[int, RowChange]]:
    """
    The lanes (0 to `lanes` - 1) in which a change is sent, each with the change; empty if the row is filtered
    out.

    Called by the capturer. A move to another item is a delete in the old item's lane and an insert in the new
    item's. If a hook makes several rows, the whole change is sent in each lane, with `lanes` set. Raises an
    UnusableChange if the row has no key; success does not mean that the change can be applied.
    """
    table = table_of(change, mapping)
    lane = straight_lane(change.image, change.before, table, lanes)
    if lane is not None:
        return [(lane, change)]
    old = _before(change, table, _keys) or ()
    new = () if change.after is None else _keys(change.after, table)
    if len(old) <= 1 and len(new) <= 1:
        return _moved(change, old, new, lanes)
    touched = dict.fromkeys(lane_of(key, lanes) for key in (*old, *new))
    # In one lane all its items are there: the consumer has none to leave out.
    part = change if len(touched) == 1 else change._replace(lanes=lanes)
    return [(lane, part) for lane in touched]


def _moved(
    change: RowChange, old: Sequence[ItemKey], new: Sequence[ItemKey], lanes: int
) -> Sequence[tuple[int, RowChange]]:
    if old and new and old != new:
        return [
            (lane_of(old[0], lanes), change._replace(kind=Kind.DELETE, after=None)),
            (lane_of(new[0], lanes), change._replace(kind=Kind.INSERT, before=None)),
        ]
    keys = old or new
    return [(lane_of(keys[0], lanes), change)] if keys else []


def _keys(row: Row, table: TableMapping) -> tuple[ItemKey, ...]:
    if table.simple:
        return (key_of(row, table),)
    return tuple(dict.fromkeys(key_of(carried, table) for carried in _carried(row, table)))
