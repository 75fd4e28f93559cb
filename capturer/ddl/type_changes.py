"""
Whether a column keeps every value when ALTER TABLE changes its definition. Pure; if in doubt, it does not.
"""

import re
from collections.abc import Sequence

from capturer.decoder.rows.table_schema import Definition

_INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
_TEXTS = ("char", "varchar", "text", "mediumtext", "longtext")
"""A value of each fits into every later one: VARCHAR has at most 65,535 bytes, as TEXT has."""
_COUNTED_IN_CHARACTERS = ("char", "varchar", "enum", "set")
_SHORTEST = ("ascii", "utf8", "utf8mb3", "utf8mb4")
"""Character sets of which no text needs more bytes in utf8mb4."""
_BLOBS = ("varbinary", "blob", "mediumblob", "longblob")
_NUMBERS = re.compile(r"\d+")


def keeps_values(before: Sequence[Definition], after: Sequence[Definition], columns: frozenset[str]) -> bool:
    """Whether each of `columns`, named in lower case, has the same values after as before."""
    old, new = ({column.name.lower(): column for column in side} for side in (before, after))
    if not columns <= old.keys() & new.keys():
        return False
    for name in columns:
        recoded = old[name].charset != new[name].charset
        spelled = old[name].name == new[name].name  # the case of its letters is that of the attribute's name
        if not (spelled and _keeps(old[name], new[name])) or (recoded and _computes(name, after)):
            return False
    return True


def _computes(name: str, columns: Sequence[Definition]) -> bool:
    """Whether a generated column may use this one: HEX or LENGTH of it depend on its character set."""
    quoted = f"`{name.replace('`', '``')}`"
    return any(quoted in column.computed.lower() for column in columns)


def _keeps(old: Definition, new: Definition) -> bool:
    if (old.nullable and not new.nullable) or old.computed != new.computed:
        return False  # NULL becomes 0 or '' if the server is not in strict mode
    if new.charset != old.charset and not _fits_in_utf8mb4(old, new):
        return False
    if new.declared == old.declared:
        return True
    kinds = old.data_type.lower(), new.data_type.lower()
    if kinds[0] in _INTEGERS and kinds[1] in _INTEGERS:
        return _widens_integer(old, new)
    for family in (_TEXTS, _BLOBS):
        if kinds[0] in family and kinds[1] in family:
            return _widens_text(old, new, family)
    if kinds == ("decimal", "decimal"):
        (whole, scale), (new_whole, new_scale) = _numbers(old), _numbers(new)
        return scale == new_scale and new_whole >= whole and new.unsigned <= old.unsigned
    if kinds in (("enum", "enum"), ("set", "set")):
        # Rows hold a label's number: new ones only at the end.
        return new.labels[: len(old.labels)] == old.labels
    return False


def _fits_in_utf8mb4(old: Definition, new: Definition) -> bool:
    """A TEXT is limited in bytes: what does not fit is cut off if the server is not in strict mode."""
    if new.charset != "utf8mb4":
        return False
    kind = new.data_type.lower()
    if kind in _COUNTED_IN_CHARACTERS or old.charset in _SHORTEST or kind == "longtext":
        return True
    return kind == "mediumtext" and old.data_type.lower() in _TEXTS[: _TEXTS.index(kind)]


def _widens_integer(old: Definition, new: Definition) -> bool:
    larger = _INTEGERS.index(new.data_type.lower()) - _INTEGERS.index(old.data_type.lower())
    if old.unsigned is new.unsigned:
        return larger >= 0
    return old.unsigned and larger > 0  # fits into the next larger signed type


def _widens_text(old: Definition, new: Definition, family: Sequence[str]) -> bool:
    """CHAR is compared by its length as well: it has no trailing blanks that another type could lose."""
    first, second = family.index(old.data_type.lower()), family.index(new.data_type.lower())
    sizes = _numbers(old), _numbers(new)
    if not all(sizes):
        return second >= first
    return second >= first and sizes[1] >= sizes[0]


def _numbers(column: Definition) -> list[int]:
    return [int(number) for number in _NUMBERS.findall(column.declared)]
