"""
JSON documents: from text and to text with exact numbers, and as DynamoDB attributes.

A document is a dict, list, str, bool, None, int or Decimal. Numbers are normalised to their value
(`rowferry.values.numeric.json_number`), so that a document is the same from the binlog and from a SELECT.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from rowferry.errors import ValueOutOfRange
from rowferry.values.numeric import MAX_DIGITS, as_decimal, digits, fits, json_number

type Attribute = dict[str, Any]
"""One attribute as the low-level client takes it: {"S": "text"}, {"N": "1.5"}, {"NULL": True}."""

# DynamoDB allows 32 levels of nesting; one is reserved for the member that a document may be in.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_DEPTH = 31
_PLAIN = 10**MAX_DIGITS


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON document as a row value: `Json(None)` is JSON's null, None is NULL."""

    document: Any


def parse(text: str) -> Any:
    """
    The document in a JSON text.

    Raises ValueError if it is not JSON, is nested too deeply for the parser, or holds half a surrogate pair,
    which UTF-8 cannot encode.

    >>> parse('{"a": [1.0, 2.50, 1e300]}')
    {'a': [1, Decimal('2.5'), Decimal('1E+300')]}
    """
    try:
        document = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_refuse)
        if "\\u" in text:  # only an escape can bring one: the text itself is whole
            written(document).encode()
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    return document


def _integer(text: str) -> int | Decimal:
    return int(text) if len(text) < 20 else _number(text)  # shorter ones are below the bound of `json_number`


def _number(text: str) -> int | Decimal:
    try:
        return json_number(Decimal(text))
    except ArithmeticError:
        raise ValueError("a number in JSON is out of every range") from None


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def written(document: Any) -> str:
    """
    The document as text: each number with all its digits, spaces where MySQL writes them.

    >>> written({"a": [1, Decimal("2.5"), None], "b": "é"})
    '{"a": [1, 2.5, null], "b": "é"}'
    """
    try:
        return json.dumps(document, ensure_ascii=False)
    except TypeError:  # a Decimal, which the standard library's encoder does not write
        return "".join(_pieces(document))


def _pieces(document: Any) -> Iterator[str]:
    match document:
        case dict():
            yield "{"
            for number, (name, value) in enumerate(document.items()):
                yield f"{', ' * bool(number)}{json.dumps(name, ensure_ascii=False)}: "
                yield from _pieces(value)
            yield "}"
        case list():
            yield "["
            for number, value in enumerate(document):
                yield ", " * bool(number)
                yield from _pieces(value)
            yield "]"
        case Decimal():
            yield str(document)
        case _:
            yield json.dumps(document, ensure_ascii=False)


def document_attribute(document: Any, depth: int = 0) -> Attribute:
    """
    The DynamoDB attribute of a document; a number that DynamoDB cannot store becomes S with all its digits.

    `depth` counts the maps and lists around it. Raises ValueOutOfRange for more than 31 levels or an empty
    member name. The size of the item is not checked.
    """
    match document:
        case str():
            return {"S": document}
        case None:
            return {"NULL": True}
        case bool():  # before int: a bool is one
            return {"BOOL": document}
        case int() if -_PLAIN < document < _PLAIN:  # at most 38 digits
            return {"N": str(document)}
        case dict() | list() if depth >= MAX_DEPTH:
            raise ValueOutOfRange(
                f"a JSON document is nested more than {MAX_DEPTH} levels",
                'give the column type = "string" in the mapping, or leave it out',
            )
        case dict() if "" in document:
            raise ValueOutOfRange(
                "a JSON object has a member without a name",
                'give the column type = "string" in the mapping, or name the member in MySQL',
            )
    below = partial(document_attribute, depth=depth + 1)
    match document:
        case dict():
            return {"M": {name: below(value) for name, value in document.items()}}
        case list():
            return {"L": [below(value) for value in document]}
    exact = as_decimal(document)
    return {"N" if fits(exact) else "S": digits(exact)}
