"""The raw events of a server's binlog, as a replica gets them: for tests of the decoder and benchmarks."""

from collections.abc import Iterator
from contextlib import closing

from capturer.source.raw_connection import RawConnection
from lab.server import Server

_REPLICA_ID = 4_294_967_295
"""The highest there is: a replica with the same id would be disconnected."""


def dump(server: Server, file: str, offset: int = 4) -> Iterator[bytes]:
    """
    Yield the packets (an OK byte, then the event) from an offset in the binlog up to its current end.

    Raises pymysql.err.OperationalError if the server refuses.
    """
    with closing(server.connect(ssl_disabled=True)) as connection:
        yield from RawConnection(connection).binlog(file, offset, _REPLICA_ID)


def end_of_binlog(server: Server) -> tuple[str, int]:
    """Return the name of the newest file, and its size in bytes."""
    with server.connect(ssl_disabled=True) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        name, size, *_ = cursor.fetchall()[-1]
        return str(name), int(size)
