"""`ferry mapping`: shows the items of rows, without writing anything; converts from and to AWS DMS's JSON."""

import argparse
import json
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bulkload.dynamodb.item_size import LARGEST, item_bytes
from ferry.context import Context
from ferry.dms_export import export
from rowferry.errors import MappingError, Refused, UnusableChange
from rowferry.items.effects import places_of
from rowferry.items.requests import put_members
from rowferry.mapping import Mapping, TableMapping, dms, file
from rowferry.mapping.template import Template
from rowferry.mysql import server, type_check
from rowferry.mysql.select import SourceColumn, note, quoted, selection
from rowferry.values import Row, tag

CHECK = """\
examples:
  ferry mapping check --mapping functions/purchase.toml
  ferry mapping check --sample 100 --json

Reads some rows of each mapped table and shows the item that each becomes: key, members, bytes. Nothing is
written. The output contains values of rows.

exit status: 0 every row has its place; 1 some rows have a problem; 2 an error"""
IMPORT = """\
examples:
  ferry mapping import-dms table-mappings.json > functions/mapping.toml

A mapping file that ends in .json is read as DMS's JSON without this; TOML can express more.

exit status: 0 done; 2 an error: the file has a rule that cannot be converted, which the error names"""
EXPORT = """\
examples:
  ferry mapping export-dms --mapping functions/customer.toml > table-mappings.json

exit status: 0 done; 1 some tables cannot be expressed, for the reasons on standard error; 2 an error"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "mapping", help="what rows become; DMS's JSON", description="Explains and converts mappings."
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    shape: dict[str, Any] = {"parents": [common], "formatter_class": argparse.RawDescriptionHelpFormatter}
    check = actions.add_parser(
        "check",
        help="show the items of some rows",
        description="Shows what rows become.",
        epilog=CHECK,
        **shape,
    )
    check.add_argument("--sample", type=int, default=5, metavar="N", help="rows of each table (default: 5)")
    check.set_defaults(run=run_check)
    taken = actions.add_parser(
        "import-dms",
        help="DMS's JSON as TOML",
        description="Prints DMS's JSON as TOML.",
        epilog=IMPORT,
        **shape,
    )
    taken.add_argument("file", type=Path, metavar="FILE", help="table mapping of a DMS task")
    taken.set_defaults(run=run_import)
    given = actions.add_parser(
        "export-dms",
        help="the mapping as DMS's JSON",
        description="Prints DMS's JSON.",
        epilog=EXPORT,
        **shape,
    )
    given.set_defaults(run=run_export)


def run_import(arguments: argparse.Namespace, context: Context) -> int:  # noqa: ARG001 - needs no stack
    """Prints TOML, with notes for the operator as comments."""
    try:
        rules = json.loads(arguments.file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MappingError(
            f"{arguments.file}: not JSON: {error}", "name the table mapping of a task"
        ) from error
    converted = dms.document(rules)
    Mapping(file.tables(converted.document))
    print(toml_text(converted.document, [f"From {arguments.file.name}, AWS DMS.", *converted.notes]), end="")
    return 0


def toml_text(document: dict[str, Any], comments: Iterable[str] = ()) -> str:
    """A mapping document as the text of a mapping file, with comments at the top."""
    import tomlkit  # 30 ms, for this one action

    text, tables = tomlkit.document(), tomlkit.aot()
    for line in (line for comment in comments for line in comment.splitlines()):
        text.add(tomlkit.comment("".join(sign if sign.isprintable() else "?" for sign in line)))
    for entry in document["table"]:
        table = tomlkit.table()
        for name, value in entry.items():
            table.add(name, _in_a_line(value))
        tables.append(table)
    return tomlkit.dumps(text.append("table", tables))


def _in_a_line(value: Any) -> Any:
    """As mapping files have it: tables within an entry are written as { name = value }."""
    import tomlkit

    if isinstance(value, dict):
        table = tomlkit.inline_table()
        table.update({name: _in_a_line(inside) for name, inside in value.items()})
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(map(_in_a_line, value))
        return array
    return value


def run_export(arguments: argparse.Namespace, context: Context) -> int:  # noqa: ARG001 - --mapping is in context
    found, beyond = export(context.mapping)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    for reason in beyond:
        print(f"not expressed: {reason}", file=sys.stderr)
    return 1 if beyond else 0


def run_check(arguments: argparse.Namespace, context: Context) -> int:
    mapping, connection = context.mapping, context.connect()
    try:
        checked = [look(connection, table, arguments.sample) for table in mapping.tables]
    finally:
        connection.close()
    if arguments.json:
        print(json.dumps(checked, default=_plain, ensure_ascii=False))
    else:
        print("\n".join(line for table in checked for line in _lines(table)))
    return (
        1 if any(table["problem"] or any(row["problem"] for row in table["rows"]) for table in checked) else 0
    )


def look(connection: Any, table: TableMapping, size: int) -> dict[str, Any]:
    """The report on a table and its first rows, as --json prints it."""
    columns = _columns(connection, table)
    notes = [found for column in columns if (found := note(column))]
    notes += [
        f"exclude names {name}, which is not a column of the table" for name in _idle(connection, table)
    ]
    notes += _joined(table, columns)
    problem = "; ".join(map(str, type_check.problems(table, columns)))
    rows = list(sample(connection, table, columns, size))
    return {**explain(table, rows), "notes": notes, "problem": problem}


def _idle(connection: Any, table: TableMapping) -> list[str]:
    """
    Names in `exclude` that exclude nothing. In DMS's JSON they may also be made attributes; with a hook they
    name attributes that it returns.
    """
    if table.hook is not None:
        return []
    made = {key.attribute for key in table.keys} | {name for name, _ in table.attributes}
    return sorted(table.exclude - made - {column.name for column in server.columns(connection, table)})


def _joined(table: TableMapping, columns: Sequence[SourceColumn]) -> Iterator[str]:
    """Templates that may give different rows one text: `a|b` and `c`, `a` and `b|c`."""
    texts = {column.name for column in columns if column.charset}
    made = [*(key.template for key in table.keys), table.member_name]
    for template in made:
        if isinstance(template, Template):
            for column, between in zip(template.columns[:-1], template.texts[1:-1], strict=True):
                if column in texts or not between:
                    yield f"{template} is one text for two rows where {column} can contain {between!r}"


def _columns(connection: Any, table: TableMapping) -> list[SourceColumn]:
    """The columns that the mapping carries. Raises Refused when there is no such table."""
    columns = server.carried(table, server.columns(connection, table))
    missing = set(table.columns) - {column.name for column in columns}
    if missing or not columns:
        raise Refused(
            f"{table.source} has no column {min(missing)}"
            if missing
            else f"there is no table {table.source}",
            "correct the mapping, or GRANT SELECT on it",
        )
    return columns


def sample(connection: Any, table: TableMapping, columns: Sequence[SourceColumn], size: int) -> Iterator[Row]:
    """The first rows of a table. Raises SourceNotReady for a column of a type that cannot be carried."""
    chosen = selection(columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {chosen.listed} FROM {quoted(table.schema)}.{quoted(table.table)} LIMIT %s", (size,)
        )
        for values in chosen.values(cursor.fetchall()):
            yield dict(zip(chosen.names, values, strict=True))


def explain(table: TableMapping, rows: list[Row]) -> dict[str, Any]:
    """The layout of a table, and the items of its rows."""
    return {
        "source": table.source,
        "target": table.target,
        "layout": str(table.layout),
        "writes": _writes(table),
        "load": "merges members into items" if table.load_merges else "puts whole items",
        "rows": [_explained(row, table) for row in rows],
    }


def _writes(table: TableMapping) -> str:
    if table.whole:
        return "PutItem"
    return "GetItem, merge, PutItem" if table.into.merge else "UpdateItem"


def _explained(row: Row, table: TableMapping) -> dict[str, Any]:
    try:
        items = [{"key": effect.key.attributes(), **_members(effect)} for effect in places_of(row, table)]
    except UnusableChange as error:
        return {"row": row, "items": [], "problem": str(error)}
    large = any(item["bytes"] > LARGEST for item in items)
    return {"row": row, "items": items, "problem": "larger than 400 KB" if large else ""}


def _members(effect: Any) -> dict[str, Any]:
    item: dict[str, Any] = {}
    put_members(item, effect.members or {})
    sizes = {name: item_bytes({name: value}) for name, value in item.items()}
    return {"members": item, "sizes": sizes, "bytes": item_bytes({**effect.key.attributes(), **item})}


def _lines(table: dict[str, Any]) -> Iterator[str]:
    yield f"{table['source']} -> {table['target']}: {table['layout']}"
    yield f"  the stream: {table['writes']}; the load {table['load']}"
    yield from (f"  note: {found}" for found in table["notes"])
    if table["problem"]:
        yield f"  problem of every row: {table['problem']}"
    if not table["rows"]:
        yield "  no rows"
    for row in table["rows"]:
        yield f"  row {_dumps(row['row'])}"
        for item in row["items"]:
            yield f"    key {_dumps(item['key'])}, {item['bytes']:,} bytes"
            for name, value in item["members"].items():
                yield f"      {name} {_dumps(value)}, {item['sizes'][name]:,} bytes"
        if row["problem"]:
            yield f"    problem: {row['problem']}"
        elif not row["items"]:
            yield "    not carried"


def _dumps(value: Any) -> str:
    text = json.dumps(value, default=_plain, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}... ({len(text):,} characters)"


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return next(iter(tag(value).values()))
