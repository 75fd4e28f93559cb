"""
Connections to the source, as load, export and verify open them.

Values come as the binlog has them, so that the bulk load and the change stream agree.
"""

import codecs
from collections.abc import Buffer, Callable
from datetime import date, datetime
from typing import Any

import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions

from rowferry.mysql.address import Address
from rowferry.mysql.select import without_halves
from rowferry.mysql.session import opening
from rowferry.values import parse_time

HALVES = "rowferry_utf8"
"""For `Connection.encoding`: UTF-8 that may contain unpaired surrogates, as servers store them."""

type Connect = Callable[[], Any]
"""Opens a connection; raises pymysql.err.OperationalError when the server cannot be reached."""


def _decoded(data: Buffer, _errors: str = "strict", /) -> tuple[str, int]:
    text = bytes(data)
    return without_halves(text.decode("utf-8", "surrogatepass")), len(text)


def _codec(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(codecs.utf_8_encode, _decoded, name=name) if name == HALVES else None


# In every process that imports this module: spawned workers need the codec, too.
codecs.register(_codec)


def read_date(text: str) -> date | str:
    """A DATE; text where the calendar has no such day (0000-00-00)."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return text


def read_datetime(text: str) -> datetime | str:
    """A DATETIME or TIMESTAMP; text without a zero fraction where the calendar has no such day."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        whole, _, fraction = text.partition(".")
        return f"{whole}.{fraction.ljust(6, '0')}" if fraction.strip("0") else whole


_CONVERSIONS: dict[Any, Any] = {
    **conversions,
    FIELD_TYPE.TIME: parse_time,  # the driver's own gets negative fractions wrong
    FIELD_TYPE.DATE: read_date,
    FIELD_TYPE.DATETIME: read_datetime,
    FIELD_TYPE.TIMESTAMP: read_datetime,
}


def connect(address: Address, conversions: dict[Any, Any] | None = None) -> Any:
    """
    A connection in autocommit, with session settings under which no value is read differently.

    `conversions` replaces the driver's (field type to converter of text). Raises
    pymysql.err.OperationalError when the server cannot be reached or refuses.
    """
    connection: Any = pymysql.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        charset="utf8mb4",
        # Else the first SELECT would open a snapshot, and every later one would read from it.
        autocommit=True,
        ssl_ca=address.ca,
        ssl_verify_identity=bool(address.ca),
        conv=_CONVERSIONS if conversions is None else conversions,
        connect_timeout=10,  # seconds
        read_timeout=3600,  # seconds; the first row of a chunk without an index may take long
        program_name="rowferry",
        # Only ALLOW_INVALID_DATES lets a bound be 2026-02-31.
        # net_write_timeout: seconds that the server waits for a reader; a rate limit may hold one back
        # between two blocks of rows.
        init_command=opening("ALLOW_INVALID_DATES", "net_write_timeout = 3600"),
    )
    with connection.cursor() as cursor:
        # CONSISTENT SNAPSHOT means nothing in other isolation levels
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    return connection
