"""
Reads the source for verify: every value as the server itself prints it.

Shares no code with how the load reads: connection, session and query are its own.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pymysql
from pymysql.converters import escape_str
from pymysql.cursors import SSCursor

from ferry.verify.oracle.values import BINARIES, Cell
from rowferry.mysql.address import Address

ROWS_AT_ONCE = 1000
# net_write_timeout: seconds that the server waits until the next rows are fetched.
SESSION = (
    "SET time_zone = '+00:00', sql_mode = '', net_write_timeout = 3600,"
    " sql_select_limit = 18446744073709551615, sql_big_selects = 1, completion_type = 0"
    " /*!80030 , show_gipk_in_create_table_and_information_schema = 1 */"
    " /*!80013 , use_secondary_engine = OFF */"
)
"""
A TIMESTAMP is printed in the session's zone, a sql_mode may add blanks to a CHAR, a limit loses rows; a
generated key may be hidden, and a secondary engine's copy lags. The comments are settings that some servers
have.
"""
_HALF = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
"""An unpaired surrogate, which is not valid text: MySQL stores it in ucs2, MariaDB in others, too."""
_PRINTED = {"bit": "CAST({} AS UNSIGNED)", "float": "CAST({} AS FLOAT)", "double": "{} * 1e0"}
"""BIT as a number; FLOAT(M,D) and DOUBLE(M,D) with the digits of the value, not those of D."""


def connect(address: Address) -> Any:
    """A connection that returns bytes. Raises pymysql.err.OperationalError."""
    connection: Any = pymysql.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        charset="utf8mb4",  # the server converts every character set
        # Bytes: `text` decodes them here, also where they are not valid UTF-8.
        use_unicode=False,
        # A transaction would keep its first snapshot, and show the same rows at every further reading.
        autocommit=True,
        ssl_ca=address.ca,
        ssl_verify_identity=bool(address.ca),
        # Only for parameters: no converter of the driver touches what the server prints.
        conv={str: escape_str},
        connect_timeout=10,  # seconds
        read_timeout=3600,  # seconds
        program_name="rowferry",
        init_command=SESSION,
    )
    mariadb = "mariadb" in str(connection.get_server_info()).lower()
    with connection.cursor() as cursor:
        cursor.execute(f"SET SESSION {'max_statement_time' if mariadb else 'max_execution_time'} = 0")
    return connection


def identity(connection: Any) -> str:
    """What distinguishes the server from others: its UUID, or `server_id=N`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SHOW GLOBAL VARIABLES WHERE variable_name IN ('server_uuid', 'server_uid', 'server_id')"
        )
        found = {text(name): text(value) for name, value in cursor.fetchall()}
    return found.get("server_uuid") or found.get("server_uid") or f"server_id={found.get('server_id')}"


def types(connection: Any, schema: str, table: str) -> dict[str, str]:
    """The columns that the user may see, with their types as in information_schema, in lower case."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
            (schema, table),
        )
        found = [[text(cell) for cell in row] for row in cursor.fetchall()]
    # compared here again, because to the server `Purchase` may be `purchase`
    return {name: kind.lower() for *where, name, kind in found if where == [schema, table]}


def primary_key(connection: Any, schema: str, table: str) -> list[tuple[str, bool]]:
    """The primary key's columns in order, and whether the index has their whole values; empty without one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, sub_part IS NULL FROM information_schema.statistics"
            " WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY' ORDER BY seq_in_index",
            (schema, table),
        )
        return [(text(name), whole == b"1") for name, whole in cursor.fetchall()]


def keys(
    connection: Any,
    schema: str,
    table: str,
    columns: Mapping[str, str],
    where: str | None,
    skipped: int,
    count: int,
) -> list[list[Cell]]:
    """The primary keys (only these columns) of `count` rows in key order, after the first `skipped`."""
    named = ", ".join(map(quoted, columns))
    condition = "" if where is None else f" WHERE {where}"
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {named} FROM {quoted(schema)}.{quoted(table)} FORCE INDEX (PRIMARY){condition}"
            f" ORDER BY {named} LIMIT {count} OFFSET {skipped}"
        )
        binary = [kind in BINARIES for kind in columns.values()]
        return [_cells(row, binary) for row in cursor.fetchall()]


def rows(
    connection: Any, schema: str, table: str, columns: Mapping[str, str], where: str | None = None
) -> Iterator[list[Sequence[Cell]]]:
    """
    All rows, ROWS_AT_ONCE at a time, with cells in the order of `columns` (types by name).

    One query. Without a condition (`where`, in SQL) it also has rows that the load's chunks may have missed.
    """
    printed = ", ".join(_PRINTED.get(kind, "{}").format(quoted(name)) for name, kind in columns.items())
    condition = "" if where is None else f" WHERE {where}"
    binary = [kind in BINARIES for kind in columns.values()]
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT {printed} FROM {quoted(schema)}.{quoted(table)}{condition}")
        while some := cursor.fetchmany(ROWS_AT_ONCE):
            yield [_cells(row, binary) for row in some]


def estimate(connection: Any, schema: str, table: str) -> int:
    """The number of rows by the server's statistics."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_rows FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            (schema, table),
        )
        found = cursor.fetchone()
    return int(found[0] or 0) if found else 0


def _cells(row: Sequence[bytes | None], binary: Sequence[bool]) -> list[Cell]:
    pairs = list(zip(row, binary, strict=True))
    try:
        return [cell if cell is None or raw else cell.decode() for cell, raw in pairs]
    except UnicodeDecodeError:
        return [cell if cell is None or raw else text(cell) for cell, raw in pairs]


def text(data: bytes) -> str:
    r"""
    The text that the server sent; U+FFFD for an unpaired surrogate.

    >>> text(b"a\xed\xa0\x80b")
    'a\ufffdb'
    """
    return _HALF.sub("\ufffd".encode(), data).decode(errors="replace")


def quoted(name: str) -> str:
    """The name as an identifier in SQL."""
    return "`" + name.replace("`", "``") + "`"
