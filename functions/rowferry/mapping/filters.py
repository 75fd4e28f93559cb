"""Which rows are carried: conditions as data, without an expression language."""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from rowferry.errors import MappingError, MissingColumn, ValueOutOfRange
from rowferry.values import Row, Value, parse_time, text

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
OPERATORS = (*_ORDER, "between", "in", "prefix", "null")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?)?")


@dataclass(frozen=True, slots=True)
class Compare:
    """
    Compares one column with constants: `operands` is one value, two for `between`, any number for `in`.

    As in SQL, no comparison with NULL is true: only `null` tests for it. Texts compare by code point, not by
    the column's collation, which only the server has.
    """

    column: str
    operator: str
    operands: tuple[Any, ...]

    def matches(self, row: Row) -> bool:
        """Whether the row is carried. Raises MissingColumn or ValueOutOfRange if that cannot be decided."""
        try:
            value = row[self.column]
        except KeyError:
            raise MissingColumn(
                f"a row has no column {self.column!r}", "correct `where` in the mapping"
            ) from None
        if self.operator == "null":
            return (value is None) is self.operands[0]
        try:
            return value is not None and self._compare(value)
        # `from None`: the messages of these may quote the value.
        except (InvalidOperation, ValueError, TypeError):
            raise _unfit(self.column, "correct `where` in the mapping") from None

    def _compare(self, value: Value) -> bool:
        if self.operator == "prefix":
            return text(value).startswith(str(self.operands[0]))
        left, *right = (_comparable(one, value) for one in (value, *self.operands))
        if self.operator == "in":
            return left in right
        if self.operator == "between":
            return bool(right[0] <= left <= right[1])
        return _ORDER[self.operator](left, right[0])

    def refuse_unfit(self, row: Row) -> None:
        """
        Raises ValueOutOfRange if the constants cannot be compared with values of the type that the row has.
        """
        self.matches(row)
        moment = isinstance(row[self.column], date) and self.operator not in ("prefix", "null")
        if moment and not all(_MOMENT.fullmatch(text(operand)) for operand in self.operands):
            raise _unfit(self.column, "write 2026-01-02, or 2026-01-02 03:04:05.5, in `where` in the mapping")

    @property
    def columns(self) -> Iterator[str]:
        yield self.column


@dataclass(frozen=True, slots=True)
class Joined:
    """Several conditions of which all (`and`), or at least one (`or`), must hold."""

    every: bool
    parts: tuple["Where", ...]

    def matches(self, row: Row) -> bool:
        return (all if self.every else any)(part.matches(row) for part in self.parts)

    def refuse_unfit(self, row: Row) -> None:
        for part in self.parts:
            part.refuse_unfit(row)

    @property
    def columns(self) -> Iterator[str]:
        for part in self.parts:
            yield from part.columns


type Where = Compare | Joined


def _comparable(constant: Any, value: Value) -> Any:
    """A constant, or the value itself, converted to the form in which values of the column's type compare."""
    if isinstance(constant, time) and not isinstance(value, timedelta):
        raise TypeError("a time of day only compares with a time of day")
    match value:
        case int() | float() | Decimal():
            # 0.1 as it is written, not as a float is stored.
            return Decimal(repr(constant) if isinstance(constant, float) else constant)
        case bytes():
            return constant if isinstance(constant, bytes) else bytes(constant, "utf-8")
        case timedelta():
            return constant if isinstance(constant, timedelta) else parse_time(str(constant))
        case date():  # a datetime is one, too
            return _moment(text(constant))
    return text(constant)


def _unfit(column: str, fix: str) -> ValueOutOfRange:
    return ValueOutOfRange(f"column {column!r} is compared with a constant of another type", fix)


def _moment(written: str) -> str:
    """ISO text in a form that sorts by time; a date alone is the first moment of its day."""
    found = _MOMENT.fullmatch(written)
    if not found:
        return written
    day, clock, fraction = found.groups("")
    return f"{day} {clock or '00:00:00'}.{fraction:0<6}"  # always six digits: it is compared as text


def parse(entry: Any, where: str) -> Where:
    """
    The condition in a TOML table: `{column = "status", eq = "open"}`, `{and = [...]}` or `{or = [...]}`.

    Raises MappingError, whose message begins with `where`, if it is not one.
    """
    if not isinstance(entry, dict):
        raise MappingError(f"{where} is not a table", 'write { column = "status", eq = "open" }')
    for joint in ("and", "or"):
        if joint in entry:
            return _joined(entry, joint, where)
    names = entry.keys() - {"column"}
    if not isinstance(entry.get("column"), str) or len(names) != 1 or not names <= set(OPERATORS):
        raise MappingError(
            f"{where}: a condition has `column` and one operator, or `and`, or `or`",
            f"operators: {', '.join(OPERATORS)}",
        )
    (name,) = names
    return Compare(entry["column"], name, _operands(name, entry[name], where))


def _joined(entry: Mapping[str, Any], joint: str, where: str) -> Joined:
    parts = entry[joint]
    if len(entry) != 1 or not isinstance(parts, list) or not parts:
        raise MappingError(
            f"{where}: `{joint}` must be the only name and have a list", f"write {joint} = [{{...}}, {{...}}]"
        )
    return Joined(joint == "and", tuple(parse(part, where) for part in parts))


def _operands(name: str, given: Any, where: str) -> tuple[Any, ...]:
    several = name in ("between", "in")
    operands = tuple(given) if several and isinstance(given, list) else (given,)
    right = {
        "between": len(operands) == 2,
        "in": isinstance(given, list) and bool(given),
        "null": isinstance(given, bool),
        "prefix": isinstance(given, str),
    }.get(name, True)
    if not right or any(isinstance(operand, dict | list) for operand in operands):
        raise MappingError(
            f"{where}: {name} has the wrong value",
            "between = [low, high], in = [one, more], null = true or false, prefix = text, others a value",
        )
    if any(isinstance(operand, datetime | time) and operand.tzinfo for operand in operands):
        raise MappingError(f"{where}: a time with a zone", "write it without: in UTC for a TIMESTAMP column")
    if any(isinstance(operand, float) and not isfinite(operand) for operand in operands):
        raise MappingError(f"{where}: not a number that a column can hold", "write a finite number")
    return operands
