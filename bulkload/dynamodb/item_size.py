"""
The size of attributes, as it counts towards an item's 400 KB.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from collections.abc import Mapping
from typing import Any

LARGEST = 400 * 1024
"""Bytes of an item, names included (DynamoDB developer guide, Constraints)."""


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """The bytes of an item with its attributes' names: as value_bytes, never more than DynamoDB counts."""
    return sum(len(name.encode()) + value_bytes(value) for name, value in item.items())


def value_bytes(value: Mapping[str, Any]) -> int:
    """
    The bytes of one value. A number takes about one byte for two digits, and one more. Some take a byte more
    than computed here: an item that is too large by this count is certainly too large.

    >>> value_bytes({"M": {"a": {"S": "xyz"}}}), value_bytes({"N": "-12.50"})
    (8, 4)
    """
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "B":
            return len(content)
        case "N":
            digits = content.strip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1 + int(content.startswith("-"))
        case "SS":
            return sum(len(text.encode()) for text in content)
        case "M":
            return 3 + sum(len(name.encode()) + 1 + value_bytes(inside) for name, inside in content.items())
        case "L":
            return 3 + sum(1 + value_bytes(inside) for inside in content)
    return 1  # BOOL and NULL
