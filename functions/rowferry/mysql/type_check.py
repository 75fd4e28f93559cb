"""
A trial row with one value of each column's type, put through the mapping.

What can never fit is reported before a row is copied, instead of sending the table to the quarantine row by
row.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Mapping as Dict
from datetime import date, datetime, timedelta
from decimal import Decimal

from rowferry.errors import UnusableChange
from rowferry.items.keys import key_of
from rowferry.items.members import members_of
from rowferry.mapping import Mapping
from rowferry.mapping.table import TableMapping
from rowferry.mysql import conditions, server
from rowferry.mysql.select import SourceColumn
from rowferry.values import Value
from rowferry.values.document import Json

_TEXT = "1"
"""A text that can also be read as a number, as JSON and as a boolean."""
_VALUES: Dict[str, Value] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year", "bit"), 1),
    **dict.fromkeys(("float", "double"), 1.5),
    "decimal": Decimal(1),
    "date": date(1970, 1, 2),
    **dict.fromkeys(("datetime", "timestamp"), datetime(1970, 1, 2)),  # noqa: DTZ001 - as MySQL has them
    "time": timedelta(1),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), _TEXT.encode()),
    **dict.fromkeys(("vector", "geometry", "point", "linestring", "polygon"), _TEXT.encode()),
    **dict.fromkeys(("multipoint", "multilinestring", "multipolygon"), _TEXT.encode()),
    **dict.fromkeys(("geomcollection", "geometrycollection"), _TEXT.encode()),
    "set": (_TEXT,),
    "json": Json(1),
}


def check(connection: server.Connection, mapping: Mapping) -> list[conditions.Condition]:
    """
    A broken condition for each table of which no row can be put into an item; empty if all can.

    Precondition: the tables have the columns that the mapping names. That a trial row fits does not mean that
    every row does: values differ in size and range. Called before a load, not by the capturer: a running one
    has to continue after a restart, and what waited on the stream while the mapping was repaired is below the
    load's floor.
    """
    return [
        conditions.Condition(f"mapping of {table.source}", f"such that {problem.found}", False, problem.fix)
        for table in mapping.tables
        for problem in problems(table, server.carried(table, server.columns(connection, table)))
    ]


def problems(table: TableMapping, columns: Iterable[SourceColumn]) -> Iterator[UnusableChange]:
    """Why no row of a table with these columns can be put into an item. The rows of a hook are not tried."""
    row = {column.name: _VALUES.get(column.type, _TEXT) for column in columns}
    try:
        if table.where is not None:
            table.where.refuse_unfit(row)
        if table.hook is None:
            key_of(row, table)
            members_of(row, table)
    except UnusableChange as error:
        yield error
