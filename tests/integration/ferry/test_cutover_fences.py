"""Fences on both servers: they hold, also for sessions that began before, and leave everything as it was."""

import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pymysql
import pytest

from ferry.cutover import fences
from ferry.cutover.grants import Grants
from lab.database import Account, Server
from rowferry.errors import Refused
from rowferry.mysql import server as mysql_server
from tests.support.databases import empty

pytestmark = pytest.mark.integration

SHOP = Account("fenced_shop", "fenced-Shop-1!")
GIVEN = {
    "a database": ["SELECT, INSERT, UPDATE, DELETE ON test.*"],
    "all of a database, to be given on": ["ALL PRIVILEGES ON test.*", "GRANT OPTION ON test.*"],
    "a table and columns": ["SELECT ON test.*", "INSERT ON test.t", "UPDATE (v), INSERT (id, v) ON test.u"],
    "everywhere": ["SELECT, INSERT, UPDATE, CREATE, LOCK TABLES, PROCESS ON *.*"],
    "all": ["ALL PRIVILEGES ON *.*"],
    "a name with an underscore": [r"INSERT, SELECT ON `te\_t`.*", "SELECT ON test.*"],
}  # fmt: skip


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    empty(found)
    user = f"{SHOP.user}@'%'"
    with found.connect() as admin, admin.cursor() as cursor:
        cursor.execute(f"DROP USER IF EXISTS {user}")
        cursor.execute(f"CREATE USER {user} IDENTIFIED BY '{SHOP.password}'")
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)")
        cursor.execute("CREATE TABLE u (id INT PRIMARY KEY, v INT)")
        try:
            yield found
        finally:
            if found.flavor == "mysql":
                cursor.execute("SET GLOBAL super_read_only = OFF")
            cursor.execute("SET GLOBAL read_only = OFF")
            cursor.execute(f"DROP USER IF EXISTS {user}")


def grant(server: Server, *rights: str) -> None:
    with server.connect() as admin, admin.cursor() as cursor:
        for each in rights:
            cursor.execute(f"GRANT {each} TO {SHOP.user}@'%'")


def grants(server: Server) -> list[str]:
    with server.connect() as admin:
        return sorted(
            str(*row.values()) for row in mysql_server.rows(admin, f"SHOW GRANTS FOR {SHOP.user}@'%'")
        )


def insert(connection: Any, number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO t (id, v) VALUES (%s, 1)", (number,))


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_revoke_takes_every_right_to_write_and_gives_back_exactly_the_same(
    server: Server, given: list[str]
) -> None:
    grant(server, *given)
    before = grants(server)
    with server.connect() as admin:
        fence = fences.planned(f"revoke:{SHOP.user}@%", admin)
        fence.check(admin)
        fence.up(admin)
        assert Grants.of(admin, f"{SHOP.user}@%").revoking == ()
        with closing(server.connect(SHOP)) as shop, pytest.raises(pymysql.err.OperationalError):
            insert(shop, 1)
        fence.up(admin)  # again, after a lost answer
        fences.lift(fence.facts, admin)
        fences.lift(fence.facts, admin)
    assert grants(server) == before


@pytest.mark.parametrize("in_transaction", [False, True])
def test_revoke_ends_sessions_that_began_before(server: Server, in_transaction: bool) -> None:
    grant(server, "SELECT, INSERT ON *.*")
    with closing(server.connect(SHOP, autocommit=not in_transaction)) as shop, server.connect() as admin:
        insert(shop, 1)
        fences.planned(f"revoke:{SHOP.user}@%", admin).up(admin)
        with pytest.raises(pymysql.err.Error):
            insert(shop, 2)
            shop.commit()
        rows = mysql_server.rows(admin, "SELECT COUNT(*) AS n FROM t")[0]["n"]
        assert rows == (0 if in_transaction else 1)


def test_rights_by_a_role_are_refused(server: Server) -> None:
    with server.connect() as admin, admin.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS writing")
        cursor.execute("CREATE ROLE writing")
        cursor.execute(f"GRANT writing TO {SHOP.user}@'%'")
        with pytest.raises(Refused, match="roles"):
            fences.planned(f"revoke:{SHOP.user}@%", admin)
        cursor.execute("DROP ROLE writing")


def test_read_only_holds_open_transactions_and_lifts(server: Server) -> None:
    grant(server, "SELECT, INSERT ON test.*")
    with closing(server.connect(SHOP, autocommit=False)) as shop, server.connect() as admin:
        insert(shop, 1)
        fence = fences.planned("super-read-only", admin)
        fence.check(admin)
        fence.up(admin)
        with pytest.raises(pymysql.err.OperationalError) as refused:
            shop.commit()
        assert refused.value.args[0] == 1290
        with pytest.raises(Refused, match="read-only already"):
            fences.planned("super-read-only", admin)
        fences.lift(fence.facts, admin)
    with closing(server.connect(SHOP)) as shop:
        insert(shop, 2)


def test_read_only_is_refused_on_mariadb_while_somebody_is_connected_whom_it_does_not_bind(
    server: Server,
) -> None:
    grant(server, "ALL PRIVILEGES ON *.*")
    with closing(server.connect(SHOP)), server.connect() as admin:
        fence = fences.planned("super-read-only", admin)
        if server.flavor == "mysql":
            assert fence.check(admin) == []
            fence.up(admin)
            with closing(server.connect(SHOP)) as shop, pytest.raises(pymysql.err.OperationalError):
                insert(shop, 1)  # super_read_only binds SUPER, too
            return
        with pytest.raises(Refused, match=f"does not stop {SHOP.user}"):
            fence.check(admin)


def test_lifting_first_ends_a_fence_statement_that_still_waits(server: Server) -> None:
    """Else it would fence after the lifting, and nobody would know."""
    with server.connect() as holder, server.connect() as fencing, server.connect() as admin:
        holder.cursor().execute("LOCK TABLES t WRITE")
        fence = fences.planned("super-read-only", fencing)
        fence.facts |= fences.session_of(fencing)
        waiting = threading.Thread(target=_raises, args=(fence, fencing))
        waiting.start()
        while not mysql_server.rows(
            admin, "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SET GLOBAL%'"
        ):
            pass
        fences.lift(fence.facts, admin)
        holder.cursor().execute("UNLOCK TABLES")
        waiting.join()
        assert not waiting.is_alive()
        assert not mysql_server.rows(admin, "SELECT @@GLOBAL.read_only AS is_on")[0]["is_on"]


def _raises(fence: fences.Fence, connection: Any) -> None:
    with pytest.raises(pymysql.err.Error):
        fence.up(connection)
