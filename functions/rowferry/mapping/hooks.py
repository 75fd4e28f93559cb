"""
The user's own code: a function that makes one row into none, one or several.

It lies in functions/hooks/, so that the capturer, the load and the consumer
all have it, and is named `hooks.orders:split`. It has to be pure: the same row
gives the same rows in every process and at any time, because the capturer asks
it for the lane, the consumer for the item, and a change is applied again when
it arrives again. For a change it sees the row before and the row after.
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
    """`name` is as the mapping has it; `function` takes a row of its own and may change it."""

    name: str
    function: Callable[[dict[str, Any]], Any]

    def rows(self, row: Row) -> list[Row]:
        """What the function makes of the row. HookFailed when it fails, or gives something else than rows."""
        try:
            made = self.function({name: _own(value) for name, value in row.items()})
        except Exception as error:
            # The message is left out: it may quote values.
            raise HookFailed(
                f"hook {self.name} failed ({type(error).__name__})", "mend the hook, deploy, then retry"
            ) from error
        rows = [made] if isinstance(made, Mapping) else [] if made is None else made
        if not isinstance(rows, list | tuple) or not _are_rows(rows):
            raise HookFailed(
                f"hook {self.name} gave no rows",
                "return a dictionary, a list of dictionaries, or None; values as they were given",
            )
        return list(rows)


def _own(value: Value) -> Value:
    """A document is the one value that can be changed: the capturer would send it as the hook left it."""
    return deepcopy(value) if isinstance(value, Json) else value


def _are_rows(rows: Iterable[Any]) -> bool:
    try:
        return all(map(_is_row, rows))
    except (TypeError, ValueError, RecursionError):  # of a document that is no JSON, and of half surrogates
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
    """The hook of that name. MappingError when there is no such function."""
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
            "put the module into functions/hooks/ and mend it",
        ) from error
    if not callable(found):
        raise MappingError(f"{where}: hook {name} is no function", "name a function")
    return Hook(name, found)
