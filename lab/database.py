"""
Real database servers for the rehearsal and the tests: own data and port, loopback only, no container.

    python -m lab.database start --folder /tmp/source
    python -m lab.database start --folder /tmp/other --flavor mariadb --option --gtid-strict-mode=ON

The server is the first of these: ROWFERRY_SERVER_URL (one that already runs:
mysql://user:password@host:port), ROWFERRY_MYSQLD (the path of a mysqld or mariadbd), MySQL from Debian's
packages, MariaDB from Debian's packages.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from lab.installation import Echo, choose_flavor
from lab.server import Account, OutsideServer, Server
from rowferry.errors import RowferryError

__all__ = ["Account", "OutsideServer", "Server", "choose_flavor", "database"]


@contextmanager
def database(
    folder: Path, flavor: str = "mysql", *, options: Sequence[str] = (), echo: Echo = print
) -> Iterator[Server]:
    """
    Yield a running server with its data in `folder`, created if missing; it ends afterwards, its data stays.

    `options` are the server's own ("--binlog-row-image=MINIMAL") and override the defaults here. If MySQL is
    not available, "mysql" yields MariaDB: check Server.flavor. Raises SourceNotReady.
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
        "--folder", type=Path, required=True, help="folder for its data; created if missing, kept afterwards"
    )
    start.add_argument("--flavor", choices=("mysql", "mariadb"), default="mysql")
    start.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="--NAME=VALUE",
        help="option of the server; repeatable",
    )
    chosen = parser.parse_args(arguments)
    # As Ctrl-C, so that the server is shut down in order.
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
