"""
A planned write as the arguments of a DynamoDB request.

* PutItem         an item that belongs to one row, alone
* UpdateItem      members that are attributes, or entries of a map
* GetItem, PutItem on the position as read
                  where the old item has to be known: sets, and what is too large for an expression
"""

from typing import Any

from rowferry.items import ItemKey
from rowferry.members import Members
from rowferry.plan import Write, newer
from rowferry.table import EXPIRES, POSITION, MapEntry, SetEntry, Target
from rowferry.values import Attribute

type Item = dict[str, Attribute]

_NEWER = "attribute_not_exists(#p) OR #p < :p"
_NEWER_THAN_FIRST = "attribute_not_exists(#p) OR #p < :s"


def request(write: Write, expires: int, missing: frozenset[str] = frozenset()) -> tuple[str, dict[str, Any]]:
    """
    The client's method and its arguments for a write that needs not know the old item.

    `expires` is when a tombstone that this write makes may be removed, in
    seconds since 1970. `missing` are the write's maps that the item has not yet.
    """
    if write.whole:
        return "put_item", _put(write, expires)
    return "update_item", _Update(write, missing).arguments()


def missing_maps(write: Write, held: Item) -> frozenset[str]:
    """The maps that the write wants to go into and the item has not."""
    return write.maps - held.keys()


def bury(write: Write, found: Item, expires: int) -> dict[str, Any]:
    """
    The update_item arguments that mark an item without members as a tombstone.

    `found` is the item as the write left it. An item without members already
    counts as absent; the mark lets DynamoDB remove it. Harmless when lost.
    """
    names = {"#p": POSITION, "#t": EXPIRES}
    values: dict[str, Attribute] = {":t": {"N": str(expires)}}
    empty = {f"#m{index}": name for index, name in enumerate(sorted(write.target.maps & found.keys()))}
    names |= empty
    condition = "attribute_not_exists(#p)"
    if POSITION in found:
        values[":p"] = found[POSITION]
        condition = "#p = :p"
    return {
        "TableName": write.key.table,
        "Key": write.key.attributes(),
        "UpdateExpression": "SET #t = :t" + (f" REMOVE {','.join(empty)}" if empty else ""),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def lookup(write: Write) -> dict[str, Any]:
    """The get_item arguments for what `replacement` and `merged` have to know."""
    return {"TableName": write.key.table, "Key": write.key.attributes(), "ConsistentRead": True}


def replacement(write: Write, held: Item, expires: int) -> dict[str, Any]:
    """
    The put_item arguments of a whole write without a position, over the item `held` (empty: there is none).

    The item keeps its position. The condition fails when it has changed since.
    """
    arguments = _put(write, expires)
    if POSITION in held:
        arguments["Item"][POSITION] = held[POSITION]
    return {**arguments, **_as_read(held)}


def merged(write: Write, held: Item, expires: int) -> dict[str, Any] | None:
    """
    The put_item arguments that merge a write into the item `held` (empty: none). None: it has it all.

    The condition fails when the item has changed since it was read.
    """
    rest: Write | None = write
    if (
        write.position is not None
        and POSITION in held
        and held[POSITION]["S"] >= str(write.steps[0].position)
    ):
        rest = newer(write, held)
    if rest is None or (rest.position is None and not held and rest.may_empty):
        return None
    item = {} if EXPIRES in held else dict(held)  # nothing of a tombstone is kept
    _change(item, rest.members or {})
    live = contents(item, write.key, write.target)
    item = {**(live or _mark(write.target, expires)), **write.key.attributes()}
    if rest.position is not None:
        item[POSITION] = {"S": rest.position}
    elif POSITION in held:
        item[POSITION] = held[POSITION]
    return {"TableName": write.key.table, "Item": item, **_as_read(held)}


def contents(item: Item, key: ItemKey, target: Target) -> Item:
    """The item without its key, Rowferry's own attributes, and maps that have lost all members."""
    hidden = {POSITION, EXPIRES} | {value.name for value in key.values}
    return {
        name: value
        for name, value in item.items()
        if name not in hidden and not (name in target.maps and value == {"M": {}})
    }


def _change(item: Item, members: Members) -> None:
    """Sets and removes members in an item at hand."""
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
    """The strings of a set by their names: up to the first separator, which no name holds."""
    separator = place.prefix[-1]
    found = item.get(place.attribute, {}).get("SS", [])
    return {text.partition(separator)[0] + separator: {"S": text} for text in found}


def _as_read(held: Item) -> dict[str, Any]:
    """The condition that the item is as it was read; every change but those by hand raises the position."""
    condition: dict[str, Any] = {"ExpressionAttributeNames": {"#p": POSITION}}
    if POSITION not in held:
        return {**condition, "ConditionExpression": "attribute_not_exists(#p)"}
    return {
        **condition,
        "ConditionExpression": "#p = :p",
        "ExpressionAttributeValues": {":p": held[POSITION]},
    }


def _mark(target: Target, expires: int) -> Item:
    """What makes an item a tombstone; a table's own TTL attribute lets DynamoDB remove it."""
    names = (EXPIRES,) if target.ttl is None else (EXPIRES, target.ttl)
    return {name: {"N": str(expires)} for name in names}


def _put(write: Write, expires: int) -> dict[str, Any]:
    item: Item = _mark(write.target, expires) if write.members is None else {}
    item |= {str(place): value for place, value in (write.members or {}).items() if value is not None}
    item |= write.key.attributes()
    arguments: dict[str, Any] = {"TableName": write.key.table, "Item": item}
    if write.position is not None:
        item[POSITION] = {"S": write.position}
        arguments |= {
            "ConditionExpression": _NEWER,
            "ExpressionAttributeNames": {"#p": POSITION},
            "ExpressionAttributeValues": {":p": {"S": write.position}},
        }
    return arguments


class _Update:
    """
    An UpdateItem in the making.

    Placeholders for every name: members may be reserved words or begin with a digit.
    """

    def __init__(self, write: Write, missing: frozenset[str]) -> None:
        self.write = write
        self.missing = sorted(missing)
        self.maps = {name: f"#m{index}" for index, name in enumerate(sorted(write.maps))}
        self.names: dict[str, str] = {mark: name for name, mark in self.maps.items()}
        self.values: Item = {}
        self.setting: list[str] = []
        self.removing: list[str] = []

    def arguments(self) -> dict[str, Any]:
        """The arguments of update_item; without an UpdateExpression when there is nothing to do."""
        self._members()
        for name in self.missing:
            self._whole_map(name)
        if self.setting:  # a write that revives a tombstone lifts its TTL, or the live item would expire
            self.names["#t"] = EXPIRES
            self.removing.append("#t")
        condition = self._condition()
        parts = ((verb, parts) for verb, parts in (("SET", self.setting), ("REMOVE", self.removing)) if parts)
        expression = " ".join(f"{verb} {','.join(parts)}" for verb, parts in parts)
        asked = len(self.write.steps) > 1 or bool(self.maps)
        return {
            "TableName": self.write.key.table,
            "Key": self.write.key.attributes(),
            **({"UpdateExpression": expression} if expression else {}),
            "ExpressionAttributeNames": self.names,
            **({"ExpressionAttributeValues": self.values} if self.values else {}),
            **({"ConditionExpression": condition} if condition else {}),
            "ReturnValues": "ALL_NEW" if self.write.may_empty else "NONE",
            **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if asked else {}),
        }

    def _members(self) -> None:
        for index, (place, value) in enumerate((self.write.members or {}).items()):
            road = f"#{index:x}"
            if isinstance(place, MapEntry):
                if place.attribute in self.missing:
                    continue
                self.names[road] = place.name
                road = f"{self.maps[place.attribute]}.{road}"
            else:
                self.names[road] = str(place)
            if value is None:
                self.removing.append(road)
            else:
                self.values[f":{index:x}"] = value
                self.setting.append(f"{road}=:{index:x}")

    def _whole_map(self, name: str) -> None:
        """A path into a map that is not there is an error, so the map comes with its first members."""
        entries = {
            place.name: value
            for place, value in (self.write.members or {}).items()
            if isinstance(place, MapEntry) and place.attribute == name and value is not None
        }
        if entries:
            value = self.maps[name].replace("#", ":")
            self.values[value] = {"M": entries}
            self.setting.append(f"{self.maps[name]}={value}")

    def _condition(self) -> str:
        """Adds the names and values that it needs, and the position to what is set."""
        write, first = self.write, ""
        if write.position is not None:
            self.names["#p"], self.values[":p"] = POSITION, {"S": write.position}
            self.setting.append("#p=:p")
            first = _NEWER
            if len(write.steps) > 1:
                self.values[":s"] = {"S": str(write.steps[0].position)}
                first = _NEWER_THAN_FIRST
        elif write.may_empty:  # a delete replayed by hand must not create an empty item
            self.names["#k"] = write.key.values[0].name
            first = "attribute_exists(#k)"
        if not self.maps:
            return first
        verbs = {name: "not_exists" if name in self.missing else "exists" for name in self.maps}
        there = " AND ".join(f"attribute_{verbs[name]}({mark})" for name, mark in self.maps.items())
        return f"{there} AND ({first})" if first else there
