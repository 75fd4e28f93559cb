"""
A DynamoDB in memory that is stricter than the emulators: what AWS refuses, it refuses.

Knows the calls and the expressions that the consumer and the bulk load use, no more. Rules:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html and Expressions.*.
"""

import re
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

from botocore.exceptions import ClientError

type Item = dict[str, dict[str, Any]]

_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")
_CONDITIONS: dict[str, Callable[[Item, dict[str, str], dict[str, Any]], bool]] = {
    "attribute_not_exists(#p) OR #p <= :v": lambda item, names, values: (
        names["#p"] not in item or item[names["#p"]]["S"] <= values[":v"]["S"]
    ),
    "attribute_not_exists(#p) OR #p < :s": lambda item, names, values: (
        names["#p"] not in item or item[names["#p"]]["S"] < values[":s"]["S"]
    ),
    "attribute_not_exists(#p) OR #p < :p": lambda item, names, values: (
        names["#p"] not in item or item[names["#p"]]["S"] < values[":p"]["S"]
    ),
    "attribute_not_exists(#p)": lambda item, names, values: names["#p"] not in item,
    "attribute_exists(#k)": lambda item, names, values: names["#k"] in item,
    "#p = :p": lambda item, names, values: item.get(names["#p"]) == values[":p"],
}
_ALLOWED = {
    "TableName",
    "Key",
    "Item",
    "UpdateExpression",
    "ConditionExpression",
    "ExpressionAttributeNames",
    "ExpressionAttributeValues",
    "ReturnValues",
    "ReturnConsumedCapacity",
    "ReturnValuesOnConditionCheckFailure",
    "ConsistentRead",
}


class Dynamo:
    """Tables by name; each has the names of its key attributes and items by key."""

    def __init__(self, **tables: tuple[str, ...]) -> None:
        self.keys = tables
        self.items: dict[str, dict[tuple[str, ...], Item]] = {name: {} for name in tables}

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        place = self._place(arguments["TableName"], arguments["Key"])
        found = self.items[arguments["TableName"]].get(place)
        return {"Item": dict(found)} if found else {}

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        table, item = arguments["TableName"], arguments["Item"]
        check_arguments(arguments)
        place = self._place(table, {name: item[name] for name in self.keys[table]})
        check_item(item)
        self._condition(table, place, arguments)
        self.items[table][place] = dict(item)
        return {}

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        table, key = arguments["TableName"], arguments["Key"]
        check_arguments(arguments)
        place = self._place(table, key)
        changes = assignments(arguments)
        if {path[0] for path in changes} & set(key):
            refuse("Cannot update attribute. This attribute is part of the key")
        check_values(arguments.get("ExpressionAttributeValues", {}))
        self._condition(table, place, arguments)
        item = {**key, **deepcopy(self.items[table].get(place, {}))}
        for path, value in changes.items():
            _assign(item, path, value)
        _add(item, arguments)
        check_item(item)
        self.items[table][place] = item
        return {"Attributes": dict(item)} if arguments.get("ReturnValues") == "ALL_NEW" else {}

    def _place(self, table: str, key: Item) -> tuple[str, ...]:
        if tuple(sorted(key)) != tuple(sorted(self.keys[table])):
            refuse("The provided key element does not match the schema")
        if any(value in ("", b"") for name in key for value in key[name].values()):
            refuse("One or more parameter values are not valid: an empty string value for the key")
        return tuple(repr(key[name]) for name in self.keys[table])

    def _condition(self, table: str, place: tuple[str, ...], arguments: dict[str, Any]) -> None:
        condition = arguments.get("ConditionExpression")
        if condition is None:
            return
        held = self.items[table].get(place, {})
        names, values = (arguments.get(f"ExpressionAttribute{what}", {}) for what in ("Names", "Values"))
        if not _holds(condition, held, names, values):
            asked = arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
            refuse("The conditional request failed", "ConditionalCheckFailedException", held if asked else {})


def _holds(condition: str, held: Item, names: dict[str, str], values: dict[str, Any]) -> bool:
    """Every part of the condition; those about a map stand before the one about the position."""
    while found := re.match(r"attribute_(not_)?exists\((#m\w+)\)(?: AND |$)", condition):
        if (names[found[2]] in held) == bool(found[1]):
            return False
        condition = condition[found.end() :]
    while found := re.match(r"(#c\d+)=(:c\d+)(?: AND |$)", condition):  # the control table's `only_if`
        if held.get(names[found[1]]) != values[found[2]]:
            return False
        condition = condition[found.end() :]
    return not condition or _CONDITIONS[
        condition.removeprefix("(").removesuffix(")") if condition[0] == "(" else condition
    ](held, names, values)


def _assign(item: Item, path: tuple[str, ...], value: Any) -> None:
    """Sets or removes an attribute, or an entry of a map that is there."""
    inside: Any = item
    for name in path[:-1]:
        if "M" not in inside.get(name, {}):
            refuse("The document path provided in the update expression is invalid for update")
        inside = inside[name]["M"]
    if value is None:
        inside.pop(path[-1], None)
    elif "if_not_exists" in value:
        inside.setdefault(path[-1], value["if_not_exists"])
    else:
        inside[path[-1]] = value


def _add(item: Item, arguments: dict[str, Any]) -> None:
    """ADD of strings to sets."""
    names, values = (arguments.get(f"ExpressionAttribute{what}", {}) for what in ("Names", "Values"))
    for name, value in re.findall(r"(#\w+) (:\w+)", arguments["UpdateExpression"].partition("ADD ")[2]):
        held = set(item.get(names[name], {"SS": []})["SS"])
        item[names[name]] = {"SS": sorted(held | set(values[value]["SS"]))}


def refuse(message: str, code: str = "ValidationException", held: Item | None = None) -> None:
    response: Any = {"Error": {"Code": code, "Message": message}, **({"Item": dict(held)} if held else {})}
    raise ClientError(response, "WriteItem")


def check_arguments(arguments: dict[str, Any]) -> None:
    """What AWS checks in a request before it looks at the item."""
    assert arguments.keys() <= _ALLOWED, arguments.keys() - _ALLOWED
    expressions = [text for name, text in arguments.items() if name.endswith("Expression")]
    names = arguments.get("ExpressionAttributeNames")
    values = arguments.get("ExpressionAttributeValues")
    if names == {} or values == {}:
        refuse("ExpressionAttributeNames and ExpressionAttributeValues must not be empty")
    for text in expressions:
        if not text:
            refuse("The expression can not be empty")
        if len(text.encode()) > 4096:
            refuse("Expression size has exceeded the limit of 4096 bytes")
        if len(re.findall(r" (?:OR|AND) |<|\w+\(", text)) > 300:
            refuse("The expression contains more than 300 operators")
        bare = set(re.findall(r"(?<![#:\w])\w+", text))
        if bare - {
            "SET",
            "REMOVE",
            "ADD",
            "OR",
            "AND",
            "attribute_exists",
            "attribute_not_exists",
            "if_not_exists",
        }:
            refuse(f"bare names: {bare}")
    used = set(_PLACEHOLDER.findall(" ".join(expressions)))
    defined = {*(names or {}), *(values or {})}
    if used != defined:
        refuse(f"unused or undefined placeholders: {used ^ defined}")
    for name in (names or {}).values():
        if not 1 <= len(name.encode()) <= 65_535:
            refuse("An attribute name has 1 to 65535 bytes")


def assignments(arguments: dict[str, Any]) -> dict[tuple[str, ...], Any]:
    """The paths that an update sets, and those that it removes as None."""
    names, values = (arguments.get(f"ExpressionAttribute{what}", {}) for what in ("Names", "Values"))
    text = arguments["UpdateExpression"].replace(" = ", "=")
    matched = re.fullmatch(r"(?:SET ([^ ]+))? ?(?:REMOVE ([^ ]+))? ?(?:ADD .+)?", text)
    assert matched, text
    pairs = [part.split("=") for part in re.findall(r"[^,=]+=(?:\w+\([^)]*\)|[^,]+)", matched[1] or "")]
    removed = matched[2].split(",") if matched[2] else []
    paths = [_path(road, names) for road in [*(road for road, _ in pairs), *removed]]
    if len(set(paths)) < len(paths) or any(path[:1] in set(paths) for path in paths if len(path) > 1):
        refuse("Two document paths overlap with each other")
    found: list[Any] = [_value(text, values) for _, text in pairs]
    return dict(zip(paths, [*found, *[None] * len(removed)], strict=True))


def _path(road: str, names: dict[str, str]) -> tuple[str, ...]:
    return tuple(names[step] for step in road.split("."))


def _value(text: str, values: dict[str, Any]) -> Any:
    if text.startswith("if_not_exists("):
        return {"if_not_exists": values[text.rpartition(",")[2].removesuffix(")")]}
    return values[text]


def check_values(values: Item) -> None:
    for value in values.values():
        ((kind, content),) = value.items()
        if kind == "SS" and (not content or len(set(content)) < len(content)):
            refuse("One or more parameter values were invalid: a set is empty or has duplicates")
        if kind == "M":
            check_values(content)
        if kind == "N":
            check_number(content)
        if kind == "S":
            content.encode()  # AWS cannot even read half a surrogate pair


def check_number(text: str) -> None:
    number = Decimal(text)
    digits = "".join(map(str, number.as_tuple().digits)).strip("0")
    if len(digits) > 38:
        refuse("Attempting to store more than 38 significant digits in a Number")
    if number and number.adjusted() > 125:
        refuse("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if number and number.adjusted() < -130:
        refuse("Number underflow. Attempting to store a number with magnitude smaller than supported range")


def check_item(item: Item) -> None:
    check_values(item)
    if sum(len(name.encode()) + _size(value) for name, value in item.items()) > 400 * 1024:
        refuse("Item size to update has exceeded the maximum allowed size")


def _size(value: dict[str, Any]) -> int:
    ((kind, content),) = value.items()
    if kind == "N":
        return min(21, len(content) // 2 + 2)
    if kind in ("M", "L"):
        inside = content.items() if kind == "M" else [("", value) for value in content]
        return 3 + sum(len(name.encode()) + 1 + _size(value) for name, value in inside)
    if kind == "SS":
        return sum(len(text.encode()) for text in content)
    return 1 if kind in ("NULL", "BOOL") else len(content if isinstance(content, bytes) else content.encode())
