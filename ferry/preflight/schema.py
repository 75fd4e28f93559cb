"""Features of tables that DynamoDB does not have: their effects are carried, until the cutover ends them."""

from collections.abc import Iterator

from rowferry.mapping import TableMapping
from rowferry.mysql import server
from rowferry.mysql.conditions import Condition
from rowferry.mysql.select import note
from rowferry.mysql.server import Connection, rows

_UTC = frozenset({"UTC", "+00:00", "GMT", "ETC/UTC", "UCT", "ZULU"})


def conditions(connection: Connection, table: TableMapping) -> Iterator[Condition]:
    """The conditions of one table. All are advice."""
    yield triggers(connection, table)
    yield generated(connection, table)
    yield precision(connection, table)
    if table.ttl:
        yield zone(connection, table)


def triggers(connection: Connection, table: TableMapping) -> Condition:
    """Triggers: the rows that they write are in the binlog, so nothing is needed until the cutover."""
    found = rows(
        connection,
        "SELECT trigger_name AS name FROM information_schema.triggers"
        " WHERE event_object_schema = %s AND event_object_table = %s ORDER BY trigger_name",
        (table.schema, table.table),
    )
    return _advice(
        f"triggers of {table.source}",
        [str(row["name"]) for row in found],
        "rows that they write are carried; after the cutover the application has to write them",
    )


def generated(connection: Connection, table: TableMapping) -> Condition:
    """Carried columns that the server computes."""
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
        "their values are carried; after the cutover the application has to compute them (or: exclude)",
    )


def precision(connection: Connection, table: TableMapping) -> Condition:
    """Columns whose values may have more digits than DynamoDB's numbers, 38."""
    columns = server.carried(table, server.columns(connection, table))
    return _advice(
        f"precision of {table.source}",
        [column.name for column in columns if note(column)],
        "values of more than 38 digits become text (S); DECIMAL(38) or less has none",
    )


def zone(connection: Connection, table: TableMapping) -> Condition:
    """A DATETIME has no zone. A time to live reads it as UTC, whatever the application meant."""
    assert table.ttl
    kinds = {column.name: column.type for column in server.columns(connection, table)}
    (found,) = rows(connection, "SELECT @@GLOBAL.time_zone AS zone, @@GLOBAL.system_time_zone AS outside")
    name = str(found["outside"] if found["zone"] == "SYSTEM" else found["zone"])
    right = name.upper() in _UTC or kinds.get(table.ttl.column) not in ("date", "datetime")
    return Condition(
        f"time zone of {table.source}",
        f"{name}, for the ttl from {table.ttl.column}",
        right,
        "a ttl reads a DATETIME as UTC: items expire hours early or late unless the application writes UTC",
        needed=False,
    )


def _advice(name: str, found: list[str], fix: str) -> Condition:
    return Condition(name, ", ".join(found) or "none", not found, fix, needed=False)
