"""
Values that MySQL printed, as literals in SQL; part of verify's independent reading.

Only where the server certainly compares the column with the literal as with the original value.
"""

import re
from datetime import date, datetime

from pymysql.converters import escape_string

from ferry.verify.oracle.values import INTEGERS

EXACT = INTEGERS - {"bit"} | {"decimal"}
DAYS = frozenset({"date", "datetime", "timestamp"})
TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
BYTES = frozenset({"binary", "varbinary"})
ORDERED = EXACT | DAYS | BYTES | {"char", "varchar"}
"""Types whose literals sort as the column does. Not ENUM, whose index has the order of its numbers."""
_DIGITS = re.compile(r"-?\d+(\.\d+)?(E[+-]?\d+)?", re.ASCII)
_LOST = frozenset("?\ufffd")
"""Replacements of characters that could not be converted."""


def literal(kind: str, value: str | bytes) -> str | None:
    """The SQL literal of a column's value; None where the server may not find the row by it."""
    if kind in BYTES:
        return f"X'{value.hex()}'" if isinstance(value, bytes) else None
    if isinstance(value, bytes):
        return None
    if kind in EXACT:
        return value if _DIGITS.fullmatch(value) else None
    if kind in DAYS and not _is_day(kind, value):
        return None
    return f"'{escape_string(value)}'" if kind in TEXTS | DAYS | {"enum"} and not _LOST & set(value) else None


def _is_day(kind: str, text: str) -> bool:
    """MySQL refuses a comparison with a day that no calendar has, although a column may have one."""
    try:
        (date if kind == "date" else datetime).fromisoformat(text)
    except ValueError:
        return False
    return True
