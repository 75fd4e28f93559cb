"""
A row with one value of each column's type, put through the mapping: what can never fit is told before a row
is copied, rather than by each row's way into the quarantine.
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
"""What text can be: also a number, JSON, true."""
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
    The tables no row of which can have its place; they have the columns that the mapping names.

    Asked before a load, not by the capturer: one that runs has to go on, and what waited on the stream for a
    mapping that was mended lies below the load's floor.
    """
    return [
        conditions.Condition(f"mapping of {table.source}", f"such that {problem.found}", False, problem.fix)
        for table in mapping.tables
        for problem in problems(table, server.carried(table, server.columns(connection, table)))
    ]


def problems(table: TableMapping, columns: Iterable[SourceColumn]) -> Iterator[UnusableChange]:
    """Why no row of a table with these columns can have its place. A hook's rows are not known here."""
    row = {column.name: _VALUES.get(column.type, _TEXT) for column in columns}
    try:
        if table.where is not None:
            table.where.refuse_unfit(row)
        if table.hook is None:
            key_of(row, table)
            members_of(row, table)
    except UnusableChange as error:
        yield error
