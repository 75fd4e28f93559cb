"""The real parts for every test that wants them: one server and one cloud for the whole session."""

import os
import signal
from collections.abc import Iterator

import pytest

from lab.database import Server, database
from tests.support.cloud_fixtures import cloud, fresh_cloud
from tests.support.databases import empty

__all__ = ["cloud", "fresh_cloud"]

# A shell's background jobs ignore SIGINT, and so would every child: Ctrl-C could not be tried.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ.pop("ROWFERRY_SERVER_URL", None)  # tests drop databases: never those of a server that was given


@pytest.fixture(scope="session")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with database(tmp_path_factory.mktemp("mysql")) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with database(tmp_path_factory.mktemp("mariadb"), "mariadb") as server:
        yield server


@pytest.fixture
def mysql(mysql_server: Server) -> Server:
    """The session's server, its database `test` empty."""
    empty(mysql_server)
    return mysql_server


@pytest.fixture
def mariadb(mariadb_server: Server) -> Server:
    """The session's MariaDB, its database `test` empty."""
    empty(mariadb_server)
    return mariadb_server
