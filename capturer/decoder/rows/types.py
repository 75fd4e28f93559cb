"""Column types by their codes in a table map, and the metadata that each has."""

from enum import IntEnum


class ColumnType(IntEnum):
    """
    https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html; 140 and 141 are MariaDB's.
    """

    TINY = 1
    SHORT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    TIMESTAMP = 7
    LONGLONG = 8
    INT24 = 9
    DATE = 10
    TIME = 11
    DATETIME = 12
    YEAR = 13
    VARCHAR = 15
    BIT = 16
    TIMESTAMP2 = 17
    DATETIME2 = 18
    TIME2 = 19
    BLOB_COMPRESSED = 140
    VARCHAR_COMPRESSED = 141
    VECTOR = 242
    JSON = 245
    NEWDECIMAL = 246
    ENUM = 247
    SET = 248
    BLOB = 252
    VAR_STRING = 253
    STRING = 254
    GEOMETRY = 255


METADATA_SIZE = {
    **dict.fromkeys(ColumnType, 0),
    **dict.fromkeys(
        [
            ColumnType.FLOAT,
            ColumnType.DOUBLE,
            ColumnType.TIMESTAMP2,
            ColumnType.DATETIME2,
            ColumnType.TIME2,
            ColumnType.BLOB_COMPRESSED,
            ColumnType.VECTOR,
            ColumnType.JSON,
            ColumnType.BLOB,
            ColumnType.GEOMETRY,
        ],
        1,
    ),
    **dict.fromkeys(
        [
            ColumnType.VARCHAR,
            ColumnType.VARCHAR_COMPRESSED,
            ColumnType.BIT,
            ColumnType.NEWDECIMAL,
            ColumnType.ENUM,
            ColumnType.SET,
            ColumnType.VAR_STRING,
            ColumnType.STRING,
        ],
        2,
    ),
}
"""Bytes of metadata for a column in a table map."""

INTEGERS = {
    ColumnType.TINY: 1,
    ColumnType.SHORT: 2,
    ColumnType.INT24: 3,
    ColumnType.LONG: 4,
    ColumnType.LONGLONG: 8,
}
"""Size of the integers in bytes."""

NUMERIC = frozenset([*INTEGERS, ColumnType.FLOAT, ColumnType.DOUBLE, ColumnType.NEWDECIMAL, ColumnType.YEAR])
"""Types that have a bit in the field SIGNEDNESS."""

_TEXT = frozenset([ColumnType.STRING, ColumnType.VAR_STRING, ColumnType.VARCHAR, ColumnType.BLOB])
CHARACTER = _TEXT | {ColumnType.VECTOR}
MARIADB_CHARACTER = _TEXT | {
    ColumnType.GEOMETRY,
    ColumnType.BLOB_COMPRESSED,
    ColumnType.VARCHAR_COMPRESSED,
}
"""Types that have a collation in the fields DEFAULT_CHARSET and COLUMN_CHARSET: the servers differ."""
CHOICE = frozenset([ColumnType.ENUM, ColumnType.SET])

_BLOBS = frozenset([ColumnType.BLOB, ColumnType.BLOB_COMPRESSED])
_VARCHARS = frozenset([ColumnType.VARCHAR, ColumnType.VARCHAR_COMPRESSED])
DECLARED: dict[str, frozenset[ColumnType]] = {
    "tinyint": frozenset([ColumnType.TINY]),
    "smallint": frozenset([ColumnType.SHORT]),
    "mediumint": frozenset([ColumnType.INT24]),
    "int": frozenset([ColumnType.LONG]),
    "bigint": frozenset([ColumnType.LONGLONG]),
    "decimal": frozenset([ColumnType.NEWDECIMAL]),
    "float": frozenset([ColumnType.FLOAT]),
    "double": frozenset([ColumnType.DOUBLE]),
    "bit": frozenset([ColumnType.BIT]),
    "year": frozenset([ColumnType.YEAR]),
    "date": frozenset([ColumnType.DATE]),
    "time": frozenset([ColumnType.TIME, ColumnType.TIME2]),
    "datetime": frozenset([ColumnType.DATETIME, ColumnType.DATETIME2]),
    "timestamp": frozenset([ColumnType.TIMESTAMP, ColumnType.TIMESTAMP2]),
    **dict.fromkeys(["varchar", "varbinary"], _VARCHARS),
    **dict.fromkeys(["char", "binary", "inet4", "inet6", "uuid"], frozenset([ColumnType.STRING])),
    **dict.fromkeys(
        [f"{size}{kind}" for size in ("tiny", "", "medium", "long") for kind in ("text", "blob")], _BLOBS
    ),
    "enum": frozenset([ColumnType.ENUM]),
    "set": frozenset([ColumnType.SET]),
    "json": frozenset([ColumnType.JSON]),
    "vector": frozenset([ColumnType.VECTOR]),
    **dict.fromkeys(
        [
            "geometry",
            "point",
            "linestring",
            "polygon",
            "multipoint",
            "multilinestring",
            "multipolygon",
            "geomcollection",
            "geometrycollection",
        ],
        frozenset([ColumnType.GEOMETRY]),
    ),
}
"""information_schema's data_type to the codes with which a table map announces it."""
