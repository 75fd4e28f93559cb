"""Settings of the server under which a session would see something else than the binlog has, one by one."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from bulkload.connection import connect
from capturer.source.binlog import ReplicationClient
from ferry.verify.oracle import source_text
from lab.server import Server
from rowferry.mapping import Mapping
from rowferry.mysql import conditions, server
from rowferry.mysql.address import Address
from tests.support.matrix_bed import both, rows_as_items, run
from tests.support.move_bed import context_of

pytestmark = pytest.mark.integration

type Open = Callable[[Server], Any]
TABLE = (
    "CREATE TABLE s (id INT PRIMARY KEY, fixed CHAR(9), nothing VARCHAR(9), moment TIMESTAMP,"
    " quotient DOUBLE, parent INT, FOREIGN KEY p (parent) REFERENCES s (id) ON DELETE SET NULL)"
)
ROWS = "INSERT INTO s VALUES (1, 'a ', '', '2026-01-02 03:04:05', 1e0 / 3, NULL), (2, 'b', '', NULL, 2, 1)"
SETTINGS = {
    "mysql": [
        ("sql_mode", "PAD_CHAR_TO_FULL_LENGTH"),
        ("sql_mode", "ANSI_QUOTES,PIPES_AS_CONCAT,IGNORE_SPACE"),
        ("sql_mode", "NO_BACKSLASH_ESCAPES,REAL_AS_FLOAT,TIME_TRUNCATE_FRACTIONAL"),
        ("time_zone", "+09:00"),
        ("sql_select_limit", 1),
        ("sql_quote_show_create", 0),
        ("init_connect", "SET use_secondary_engine = FORCED"),
        ("show_gipk_in_create_table_and_information_schema", 0),
        ("completion_type", "CHAIN"),
        ("init_connect", "SET time_zone = '+09:00', sql_select_limit = 1, character_set_results = latin1"),
    ],
    "mariadb": [
        ("sql_mode", "PAD_CHAR_TO_FULL_LENGTH"),
        ("sql_mode", "EMPTY_STRING_IS_NULL"),
        ("sql_mode", "ORACLE"),
        ("time_zone", "+09:00"),
        ("sql_select_limit", 1),
        ("sql_quote_show_create", 0),
        ("completion_type", "CHAIN"),
        ("init_connect", "SET time_zone = '+09:00', sql_select_limit = 1, character_set_results = latin1"),
    ],
}
CASES = [(flavor, *setting) for flavor, some in SETTINGS.items() for setting in some]


def load(source: Server) -> Any:
    account = source.capture
    return connect(Address(source.host, source.port, account.user, account.password))


def capture(source: Server) -> Any:
    account = source.capture
    return ReplicationClient(source.host, source.port, account.user, account.password, 4711).connect()


def verify(source: Server) -> Any:
    account = source.capture
    return source_text.connect(Address(source.host, source.port, account.user, account.password))


@contextmanager
def setting(source: Server, name: str, value: Any) -> Iterator[None]:
    with context_of(source, **{name: value}):
        yield


def seen(opened: Any) -> Any:
    """The columns, the broken conditions and the rows, as one of our sessions sees them."""
    mapping = Mapping.parse(rows_as_items(["s"]))
    table = mapping.tables[0]
    if opened.use_unicode is False:
        names = list(source_text.types(opened, "test", "s"))
        return names, server.rows(opened, "SELECT fixed, nothing, moment, quotient FROM test.s ORDER BY id")
    found = conditions.check(opened, server.identify(opened), mapping)
    return (
        [column.name for column in server.columns(opened, table)],
        [(one.name, one.found) for one in found if one.needed and not one.holds],
        server.rows(opened, "SELECT fixed, nothing, moment, quotient FROM test.s ORDER BY id"),
    )


@pytest.mark.parametrize(("flavor", "name", "value"), CASES)
def test_a_setting_of_the_server_changes_nothing_that_our_sessions_see(
    request: pytest.FixtureRequest, flavor: str, name: str, value: Any
) -> None:
    source: Server = request.getfixturevalue(flavor)
    run(source, TABLE, ROWS)
    roads: list[Open] = [load, capture, verify]
    before = []
    for road in roads:
        with closing(road(source)) as opened:
            before.append(seen(opened))
    with setting(source, name, value):
        for road, expected in zip(roads, before, strict=True):
            with closing(road(source)) as opened:
                assert seen(opened) == expected, road.__name__
    assert len(before[0][0]) == 6 and before[0][2][0]["fixed"] == "a"


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_no_read_after_a_commit_sees_the_snapshot_of_before(
    request: pytest.FixtureRequest, flavor: str
) -> None:
    """With completion_type=CHAIN a COMMIT begins the next transaction, and its first read a snapshot."""
    source: Server = request.getfixturevalue(flavor)
    run(source, TABLE, ROWS)
    with setting(source, "completion_type", "CHAIN"), closing(load(source)) as opened:
        count = "SELECT COUNT(*) AS n FROM test.s"
        server.execute(opened, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
        server.execute(opened, "COMMIT")
        assert server.rows(opened, count) == [{"n": 2}]
        run(source, "INSERT INTO s (id) VALUES (3)")
        assert server.rows(opened, count) == [{"n": 3}]


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_a_limit_of_time_does_not_end_our_queries(request: pytest.FixtureRequest, flavor: str) -> None:
    source: Server = request.getfixturevalue(flavor)
    name, value = ("max_execution_time", 1) if flavor == "mysql" else ("max_statement_time", 0.001)
    with setting(source, name, value):
        for road in (load, capture, verify):
            with closing(road(source)) as opened:
                assert float(server.rows(opened, f"SELECT @@SESSION.{name} AS most")[0]["most"]) == 0


def hidden_key(mysql: Server) -> Any:
    return run(
        mysql,
        "SET sql_generate_invisible_primary_key = ON",
        "CREATE TABLE g (a INT NOT NULL, b INT INVISIBLE)",
        "INSERT INTO g (a, b) VALUES (1, 2)",
        "UPDATE g SET b = 3",
    )


@pytest.mark.parametrize("key", ["a", "my_row_id"])
def test_a_generated_key_that_is_hidden_arrives_on_both_roads(mysql: Server, key: str) -> None:
    text = rows_as_items(["g"]).replace('"id"', f'"{key}"')
    with setting(mysql, "show_gipk_in_create_table_and_information_schema", 0):
        start = hidden_key(mysql)
        for arrived in both(mysql, start, text):
            assert arrived.items["g"] == [{"a": {"N": "1"}, "b": {"N": "3"}, "my_row_id": {"N": "1"}}]


def test_verify_sees_a_generated_key_that_is_hidden(mysql: Server) -> None:
    hidden_key(mysql)
    with (
        setting(mysql, "show_gipk_in_create_table_and_information_schema", 0),
        closing(verify(mysql)) as opened,
    ):
        assert list(source_text.types(opened, "test", "g")) == ["my_row_id", "a", "b"]
        assert source_text.primary_key(opened, "test", "g") == [("my_row_id", True)]
