"""A connection to the source server: its binlog as events, its refusals as errors that end in the fix."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysqlreplication import BinLogStreamReader

from capturer.source.events import Event
from capturer.source.raw_connection import RawConnection
from capturer.source.translation import Definitions, Reshaped, Translation
from capturer.state.status import START_OVER
from rowferry.errors import CaptureStopped, RowferryError, SourceNotReady
from rowferry.mapping import Mapping
from rowferry.mysql.dialect import SqlDialect
from rowferry.mysql.server import identify
from rowferry.mysql.session import opening
from rowferry.position import FIRST_EVENT, BinlogOffset

HEARTBEAT = 1.0
"""
Seconds after which an idle server sends a sign of life: without it, a frozen server would never be noticed.
"""
LARGEST_START = (1 << 32) - 1  # the dump command takes an offset of 32 bit
_DENIED = frozenset([1044, 1045, 1130, 1142, 1227, 1251, 1698, 1820, 1862, 2059, 2061, 3118])
"""
Errors about the account: its rights, host, password, authentication plugin, lock. A retry does not help.
"""


class ConnectionLost(SourceNotReady):
    """The server cannot be reached now. A capturer that is running retries; one that is starting ends."""


class Doubtful(CaptureStopped):
    """The server refuses the place: a new connection compares its history, and may find another reason."""


@dataclass(frozen=True, slots=True)
class ReplicationClient:
    """
    The server's address, and how to log in.

    `server_id` is the capturer's own id as a replica: two replicas with one id disconnect each other. `ca` is
    a file of certificates: with it, the connection is encrypted and the server verified. `patience` is how
    many seconds the server may be silent; it must be above HEARTBEAT.
    """

    host: str
    port: int
    user: str
    password: str
    server_id: int
    ca: str | None = None
    patience: float = 10.0

    @property
    def settings(self) -> dict[str, Any]:
        """Arguments of pymysql.connect."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "charset": "utf8mb4",
            "autocommit": True,
            "connect_timeout": self.patience,
            "read_timeout": self.patience,  # above HEARTBEAT, or an idle server would count as gone
            "write_timeout": self.patience,
            "init_command": opening(),
            "ssl": {"ca": self.ca, "check_hostname": True} if self.ca else None,
        }

    def connect(self) -> Any:
        """A new connection, for one thread. Raises ConnectionLost, SourceNotReady or CaptureStopped."""
        try:
            return pymysql.connect(**self.settings)
        # RuntimeError: PyMySQL raises it where a login needs the package cryptography.
        except (pymysql.Error, OSError, RuntimeError) as error:
            raise self.explain(error) from error

    def dialect(self) -> SqlDialect:
        """How the server reads SQL. Raises as `connect`."""
        with closing(self.connect()) as connection:
            try:
                return identify(connection).dialect
            except (pymysql.Error, OSError) as error:
                raise self.explain(error) from error

    def explain(self, error: Exception) -> RowferryError:
        """Our own error for the driver's: one of ConnectionLost, SourceNotReady and CaptureStopped."""
        # An error may have no arguments.
        code, text = (*error.args, "", "")[:2] if isinstance(error, pymysql.Error) else (0, str(error))
        if code in (1236, 4052):  # MariaDB has a code of its own for two replicas of one id
            return _refused(str(text))
        if code in _DENIED:
            return SourceNotReady(
                f"{self.host}:{self.port} does not accept {self.user} ({code}: {_name(error)})",
                "correct SOURCE_USER and SOURCE_PASSWORD; "
                "the user needs SELECT, REPLICATION SLAVE and REPLICATION CLIENT",
            )
        if code == 3159 or "SSL" in str(text) or "ssl" in str(text):
            return SourceNotReady(
                "the server and the capturer do not agree on encryption",
                "give --source-ca the server's CA, and --source-host the name in its certificate",
            )
        return ConnectionLost(
            f"the server at {self.host}:{self.port} cannot be reached ({code}: {_name(error)})",
            "check SOURCE_HOST, SOURCE_PORT, the network and that the server runs",
        )


def _name(error: Exception) -> str:
    return type(error.__cause__ or error).__name__


def _refused(text: str) -> RowferryError:
    """The meaning of error 1236, which a server uses for every reason not to send its binlog."""
    if "same server_uuid/server_id" in text:
        return CaptureStopped(
            "another replica of the source has the same server id",
            "give each replica its own: change SOURCE_SERVER_ID, then start the capturer again",
        )
    if "could not find next log" in text:
        return ConnectionLost(
            "the server's binlog does not go on after the file that was read",
            "nothing to do: the capturer connects again and compares the server's history",
        )
    if "Could not find first log" in text or "purged" in text:
        return Doubtful(
            "binlog purged: the file of the checkpoint is no longer on the server",
            f"changes are lost: increase binlog_expire_logs_seconds; {START_OVER}",
        )
    if "position > file size" in text or "impossible position" in text:  # MariaDB says the second
        return Doubtful(
            "the binlog ends before the checkpoint: the server lost captured transactions, or was reset",
            START_OVER,
        )
    if re.search(r"[Bb]inary log is not open|server[ _-]id", text):
        return SourceNotReady(
            "the server cannot serve its binlog", "set log_bin and server_id and restart the server"
        )
    return Doubtful(
        f"the server cannot read its binlog at the checkpoint ({text[:200]})",
        f"check the server's disk and error log; if the file is damaged, {START_OVER}",
    )


class _Dump(BinLogStreamReader):  # type: ignore[misc]
    """
    mysql-replication's connection: the session's settings, the dump request, the framing of packets.

    Its decoding is not used (it misreads types and hides events it does not know), and its reconnecting must
    not be: it resumes after the last event, and inside a transaction loses the rest of it.
    """

    def open(self) -> None:
        """Connects and requests the events, as the library's first fetch would."""
        # A private method: the version in pyproject.toml is exact, and a new one has to be read first.
        self._BinLogStreamReader__connect_to_stream()

    @property
    def checksums(self) -> bool:
        """Whether events end in a checksum."""
        return bool(self._BinLogStreamReader__use_checksum)

    @property
    def connection(self) -> RawConnection | None:
        """The driver's connection; None before `open`."""
        made = getattr(self, "_stream_connection", None)
        return None if made is None else RawConnection(made)


class Binlog:
    """
    One pass over the binlog from a boundary on.

    Never reconnects by itself: if the connection breaks inside a transaction, that has to be read again from
    its start, with a new Binlog.
    """

    def __init__(
        self,
        source: ReplicationClient,
        mapping: Mapping,
        start: BinlogOffset,
        definitions: Definitions | None = None,
        reshaped: Reshaped = lambda _tables, _end: None,
        dialect: SqlDialect = SqlDialect(),  # noqa: B008 - immutable
        connection: Any = None,
    ) -> None:
        """
        Requests the events, over `connection` or a new one. Raises what ReplicationClient.explain returns.
        """
        self._source = source
        self._dump = _Dump(
            source.settings,
            source.server_id,
            # What was proved of a server holds for the connection on which it was asked.
            pymysql_wrapper=None if connection is None else lambda **_: connection,
            blocking=True,  # the server sends what is written later, instead of ending where its binlog ends
            resume_stream=True,  # without it, the library starts at the beginning of the file
            log_file=start.file,
            log_pos=start.offset if start.offset <= LARGEST_START else FIRST_EVENT,
            slave_heartbeat=HEARTBEAT,
            enable_logging=False,
        )
        try:
            self._dump.open()
        except (pymysql.Error, OSError, RuntimeError) as error:
            self.close()
            raise source.explain(error) from error
        self._translation = Translation(
            mapping,
            start,
            checksums=self._dump.checksums,
            definitions=definitions,
            reshaped=reshaped,
            dialect=dialect,
        )

    def events(self) -> Iterator[Event]:
        """
        The events from the boundary on, without end.

        Raises ConnectionLost if the server ends the stream or is silent for longer than `patience`;
        CaptureStopped or SourceNotReady if it refuses.
        """
        try:
            assert self._dump.connection
            yield from self._translation.events(self._dump.connection.packets())
        except (pymysql.Error, OSError) as error:
            raise self._source.explain(error) from error
        raise ConnectionLost("the server ended the binlog stream", "nothing to do: the capturer reconnects")

    def interrupt(self) -> None:
        """Makes `events` end soon. May be called from any thread."""
        if connection := self._dump.connection:
            connection.interrupt()

    def close(self) -> None:
        """Drops the connection without a COM_QUIT: the server is busy sending."""
        if connection := self._dump.connection:
            connection.drop()
