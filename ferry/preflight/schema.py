"""What a table has and DynamoDB has not: it is carried as it is, and from the cutover on nobody does it."""

from collections.abc import Iterator

from rowferry.mapping import TableMapping
from rowferry.mysql import server
from rowferry.mysql.conditions import Condition
from rowferry.mysql.select import note
from rowferry.mysql.server import Connection, rows

_UTC = frozenset({"UTC", "+00:00", "GMT", "ETC/UTC", "UCT", "ZULU"})


def conditions(connection: Connection, table: TableMapping) -> Iterator[Condition]:
    """Advice, all of it."""
    yield triggers(connection, table)
    yield generated(connection, table)
    yield precision(connection, table)
    if table.ttl:
        yield zone(connection, table)


def triggers(connection: Connection, table: TableMapping) -> Condition:
    """Their rows are in the binlog, so they need nothing until the cutover."""
    found = rows(
        connection,
        "SELECT trigger_name AS name FROM information_schema.triggers"
        " WHERE event_object_schema = %s AND event_object_table = %s ORDER BY trigger_name",
        (table.schema, table.table),
    )
    return _advice(
        f"triggers of {table.source}",
        [str(row["name"]) for row in found],
        "what they write is carried; from the cutover on the application has to do it",
    )


def generated(connection: Connection, table: TableMapping) -> Condition:
    """Columns that travel, and that the server computes."""
    found = rows(
        connection,
        "SELECT column_name AS name FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s AND generation_expression <> ''"
        " ORDER BY ordinal_position",
        (table.schema, table.table),
    )
    return _advice(
        f"generated columns of {table.source}",
        [str(row["name"]) for row in found if table.travels(str(row["name"]))],
        "their values are carried; from the cutover on the application has to compute them (or: exclude)",
    )


def precision(connection: Connection, table: TableMapping) -> Condition:
    """Columns whose values may have more digits than a number of DynamoDB."""
    columns = server.carried(table, server.columns(connection, table))
    return _advice(
        f"precision of {table.source}",
        [column.name for column in columns if note(column)],
        "values of more than 38 digits become text (S); DECIMAL(38) or less has none",
    )


def zone(connection: Connection, table: TableMapping) -> Condition:
    """A DATETIME has no zone. As a time to live it is taken for UTC, whatever the application meant."""
    assert table.ttl
    kinds = {column.name: column.type for column in server.columns(connection, table)}
    (found,) = rows(connection, "SELECT @@GLOBAL.time_zone AS zone, @@GLOBAL.system_time_zone AS outside")
    name = str(found["outside"] if found["zone"] == "SYSTEM" else found["zone"])
    right = name.upper() in _UTC or kinds.get(table.ttl.column) not in ("date", "datetime")
    return Condition(
        f"time zone of {table.source}",
        f"{name}, for the ttl from {table.ttl.column}",
        right,
        "a ttl takes a DATETIME for UTC: items expire hours early or late, unless it holds UTC",
        needed=False,
    )


def _advice(name: str, found: list[str], fix: str) -> Condition:
    return Condition(name, ", ".join(found) or "none", not found, fix, needed=False)
