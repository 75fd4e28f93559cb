"""
The key columns along which a table is cut, and how MySQL sorts and compares each.

A column must meet two conditions: all rows of an item are on one side of every cut, and a bound goes back to
MySQL exactly as it was read, or the next cut would find the same bound again. So the comparison must not
distinguish values that make the same key. A column that does not meet both is left out: the other key columns
keep a group together as well, and without any the table is a single chunk.
"""

from dataclasses import dataclass

from rowferry.mysql.select import SourceColumn, quoted

_AS_THEY_ARE = frozenset({None, "utf8mb4", "utf8mb3", "utf8", "ascii"})
_ONE_TO_ONE = frozenset([
    "cp850", "cp852", "cp866", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7",
    "macce", "macroman", "utf16", "utf16le", "utf32",
])  # fmt: skip
"""Character sets of which no two texts are converted to the same."""
_NOT_CUT = frozenset([
    "float",  # 16777216 and 16777218 are two values, and both print 16777200
    "set",  # an empty label is distinguished, but not printed
    "json", "vector",
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geomcollection", "geometrycollection",
])  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """
    One column along which a table is cut.

    `expression` is sorted and compared, `selected` read as a bound (None: the expression), and `bound` is the
    place of such a value in a comparison.
    """

    name: str
    nullable: bool
    expression: str
    selected: str | None = None
    bound: str = "%s"


def key_column(column: SourceColumn) -> KeyColumn | None:
    """How the table is cut along the column; None: the column is left out of the cut."""
    if column.type in _NOT_CUT or column.charset == "ucs2":  # all unpaired surrogates become one character
        return None
    name = quoted(column.name)
    expression, selected, bound = name, None, "%s"
    if column.type == "enum":
        # MySQL sorts an ENUM by number and compares it as text: use text for both
        expression = f"CAST({name} AS CHAR)"
    elif column.type == "double":
        selected = f"{name} * 1e0"  # all digits, also of a DOUBLE(M,D)
    elif column.type == "bit":
        selected = f"{name} + 0"
    elif column.charset in _ONE_TO_ONE:
        # the column's bytes, compared in its own collation
        selected, bound = (
            f"CAST({name} AS BINARY)",
            f"CONVERT(%s USING {column.charset}) COLLATE {column.collation}",
        )
    elif column.charset not in _AS_THEY_ARE:
        # Several of its texts may become one key; cut along what they become, they stay together. No index
        # has it.
        expression = f"CONVERT({name} USING utf8mb4)"
    return KeyColumn(column.name, column.nullable, expression, selected, bound)
