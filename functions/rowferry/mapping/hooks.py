"""
The user's own code: a function that turns one row into none, one or several.

It is in functions/hooks/, so that the capturer, the load and the consumer all have it, and is named
`hooks.orders:split`. It must be pure: the same row gives the same rows in every process and at any time,
because the capturer derives the lane from them, the consumer the item, and a change that is delivered again
is applied again. For an update it is called with the row before and with the row after.
"""

import importlib
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from rowferry.errors import HookFailed, MappingError
from rowferry.values import Json, Row, Value
from rowferry.values.document import written

PACKAGE = "hooks"
_VALUES = (int, float, Decimal, bytes, date, timedelta, type(None))


@dataclass(frozen=True, slots=True)
class Hook:
    """`name` is as in the mapping; `function` is given a copy of the row and may change it."""

    name: str
    function: Callable[[dict[str, Any]], Any]

    def rows(self, row: Row) -> list[Row]:
        """
        The rows that the function makes of the row. Raises HookFailed if it fails or returns anything else.
        """
        try:
            made = self.function({name: _own(value) for name, value in row.items()})
        except Exception as error:
            # Without its message, which may quote values.
            raise HookFailed(
                f"hook {self.name} failed ({type(error).__name__})", "repair the hook, deploy, then retry"
            ) from error
        rows = [made] if isinstance(made, Mapping) else [] if made is None else made
        if not isinstance(rows, list | tuple) or not _are_rows(rows):
            raise HookFailed(
                f"hook {self.name} returned something that is not a row",
                "return a dictionary, a list of dictionaries, or None; with values of the types it was given",
            )
        return list(rows)


def _own(value: Value) -> Value:
    """A copy of a document, the only mutable value: the capturer would send it as the hook changed it."""
    return deepcopy(value) if isinstance(value, Json) else value


def _are_rows(rows: Iterable[Any]) -> bool:
    try:
        return all(map(_is_row, rows))
    except (TypeError, ValueError, RecursionError):  # a document that is not JSON, or half a surrogate pair
        return False


def _is_row(row: Any) -> bool:
    return isinstance(row, Mapping) and all(
        isinstance(name, str) and _is_value(value) for name, value in row.items()
    )


def _is_value(value: Any) -> bool:
    if isinstance(value, str | Json):
        (value if isinstance(value, str) else written(value.document)).encode()
        return True
    return isinstance(value, _VALUES) or _is_set(value)


def _is_set(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(label, str) for label in value)


def load(name: str, where: str) -> Hook:
    """
    Imports the hook of that name. Raises MappingError, which begins with `where`, if there is no such
    function.

    The import runs the user's module. That it loads does not mean that the function is pure.
    """
    module, _, function = name.partition(":")
    if not function or module.partition(".")[0] != PACKAGE:
        raise MappingError(
            f"{where}: hook is {name!r}", 'write "hooks.module:function", the module in functions/hooks/'
        )
    try:
        found = getattr(importlib.import_module(module), function)
    except Exception as error:  # whatever the module does when it is imported
        raise MappingError(
            f"{where}: hook {name} cannot be loaded ({type(error).__name__}: {error})",
            "put the module into functions/hooks/ and repair it",
        ) from error
    if not callable(found):
        raise MappingError(f"{where}: hook {name} is not a function", "name a function")
    return Hook(name, found)
