"""What the items must be, by the plainest code: each change alone, in the order in which it arrives."""

from calendar import timegm
from collections.abc import Iterator
from typing import Any

from rowferry.errors import UnusableChange
from rowferry.mapping import Layout, Mapping, TableMapping
from rowferry.mapping.template import Template
from rowferry.values import text, untag
from tests.support.scenarios import Case, story

type Members = dict[tuple[str, ...], Any]
"""By path: an attribute; an attribute and an entry of a map; or an attribute, a name and `:` of a set."""
type Held = dict[Any, tuple[list[int], Members | None]]
"""By item key: the position ([] where there is none) and the members; None where the row is gone."""


def replay(case: Case) -> Held:
    """Every item that was ever touched."""
    held: Held = {}
    for line in arriving(case):
        if "bulk" in line:
            _load(held, case.mapping, line)
        elif table := case.mapping.find(line.get("schema", "test"), line.get("table", "purchase")):
            whole = table.layout is Layout.ITEM_PER_ROW and not _several(case.mapping, table)
            for key, change in _changes(table, line["row"], line["type"], whole).items():
                _apply(held, key, change, line.get("pos"), whole=whole)
    return held


def item_of(members: Members) -> dict[str, Any]:
    """The attributes that members make."""
    item: dict[str, Any] = {}
    for path, value in members.items():
        if len(path) == 1:
            item[path[0]] = value
        elif len(path) == 2:
            item.setdefault(path[0], {"M": {}})["M"][path[1]] = value
        else:
            strings = item.setdefault(path[0], {"SS": []})["SS"]
            item[path[0]] = {"SS": sorted([*strings, value])}
    return item


def _several(mapping: Mapping, table: TableMapping) -> bool:
    return sum(other.target == table.target for other in mapping.tables) > 1


def _apply(held: Held, key: Any, change: Members | None, position: Any, *, whole: bool) -> None:
    before, members = held.get(key, ([], None))
    gone = change is None or not any(value is not None for value in change.values())
    if (position and position <= before) or (not position and gone and key not in held):
        return
    if not whole:
        change = {n: v for n, v in ((members or {}) | (change or {})).items() if v is not None} or None
    held[key] = (position or before, change)


def _load(held: Held, mapping: Mapping, line: dict[str, Any]) -> None:
    table = mapping.tables[line.get("of", 0)]
    merges = _several(mapping, table)
    fresh: set[Any] = set()
    for row in line["rows"]:
        for key, members in _changes(table, {"values": row}, "WriteRowsEvent", not merges).items():
            present = {path: value for path, value in (members or {}).items() if value is not None}
            if merges and key in held:
                position, old = held[key]
                held[key] = (position, {**(old or {}), **present})
            elif key in fresh:
                held[key][1].update(present)  # type: ignore[union-attr]
            else:
                held[key] = (line["bulk"], present)
                fresh.add(key)


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


def _changes(table: TableMapping, row: dict[str, Any], kind: str, whole: bool) -> dict[Any, Members | None]:
    """By item key: members and None for those that go; None alone where the whole row goes."""
    after = row.get("after_values") or (None if kind == "DeleteRowsEvent" else row["values"])
    before = row.get("before_values") or (row["values"] if kind == "DeleteRowsEvent" else None)
    changes: dict[Any, Members | None] = {}
    if any(set(table.columns) - values.keys() for values in (before, after) if values):
        return {}
    for values, there in ((before, False), (after, True)):
        if not values:
            continue
        places = _places(table, values, there=there)
        if places is None:
            if there:
                return {}
            continue
        for key, members in places:
            changes[key] = (members if there else None) if whole else {**(changes.get(key) or {}), **members}
    return changes


def _places(table: TableMapping, values: dict[str, Any], *, there: bool) -> list[tuple[Any, Members]] | None:
    """Where the rows that a row becomes are; None when one of them can be nowhere."""
    row = {name: untag(value) for name, value in values.items()}
    if table.where is not None and not table.where.matches(row):
        return []
    try:
        rows = [row] if table.hook is None else table.hook.rows(row)
        return [_place(table, one, there=there) for one in rows]
    except (UnusableChange, KeyError):
        return None


def _place(table: TableMapping, row: Any, *, there: bool) -> tuple[Any, Members]:
    key = (table.target, *(_text(row, key.template or key.column) for key in table.keys))
    if table.layout is Layout.ITEM_PER_ROW:
        members = _own(table, row, there=there)
    else:
        name = table.prefix + _text(row, table.member_name)
        members = {_path(table, name): _value(table, row, name) if there else None}
        own = table.attribute is None and name in ("_pos", "_ttl", *(k.attribute for k in table.keys))
        if own or not name or (table.layout is Layout.STRING_SET and table.separator in name):
            raise KeyError(name)
    if "" in key:
        raise KeyError(key)
    return key, members


def _path(table: TableMapping, name: str) -> tuple[str, ...]:
    if table.attribute is None:
        return (name,)
    return (table.attribute, name) if table.layout is Layout.NESTED_MAP else (table.attribute, name, ":")


def _value(table: TableMapping, row: Any, name: str) -> Any:
    if table.member_value is None:
        return {"M": {n: v for n, v in _columns(table, row) if v is not None}}
    value = table.member_value.attribute_of(row)
    if table.layout is not Layout.STRING_SET or value is None:
        return value
    return f"{name}{table.separator}{next(iter(value.values()))}"


def _own(table: TableMapping, row: Any, *, there: bool) -> Members:
    if not there:
        names = [name for name, _ in table.attributes] + ([table.ttl.attribute] if table.ttl else [])
        names += (
            [table.attribute] if table.attribute else [found[0] for c in row if (found := table.stored(c))]
        )
        return {(name,): None for name in names}
    members: Members = {(name,): source.attribute_of(row) for name, source in table.attributes}
    columns = {n: v for n, v in _columns(table, row) if n not in dict(table.attributes) or table.attribute}
    if table.attribute is not None:
        members[(table.attribute,)] = {"M": {n: v for n, v in columns.items() if v is not None}}
    else:
        members |= {(name,): value for name, value in columns.items()}
    if table.ttl is not None:
        since = row[table.ttl.column]
        members[(table.ttl.attribute,)] = since and {"N": str(_seconds(since) + table.ttl.days * 86_400)}
    return members if table.shared else {path: value for path, value in members.items() if value is not None}


def _seconds(since: Any) -> int:
    if isinstance(since, int):
        return since
    return timegm(since.timetuple())


def _columns(table: TableMapping, row: Any) -> list[tuple[str, Any]]:
    found = [(table.stored(column), column) for column in row]
    stored = [(place[0], place[1].attribute_of(row)) for place, _ in found if place]
    if table.layout is Layout.ITEM_PER_ROW:
        return stored
    return stored + [(name, source.attribute_of(row)) for name, source in table.attributes]


def _text(row: Any, made: Any) -> str:
    if not isinstance(made, Template):
        return text(row[made])
    values = [text(row[column]) for column in made.columns]
    return made.texts[0] + "".join(value + after for value, after in zip(values, made.texts[1:], strict=True))
