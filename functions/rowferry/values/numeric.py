"""Numbers as DynamoDB stores them, and the exact numbers of JSON."""

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

from rowferry.errors import ValueOutOfRange

# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_DIGITS = 38
MIN_EXPONENT, MAX_EXPONENT = -130, 125
_INTEGER_DIGITS = 65
"""A JSON number with more digits stays a Decimal: as an int, 1E+300 would be written with 301 digits."""
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)  # the default context would round at 28 digits


def number(value: int | float | Decimal) -> str:
    """
    The text of a number as DynamoDB stores it.

    Raises ValueOutOfRange for more than 38 digits, or outside 1E-130 to 9.99E125.
    """
    if type(value) is int:
        return str(value)  # MySQL's integers have at most 20 digits
    exact = as_decimal(value)
    if not fits(exact):
        raise ValueOutOfRange(
            "a number is outside what DynamoDB stores (38 digits, 1E-130 to 9.99E125)",
            'make it text in the mapping: type = "string" for a column, type = "S" for a key',
        )
    return digits(exact)


def as_decimal(value: int | float | Decimal) -> Decimal:
    """The same number exactly; for a float, the shortest decimal that is parsed as the same float."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def digits(exact: Decimal) -> str:
    """
    The canonical text of a number, without trailing zeros.

    >>> digits(Decimal("1.50")), digits(Decimal("-0.0")), digits(Decimal("1E+300"))
    ('1.5', '0', '1E+300')
    """
    if not exact:
        return "0"  # -0 too: MySQL compares them as equal
    short = exact.normalize(_EXACT)
    return format(short, "f") if -MAX_DIGITS < exact.adjusted() < _INTEGER_DIGITS else str(short)


def fits(exact: Decimal) -> bool:
    """Whether DynamoDB can store the number exactly."""
    if not exact.is_finite() or not MIN_EXPONENT <= exact.adjusted() <= MAX_EXPONENT:
        return not exact
    found = exact.as_tuple().digits
    return len(found) <= MAX_DIGITS or len("".join(map(str, found)).rstrip("0")) <= MAX_DIGITS


def json_number(value: int | float | Decimal) -> int | Decimal:
    """
    A number of a JSON document normalised to its value, however it was written: 1, 1.0 and 10E-1 are the int
    1.

    An int if it is integral and below 10^65, otherwise a Decimal without trailing zeros.
    Raises ValueError for NaN and infinity.

    >>> json_number(1e20), json_number(Decimal("-0.10")), json_number(1e300)
    (100000000000000000000, Decimal('-0.1'), Decimal('1E+300'))
    """
    if type(value) is int and -(10**_INTEGER_DIGITS) < value < 10**_INTEGER_DIGITS:
        return value
    exact = as_decimal(value)
    if not exact.is_finite():
        raise ValueError("not a JSON number")
    short = exact.normalize(_EXACT)
    whole = not short or (short.as_tuple().exponent >= 0 and short.adjusted() < _INTEGER_DIGITS)  # type: ignore[operator]
    return int(short) if whole else short
