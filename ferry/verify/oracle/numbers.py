"""
Exact numbers, and JSON documents with exact numbers.

Part of verify's independent reading: shares no code with the parts that it checks.
"""

import json
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from typing import Any, NoReturn

_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)  # rounds nothing
_WHOLE = 65
"""Digits of the longest number that is written without an exponent: as many as a DECIMAL may have."""


def double(text: str) -> Decimal:
    """A FLOAT or DOUBLE: the shortest number that is read as the same one."""
    return Decimal(repr(float(text)))


def number(value: Decimal) -> str:
    """
    One text for each number, however it was written.

    >>> number(Decimal("-1.50")), number(Decimal("-0.0")), number(Decimal("1e2")), number(Decimal("1e300"))
    ('-1.5', '0', '100', '1E+300')
    """
    if not value:
        return "0"
    short = value.normalize(_EXACT)
    return f"{short:f}" if -38 < short.adjusted() < _WHOLE else str(short)


def fits(value: Decimal) -> bool:
    """Whether DynamoDB can store the number: 38 digits, 1E-130 to 9.99E125."""
    if not value.is_finite():
        return False
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")
    return not digits or (len(digits) <= 38 and -130 <= value.adjusted() <= 125)


def document(text: str) -> Any:
    """
    The document in a JSON text: whole numbers are int, others Decimal, however they were written.

    Raises ValueError for what is not JSON, or not text (an unpaired surrogate).

    >>> document('[1.0, -0.0, 2.50, "x", null]')
    [1, 0, Decimal('2.5'), 'x', None]
    """
    found = json.loads(text, parse_int=_value, parse_float=_value, parse_constant=_refuse)
    # Only an escape can make an unpaired surrogate: the text itself has been decoded.
    if "\\u" in text:
        json_text(found).encode()
    return found


def _value(text: str) -> int | Decimal:
    value = Decimal(text).normalize(_EXACT)
    return int(value) if value.adjusted() < _WHOLE and value == value.to_integral_value() else value


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)


def json_text(value: Any) -> str:
    """
    The text of a document: spaces as MySQL prints them, numbers with all their digits.

    >>> json_text({"a": [1, Decimal("2.5"), None, True], "é": "x"})
    '{"a": [1, 2.5, null, true], "é": "x"}'
    """
    if isinstance(value, dict):
        members = (f"{json_text(name)}: {json_text(inside)}" for name, inside in value.items())
        return f"{{{', '.join(members)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(json_text, value))}]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
