"""A database server that can be started, stopped, killed and frozen; or one that the user runs."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql

from lab.datadir import binlog_options, common_options, initialize
from lab.installation import Installation
from lab.process import free_port, last_lines, spawn
from rowferry.errors import Refused, SourceNotReady

START_SECONDS = 300.0  # 1 to 3 on an idle machine; a slow disk or a long recovery takes more
STOP_SECONDS = 300.0
CAPTURE_RIGHTS = {
    "mysql": "SELECT, REPLICATION SLAVE, REPLICATION CLIENT, TRIGGER, SHOW VIEW",
    "mariadb": "SELECT, REPLICATION SLAVE, BINLOG MONITOR, TRIGGER, SHOW VIEW",
}


@dataclass(frozen=True, slots=True)
class Account:
    """A login. Passwords are random, because everybody on the machine can reach the server's port."""

    user: str
    password: str = field(repr=False)


class Server:
    """
    A running server.

    Attributes: flavor ("mysql" or "mariadb"), version (as SELECT VERSION() says), host, port, admin (all
    privileges), capture (least privileges for reading rows and the binlog), folder (with data/, log, and
    files/, the only folder that LOAD DATA INFILE and SELECT INTO OUTFILE can use).
    """

    def __init__(self, installation: Installation, folder: Path, options: Sequence[str] = ()) -> None:
        """
        Create the data folder unless it exists. Raises SourceNotReady with the end of the server's output.
        """
        self.flavor = installation.flavor
        self.version = ""
        self.host = "127.0.0.1"
        self.port = free_port()
        self.admin = Account("admin", secrets.token_urlsafe(16))
        self.capture = Account("capture", secrets.token_urlsafe(16))
        self.folder = folder.resolve()
        self._installation = installation
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        if not (self.folder / "data").exists():
            initialize(installation, self.folder)

    @property
    def pid(self) -> int | None:
        """The process id; None while the server is down."""
        return self._process.pid if self._process else None

    def connect(self, account: Account | None = None, **options: Any) -> "pymysql.Connection[Any]":
        """Connect as `account` (default admin) to database `test`, autocommit; `options` are PyMySQL's."""
        login = account or self.admin
        defaults: dict[str, Any] = {"database": "test", "autocommit": True, "connect_timeout": 60}
        return pymysql.connect(
            host=self.host, port=self.port, user=login.user, password=login.password, **(defaults | options)
        )

    def start(self) -> None:
        """Start on the same port and data, and wait until it answers. Does nothing if it is up."""
        if self._process is not None:
            return
        self._write_accounts()
        self._process = spawn(self._command(), log=self.folder / "log", folder=self.folder)
        try:
            self.version = self._wait_until_up()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Shut down in order; after STOP_SECONDS by force. Does nothing if it is down."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it, as a power failure would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: connections stay open, and nothing answers."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        # Its threads stop one after the other: until the last one has, another may still answer.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Continue after pause()."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise Refused("the server is down", "call start() first")
        return self._process

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.send_signal(signal.SIGCONT)  # a frozen server would never see SIGTERM
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._process = None

    def _command(self) -> list[str]:
        common = common_options(self._installation, self.folder / "data")
        return [
            *self._installation.command,
            *common,
            *binlog_options(self.flavor),
            *self._own_options(),
            *self._options,
        ]

    def _own_options(self) -> list[str]:
        return [
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--tmpdir={self.folder / 'data'}",  # in /tmp, another MariaDB removes its files when it starts
            f"--init-file={self.folder / 'accounts.sql'}",
            f"--secure-file-priv={self.folder / 'files'}",
        ]

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _write_accounts(self) -> None:
        path = self.folder / "accounts.sql"
        # Before the passwords are in it.
        path.touch(mode=0o600)
        # Without binlog: capture would read these statements, too, and after each start again.
        path.write_text("SET sql_log_bin=0;\n" + "".join(f"{line};\n" for line in self._account_statements()))

    def _account_statements(self) -> list[str]:
        return [
            "DROP USER IF EXISTS root@localhost, root@'127.0.0.1', root@'::1'",  # made without a password
            "CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4",
            *_account("127.0.0.1", self.admin, "ALL"),
            "GRANT GRANT OPTION ON *.* TO `admin`@'127.0.0.1'",
            *_account("127.0.0.1", self.capture, CAPTURE_RIGHTS[self.flavor]),
        ]

    def _wait_until_up(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        process = self._running()
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(pymysql.err.OperationalError), self.connect() as connection:
                return _version(connection)
            time.sleep(0.05)
        raise SourceNotReady(
            f"{self.flavor} did not start, {self.folder / 'log'} ends with:\n{last_lines(self._log())}\n",
            "repair what it complains about, or use an empty folder",
        )


class OutsideServer(Server):
    """
    A server that the user runs (ROWFERRY_SERVER_URL): it is never started, stopped or frozen, and left as it
    was.

    The database `test` must not be used by others: it is refused if it has tables, and dropped afterwards.
    """

    def __init__(self, url: str) -> None:
        """Connect, create the database `test` and a capture account. Raises SourceNotReady or Refused."""
        parts = urlsplit(url)
        if parts.scheme != "mysql" or not parts.hostname or not parts.username:
            raise SourceNotReady(
                "ROWFERRY_SERVER_URL is not a URL of a server", "write mysql://user:password@host:port"
            )
        self.host, self.port = parts.hostname, parts.port or 3306
        self.admin = Account(unquote(parts.username), unquote(parts.password or ""))
        # The ending satisfies the password policy that the server may have.
        self.capture = Account(f"rowferry_{secrets.token_hex(4)}", secrets.token_urlsafe(16) + "aA1!")
        self._process = None
        try:
            with self.connect(database=None) as connection:
                self._prepare(connection)
        except pymysql.err.Error as error:
            raise SourceNotReady(
                f"the server of ROWFERRY_SERVER_URL refuses ({error})", "check address, password and rights"
            ) from error

    def _prepare(self, connection: "pymysql.Connection[Any]") -> None:
        self.version = _version(connection)
        self.flavor = "mariadb" if "mariadb" in self.version.lower() else "mysql"
        self._refuse_what_is_not_ours(connection)
        statements = [
            "CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4",
            *_account("%", self.capture, CAPTURE_RIGHTS[self.flavor]),
        ]
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def _refuse_what_is_not_ours(self, connection: "pymysql.Connection[Any]") -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'test'")
            tables = int(cursor.fetchone()[0])
            cursor.execute("SELECT @@GLOBAL.read_only")
            read_only = int(cursor.fetchone()[0])
        if tables or read_only:
            raise Refused(
                "the server of ROWFERRY_SERVER_URL is read-only"
                if read_only
                else f"database test on the server of ROWFERRY_SERVER_URL has {tables} tables",
                "give a server that can be written to and whose database test is empty or missing",
            )

    def forget(self) -> None:
        """Drop the capture account and the database `test`, which was empty or missing before."""
        with self.connect(database=None) as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP USER IF EXISTS `{self.capture.user}`@'%'")
            cursor.execute("DROP DATABASE IF EXISTS test")

    def start(self) -> None:
        """Raises Refused, as do stop, kill, pause and resume."""
        self._running()

    stop = kill = pause = resume = start

    def _running(self) -> subprocess.Popen[bytes]:
        raise Refused(
            "the server of ROWFERRY_SERVER_URL is not ours to start, stop or freeze",
            "unset ROWFERRY_SERVER_URL for what needs that",
        )


def _version(connection: "pymysql.Connection[Any]") -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        return str(cursor.fetchone()[0])


def _account(host: str, account: Account, rights: str) -> list[str]:
    name = f"`{account.user}`@'{host}'"
    return [
        f"CREATE USER IF NOT EXISTS {name}",
        f"ALTER USER {name} IDENTIFIED BY '{account.password}'",
        f"GRANT {rights} ON *.* TO {name}",
    ]
