"""What a row change does to which item, and the lanes that it travels in."""

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

    `members` holds what changes by its place: a value, or None where it goes
    away. With `whole` the item has these members and no others; then `members`
    itself is None when the row is gone.
    """

    key: ItemKey
    members: Members | None
    whole: bool = False
    target: Target = field(default_factory=Target)


def effects(change: RowChange, mapping: Mapping, lane: int = 0) -> list[Effect]:
    """
    An effect for each item that the row leaves, then for each that it is in afterwards.

    A change that says that its items have several lanes is meant for those of
    `lane` alone. Raises an UnusableChange when the change can never be applied.
    """
    refuse_oversized(change)
    table = table_of(change, mapping)
    old = _before(change, table, _leaving) or {}
    new = {} if change.after is None else _placed(change.after, table, members_of)
    found = [_effect(key, old.get(key), new.get(key), table) for key in (*(old.keys() - new.keys()), *new)]
    if change.lanes is not None:
        return [effect for effect in found if lane_of(effect.key, change.lanes) == lane]
    return found


def _effect(key: ItemKey, old: Members | None, new: Members | None, table: TableMapping) -> Effect:
    if table.whole:
        return Effect(key, None if new is None else _present(new), whole=True, target=table.into)
    return Effect(key, {**(old or {}), **(new or {})}, target=table.into)


def _present(members: Members) -> Members:
    return {place: value for place, value in members.items() if value is not None}


def places_of(row: Row, table: TableMapping) -> list[Effect]:
    """What both the bulk load and the stream write for a row: one item, none or several."""
    return [_effect(key, None, members, table) for key, members in _placed(row, table, members_of).items()]


def _placed(
    row: Row, table: TableMapping, read: Callable[[Row, TableMapping], Members]
) -> dict[ItemKey, Members]:
    """What `read` finds for the row, or for the rows that it becomes, by item."""
    if table.simple:
        return {key_of(row, table): read(row, table)}
    items: dict[ItemKey, Members] = {}
    for carried in _carried(row, table):
        key, members = key_of(carried, table), read(carried, table)
        held = items.get(key)
        if held is None:
            items[key] = members
        elif table.whole or held.keys() & members.keys():
            raise HookFailed(
                f"the hook of {table.source} gave two rows that have one place",
                "let it give each its own key",
            )
        else:
            held.update(members)
    return items


def _carried(row: Row, table: TableMapping) -> list[Row]:
    """The rows that a row of MySQL becomes."""
    if table.where is not None and not table.where.matches(row):
        return []
    return [row] if table.hook is None else table.hook.rows(row)


def _before[T](change: RowChange, table: TableMapping, read: Callable[[Row, TableMapping], T]) -> T | None:
    """
    What `read` finds in the before image. None also where the row could have no
    place: then it was quarantined, and the update that mends it only adds.
    """
    if change.before is None:
        return None
    try:
        return read(change.before, table)
    except (EmptyKey, HookFailed, ReservedName, ValueOutOfRange):
        if change.after is None:
            raise
        return None


def _leaving(row: Row, table: TableMapping) -> dict[ItemKey, Members]:
    return _placed(row, table, places_left)


def table_of(change: RowChange, mapping: Mapping) -> TableMapping:
    """The mapping's entry for the change. UnknownTable when there is none."""
    table = mapping.find(change.schema, change.table)
    if table is None:
        raise UnknownTable(
            f"table {change.schema}.{change.table} is not in the mapping",
            "add it to the mapping file, deploy, then retry what was quarantined",
        )
    return table


def by_lane(change: RowChange, mapping: Mapping, lanes: int) -> Sequence[tuple[int, RowChange]]:
    """
    The lanes that a change travels in, none where the row is not carried.

    A move to another item is a delete in the old item's lane and an insert in
    the new one's. Where a hook makes several rows, the whole change travels in
    each lane and says so. Raises an UnusableChange when the row has no key.
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
