"""Fences on the real servers: up, nothing is written; lifted, everything is as it was."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from bulkload.connection import Address
from ferry.fences import Fence, Spec, fence, prepared
from lab.database import Account, Server
from rowferry.errors import Refused

pytestmark = pytest.mark.integration
SHOP = Account("fenced_shop", "aA1!fenced-shop")
WRITE, READ = "INSERT INTO t VALUES (DEFAULT, 1)", "SELECT COUNT(*) FROM t"
GRANTS = [
    "SELECT ON *.*",
    "SELECT, INSERT, UPDATE, DELETE ON test.*",
    "ALL PRIVILEGES ON other.*",
    "INSERT, SELECT ON test.t",
    "UPDATE (v), SELECT (v) ON test.t",
]


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    found: Server = request.getfixturevalue(request.param)
    account = f"'{SHOP.user}'@'%'"
    run(
        found,
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
        "CREATE SCHEMA IF NOT EXISTS other",
    )
    run(found, f"CREATE USER {account} IDENTIFIED BY '{SHOP.password}'")
    run(found, *(f"GRANT {grant} TO {account}" for grant in GRANTS))
    try:
        yield found
    finally:
        run(found, "SET GLOBAL read_only = OFF", f"DROP USER {account}", "DROP SCHEMA other")


def run(server: Server, *statements: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def admin(server: Server) -> Address:
    return Address(server.host, server.port, server.admin.user, server.admin.password)


def raised(server: Server, text: str) -> Fence:
    return fence(prepared(Spec.parse(text), admin(server)), admin(server))


def grants(server: Server) -> set[str]:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW GRANTS FOR '{SHOP.user}'@'%'")
        return {text for (text,) in cursor.fetchall()}


def works(connection: Any, *statements: str) -> list[bool]:
    found = []
    for statement in statements:
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
            found.append(True)
        except pymysql.err.Error:
            found.append(False)
    return found


@pytest.mark.parametrize("text", ["read-only", f"revoke:{SHOP.user}@%"])
def test_up_nothing_is_written_and_lifted_all_is_as_it_was(server: Server, text: str) -> None:
    before, up = grants(server), raised(server, text)
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(server.connect(SHOP))
        assert works(old, WRITE, READ) == [True, True]
        up.up()
        assert works(old, WRITE) == [False]
        new = stack.enter_context(server.connect(SHOP))
        assert works(new, WRITE, "UPDATE t SET v = 2", READ) == [False, False, True]
        assert works(new, "CREATE TABLE other.x (i INT)") == [False]
        up.up()
        up.lift()
        up.lift()
    with server.connect(SHOP) as connection:
        assert (
            works(connection, WRITE, "UPDATE t SET v = 3", READ, "CREATE TABLE other.x (i INT)") == [True] * 4
        )
    assert grants(server) == before


def test_read_only_already_is_refused(server: Server) -> None:
    run(server, f"SET GLOBAL {'read_only' if server.flavor == 'mariadb' else 'super_read_only'} = ON")
    with pytest.raises(Refused, match="read-only already: name that: --fence already"):
        raised(server, "read-only")


def test_who_may_write_nothing_is_no_fence(server: Server, request: pytest.FixtureRequest) -> None:
    run(server, "CREATE USER fenced_reader", "GRANT SELECT ON *.* TO fenced_reader")
    request.addfinalizer(lambda: run(server, "DROP USER fenced_reader"))
    with pytest.raises(Refused, match="may write nothing"):
        raised(server, "revoke:fenced_reader@%")


def test_the_operators_own_is_called_with_a_word(tmp_path: Path) -> None:
    path = tmp_path / "fence.sh"
    path.write_text(f"#!/bin/sh\necho $1 >> {tmp_path}/said\n[ $1 = up ]\n")
    nobody = Address("127.0.0.1", 1, "", "")
    with pytest.raises(Refused, match="is no executable"):
        prepared(Spec.parse(f"hook:{path}"), nobody)
    os.chmod(path, 0o755)  # noqa: PTH101
    own = fence(prepared(Spec.parse(f"hook:{path}"), nobody), nobody)
    own.up()
    with pytest.raises(Refused, match="lift ended with status 1"):
        own.lift()
    assert (tmp_path / "said").read_text() == "up\nlift\n"


@pytest.mark.parametrize(
    "text", ["", "read-only:x", "revoke:", "revoke:shop", "revoke:a@b,c", "hook:", "wall"]
)
def test_what_is_no_fence(text: str) -> None:
    with pytest.raises(ValueError, match="no fence"):
        Spec.parse(text)
