"""
Where a table is cut into chunks.

Bounds are found and compared inside MySQL, in the columns' own collation:
there 'A' and 'a', or 'x' and 'x ', may be equal though they are two items, and
a client that compared them would lose rows between two chunks. A chunk is
everything above `lower` up to and including `upper`, so that rows that are equal
to MySQL, and with them every group, are in one chunk.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bulkload.direct.chunk_keys import KeyColumn, key_column
from rowferry.errors import Refused
from rowferry.mapping import TableMapping
from rowferry.mysql.select import Selection, SourceColumn, quoted, selection
from rowferry.mysql.server import Connection, carried, rows
from rowferry.values import Value, tag, time_text, untag

type Bound = tuple[Value, ...] | None
"""The values of the key columns at a cut; None: the end of the table."""

BYTES_IN_A_CHUNK = 4 << 20
"""
A chunk is held in memory and needs several times as much there: tables of long rows get fewer rows a chunk.
"""


@dataclass(frozen=True, slots=True)
class Chunk:
    """
    The rows whose key columns are above `lower` and not above `upper`.

    With `nulls`: the rows in which a key column is NULL. They cannot become
    items, and are read in order to be reported.
    """

    lower: Bound = None
    upper: Bound = None
    nulls: bool = False


@dataclass(frozen=True, slots=True)
class CutTable:
    """
    How a source table is cut and read: along `keys`, with the columns that the mapping carries.

    `indexed`: an index serves the cut. `row_bytes`: the server's estimate of a row's average length.
    """

    mapping: TableMapping
    keys: tuple[KeyColumn, ...]
    selection: Selection
    indexed: bool
    row_bytes: int

    @property
    def name(self) -> str:
        """Quoted `schema`.`table`."""
        return f"{quoted(self.mapping.schema)}.{quoted(self.mapping.table)}"

    @property
    def order(self) -> str:
        """ORDER BY with the key columns; empty where there are none to cut along."""
        return f" ORDER BY {', '.join(key.expression for key in self.keys)}" if self.keys else ""

    @property
    def nullable(self) -> bool:
        """Whether a key column may be NULL."""
        return any(key.nullable for key in self.keys)


def describe(connection: Connection, mapping: TableMapping, found: Sequence[SourceColumn]) -> CutTable:
    """How the table of these columns is cut and read."""
    names = list(mapping.group_columns) if mapping.hook is None else []
    names = names or _primary_key(connection, mapping)
    by_name = {column.name: column for column in found}
    keys = tuple(key for name in names if (key := key_column(by_name[name])))
    size = rows(
        connection,
        "SELECT avg_row_length AS bytes FROM information_schema.tables"
        " WHERE table_schema = %s AND table_name = %s",
        (mapping.schema, mapping.table),
    )
    indexed = [key.name for key in keys] in _indexes(connection, mapping, len(keys)) and all(
        key.expression == quoted(key.name) for key in keys
    )
    row_bytes = int(size[0]["bytes"] or 0) if size else 0
    return CutTable(mapping, keys, selection(carried(mapping, found)), indexed, row_bytes)


def _primary_key(connection: Connection, mapping: TableMapping) -> list[str]:
    """For tables whose items' keys a hook makes: they are cut along their own key."""
    found = [
        row["part"]
        for row in rows(
            connection,
            "SELECT column_name AS part FROM information_schema.statistics"
            " WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY' ORDER BY seq_in_index",
            (mapping.schema, mapping.table),
        )
    ]
    if not found:
        raise Refused(
            f"{mapping.source} has no primary key, which is needed to cut it into chunks",
            "add one, or let the mapping's keys be columns",
        )
    return found


def _indexes(connection: Connection, mapping: TableMapping, length: int) -> list[list[str]]:
    found = rows(
        connection,
        "SELECT index_name AS name, column_name AS part FROM information_schema.statistics"
        # An index of a column's first characters alone does not have the order of the whole values.
        " WHERE table_schema = %s AND table_name = %s AND sub_part IS NULL ORDER BY index_name, seq_in_index",
        (mapping.schema, mapping.table),
    )
    indexes: dict[str, list[str]] = {}
    for row in found:
        indexes.setdefault(row["name"], []).append(row["part"])
    return [parts[:length] for parts in indexes.values()]


def warning(table: CutTable) -> str | None:
    """What makes the table's chunks slow or large."""
    keys = ", ".join(key.name for key in table.keys)
    if not table.keys:
        return (
            f"{table.mapping.source} can be cut along none of its key columns, so it is one chunk, held in"
            " memory. To get chunks, add a key column of an integer, character or temporal type"
        )
    if table.indexed:
        return None
    return (
        f"no index of {table.mapping.source} helps to cut along {keys},"
        " so every chunk reads the whole table: slow, but correct. Add an index that begins with these"
        " columns (it does not help for an ENUM and some old character sets)"
    )


def rows_per_chunk(table: CutTable, wanted: int) -> int:
    """`wanted`, or fewer where the table's rows are so long that a chunk would not fit into memory."""
    # row_bytes is 0 where the server has no statistics of the table.
    return max(1, min(wanted, BYTES_IN_A_CHUNK // max(1, table.row_bytes)))


def plan(connection: Connection, table: CutTable, size: int) -> Iterator[Chunk]:
    """
    Chunks of `size` rows that cover every key that exists or may be added.

    A group that is larger makes its chunk larger. The last chunk has no upper bound.
    """
    if table.nullable:
        yield Chunk(nulls=True)
    lower: Bound = None
    while True:
        upper = _cut(connection, table, lower, size) if table.keys else None
        yield Chunk(lower, upper)
        if upper is None:
            return
        lower = upper


def _cut(connection: Connection, table: CutTable, lower: Bound, size: int) -> Bound:
    condition, parameters = where(table, Chunk(lower))
    listed = ", ".join(key.selected or key.expression for key in table.keys)
    # Not the next chunk's first row: a bound is the last key that belongs to the chunk.
    sql = f"SELECT {listed} FROM {table.name} WHERE {condition}{table.order} LIMIT 1 OFFSET {size - 1}"
    cursor = connection.cursor()
    try:
        cursor.execute(sql, parameters)
        found = cursor.fetchone()
    finally:
        cursor.close()
    return None if found is None else tuple(found)


def where(table: CutTable, chunk: Chunk) -> tuple[str, list[Any]]:
    """
    The condition for a chunk and its parameters.

    Row comparisons, (a, b) > (x, y), make MySQL scan the whole index; with
    this form it finds the range.
    """
    if chunk.nulls:
        return "(" + " OR ".join(f"{key.expression} IS NULL" for key in table.keys if key.nullable) + ")", []
    # A comparison with NULL is never true: without a chunk of their own (`nulls`) such rows would be in none.
    conditions = [f"{key.expression} IS NOT NULL" for key in table.keys if key.nullable]
    parameters: list[Any] = []
    for bound, strict, last in ((chunk.lower, ">", ">"), (chunk.upper, "<", "<=")):
        if bound is not None:
            conditions.append(_compare(table.keys, strict, last))
            values = [_parameter(value) for value in bound]
            # In the order of `_compare`, which names each bound twice but the last one once.
            parameters += [one for value in values[:-1] for one in (value, value)] + values[-1:]
    return " AND ".join(conditions) or "TRUE", parameters


def _compare(keys: Sequence[KeyColumn], strict: str, last: str) -> str:
    first, bound = keys[0].expression, keys[0].bound
    if len(keys) == 1:
        return f"{first} {last} {bound}"
    rest = _compare(keys[1:], strict, last)
    rest = rest if len(keys) == 2 else f"({rest})"
    # The first comparison only looks redundant: by it the server finds the range in the index.
    return f"{first} {strict}= {bound} AND ({first} {strict} {bound} OR {rest})"


def _parameter(value: Value) -> Value:
    if isinstance(value, timedelta):
        return time_text(value)  # the driver prints negative ones wrong
    return value


def select(table: CutTable, chunk: Chunk) -> tuple[str, list[Any]]:
    """The query for a chunk's rows. Columns are listed, because `*` leaves invisible ones out."""
    condition, parameters = where(table, chunk)
    return f"SELECT {table.selection.listed} FROM {table.name} WHERE {condition}{table.order}", parameters


def count(connection: Any, table: CutTable, chunk: Chunk) -> int:
    """How many rows the chunk has now."""
    condition, parameters = where(table, chunk)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {table.name} WHERE {condition}", parameters)
        return int(cursor.fetchone()[0])


def bound_text(bound: Bound) -> str:
    """The bound as the control table keeps it: JSON, empty for the end of the table."""
    return "" if bound is None else json.dumps(bound, default=tag, ensure_ascii=False)


def read_bound(text: str) -> Bound:
    """The bound that `bound_text` wrote."""
    return tuple(map(untag, json.loads(text))) if text else None
