"""Preflight's questions, answered by the real servers."""

from pathlib import Path
from typing import Any

import pymysql
import pytest

from lab.database import Server, database
from rowferry.mapping import Mapping
from rowferry.mysql import conditions as mysql_conditions
from rowferry.mysql import snapshot
from rowferry.mysql.server import identify, rows
from tests.support.mappings import PURCHASE, PURCHASE_FILE
from tests.support.move_bed import context_of

pytestmark = pytest.mark.integration

MAPPING = Mapping.load(PURCHASE_FILE)
CREATE = (
    "CREATE TABLE purchase (customerid VARCHAR(9), orderid VARCHAR(9), productid VARCHAR(9), quantity {type})"
)


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    run(found, CREATE.format(type="INT"))
    return found


def run(server: Server, *statements: str) -> None:
    connection: pymysql.Connection[Any]
    with server.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def broken(server: Server, account: Any = None) -> list[str]:
    with server.connect(account or server.capture) as connection:
        conditions = mysql_conditions.check(connection, identify(connection), MAPPING)
    return [condition.name for condition in conditions if condition.needed and not condition.holds]


def test_the_capture_account_finds_everything_in_order(server: Server) -> None:
    assert broken(server) == []
    assert broken(server, server.admin) == []


@pytest.mark.parametrize(
    ("setting", "wrong", "right"),
    [
        ("binlog_row_image", "MINIMAL", "FULL"),
        ("binlog_format", "MIXED", "ROW"),
    ],
)
def test_a_wrong_setting_is_found(server: Server, setting: str, wrong: str, right: str) -> None:
    run(server, f"SET GLOBAL {setting} = {wrong}")
    try:
        assert broken(server) == [setting]
    finally:
        run(server, f"SET GLOBAL {setting} = {right}")


def test_events_without_names_are_advised_against(server: Server) -> None:
    with context_of(server, binlog_row_metadata="MINIMAL"), server.connect(server.capture) as connection:
        conditions = mysql_conditions.check(connection, identify(connection), MAPPING)
    mysql_conditions.require(conditions)
    assert [line.partition(":")[0] for line in mysql_conditions.advice(conditions)] == [
        "binlog_row_metadata is MINIMAL"
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("DROP TABLE purchase", ["table test.purchase"]),
        ("ALTER TABLE purchase DROP COLUMN quantity", ["column test.purchase.quantity"]),
        ("ALTER TABLE purchase MODIFY quantity SET('a', 'b')", []),
        (
            "ALTER TABLE purchase MODIFY quantity SET('a', 'b') COLLATE binary",
            ["type of test.purchase.quantity"],
        ),
        ("ALTER TABLE purchase MODIFY productid VARCHAR(9) CHARACTER SET sjis", []),
        ("ALTER TABLE purchase ADD COLUMN note JSON", []),
    ],
)
def test_a_table_that_does_not_fit_is_found(server: Server, change: str, expected: list[str]) -> None:
    run(server, change)
    assert broken(server) == expected


def test_an_account_without_rights_sees_which(server: Server) -> None:
    run(
        server,
        "DROP USER IF EXISTS poor@'%'",
        "CREATE USER poor@'%' IDENTIFIED BY 'Poor-1'",
        "GRANT SELECT ON test.* TO poor@'%'",
    )
    try:
        found = broken(server, type(server.capture)("poor", "Poor-1"))
    finally:
        run(server, "DROP USER poor@'%'")
    assert found == ["grant REPLICATION SLAVE", "grant REPLICATION CLIENT"]


def test_a_snapshot_shows_everything_before_its_watermark_and_nothing_later(server: Server) -> None:
    run(server, "INSERT INTO purchase VALUES ('c', 'o', 'p1', 1)")
    with server.connect(server.capture) as connection:
        who = identify(connection)
        watermark = snapshot.begin_snapshot(connection, who)
        run(server, "INSERT INTO purchase VALUES ('c', 'o', 'p2', 2)")
        shown = [row["productid"] for row in rows(connection, "SELECT productid FROM purchase")]
    with server.connect() as connection:
        end = snapshot.current_offset(connection, who)
    assert shown == ["p1"]
    assert watermark.position(1) < end.position(1)


def spelled(mapping: str, server: Server) -> list[mysql_conditions.Condition]:
    with server.connect(server.capture) as connection:
        conditions = mysql_conditions.check(connection, identify(connection), Mapping.parse(mapping))
    return [condition for condition in conditions if not condition.holds]


def test_names_are_compared_to_the_letter_and_the_fix_has_the_right_one(server: Server) -> None:
    assert spelled(PURCHASE, server) == []
    (table,) = spelled(PURCHASE.replace("test.purchase", "test.Purchase"), server)
    assert table.found == "spelled test.purchase on the server"
    assert table.fix == "write test.purchase in the mapping's source"
    (column,) = spelled(PURCHASE.replace('"quantity"', '"Quantity"'), server)
    assert (column.name, column.found) == ("column test.purchase.Quantity", "missing")
    assert "quantity" in column.fix


def test_a_server_that_stores_names_in_lower_case_refuses_others_too(tmp_path: Path) -> None:
    """It finds `Purchase`, and its binlog says `purchase`: all would be loaded and nothing captured."""
    with database(tmp_path, "mariadb", options=["--lower-case-table-names=1"]) as lower:
        run(lower, CREATE.format(type="INT").replace("purchase", "Purchase", 1), "SELECT 1 FROM Purchase")
        assert spelled(PURCHASE, lower) == []
        (table,) = spelled(PURCHASE.replace("test.purchase", "test.Purchase"), lower)
        assert table.found == "spelled test.purchase on the server"
