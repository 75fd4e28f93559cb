"""The events of a server's binlog, raw, as a replica gets them: for tests of the decoder and benchmarks."""

import struct
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from lab.server import Server

_COM_BINLOG_DUMP = 0x12
_NON_BLOCKING = 1
_REPLICA_ID = 4_294_967_295
_EOF = 0xFE


def dump(server: Server, file: str, offset: int = 4) -> Iterator[bytes]:
    """
    Yield the packets (an OK byte, then the event) from a place in the binlog up to its present end.

    Raises pymysql.err.OperationalError when the server refuses.
    """
    with closing(server.connect(ssl_disabled=True)) as connection:
        with connection.cursor() as cursor:
            for variable in ("master_binlog_checksum", "source_binlog_checksum"):
                cursor.execute(f"SET @{variable} = @@global.binlog_checksum")
            cursor.execute("SET @mariadb_slave_capability = 4")  # 4: every event as it stands in the file
        arguments = struct.pack("<IHI", offset, _NON_BLOCKING, _REPLICA_ID) + file.encode()
        raw: Any = connection
        raw._execute_command(_COM_BINLOG_DUMP, arguments)
        while True:
            packet = bytes(raw._read_packet().get_all_data())
            if packet[0] == _EOF and len(packet) < 9:
                return
            yield packet


def end_of_binlog(server: Server) -> tuple[str, int]:
    """Return name of the newest file, and its size."""
    with server.connect(ssl_disabled=True) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        name, size, *_ = cursor.fetchall()[-1]
        return str(name), int(size)
