"""What a load will write and cost, from the source's statistics and a sample of rows mapped to items."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bulkload.direct import chunks
from bulkload.direct.chunks import CutTable
from bulkload.dynamodb.item_size import item_bytes
from bulkload.shuffle.assembly import Assembly, item_of
from bulkload.shuffle.lines import Liner
from rowferry.errors import Refused
from rowferry.mapping import TableMapping
from rowferry.mysql import server
from rowferry.position import Position
from rowferry.values import Value

DOLLARS_A_MILLION_UNITS = 0.625
"""Write request units on demand."""
DOLLARS_AN_IMPORTED_GB = 0.15
"""Of import files before compression."""
PRICES: dict[str, float | str] = {
    "dollars_per_million_write_units": DOLLARS_A_MILLION_UNITS,
    "dollars_per_imported_gb": DOLLARS_AN_IMPORTED_GB,
    "region": "us-east-1",
    "as_of": "2026-11",
    "source": "aws.amazon.com/dynamodb/pricing/on-demand, from a copy: look them up before a large move",
}
ON_DEMAND_START = 4000
"""Write units a second that a new on-demand table takes (DynamoDB developer guide, warm throughput)."""
SAMPLE_ROWS = 5000
UNIT = 1024  # bytes of a write unit
GB = 10**9


@dataclass(frozen=True, slots=True)
class Size:
    """
    Numbers of rows and items; the items' `bytes` and write `units` in DynamoDB, and `text` bytes in import
    files.
    """

    rows: float = 0
    items: float = 0
    bytes: float = 0
    units: float = 0
    text: float = 0

    def __add__(self, other: "Size") -> "Size":
        return Size(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def grown(self, rows: int) -> "Size":
        """Extrapolated to so many rows."""
        factor = rows / self.rows if self.rows else 0
        return Size(*(getattr(self, name) * factor for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Method:
    """One method's figures, as `ferry load --plan` shows them. None: unknown, or not applicable."""

    name: str
    write_units: int | None
    hours: float | None
    dollars: float | None
    note: str


def expected(connection: Any, mapping: TableMapping, sample_rows: int = SAMPLE_ROWS) -> Size:
    """
    The estimated size of a table as items, from rows at the beginning and the end of its key's order.

    An estimate: rows in between may differ. Raises Refused where there is no such table.
    """
    columns = server.columns(connection, mapping)
    if not columns:
        raise Refused(f"there is no table {mapping.source}", "correct the mapping, or GRANT SELECT on it")
    table = chunks.describe(connection, mapping, columns)
    samples, is_whole = _samples(connection, table, sample_rows)
    found = sum((_size(mapping, table, rows) for rows in samples), Size())
    return found if is_whole else found.grown(_rows(connection, mapping, sample_rows))


def _rows(connection: Any, mapping: TableMapping, least: int) -> int:
    """The server's estimate of the table's rows, of which there are `least`."""
    found = server.rows(
        connection,
        "SELECT table_rows AS estimate FROM information_schema.tables"
        " WHERE table_schema = %s AND table_name = %s",
        (mapping.schema, mapping.table),
    )
    # InnoDB's number is an estimate and may be below the rows that were just read.
    return max(least, int(found[0]["estimate"] or 0)) if found else least


def _samples(connection: Any, table: CutTable, most: int) -> tuple[list[list[Sequence[Value]]], bool]:
    """
    The whole table where it is small, and True; else rows from both ends, without the last item, which may
    be incomplete.
    """
    first = _read(connection, table, "ASC", most)
    if len(first) < most:
        return [first], True
    samples = []
    for rows in (first, _read(connection, table, "DESC", most)):
        places = [table.selection.names.index(name) for name in table.mapping.group_columns]
        cut = [rows[-1][place] for place in places]
        whole = [row for row in rows if [row[place] for place in places] != cut]
        samples.append(whole or rows)
    return samples, False


def _read(connection: Any, table: CutTable, direction: str, most: int) -> list[Sequence[Value]]:
    order = ", ".join(f"{key.expression} {direction}" for key in table.keys)
    with connection.cursor() as cursor:
        by = f" ORDER BY {order}" if order else ""
        cursor.execute(f"SELECT {table.selection.listed} FROM {table.name}{by} LIMIT %s", (most,))
        return list(table.selection.values(cursor.fetchall()))


def _size(mapping: TableMapping, table: CutTable, rows: list[Sequence[Value]]) -> Size:
    liner = Liner(mapping, table.selection.names, lambda _row: None)
    together: defaultdict[str, list[str]] = defaultdict(list)
    for key, value in liner.lines(rows):
        together[key].append(value)
    # any position: all have the same width, so the size is right
    assembly = Assembly([mapping], Position(1, 1, 1), lambda _row: None)
    size = Size(rows=len(rows))
    for key, values in together.items():
        if item := assembly.item(key, values):
            held = item_bytes(item_of(item.text))
            # DynamoDB rounds each item up to a whole unit, so units do not follow from the sum of the bytes.
            # Import files are billed with their line ends.
            size += Size(0, 1, held, -(-held // UNIT), len(item.text.encode()) + 1)
    return size


def methods(size: Size, capacity: int, *, on_demand: bool, empty: bool) -> list[Method]:
    """Every method's figures for items of this size, at `capacity` write units a second."""
    units = round(size.units)
    hours = round(size.units / capacity / 3600, 3) if capacity else None
    dollars = round(size.units / 1e6 * DOLLARS_A_MILLION_UNITS, 4) if on_demand else None
    paid = "" if on_demand else "; the provisioned capacity is paid for by the hour, whatever is written"
    imported = round(size.text / GB * DOLLARS_AN_IMPORTED_GB, 4)
    into_new = "into a new table" if empty else "into a new table only: the target has items"
    return [
        Method("direct", units, hours, dollars, "reads MySQL in chunks" + paid),
        Method("files", units, hours, dollars, "reads exported files" + paid),
        Method("import", 0, None, imported, f"{into_new}; DynamoDB does not say how long it takes"),
    ]


def cheapest(found: Sequence[Method]) -> Method | None:
    """The method with the lowest price in dollars; None where no price is known."""
    return min(
        (method for method in found if method.dollars is not None),
        key=lambda method: method.dollars or 0,
        default=None,
    )
