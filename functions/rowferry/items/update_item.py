"""UpdateItem: sets and removes members in place, without reading the item."""

from collections.abc import Iterator
from itertools import batched
from typing import Any

from rowferry.items.effects import Effect, ItemKey
from rowferry.items.folding import MAX_ENTRIES, FoldStep, Write
from rowferry.items.members import Members
from rowferry.mapping.table import EXPIRES, POSITION, MapEntry, SetEntry, Target
from rowferry.values import Attribute

NEWER = "attribute_not_exists(#p) OR #p < :p"
_NEWER_THAN_FIRST = "attribute_not_exists(#p) OR #p < :s"


class Update:
    """
    Builds the arguments of one UpdateItem.

    Every name has a placeholder: members may be reserved words or begin with a digit.
    """

    def __init__(self, write: Write, missing: frozenset[str]) -> None:
        self.write = write
        self.missing = sorted(missing)
        self.maps = {name: f"#m{index}" for index, name in enumerate(sorted(write.maps))}
        self.names: dict[str, str] = {mark: name for name, mark in self.maps.items()}
        self.values: dict[str, Attribute] = {}
        self.setting: list[str] = []
        self.removing: list[str] = []
        self.adding: list[str] = []

    def arguments(self) -> dict[str, Any]:
        """The arguments of update_item; without an UpdateExpression if there is nothing to do."""
        self._members()
        for name in self.missing:
            self._whole_map(name)
        if self.setting or self.adding:  # it may revive a tombstone, whose TTL would remove the live item
            self.names["#t"] = EXPIRES
            self.removing.append("#t")
        condition = self._guarded(self._condition())
        clauses = (("SET", self.setting), ("REMOVE", self.removing), ("ADD", self.adding))
        expression = " ".join(f"{verb} {','.join(parts)}" for verb, parts in clauses if parts)
        # For one change without maps the failure alone says that it is a repeat: `newer` relies on this.
        asked = len(self.write.steps) > 1 or bool(self.maps)
        return {
            "TableName": self.write.key.table,
            "Key": self.write.key.attributes(),
            **({"UpdateExpression": expression} if expression else {}),
            "ExpressionAttributeNames": self.names,
            **({"ExpressionAttributeValues": self.values} if self.values else {}),
            **({"ConditionExpression": condition} if condition else {}),
            # Free of charge, unlike a read.
            "ReturnValues": "ALL_NEW" if self.write.may_leave_empty else "NONE",
            **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if asked else {}),
        }

    def _members(self) -> None:
        for index, (place, value) in enumerate((self.write.members or {}).items()):
            path = f"#{index:x}"  # hexadecimal: MAX_MEMBERS counts on short names
            if isinstance(place, SetEntry):
                continue
            if isinstance(place, MapEntry):
                if place.attribute in self.missing:
                    continue
                self.names[path] = place.name
                path = f"{self.maps[place.attribute]}.{path}"
            else:
                self.names[path] = str(place)
            if value is None:
                self.removing.append(path)
            else:
                self.values[f":{index:x}"] = value
                self.setting.append(f"{path}=:{index:x}")

    def _whole_map(self, name: str) -> None:
        """
        DynamoDB refuses a path into a map that does not exist, so the map is set with its first members.
        """
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
        """The condition; also adds its names and values, and the position to the SET clause."""
        write = self.write
        if write.position is not None:
            self.names["#p"], self.values[":p"] = POSITION, {"S": write.position}
            self.setting.append("#p=:p")
            if len(write.steps) == 1:
                return NEWER
            self.values[":s"] = {"S": str(write.steps[0].position)}
            return _NEWER_THAN_FIRST
        if write.may_empty:  # without it, a delete replayed by hand would create an empty item
            self.names["#k"] = write.key.values[0].name
            return "attribute_exists(#k)"
        return ""

    def _guarded(self, first: str) -> str:
        """The condition, and that the maps exist, or do not."""
        if not self.maps:
            return first
        verbs = {name: "not_exists" if name in self.missing else "exists" for name in self.maps}
        there = " AND ".join(f"attribute_{verbs[name]}({mark})" for name, mark in self.maps.items())
        return f"{there} AND ({first})" if first else there


class LoadMerge(Update):
    """
    The UpdateItem with which a bulk load adds members to an item that may exist already.

    A new item gets the position `start`, the watermark at the start of the load; an existing one keeps its
    own, which must not be above `seen`, the watermark of the rows at hand. A lower position is always safe, a
    later one never: changes of rows that another chunk read at an earlier watermark would be skipped.
    """

    def __init__(self, write: Write, missing: frozenset[str], start: str, seen: str) -> None:
        super().__init__(write, missing)
        self._start = start
        self._seen = seen

    def arguments(self) -> dict[str, Any]:
        """The arguments of update_item; if the condition fails, the error has the item."""
        return {**super().arguments(), "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    def _members(self) -> None:
        super()._members()
        sets: dict[str, list[str]] = {}
        for place, value in (self.write.members or {}).items():
            if isinstance(place, SetEntry) and value is not None:
                sets.setdefault(place.attribute, []).append(value["S"])
        for index, (name, strings) in enumerate(sets.items()):
            self.names[f"#s{index}"], self.values[f":s{index}"] = name, {"SS": sorted(strings)}
            self.adding.append(f"#s{index} :s{index}")

    def _condition(self) -> str:
        self.names["#p"] = POSITION
        self.values |= {":w": {"S": self._start}, ":v": {"S": self._seen}}
        self.setting.append("#p=if_not_exists(#p,:w)")
        return "attribute_not_exists(#p) OR #p <= :v"


def load_writes(key: ItemKey, members: Members, target: Target) -> Iterator[Write]:
    """The writes that add a load's members to an item, each small enough for one update expression."""
    present = [(place, value) for place, value in members.items() if value is not None]
    for part in batched(present, MAX_ENTRIES, strict=False):
        effect = Effect(key, dict(part), target=target)
        yield Write(key, effect.members, whole=False, position=None, steps=[FoldStep(effect, None, 0)])
