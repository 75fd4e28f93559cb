"""
Values that MySQL printed, written in SQL again; part of verify's independent reading.

Only where it is certain that the server compares the column with the text as with the value it came from.
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
"""The order of the texts is the column's. Not so in an ENUM, whose index has the order of its numbers."""
_DIGITS = re.compile(r"-?\d+(\.\d+)?(E[+-]?\d+)?", re.ASCII)
_LOST = frozenset("?\ufffd")
"""What stands for characters that did not come through as they are stored."""


def literal(kind: str, value: str | bytes) -> str | None:
    """The value of a column of this type in SQL; None where the server may not find it by that."""
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
    """MySQL refuses a comparison with a day that no calendar has, though a column may hold it."""
    try:
        (date if kind == "date" else datetime).fromisoformat(text)
    except ValueError:
        return False
    return True
