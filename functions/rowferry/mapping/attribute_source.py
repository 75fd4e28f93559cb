"""
Where the value of an attribute comes from: a column, a template, a constant, a map or list of these.

`attribute_of` returns None if there is nothing to store (a NULL that is left out) and raises MissingColumn or
ValueOutOfRange; `columns` are the columns that have to be carried for it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from rowferry.errors import MissingColumn, ValueOutOfRange
from rowferry.mapping.template import Template
from rowferry.values import Attribute, Row, Value, attribute, number, text
from rowferry.values.document import Json, parse, written

_TRUE, _FALSE = (
    frozenset({"1", "true", "t", "yes", "y", "on"}),
    frozenset({"0", "false", "f", "no", "n", "off", ""}),
)
NULL: Attribute = {"NULL": True}


class AttributeType(StrEnum):
    """The type that the mapping gives an attribute, instead of the default for its column's type."""

    STRING = "string"
    """S: text; a number with all its digits, JSON as its text, SET as `a,b`."""
    NUMBER = "number"
    """N: from text that is a number."""
    BINARY = "binary"
    """B: the bytes, or the text in UTF-8."""
    BOOLEAN = "boolean"
    """BOOL: from a number (0 is false), or from text such as `true`, `no`, `1`."""
    JSON = "json"
    """M, L, S, N, BOOL or NULL: from JSON text."""


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """The value of a column. A NULL is stored as NULL with `keep_null`, and left out without it."""

    column: str
    type: AttributeType | None = None
    keep_null: bool = False

    def attribute_of(self, row: Row) -> Attribute | None:
        try:
            value = row[self.column]
        except KeyError:
            raise MissingColumn(
                f"a row has no column {self.column!r}",
                "correct the name in the mapping, or set binlog_row_image=FULL and binlog_row_metadata=FULL",
            ) from None
        return stored(value, self.type, self.column, keep_null=self.keep_null)

    @property
    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True, slots=True)
class Text:
    """A template: a text with columns in it. Left out if all its columns are NULL."""

    template: Template
    type: AttributeType | None = None
    keep_null: bool = False

    def attribute_of(self, row: Row) -> Attribute | None:
        value = self.template.value(row)
        return stored(value, self.type, str(self.template), keep_null=self.keep_null)

    @property
    def columns(self) -> Iterator[str]:
        yield from self.template.columns


@dataclass(frozen=True, slots=True)
class Constant:
    """The same attribute for every row."""

    attribute: Attribute

    def attribute_of(self, row: Row) -> Attribute | None:  # noqa: ARG002 - like the others
        return self.attribute

    @property
    def columns(self) -> Iterator[str]:
        yield from ()


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map, without the entries that are left out. It is never left out itself, so it may be empty."""

    entries: tuple[tuple[str, "AttributeSource"], ...]

    def attribute_of(self, row: Row) -> Attribute | None:
        found = {name: source.attribute_of(row) for name, source in self.entries}
        return {"M": {name: value for name, value in found.items() if value is not None}}

    @property
    def columns(self) -> Iterator[str]:
        for _, source in self.entries:
            yield from source.columns


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list, without the elements that are left out. It is never left out itself."""

    elements: tuple["AttributeSource", ...]

    def attribute_of(self, row: Row) -> Attribute | None:
        found = [source.attribute_of(row) for source in self.elements]
        return {"L": [value for value in found if value is not None]}

    @property
    def columns(self) -> Iterator[str]:
        for source in self.elements:
            yield from source.columns


type AttributeSource = ColumnSource | Text | Constant | MapOf | ListOf


def stored(value: Value, kind: AttributeType | None, named: str, *, keep_null: bool) -> Attribute | None:
    """
    The attribute of a value, as the type `kind` (None: the default); None for a NULL that is left out.

    Raises ValueOutOfRange, which names the column or template as `named` and never holds the value.
    """
    if value is None:
        return NULL if keep_null else None
    if kind is None:
        return attribute(value)
    try:
        return _AS[kind](value)
    # `from None`: the messages of these may quote the value.
    except (ValueError, InvalidOperation, TypeError):
        raise ValueOutOfRange(
            f"a value of {named!r} is not a {kind}",
            "change its type in the mapping, or correct the value in MySQL",
        ) from None


def _number(value: Value) -> Attribute:
    return {"N": number(Decimal(value.strip()) if isinstance(value, str) else _numeric(value))}


def _numeric(value: Value) -> int | float | Decimal:
    if not isinstance(value, int | float | Decimal):
        raise TypeError
    return value


def _boolean(value: Value) -> Attribute:
    if isinstance(value, str):
        word = value.strip().lower()
        if word not in _TRUE | _FALSE:
            raise ValueError
        return {"BOOL": word in _TRUE}
    if isinstance(value, bytes):
        return {"BOOL": any(value)}
    return {"BOOL": bool(_numeric(value))}


def _text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return written(value.document) if isinstance(value, Json) else text(value)


def _binary(value: Value) -> Attribute:
    return {"B": value if isinstance(value, bytes) else _text(value).encode()}


def _string(value: Value) -> Attribute:
    return {"S": _text(value)}


def _json(value: Value) -> Attribute:
    if isinstance(value, str | bytes):
        return attribute(Json(parse(_text(value))))
    return attribute(value)  # a JSON column is a document already


_AS: Mapping[AttributeType, Callable[[Value], Attribute]] = {
    AttributeType.STRING: _string,
    AttributeType.NUMBER: _number,
    AttributeType.BINARY: _binary,
    AttributeType.BOOLEAN: _boolean,
    AttributeType.JSON: _json,
}


def plain_attribute(document: Any) -> Attribute:
    """The attribute of a structure of dict, list, str, bool, None and numbers. Raises ValueOutOfRange."""
    match document:
        case bool():
            return {"BOOL": document}
        case dict():
            return {"M": {name: plain_attribute(value) for name, value in document.items()}}
        case list():
            return {"L": [plain_attribute(value) for value in document]}
    return attribute(document)
