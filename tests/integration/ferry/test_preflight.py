"""Every condition of preflight, made to fail on the real servers and the emulated cloud."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bulkload.connection import connect
from ferry.cli import main
from ferry.context import find_stack
from ferry.preflight import schema, target
from ferry.preflight import source as server_side
from ferry.preflight.data import Data
from lab.cloud import Cloud
from lab.database import Server
from rowferry.mapping import Mapping
from rowferry.mysql import conditions as mysql_conditions
from rowferry.mysql import server as mysql_server
from rowferry.mysql.address import Address
from rowferry.mysql.conditions import Condition
from rowferry.mysql.server import identify
from tests.support.mappings import PURCHASE
from tests.support.move_bed import CREATE, context_of, make_stack

pytestmark = pytest.mark.integration
MAPPING = Mapping.parse(PURCHASE)
(TABLE,) = MAPPING.tables
NUMBER = 740047


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    found: Server = request.getfixturevalue(request.param)
    run(found, CREATE)
    yield found
    run(found, "DROP TABLE IF EXISTS mysql.rds_configuration")


def run(server: Server, *statements: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def connected(server: Server, account: Any = None) -> Iterator[Any]:
    login = account or server.admin
    with closing(connect(Address(server.host, server.port, login.user, login.password))) as connection:
        yield connection


def conditions(server: Server, account: Any = None, hours: float = 0.0) -> dict[str, Condition]:
    """By name, without the table's."""
    with connected(server, account) as connection:
        found = server_side.conditions(connection, identify(connection), [TABLE], hours, NUMBER)
        return {one.name.removesuffix(" of test.purchase"): one for one in found}


def data(server: Server, text: str = PURCHASE, seconds: float = 60.0) -> dict[str, Condition]:
    (table,) = Mapping.parse(text).tables
    with connected(server) as connection:
        found = Data(connection, mysql_server.identify(connection), table, seconds).conditions()
        return {one.name.removesuffix(" of test.purchase"): one for one in found}


SOURCE = {
    "version",
    "binlog retention",
    f"server id {NUMBER}",
    "TLS to the source",
    "replication",
    "sync_binlog",
    "init_connect",
    "sessions that log parts of rows",
    "sessions without the binlog",
    "sessions that log statements",
    "XA transactions that are prepared",
    "primary key",
}
ROWS = {"two rows in one place", "groups over 400 KB", "names that are taken", "hot hash keys"}
TARGET = {
    "table purchase", "key of purchase", "capacity of purchase", "point-in-time recovery of purchase",
    "stream retention", "stream shards", "switch", "quarantine",
}  # fmt: skip


def test_no_condition_is_left_out_here(server: Server, fresh_cloud: Cloud) -> None:
    make_stack(fresh_cloud)
    assert conditions(server).keys() == SOURCE
    assert data(server).keys() == ROWS
    assert target_conditions(fresh_cloud).keys() == TARGET


@pytest.mark.parametrize(("flavor", "version"), [("mysql", (5, 7, 44)), ("mariadb", (10, 6, 1))])
def test_a_version_that_was_not_tried(flavor: str, version: tuple[int, ...]) -> None:
    assert not server_side.version(mysql_server.Server(flavor, version, "x")).holds


def test_binlogs_that_end_too_soon(server: Server) -> None:
    with context_of(server, binlog_expire_logs_seconds=7200):
        found = conditions(server)["binlog retention"]
        assert (found.holds, found.needed, found.found) == (False, True, "2 hours")
        assert "at least 24 hours" in found.fix
    with context_of(server, binlog_expire_logs_seconds=48 * 3600):
        assert conditions(server)["binlog retention"].holds
        assert "at least 50 hours" in conditions(server, hours=25)["binlog retention"].fix
        assert not conditions(server, hours=25)["binlog retention"].holds
    with context_of(server, binlog_expire_logs_seconds=0):
        assert conditions(server, hours=1000)["binlog retention"].holds


@pytest.mark.parametrize(("hours", "holds"), [("NULL", False), ("'12'", False), ("'168'", True)])
def test_on_rds_the_hours_are_in_a_table(server: Server, hours: str, holds: bool) -> None:
    run(
        server,
        "CREATE TABLE mysql.rds_configuration (name VARCHAR(100), value VARCHAR(100))",
        f"INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', {hours})",
    )
    found = conditions(server)["binlog retention"]
    assert found.holds is holds and "mysql.rds_set_configuration" in found.fix


def test_a_server_id_that_is_in_use(server: Server) -> None:
    with context_of(server, server_id=NUMBER):
        assert not conditions(server)[f"server id {NUMBER}"].holds
    assert conditions(server)[f"server id {NUMBER}"].holds


def test_a_connection_without_tls(server: Server) -> None:
    with server.connect(ssl_disabled=True) as connection:
        found = server_side.encrypted(connection)
    assert (found.holds, found.needed, found.found) == (False, False, "none")


def test_a_session_that_still_logs_statements(mysql: Server) -> None:
    assert conditions(mysql)["sessions that log statements"].holds
    with mysql.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION binlog_format = STATEMENT")
        seen = conditions(mysql)["sessions that log statements"]
        assert (seen.holds, seen.needed, seen.found) == (False, True, "1")
    run(mysql, "CREATE USER poor@'%' IDENTIFIED BY 'aA1!poor'", "GRANT SELECT ON test.* TO poor@'%'")
    try:
        found = conditions(mysql, type(mysql.capture)("poor", "aA1!poor"))
    finally:
        run(mysql, "DROP USER poor@'%'")
    poor = found["sessions that log statements"]
    assert (poor.holds, poor.needed, poor.found) == (False, False, "not visible")


def test_an_xa_transaction_that_is_prepared(server: Server) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        for statement in ("XA START 'x'", "INSERT INTO purchase VALUES ('c', 'o', 'p', 1)", "XA END 'x'"):
            cursor.execute(statement)
        cursor.execute("XA PREPARE 'x'")
    try:
        assert not conditions(server)["XA transactions that are prepared"].holds
    finally:
        run(server, "XA ROLLBACK 'x'")
    assert conditions(server)["XA transactions that are prepared"].holds


def test_a_table_without_primary_key(server: Server) -> None:
    assert conditions(server)["primary key"].holds
    run(server, "ALTER TABLE purchase DROP PRIMARY KEY")
    assert not conditions(server)["primary key"].holds


def has(server: Server, text: str = PURCHASE) -> dict[str, Condition]:
    """What the table has that DynamoDB has not."""
    (table,) = Mapping.parse(text).tables
    with connected(server) as connection:
        found = schema.conditions(connection, table)
        return {one.name.removesuffix(" of test.purchase"): one for one in found}


WHOLE = """
    [[table]]
    source = "test.purchase"
    target = "purchase"
    layout = "item-per-row"
    hash_key = { attribute = "customerid" }
    range_key = { attribute = "orderid" }
"""


def test_a_plain_table_has_nothing_that_dynamodb_lacks(server: Server) -> None:
    assert has(server).keys() == {"triggers", "generated columns", "precision"}
    assert all(one.holds and one.found == "none" for one in has(server, WHOLE).values())


def test_a_trigger_that_nobody_is_after_the_cutover(server: Server) -> None:
    run(server, "CREATE TRIGGER counted BEFORE UPDATE ON purchase FOR EACH ROW SET NEW.quantity = 1")
    found = has(server)["triggers"]
    assert (found.holds, found.needed, found.found) == (False, False, "counted")


def test_a_generated_column_counts_where_it_travels(server: Server) -> None:
    run(server, "ALTER TABLE purchase ADD twice INT AS (quantity * 2) STORED, ADD note INT DEFAULT 7")
    assert has(server)["generated columns"].holds, "it is not mapped"
    found = has(server, WHOLE)["generated columns"]
    assert (found.holds, found.needed, found.found) == (False, False, "twice")


def test_a_number_of_more_digits_than_dynamodb_has(server: Server) -> None:
    run(server, "ALTER TABLE purchase ADD exact DECIMAL(38,10), ADD beyond DECIMAL(39,10)")
    assert has(server)["precision"].holds, "it is not mapped"
    found = has(server, WHOLE)["precision"]
    assert (found.holds, found.needed, found.found) == (False, False, "beyond")


@pytest.mark.parametrize(
    ("kind", "name", "holds"),
    [
        ("DATETIME", "+02:00", False),
        ("DATE", "-08:00", False),
        ("DATETIME", "+00:00", True),
        ("TIMESTAMP NULL", "+02:00", True),  # the server itself knows the moment
        ("BIGINT", "+02:00", True),
    ],
)
def test_a_time_to_live_without_a_zone(server: Server, kind: str, name: str, holds: bool) -> None:
    run(server, f"ALTER TABLE purchase ADD until {kind}")
    text = WHOLE + 'ttl = { attribute = "expires_at", column = "until" }\n'
    with context_of(server, time_zone=name):
        found = has(server, text)["time zone"]
    assert (found.holds, found.needed, found.found) == (holds, False, f"{name}, for the ttl from until")


def test_the_write_rate_is_measured(server: Server) -> None:
    def write(seconds: float) -> None:
        assert seconds == 2.0
        run(server, *[f"INSERT INTO purchase VALUES ('c', 'o', 'p{n}', 1)" for n in range(50)])

    with connected(server) as connection:
        assert 3_000 < server_side.rate(connection, 2.0, write) < 50_000


def test_two_rows_in_one_place(server: Server) -> None:
    run(server, "ALTER TABLE purchase DROP PRIMARY KEY, ADD id INT AUTO_INCREMENT PRIMARY KEY FIRST")
    rows = "('c', 'o', 'p', 1), ('c', 'o', 'q', 1), ('C', 'o', 'q', 1)"
    run(server, f"INSERT INTO purchase (customerid, orderid, productid, quantity) VALUES {rows}")
    assert data(server)["two rows in one place"].holds
    run(server, "INSERT INTO purchase (customerid, orderid, productid, quantity) VALUES ('c', 'o', 'p', 2)")
    found = data(server)["two rows in one place"]
    assert not found.holds and found.found == "customerid 'c', orderid 'o', productid 'p' (2 rows)"


def test_a_group_that_no_item_can_hold(server: Server) -> None:
    text = PURCHASE.replace('"quantity"', '"note"')
    run(server, "ALTER TABLE purchase ADD note TEXT")
    values = ", ".join(f"('c', 'large', 'p{n}', 1, REPEAT('é', 21000))" for n in range(10))
    run(server, f"INSERT INTO purchase VALUES {values}, ('c', 'small', 'p', 1, 'x')")
    found = data(server, text)["groups over 400 KB"]
    assert not found.holds and found.found.startswith("customerid 'c', orderid 'large' (420,020 bytes)")


@pytest.mark.parametrize("name", ["customerid", "orderid", "_pos", "_ttl"])
def test_a_name_that_is_taken(server: Server, name: str) -> None:
    run(server, f"INSERT INTO purchase VALUES ('c', 'o', '{name}', 1), ('c', 'o', 'p', 1)")
    assert data(server)["names that are taken"].found == f"productid '{name}' (1 rows)"
    prefixed = PURCHASE.replace("member_value", 'prefix = "x_"\n    member_value')
    assert data(server, prefixed)["names that are taken"].holds


def test_a_hot_hash_key(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferry.preflight.data.HOT_ROWS", 10)
    values = ", ".join(f"('hot', 'o{n}', 'p', 1), ('c{n}', 'o', 'p', 1)" for n in range(20))
    run(server, f"INSERT INTO purchase VALUES {values}")
    found = data(server)["hot hash keys"]
    assert (found.holds, found.needed, found.found) == (False, False, "customerid 'hot' (20 rows)")


def test_a_query_that_takes_too_long_is_ended_and_said(server: Server) -> None:
    run(server, "ALTER TABLE purchase DROP PRIMARY KEY, MODIFY customerid VARCHAR(60)")
    values = ", ".join(f"('c{n % 7}', 'o{n}', 'p{n}', 1)" for n in range(5000))
    for _ in range(12):
        run(server, f"INSERT INTO purchase VALUES {values}")
    found = data(server, seconds=0.002)["two rows in one place"]
    assert (found.holds, found.needed) == (False, False) and found.found.startswith("not known after")


# the target


def target_conditions(cloud: Cloud, hours: float = 0.0, rate: float = 0.0) -> dict[str, Condition]:
    stack = find_stack(cloud.client("cloudformation"), "rowferry")
    return {one.name: one for one in target.conditions(cloud.client, stack, [TABLE], hours, rate)}


def deployed(cloud: Cloud) -> None:
    """As the template leaves it; the emulated CloudFormation does not turn recovery on."""
    make_stack(cloud)
    cloud.client("dynamodb").update_continuous_backups(
        TableName="purchase", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def test_a_stack_as_it_is_deployed_is_ready(fresh_cloud: Cloud) -> None:
    deployed(fresh_cloud)
    assert [one for one in target_conditions(fresh_cloud).values() if not one.holds] == []


def test_stream_and_load(fresh_cloud: Cloud) -> None:
    deployed(fresh_cloud)
    found = target_conditions(fresh_cloud, hours=1000, rate=1e9)
    assert [name for name, one in found.items() if not one.holds] == ["stream retention", "stream shards"]
    assert "at least 2000 hours" in found["stream retention"].fix


def remake(cloud: Cloud, **changes: Any) -> None:
    client = cloud.client("dynamodb")
    client.update_table(TableName="purchase", DeletionProtectionEnabled=False)
    client.delete_table(TableName="purchase")
    keys: dict[str, Any] = {
        "KeySchema": [
            {"AttributeName": "customerid", "KeyType": "HASH"},
            {"AttributeName": "orderid", "KeyType": "RANGE"},
        ],
        "AttributeDefinitions": [
            {"AttributeName": "customerid", "AttributeType": "S"},
            {"AttributeName": "orderid", "AttributeType": "S"},
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    client.create_table(TableName="purchase", **{**keys, **changes})


def test_a_table_of_another_key_without_recovery_and_with_little_capacity(fresh_cloud: Cloud) -> None:
    make_stack(fresh_cloud)
    remake(
        fresh_cloud,
        AttributeDefinitions=[
            {"AttributeName": "customerid", "AttributeType": "S"},
            {"AttributeName": "orderid", "AttributeType": "N"},
        ],
        BillingMode="PROVISIONED",
        ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
    )
    found = target_conditions(fresh_cloud)
    broken = {name: one.needed for name, one in found.items() if not one.holds}
    assert broken == {
        "key of purchase": True,
        "capacity of purchase": False,
        "point-in-time recovery of purchase": False,
    }
    assert found["key of purchase"].found == "customerid S, orderid N"


def test_no_table(fresh_cloud: Cloud) -> None:
    make_stack(fresh_cloud)
    remake(fresh_cloud)
    fresh_cloud.client("dynamodb").delete_table(TableName="purchase")
    assert not target_conditions(fresh_cloud)["table purchase"].holds


def test_a_switch_that_is_on_and_a_quarantine_of_before(fresh_cloud: Cloud) -> None:
    deployed(fresh_cloud)
    stack = find_stack(fresh_cloud.client("cloudformation"), "rowferry")
    url = stack.output("QuarantineUrl")
    fresh_cloud.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    on = type(stack)(stack.name, stack.status, {**stack.outputs, "SwitchState": "ON"}, stack.parameters)
    found = {one.name: one for one in target.conditions(fresh_cloud.client, on, [TABLE], 0, 0)}
    assert [name for name, one in found.items() if not one.holds] == ["switch", "quarantine"]


# the command


@pytest.fixture
def ferry(
    mysql: Server, fresh_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Callable[..., tuple[int, str]]:
    make_stack(fresh_cloud)
    run(mysql, CREATE)
    (tmp_path / "mapping.toml").write_text(PURCHASE)
    for name, value in fresh_cloud.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE")  # boto3's session has read its configuration before
    monkeypatch.setenv("ROWFERRY_SOURCE", f"mysql://{mysql.capture.user}@{mysql.host}:{mysql.port}")
    monkeypatch.setenv("ROWFERRY_SOURCE_PASSWORD", mysql.capture.password)

    def call(*arguments: str) -> tuple[int, str]:
        always = ("preflight", "--mapping", str(tmp_path / "mapping.toml"), "--measure", "0.1")
        status = main([*always, *arguments])
        said = capsys.readouterr()
        assert status < 2, said.err
        return status, said.out

    return call


def test_all_in_order(ferry: Any) -> None:
    status, out = ferry()
    print(out)
    assert status == 0 and "FAIL" not in out
    assert re.search(r"^  ok    binlog_format: ROW$", out, re.MULTILINE)


def test_one_that_fails_is_named_with_its_fix(ferry: Any, mysql: Server) -> None:
    run(mysql, "ALTER TABLE purchase DROP PRIMARY KEY")
    status, out = ferry()
    assert status == 1
    assert "  FAIL  primary key of test.purchase: missing\n        ALTER TABLE" in out
    status, out = ferry("--json")
    (broken,) = [one for one in json.loads(out) if one["needed"] and not one["holds"]]
    assert status == 1 and broken["of"] == "source" and broken["name"] == "primary key of test.purchase"


def test_the_least_rights_suffice(ferry: Any, mysql: Server) -> None:
    status, out = ferry("--grants")
    assert status == 0 and "GRANT SELECT ON `test`.`purchase`" in out
    statements = out.replace("'rowferry'@'%'", "'least'@'%'").replace("'...'", "'aA1!least-rights'")
    run(mysql, *filter(None, (part.strip() for part in statements.split(";"))))
    try:
        least = type(mysql.capture)("least", "aA1!least-rights")
        with connected(mysql, least) as connection:
            found = mysql_conditions.check(connection, mysql_server.identify(connection), MAPPING)
        assert [one.name for one in found if one.needed and not one.holds] == []
    finally:
        run(mysql, "DROP USER 'least'@'%'")
