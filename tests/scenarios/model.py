"""What the items must be, by the plainest code: each change alone, in the order in which it arrives."""

from collections.abc import Iterator
from typing import Any

from rowferry.errors import ValueOutOfRange
from rowferry.mapping import Layout, TableMapping
from rowferry.values import attribute, text, untag
from tests.scenarios.roads import Case, story

type Held = dict[Any, tuple[list[int], dict[str, Any] | None]]
"""By item key: the position ([] where there is none) and the members; None where the row is gone."""


def replay(case: Case) -> Held:
    """Every item that was ever touched."""
    held: Held = {}
    for line in arriving(case):
        if "bulk" in line:
            held |= _chunk(case.mapping.tables[0], line)
        elif table := case.mapping.find(line.get("schema", "test"), line.get("table", "purchase")):
            for key, change in _changes(table, line["row"], line["type"]).items():
                _apply(held, key, change, line.get("pos"), whole=table.layout is Layout.ITEM_PER_ROW)
    return held


def _apply(held: Held, key: Any, change: dict[str, Any] | None, position: Any, *, whole: bool) -> None:
    before, members = held.get(key, ([], None))
    gone = change is None or not any(value is not None for value in change.values())
    if (position and position <= before) or (not position and gone and key not in held):
        return
    if not whole:
        change = {n: v for n, v in ((members or {}) | (change or {})).items() if v is not None} or None
    held[key] = (position or before, change)


def _chunk(table: TableMapping, line: dict[str, Any]) -> Held:
    items: Held = {}
    for row in line["rows"]:
        for key, members in _changes(table, {"values": row}, "WriteRowsEvent").items():
            items.setdefault(key, (line["bulk"], {}))[1].update(members)  # type: ignore[union-attr, arg-type]
    return items


def arriving(case: Case) -> Iterator[dict[str, Any]]:
    """The lines that hold rows, in order, with what is delivered once more."""
    batches: dict[int, list[dict[str, Any]]] = {}
    for step in story(case):
        if "bulk" in step:
            yield step
            continue
        if "batch" in step:
            batches[step["batch"]] = [line for line in step["lines"] if "type" in line]
        yield from batches[step.get("again", step.get("batch"))]


def _changes(table: TableMapping, row: dict[str, Any], kind: str) -> dict[Any, dict[str, Any] | None]:
    """By item key: members and None for those that go; None alone where the whole row goes."""
    after = row.get("after_values") or (None if kind == "DeleteRowsEvent" else row["values"])
    before = row.get("before_values") or (row["values"] if kind == "DeleteRowsEvent" else None)
    changes: dict[Any, dict[str, Any] | None] = {}
    if any(set(table.columns) - values.keys() for values in (before, after) if values):
        return {}
    for values, there in ((before, False), (after, True)):
        place = values and _place(table, values, there=there)
        if there and values and not place:
            return {}
        if place and table.layout is Layout.ITEM_PER_ROW:
            changes[place[0]] = place[1] if there else None
        elif place:
            changes[place[0]] = {**(changes.get(place[0]) or {}), **place[1]}
    return changes


def _place(table: TableMapping, values: dict[str, Any], *, there: bool) -> tuple[Any, dict[str, Any]] | None:
    row = {name: untag(value) for name, value in values.items()}
    try:
        key = (table.target, *(text(row[key.column]) for key in table.keys))
        if table.layout is Layout.ITEM_PER_ROW:
            columns = {
                n: v for n, v in row.items() if n not in [k.column for k in table.keys] and v is not None
            }
            return key, {name: attribute(value) for name, value in columns.items()} if there else {}
        name = text(row[table.member_name or ""])
        member = {name: attribute(row[table.member_value or ""]) if there else None}
    except ValueOutOfRange:
        return None
    usable = "" not in (*key, name) and name not in ("_pos", "_ttl", *(k.attribute for k in table.keys))
    return (key, member) if usable else None
