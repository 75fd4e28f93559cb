"""
Real database servers for the rehearsal and the tests: own data folder, own port on loopback, no root, no container.

    python -m lab.database start --folder /tmp/source
    python -m lab.database start --folder /tmp/other --flavor mariadb --option --gtid-strict-mode=ON

The program comes from, in this order: ROWFERRY_SERVER_URL (a server that already runs), ROWFERRY_MYSQLD (a mysqld or
mariadbd), MySQL from Debian's packages, MariaDB from Debian's packages.
"""

import argparse
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlsplit

import pymysql
from lab.installation import Echo, Installation, choose_flavor
from lab.process import free_port, last_lines, spawn
from rowferry.errors import Refused, RowferryError, SourceNotReady

__all__ = ["Account", "OutsideServer", "Server", "choose_flavor", "database"]

# A first start takes 2 s here; a slow disk or a long recovery takes more.
START_SECONDS = 60.0
STOP_SECONDS = 30.0
CAPTURE_RIGHTS = {
    "mysql": "SELECT, REPLICATION SLAVE, REPLICATION CLIENT",
    "mariadb": "SELECT, REPLICATION SLAVE, BINLOG MONITOR",
}


@dataclass(frozen=True, slots=True)
class Account:
    """A login. The servers here make up their passwords, since anyone on the machine can reach their port."""

    user: str
    password: str = field(repr=False)


class Process(Protocol):
    """What a Server asks of its process."""

    pid: int

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class Server:
    """
    A running server.

    Attributes: flavor ("mysql" or "mariadb"), version (as SELECT VERSION() says), host, port, admin (all privileges),
    capture (least privileges for reading rows and the binlog), folder (data/, log and files/, the only place that
    LOAD DATA INFILE and SELECT INTO OUTFILE reach).
    """

    def __init__(self, installation: Installation, folder: Path, options: Sequence[str] = ()) -> None:
        """Make the data folder unless it is there. Raises SourceNotReady with the server's last words if that fails."""
        self.flavor = installation.flavor
        self.version = ""
        self.host = "127.0.0.1"
        self.port = free_port()
        self.admin = Account("admin", secrets.token_urlsafe(16))
        self.capture = Account("capture", secrets.token_urlsafe(16))
        self.folder = folder.resolve()
        self._installation = installation
        self._options = tuple(options)
        self._process: Process | None = None
        (self.folder / "files").mkdir(parents=True, exist_ok=True)
        if not (self.folder / "data").exists():
            _initialize(installation, self.folder)

    @property
    def pid(self) -> int | None:
        """The process id; None while it is down."""
        return self._process.pid if self._process else None

    def connect(self, account: Account | None = None, **options: Any) -> "pymysql.Connection[Any]":
        """Connect as `account` (default: admin) to the database `test`, autocommit on; `options` are PyMySQL's."""
        login = account or self.admin
        defaults = {"database": "test", "autocommit": True, "charset": "utf8mb4", "connect_timeout": 10}
        return pymysql.connect(
            host=self.host, port=self.port, user=login.user, password=login.password, **(defaults | options)
        )

    def start(self) -> None:
        """Start on the same port and data and wait until it answers; nothing happens while it is up."""
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
        """Shut down in order; after 30 s by force. Nothing happens while it is down."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after pause()."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> Process:
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
        common = _common_options(self._installation, self.folder / "data")
        return [
            *self._installation.command,
            *common,
            *_binlog_options(self.flavor),
            *self._own_options(),
            *self._options,
        ]

    def _own_options(self) -> list[str]:
        return [
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--init-file={self.folder / 'accounts.sql'}",
            f"--secure-file-priv={self.folder / 'files'}",
        ]

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def _write_accounts(self) -> None:
        path = self.folder / "accounts.sql"
        path.touch(mode=0o600)
        path.write_text("SET sql_log_bin=0;\n" + "".join(f"{line};\n" for line in self._account_statements()))

    def _account_statements(self) -> list[str]:
        return [
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
            f"{self.flavor} did not come up; the end of {self.folder / 'log'} is:\n{last_lines(self._log())}\n",
            "mend what it complains about, or use an empty folder",
        )


class OutsideServer(Server):
    """A server that the user runs (ROWFERRY_SERVER_URL). It is used as it is and never started, stopped or frozen."""

    def __init__(self, url: str) -> None:
        """Connect, make the database `test` where it is missing, and a capture account. Raises SourceNotReady."""
        parts = urlsplit(url)
        if parts.scheme != "mysql" or not parts.hostname or not parts.username:
            raise SourceNotReady(
                "ROWFERRY_SERVER_URL is not understood", "write mysql://user:password@host:port"
            )
        self.host, self.port = parts.hostname, parts.port or 3306
        self.admin = Account(unquote(parts.username), unquote(parts.password or ""))
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
        statements = [
            "CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4",
            *_account("%", self.capture, CAPTURE_RIGHTS[self.flavor]),
        ]
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def forget(self) -> None:
        """Drop the capture account."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP USER IF EXISTS `{self.capture.user}`@'%'")

    def start(self) -> None:
        """Refuse."""
        self._running()

    stop = kill = pause = resume = start

    def _running(self) -> Process:
        raise Refused(
            "the server of ROWFERRY_SERVER_URL is not ours to start, stop or freeze",
            "unset ROWFERRY_SERVER_URL for what needs that",
        )


@contextmanager
def database(
    folder: Path, flavor: str = "mysql", *, options: Sequence[str] = (), echo: Echo = print
) -> Iterator[Server]:
    """
    Yield a running server whose data is in `folder` (made if missing); it is gone afterwards, the folder stays.

    `options` are the server's own ("--binlog-row-image=MINIMAL") and win over the defaults here. Where MySQL cannot be
    had, "mysql" yields MariaDB: look at Server.flavor. Raises SourceNotReady.
    """
    url = os.environ.get("ROWFERRY_SERVER_URL")
    if url and flavor == "mysql":
        outside = OutsideServer(url)
        try:
            yield outside
        finally:
            outside.forget()
        return
    server = Server(choose_flavor(flavor, echo=echo), folder, options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


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


def _common_options(installation: Installation, data: Path) -> list[str]:
    """Return what both making the data folder and serving it need."""
    return [
        "--no-defaults",
        *installation.paths(),
        f"--datadir={data}",
        "--socket=socket",  # relative to the data: a socket's path may not be longer than 107 bytes
        "--pid-file=pid",
        "--innodb-buffer-pool-size=256M",
        *(["--innodb-redo-log-capacity=128M"] if installation.flavor == "mysql" else []),
        *(["--user=root"] if os.geteuid() == 0 else []),  # another user could not reach a private folder
    ]


def _binlog_options(flavor: str) -> list[str]:
    options = [
        "--server-id=1",
        "--log-bin=binlog",
        "--binlog-format=ROW",
        "--binlog-row-image=FULL",
        "--binlog-row-metadata=FULL",
        "--max-binlog-size=1G",
        "--sync-binlog=0",
        "--innodb-flush-log-at-trx-commit=2",
    ]
    own = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--mysqlx=OFF"] if flavor == "mysql" else []
    return options + own


def _initialize(installation: Installation, folder: Path) -> None:
    """Make the data folder whole or not at all: it gets its name last."""
    data = folder / "data.part"
    shutil.rmtree(data, ignore_errors=True)
    command = [*installation.command, *_common_options(installation, data)]
    made = {"mysql": _initialize_mysql, "mariadb": _initialize_mariadb}[installation.flavor](
        installation, command, data
    )
    if made.returncode != 0:
        raise SourceNotReady(
            f"{installation.flavor} could not make its data folder; it said:\n{last_lines(made.stdout)}\n",
            f"check that {folder} is writable and that its disk has 300 MB free",
        )
    data.rename(folder / "data")


def _initialize_mysql(_: Installation, command: list[str], data: Path) -> subprocess.CompletedProcess[str]:
    return _run([*command, "--initialize-insecure"], data.parent)


def _initialize_mariadb(
    installation: Installation, command: list[str], data: Path
) -> subprocess.CompletedProcess[str]:
    (data / "mysql").mkdir(parents=True)
    settings = "USE mysql;\nSET @auth_root_socket=NULL, @skip_auth_anonymous=1;\n"
    return _run(
        [*command, "--bootstrap", "--max-allowed-packet=8M"], data, settings + _system_tables(installation)
    )


def _system_tables(installation: Installation) -> str:
    names = ("system_tables", "performance_tables", "system_tables_data")
    found = [next(installation.share.glob(f"m*_{name}.sql")) for name in names]
    return "".join(path.read_text() for path in found)


def _run(command: Sequence[str], folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        check=False,
    )


def _described(server: Server) -> str:
    """Return the line that `start` prints: JSON with flavor, version, url (admin) and capture_url."""
    urls = {
        name: f"mysql://{quote(account.user)}:{quote(account.password)}@{server.host}:{server.port}"
        for name, account in (("url", server.admin), ("capture_url", server.capture))
    }
    return json.dumps({"flavor": server.flavor, "version": server.version, **urls})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server in the foreground until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.database",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    start = parser.add_subparsers(required=True).add_parser(
        "start", help="run a server until SIGINT or SIGTERM"
    )
    start.add_argument(
        "--folder", type=Path, required=True, help="its data; made if missing, kept afterwards"
    )
    start.add_argument("--flavor", choices=("mysql", "mariadb"), default="mysql")
    start.add_argument(
        "--option", action="append", default=[], metavar="--NAME=VALUE", help="of the server; may repeat"
    )
    chosen = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with database(chosen.folder, chosen.flavor, options=chosen.option, echo=_to_stderr) as server:
            print(_described(server), flush=True)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except RowferryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _to_stderr(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
