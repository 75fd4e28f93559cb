"""Which table goes to which item: the mapping file, and what it means for a row."""

from rowferry.mapping.mapping import Mapping
from rowferry.mapping.table import (
    EXPIRES,
    KEY_TYPES,
    POSITION,
    RESERVED,
    KeyAttribute,
    Layout,
    MapEntry,
    Place,
    SetEntry,
    TableMapping,
    Target,
)

__all__ = [
    "EXPIRES",
    "KEY_TYPES",
    "POSITION",
    "RESERVED",
    "KeyAttribute",
    "Layout",
    "MapEntry",
    "Mapping",
    "Place",
    "SetEntry",
    "TableMapping",
    "Target",
]
