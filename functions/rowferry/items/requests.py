"""
A planned write as the arguments of a DynamoDB request.

* PutItem         an item that belongs to one row alone
* UpdateItem      members that are attributes, or entries of a map
* GetItem, then PutItem conditional on the position that was read
                  if the old item has to be known: sets, and changes too large for an expression

Nothing here sends: `apply_changes.store` does.
"""

from typing import Any

from rowferry.items.effects import ItemKey
from rowferry.items.folding import Write, newer
from rowferry.items.members import Members
from rowferry.items.update_item import NEWER, Update
from rowferry.mapping.table import EXPIRES, POSITION, MapEntry, SetEntry, Target
from rowferry.values import Attribute

type Item = dict[str, Attribute]

_ALONE = Target()


def request(write: Write, expires: int, missing: frozenset[str] = frozenset()) -> tuple[str, dict[str, Any]]:
    """
    The client's method and its arguments for a write that does not need the old item.

    `expires` is when a tombstone that this write makes may be removed, in seconds since 1970. `missing` are
    those of the write's maps that the item does not have yet. An update without an UpdateExpression has
    nothing to do and must not be sent.
    """
    if write.whole:
        return "put_item", _put(write, expires)
    return "update_item", Update(write, missing).arguments()


def missing_maps(write: Write, held: Item) -> frozenset[str]:
    """Those of the write's maps that the item does not have."""
    return write.maps - held.keys()


def bury(write: Write, found: Item, expires: int) -> dict[str, Any] | None:
    """
    The update_item arguments that mark an item without members as a tombstone, and remove its empty maps.

    None if there is nothing to do. `found` is the item as the write left it. Items and maps without members
    count as absent already; the mark only lets DynamoDB remove the item, so a lost request does no harm.
    """
    empty = sorted(name for name in write.target.maps if found.get(name) == {"M": {}})
    removed = {f"#m{index}": name for index, name in enumerate(empty)}
    buried = not members_of(found, write.key, write.target)
    if not buried and not empty:
        return None
    values = {":t": {"N": str(expires)}} if buried else {}
    if POSITION in found:
        values[":p"] = found[POSITION]
    expression = "SET #t = :t " * buried + (f"REMOVE {','.join(removed)}" if removed else "")
    return {
        "TableName": write.key.table,
        "Key": write.key.attributes(),
        "UpdateExpression": expression.strip(),
        "ConditionExpression": "#p = :p" if POSITION in found else "attribute_not_exists(#p)",
        "ExpressionAttributeNames": {"#p": POSITION, **({"#t": EXPIRES} if buried else {}), **removed},
        **({"ExpressionAttributeValues": values} if values else {}),
    }


def lookup(write: Write) -> dict[str, Any]:
    """The get_item arguments for the item that `replacement` and `merged` need."""
    # An older state of the item would only fail the condition of the put that follows.
    return {"TableName": write.key.table, "Key": write.key.attributes(), "ConsistentRead": True}


def replacement(write: Write, held: Item, expires: int) -> dict[str, Any]:
    """
    The put_item arguments of a whole write without a position, over the item `held` (empty: there is none).

    The item keeps its position. The condition fails if the item has changed since it was read.
    """
    arguments = _put(write, expires)
    if POSITION in held:
        arguments["Item"][POSITION] = held[POSITION]
    return {**arguments, **_as_read(held)}


def merged(write: Write, held: Item, expires: int) -> dict[str, Any] | None:
    """
    The put_item arguments that merge a write into the item `held` (empty: there is none).

    None if the item has everything already. The condition fails if the item has changed since it was read.
    """
    rest: Write | None = write
    if (
        write.position is not None
        and POSITION in held
        and held[POSITION]["S"] >= str(write.steps[0].position)
    ):
        rest = newer(write, held)
    # The second: by hand, a removal from an item that does not exist.
    if rest is None or (rest.position is None and not held and rest.may_empty):
        return None
    item = {} if EXPIRES in held else dict(held)  # a tombstone has no members to keep
    put_members(item, rest.members or {})
    live = members_of(item, write.key, write.target)
    # The key is added again, because `members_of` leaves it out.
    item = {**(live or _mark(expires)), **write.key.attributes()}
    if rest.position is not None:
        item[POSITION] = {"S": rest.position}
    elif POSITION in held:
        item[POSITION] = held[POSITION]
    return {"TableName": write.key.table, "Item": item, **_as_read(held)}


def members_of(item: Item, key: ItemKey, target: Target = _ALONE) -> Item:
    """The item without its key, without Rowferry's own attributes, and without empty maps."""
    hidden = {POSITION, EXPIRES} | {value.name for value in key.values}
    return {
        name: value
        for name, value in item.items()
        if name not in hidden and not (name in target.maps and value == {"M": {}})
    }


def put_members(item: Item, members: Members) -> None:
    """Sets and removes members in `item`, in place."""
    maps: dict[str, dict[str, Attribute]] = {}
    sets: dict[str, dict[str, Attribute]] = {}
    for place, value in members.items():
        if isinstance(place, MapEntry):
            inside, name = (
                maps.setdefault(place.attribute, dict(item.get(place.attribute, {}).get("M", {}))),
                place.name,
            )
        elif isinstance(place, SetEntry):
            inside, name = sets.setdefault(place.attribute, _strings(item, place)), place.prefix
        else:
            inside, name = item, place
        if value is None:
            inside.pop(name, None)
        else:
            inside[name] = value
    item |= {name: {"M": entries} for name, entries in maps.items()}
    for name, strings in sets.items():
        item.pop(name, None)
        if strings:  # DynamoDB has no empty set
            item[name] = {"SS": sorted(value["S"] for value in strings.values())}


def _strings(item: Item, place: SetEntry) -> dict[str, Attribute]:
    """The strings of a set by their names: the text up to the first separator, which no name contains."""
    separator = place.prefix[-1]
    found = item.get(place.attribute, {}).get("SS", [])
    return {text.partition(separator)[0] + separator: {"S": text} for text in found}


def _as_read(held: Item) -> dict[str, Any]:
    """
    The condition that the item is as it was read: every change raises its position, except a replay by hand.
    """
    condition: dict[str, Any] = {"ExpressionAttributeNames": {"#p": POSITION}}
    if POSITION not in held:
        return {**condition, "ConditionExpression": "attribute_not_exists(#p)"}
    return {
        **condition,
        "ConditionExpression": "#p = :p",
        "ExpressionAttributeValues": {":p": held[POSITION]},
    }


def _mark(expires: int, ttl: str | None = None) -> Item:
    """
    The attributes that make an item a tombstone.

    `ttl` is the table's TTL attribute if that is the user's, so that DynamoDB removes the tombstone as well.
    Only for items that are always replaced: elsewhere an update that revives the item could not distinguish
    this time from that of another row.
    """
    return {name: {"N": str(expires)} for name in (EXPIRES, ttl) if name}


def _put(write: Write, expires: int) -> dict[str, Any]:
    item: Item = _mark(expires, write.target.ttl) if write.members is None else {}
    item |= {str(place): value for place, value in (write.members or {}).items() if value is not None}
    item |= write.key.attributes()
    arguments: dict[str, Any] = {"TableName": write.key.table, "Item": item}
    if write.position is not None:
        item[POSITION] = {"S": write.position}
        arguments |= {
            "ConditionExpression": NEWER,
            "ExpressionAttributeNames": {"#p": POSITION},
            "ExpressionAttributeValues": {":p": {"S": write.position}},
        }
    return arguments
