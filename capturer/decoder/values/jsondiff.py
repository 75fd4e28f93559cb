"""
Partial JSON updates (binlog_row_value_options=PARTIAL_JSON): changes instead of the document.

https://dev.mysql.com/doc/dev/mysql-server/latest/classJson__diff.html
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import NamedTuple

from capturer.decoder.values.jsonbinary import Document, document
from capturer.decoder.wire import damaged, packed_bytes

REPLACE, INSERT, REMOVE = 0, 1, 2
_LEG = re.compile(r'\.(?P<quoted>"(?:[^"\\]|\\.)*")|\.(?P<name>[^.\[\s"*]+)|\[(?P<cell>\d+)\]', re.DOTALL)


class Diff(NamedTuple):
    """One change: REPLACE, INSERT or REMOVE of what is at the path (member names and array cells)."""

    operation: int
    path: tuple[str | int, ...]
    value: Document


def diffs(data: bytes) -> Iterator[Diff]:
    """The changes that a partial update has instead of the document. Raises ValueError if damaged."""
    at = 0
    while at < len(data):
        operation = data[at]
        if operation > REMOVE:
            damaged("not a change of JSON")
        path, at = packed_bytes(data, at + 1)
        value = b""
        if operation != REMOVE:
            value, at = packed_bytes(data, at)
            if not value:
                damaged("a change of JSON without a value")
        yield Diff(operation, parsed(path.decode()), document(value))


def parsed(path: str) -> tuple[str | int, ...]:
    """
    The legs of a JSON path. Raises ValueError if it is not one, or has wildcards.

    >>> parsed('$.a[2]."b c"')
    ('a', 2, 'b c')
    """
    legs: list[str | int] = []
    at = 1
    while at < len(path):
        leg = _LEG.match(path, at)
        if leg is None:
            damaged("not a JSON path")
        if leg["cell"] is not None:
            legs.append(int(leg["cell"]))
        else:
            legs.append(leg["name"] if leg["quoted"] is None else json.loads(leg["quoted"], strict=False))
        at = leg.end()
    if path[:1] != "$":
        damaged("not a JSON path")
    return tuple(legs)


def applied(before: Document, data: bytes) -> Document:
    """The document after the changes; `before` is not modified. Raises ValueError if a path leads nowhere."""
    result = deepcopy(before)  # the before image is sent, too
    for change in diffs(data):
        result = _changed(result, change)
    return result


def _changed(root: Document, change: Diff) -> Document:
    if not change.path:
        if change.operation != REPLACE:
            damaged("a change of the whole document")
        return change.value
    *legs, last = change.path
    parent = root
    for leg in legs:
        parent = _child(parent, leg)
    _change(parent, last, change)
    return root


def _child(parent: Document, leg: str | int) -> Document:
    if _leads_on(parent, leg):
        return parent[leg]
    if leg == 0:
        return parent  # a scalar counts as an array of one
    return damaged("a JSON path that leads nowhere")


def _leads_on(parent: Document, leg: str | int) -> bool:
    return isinstance(parent, dict) if isinstance(leg, str) else isinstance(parent, list)


def _change(parent: Document, leg: str | int, change: Diff) -> None:
    if not _leads_on(parent, leg):
        damaged("a JSON path that leads nowhere")
    if change.operation == REMOVE:
        del parent[leg]
    elif change.operation == INSERT and isinstance(leg, int):
        parent.insert(leg, change.value)
    elif change.operation == REPLACE and leg not in parent and isinstance(leg, str):
        damaged("a JSON path that leads nowhere")
    else:
        parent[leg] = change.value
