"""Servers whose binlog lacks changes of mapped tables: each is found, and what it lacks is tried."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ferry.context import Context
from ferry.cutover import preconditions as cutover
from ferry.preflight import source as preflight
from lab.cloud import Cloud
from lab.database import Account, Server
from lab.installation import choose_flavor
from rowferry.errors import Refused, SourceNotReady
from rowferry.mapping import Mapping
from rowferry.mysql import conditions
from rowferry.mysql.server import identify, rows
from tests.integration.capturer.test_capturer import Ferry
from tests.support.mappings import PURCHASE
from tests.support.rows_to_items import bulk_road
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

MAPPING = Mapping.parse(PURCHASE)
CREATE = (
    "CREATE TABLE purchase (customerid VARCHAR(9), orderid VARCHAR(9), productid VARCHAR(9), quantity INT,"
    " PRIMARY KEY (customerid, orderid, productid))"
)
LOGS = {"mysql": "--log-replica-updates={}", "mariadb": "--log-slave-updates={}"}
APPLIED = "log of replicated changes"


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """The session's server, and one more that can be started with other options and replicate from it."""
    primary: Server = request.getfixturevalue(f"{request.param}_server")
    if primary.flavor != request.param:
        pytest.skip(f"no {request.param} on this machine")
    folder = tmp_path_factory.mktemp("silent") / request.param
    server = Server(choose_flavor(request.param), folder, ["--server-id=2"])
    server.start()
    yield [primary, server]
    server.kill()


@pytest.fixture
def primary(pair: list[Server], request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(pair[0].flavor)  # its database is empty
    return found


@pytest.fixture
def other(pair: list[Server]) -> Server:
    sql(pair[1], "DROP DATABASE IF EXISTS test", "CREATE DATABASE test CHARACTER SET utf8mb4")
    return pair[1]


def sql(server: Server, *statements: str, database: str | None = None) -> list[dict[str, Any]]:
    with server.connect(database=database) as connection:
        found: list[dict[str, Any]] = []
        for statement in statements:
            found = rows(connection, statement)
        return found


@contextmanager
def started_with(server: Server, *options: str) -> Iterator[None]:
    before = server._options
    server.stop()
    server._options = (*before, *options)
    server.start()
    try:
        yield
    finally:
        server.stop()
        server._options = before
        server.start()


@contextmanager
def replicating(server: Server, primary: Server) -> Iterator[None]:
    """From where the primary's binlog ends now."""
    mariadb = server.flavor == "mariadb"
    word, status = ("MASTER", "MASTER") if mariadb else ("SOURCE", "BINARY LOG")
    (end,) = sql(primary, f"SHOW {status} STATUS")
    given = {
        "HOST": f"'{primary.host}'", "PORT": primary.port, "USER": f"'{primary.admin.user}'",
        "PASSWORD": f"'{primary.admin.password}'", "LOG_FILE": f"'{end['file']}'",
        "LOG_POS": end["position"],
    }  # fmt: skip
    options = ", ".join(f"{word}_{name}={value}" for name, value in given.items())
    sql(
        server,
        f"CHANGE MASTER TO {options}, MASTER_USE_GTID=no"
        if mariadb
        else f"CHANGE REPLICATION SOURCE TO {options}, SOURCE_AUTO_POSITION=0, GET_SOURCE_PUBLIC_KEY=1",
        *([] if mariadb else ["SET GLOBAL super_read_only=OFF", "SET GLOBAL read_only=OFF"]),
        start(server),
    )
    try:
        yield
    finally:
        sql(server, stop(server), "RESET SLAVE ALL" if mariadb else "RESET REPLICA ALL")


def start(server: Server) -> str:
    return "START SLAVE" if server.flavor == "mariadb" else "START REPLICA"


def stop(server: Server) -> str:
    return "STOP SLAVE" if server.flavor == "mariadb" else "STOP REPLICA"


def arrive(server: Server, primary: Server, mark: int) -> None:
    """Everything that the primary has logged is applied."""
    sql(primary, f"CREATE TABLE test.arrived{mark} (id INT PRIMARY KEY)")
    exists = f"SELECT 1 FROM information_schema.tables WHERE table_name = 'arrived{mark}'"

    def check() -> None:
        found = sql(server, "SHOW SLAVE STATUS" if server.flavor == "mariadb" else "SHOW REPLICA STATUS")
        errors = [value for row in found for name, value in row.items() if name.endswith("_error") and value]
        assert not errors

    wait_for(lambda: bool(sql(server, exists)), check)


def logged(server: Server) -> list[str]:
    """Schema and table of every row event in the server's present binlog file."""
    names, found = {}, []
    for row in events(server):
        number = row["info"].partition("table_id: ")[2].split(" ")[0]
        if row["event_type"] == "Table_map":
            names[number] = row["info"].partition("(")[2].rstrip(")")
        elif number in names:  # a table map alone may be of a table that was only opened
            found.append(names[number])
    return found


def events(server: Server) -> list[dict[str, Any]]:
    (last,) = sql(server, "SHOW BINARY LOGS")[-1:]
    return sql(server, f"SHOW BINLOG EVENTS IN '{last['log_name']}'")


def asked(server: Server, account: Account | None = None) -> dict[str, conditions.Condition]:
    with server.connect(account or server.capture, database=None) as connection:
        found = conditions.check(connection, identify(connection), MAPPING)
    return {one.name: one for one in found}


def broken(server: Server, account: Account | None = None) -> list[str]:
    return [one.name for one in asked(server, account).values() if one.needed and not one.holds]


def count(server: Server, where: str = "TRUE") -> int:
    return int(sql(server, f"SELECT COUNT(*) AS n FROM test.purchase WHERE {where}")[0]["n"])


# Replicas


def test_a_replica_that_does_not_log_what_it_applies(primary: Server, other: Server) -> None:
    option = LOGS[other.flavor].format("OFF")
    with started_with(other, option), replicating(other, primary):
        sql(primary, CREATE, "INSERT INTO purchase VALUES ('a', 'b', 'c', 1)", database="test")
        arrive(other, primary, 1)
        assert count(other) == 1 and "test.purchase" not in logged(other)
        # On MariaDB this user may not ask for the replication's status.
        assert broken(other) == [APPLIED] == broken(other, other.admin)
        with pytest.raises(SourceNotReady, match=r"replicates from .*_updates=ON.*point --source"):
            bulk_road(other, MAPPING)
        sql(other, stop(other))
        assert broken(other, other.admin) == [APPLIED]
        if other.flavor == "mariadb":
            condition = asked(other)[APPLIED]
            assert not condition.holds and not condition.needed and "GRANT SLAVE MONITOR" in condition.fix
    assert APPLIED not in broken(other, other.admin)


def test_the_capturer_refuses_a_replica_that_does_not_log(
    primary: Server, other: Server, fresh_cloud: Cloud, tmp_path: Path
) -> None:
    with started_with(other, LOGS[other.flavor].format("OFF")), replicating(other, primary):
        ferry = Ferry(other, fresh_cloud, tmp_path)
        try:
            code, said = ferry.refused()
        finally:
            ferry.close()
    assert code == 2 and APPLIED in said and "point --source and the capturer at the primary" in said


def test_a_replica_that_logs_is_a_source_but_the_cutover_is_warned_of(primary: Server, other: Server) -> None:
    with started_with(other, LOGS[other.flavor].format("ON")):
        with replicating(other, primary):
            sql(primary, CREATE, "INSERT INTO purchase VALUES ('a', 'b', 'c', 1)", database="test")
            arrive(other, primary, 2)
            assert "test.purchase" in logged(other) and broken(other) == []
            found = role(other)
            assert not found.holds and not found.needed and "RESET REPLICA ALL" in found.fix
            assert found.found == f"replicates from {primary.host}:{primary.port}"
            sql(other, stop(other))
            assert role(other).found.endswith("(stopped)")
        assert role(other).holds


def test_the_cutover_refuses_a_replica_whatever_the_fence(primary: Server, other: Server) -> None:
    """Its writes go on at the primary: a fence here proves nothing."""
    with started_with(other, LOGS[other.flavor].format("ON")), replicating(other, primary):
        for account in (other.admin, other.capture):
            with pytest.raises(
                Refused, match=r"replicates from .* does not stop those writes: point --source"
            ):
                may_fence(other, account)
        sql(other, stop(other))
        with pytest.raises(Refused, match=r"\(stopped\)"):
            may_fence(other, other.admin)
        with pytest.raises(Refused, match="another one than the captured source"):
            may_fence(primary, primary.admin, source=other)
    assert "from no other server" in may_fence(other, other.admin)
    assert "from no other server" in may_fence(primary, primary.admin)


def may_fence(server: Server, account: Account, source: Server | None = None) -> str:
    connect = partial((source or server).connect, account if source is None else source.admin, database=None)
    with server.connect(account, database=None) as connection:
        return cutover.primary(cast(Context, SimpleNamespace(connect=connect)), connection)


def role(server: Server) -> conditions.Condition:
    with server.connect(database=None) as connection:
        (found,) = preflight.role(connection, identify(connection))
    return found


FILTERS: list[tuple[dict[str, str], bool]] = [
    ({}, True),
    ({"do_db": "test"}, True),
    ({"do_db": "other"}, False),
    ({"ignore_db": "test"}, False),
    ({"ignore_db": "Test"}, True),
    ({"do_table": "test.purchase"}, True),
    ({"do_table": "test.other"}, False),
    ({"ignore_table": "test.purchase"}, False),
    ({"wild_do_table": "test.pur%"}, True),
    ({"wild_do_table": "test.p_"}, False),
    ({"wild_ignore_table": "te_t.%"}, False),
    ({"wild_ignore_table": r"te\_t.%"}, True),
    ({"do_table": "test.purchase", "wild_ignore_table": "test.%"}, True),
    ({"ignore_table": "test.purchase", "wild_do_table": "test.%"}, False),
    ({"do_db": "test", "ignore_db": "test"}, True),
]


def filtered(server: Server, filters: dict[str, str]) -> None:
    if server.flavor == "mariadb":
        names = ("do_db", "ignore_db", "do_table", "ignore_table", "wild_do_table", "wild_ignore_table")
        for name in names:
            sql(server, f"SET GLOBAL replicate_{name} = '{filters.get(name, '')}'".replace("\\", "\\\\"))
        return
    for name in ("do_db", "ignore_db", "do_table", "ignore_table", "wild_do_table", "wild_ignore_table"):
        value = filters.get(name, "").replace("\\", "\\\\")
        value = f"'{value}'" if value and "table" in name and "wild" in name else value
        sql(server, f"CHANGE REPLICATION FILTER REPLICATE_{name.upper()} = ({value})")


def test_what_a_replicas_filters_leave_out_is_what_does_not_arrive(primary: Server, other: Server) -> None:
    wrong = []
    with started_with(other, LOGS[other.flavor].format("ON")), replicating(other, primary):
        for number, (filters, arrives) in enumerate(FILTERS):
            sql(other, stop(other))
            filtered(other, {})
            for server in (primary, other):
                sql(server, "SET sql_log_bin=0", "DROP TABLE IF EXISTS test.purchase")
                sql(server, "SET sql_log_bin=0", CREATE.replace(" purchase", " test.purchase"))
            filtered(other, filters)
            sql(primary, f"INSERT INTO test.purchase VALUES ('a', 'b', 'c', {number})")
            with replicated_up_to(other, primary):
                found = bool(count(other)), asked(other, other.admin)["replication of test.purchase"].holds
            if found != (arrives, arrives):
                wrong.append((filters, arrives, found))
        sql(other, stop(other))
        filtered(other, {})
    assert wrong == []


@contextmanager
def replicated_up_to(server: Server, primary: Server) -> Iterator[None]:
    """The replica's threads have read and passed everything, applied or filtered."""
    mariadb = server.flavor == "mariadb"
    (end,) = sql(primary, f"SHOW {'MASTER' if mariadb else 'BINARY LOG'} STATUS")
    sql(server, start(server))
    wait = "MASTER_POS_WAIT" if mariadb else "SOURCE_POS_WAIT"
    (passed,) = sql(server, f"SELECT {wait}('{end['file']}', {end['position']}, 60) AS n")
    assert passed["n"] is not None and passed["n"] >= 0
    yield


def test_what_a_replicas_own_triggers_change_is_logged(primary: Server, other: Server) -> None:
    if other.flavor != "mariadb":
        pytest.skip("MySQL runs no triggers for rows that it applies")
    with started_with(other, LOGS[other.flavor].format("ON")), replicating(other, primary):
        sql(other, stop(other), "SET GLOBAL slave_run_triggers_for_rbr=YES")
        sql(primary, CREATE, "CREATE TABLE origin (id INT PRIMARY KEY)", database="test")
        with replicated_up_to(other, primary):
            trigger = (
                "CREATE TRIGGER origin_added AFTER INSERT ON origin FOR EACH ROW"
                " INSERT INTO purchase VALUES ('a', 'b', NEW.id, 1)"
            )
            sql(other, trigger, "FLUSH BINARY LOGS", database="test")
        sql(primary, "INSERT INTO test.origin VALUES (1)")
        with replicated_up_to(other, primary):
            assert count(other) == 1 and "test.purchase" in logged(other) and broken(other) == []
        sql(other, stop(other), "SET GLOBAL slave_run_triggers_for_rbr=NO", start(other))


# Filters of the binlog

BINLOG_FILTERS: list[tuple[Sequence[str], bool]] = [
    (["--binlog-ignore-db=test"], False),
    (["--binlog-do-db=other"], False),
    (["--binlog-do-db=other", "--binlog-do-db=test"], True),
    (["--binlog-ignore-db=other"], True),
    (["--binlog-ignore-db=Test"], True),
    (["--binlog-do-db=Test"], False),
]


@pytest.mark.parametrize(("options", "has"), BINLOG_FILTERS)
def test_a_binlog_without_the_mapped_schema(other: Server, options: Sequence[str], has: bool) -> None:
    with started_with(other, *options):
        sql(
            other, CREATE, "FLUSH BINARY LOGS", "INSERT INTO purchase VALUES ('a','b','c',1)", database="test"
        )
        assert ("test.purchase" in logged(other)) is has
        assert broken(other) == ([] if has else ["binlog of schema test"])
        if not has:
            with pytest.raises(SourceNotReady, match=r"remove binlog_do_db and binlog_ignore_db .* restart"):
                bulk_road(other, MAPPING)
        assert not asked(other)["filters of the binlog"].holds


def test_a_statement_from_a_schema_that_is_left_out_is_not_logged(other: Server) -> None:
    """Why any filter is advised against."""
    with started_with(other, "--binlog-ignore-db=other"):
        sql(other, CREATE, "CREATE DATABASE IF NOT EXISTS other", database="test")
        sql(
            other,
            "INSERT INTO test.purchase VALUES ('a', 'b', 'c', 1)",
            "TRUNCATE test.purchase",
            database="other",
        )
        assert count(other) == 0
        assert "test.purchase" in logged(other)
        assert not any("TRUNCATE" in row["info"] for row in events(other))


# Tables


def test_an_engine_that_does_not_log_every_change(mysql: Server) -> None:
    if mysql.flavor != "mysql":
        pytest.skip("MariaDB here has no such engine")
    sql(mysql, CREATE + " ENGINE=BLACKHOLE", database="test")
    assert broken(mysql) == ["engine of test.purchase"]


def test_what_is_written_through_a_merge_table_has_its_name(primary: Server) -> None:
    merge = CREATE.replace("purchase", "merged", 1) + " ENGINE=MERGE UNION=(purchase) INSERT_METHOD=LAST"
    sql(primary, CREATE + " ENGINE=MyISAM", database="test")
    assert asked(primary)["MERGE tables over test.purchase"].holds
    sql(primary, merge, "INSERT INTO merged VALUES ('a', 'b', 'c', 1)", database="test")
    found = asked(primary)["MERGE tables over test.purchase"]
    assert count(primary) == 1 and (found.found, found.holds) == ("test.merged", False)


def test_a_restart_empties_a_table_in_memory(other: Server) -> None:
    sql(other, CREATE + " ENGINE=MEMORY", "INSERT INTO purchase VALUES ('a', 'b', 'c', 1)", database="test")
    assert not asked(other)["rows of test.purchase"].holds and broken(other) == []
    with started_with(other):
        assert count(other) == 0
