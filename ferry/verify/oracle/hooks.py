"""
The rows that the user's hook makes of a row, as verify computes them.

The hook itself is shared with the code that verify checks, and so is the class in
which a hook sees a JSON document.
"""

import importlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ferry.verify.oracle.mapping_words import Row
from ferry.verify.oracle.numbers import document, json_text
from ferry.verify.oracle.values import BINARIES, CLOCKS, FLOATS, INTEGERS, Cell, clock, labels, time_of
from rowferry.values import Json  # a name that hooks know; nothing of what is done with it

type Hook = Callable[[dict[str, Any]], Any]


def load(name: str) -> Hook:
    """The hook that a mapping names. The mapping has been checked: it exists."""
    module, function = name.split(":")
    found: Hook = getattr(importlib.import_module(module), function)
    return found


def rows(hook: Hook, row: Row) -> list[Row | None]:
    """The rows that the hook returns; [None] where it fails, or returns something else."""
    given = {name: value_of(row.types[name], cell) for name, cell in row.cells.items()}  # its faults are ours
    try:
        made = hook(given)
        returned = [] if made is None else [made] if isinstance(made, Mapping) else list(made)
    except Exception:  # noqa: BLE001 - the user's code: whatever it raises, the row has no place
        return [None]
    try:
        return [_typed(one) for one in returned]
    except (AttributeError, TypeError, ValueError):  # not rows, or text that cannot be stored
        return [None]


def _typed(made: Mapping[str, Any]) -> Row:
    cells = {name: cell_of(value) for name, value in made.items()}
    return Row({n: cell for n, (_, cell) in cells.items()}, {n: kind for n, (kind, _) in cells.items()})


def value_of(kind: str, cell: Cell) -> Any:
    if cell is None or kind in BINARIES:
        return cell
    read = _READERS.get(kind)
    try:
        return cell if read is None else read(cell)
    except ValueError:  # a day that no calendar has
        return clock(cell) if kind in CLOCKS else cell


_READERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(INTEGERS, int),
    **dict.fromkeys(FLOATS, float),
    "decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "time": time_of,
    "set": labels,
    "json": lambda cell: Json(document(cell)),
}


def _printed(value: timedelta) -> str:
    micros = abs(value) // timedelta(microseconds=1)
    whole = micros // 1_000_000
    text = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{micros % 1_000_000:06}"
    return f"-{text}" if value < timedelta(0) else text


_CELLS: list[tuple[type, str, Callable[[Any], Cell]]] = [
    (bytes, "blob", bytes),
    (int, "bigint", lambda value: str(int(value))),
    (Decimal, "decimal", str),
    (float, "double", repr),
    (datetime, "datetime", lambda value: value.isoformat(sep=" ")),  # before date: it is one, too
    (date, "date", date.isoformat),
    (timedelta, "time", _printed),
    (tuple, "set", tuple),
    (Json, "json", lambda value: json_text(value.document).encode().decode()),  # as below
]


def cell_of(value: Any) -> tuple[str, Cell]:
    """The type and the cell of a plain value: of a row image, or that a hook gave."""
    if type(value) is int:
        return "bigint", str(value)
    if type(value) is not str and value is not None:
        for kind, name, write in _CELLS:
            if isinstance(value, kind):
                return name, write(value)
    if value is not None:
        str(value).encode()  # ValueError for an unpaired surrogate
    return "varchar", None if value is None else str(value)
