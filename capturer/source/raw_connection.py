"""The driver below its queries: a command that has no cursor, and the packets of its answer."""

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

_COM_BINLOG_DUMP = 0x12
_NON_BLOCKING = 1  # the server ends the answer where its binlog ends now


class RawConnection:
    """
    What capture needs of a PyMySQL connection and PyMySQL keeps private: nothing else may use those names.

    `tests/unit/capturer/source/test_raw_connection.py` holds the installed version against it; pyproject.toml
    bounds the versions. Every method but `drop` and `interrupt` raises pymysql.Error or OSError when the
    server refuses or the connection ends.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def binlog(self, file: str, offset: int, server_id: int) -> Iterator[bytes]:
        """
        The binlog from `offset`, the start of an event, to where it ends now: as `packets`.

        Every event comes as it is in the file, with its checksum, from MariaDB as well. The server
        disconnects another connection that reads as `server_id`; 0 disconnects none.
        """
        with self._connection.cursor() as cursor:
            # Servers differ in the name; one that they do not know is only a variable of the session.
            for variable in ("master_binlog_checksum", "source_binlog_checksum"):
                cursor.execute(f"SET @{variable} = @@global.binlog_checksum")
            cursor.execute("SET @mariadb_slave_capability = 4")  # knows all events: none is rewritten for it
        arguments = struct.pack("<IHI", offset, _NON_BLOCKING, server_id) + file.encode()
        self._connection._execute_command(_COM_BINLOG_DUMP, arguments)
        yield from self.packets()

    def packets(self) -> Iterator[bytes]:
        """The packets of an answer, each whole (a status byte, then an event), until the server ends it."""
        while not (packet := self._connection._read_packet()).is_eof_packet():
            yield packet.get_all_data()

    def drop(self) -> None:
        """Closes without a COM_QUIT: the server may be busy sending. A second call does nothing."""
        self._connection._force_close()

    def interrupt(self) -> None:
        """Ends a read in which another thread waits; shutting the socket down is the only way."""
        if (sock := self._connection._sock) is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
