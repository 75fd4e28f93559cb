"""Every case with the real parts: the applier on the emulated DynamoDB, the bulk load from the real MySQL."""

from dataclasses import replace
from typing import Any

import pytest

from bulkload.connection import connect
from bulkload.direct import chunks
from bulkload.direct.chunks import Chunk
from bulkload.direct.reader import ChunkReader
from bulkload.dynamodb.batch_writer import RetryPolicy, Writer
from lab.cloud import Cloud
from lab.database import Server
from rowferry.mapping import EXPIRES, Mapping
from rowferry.mysql import server as mysql_server
from rowferry.mysql.address import Address
from rowferry.values import time_text, untag
from tests.scenarios.test_scenarios import CASES, check, ordered
from tests.support.databases import empty
from tests.support.epochs import first_epoch
from tests.support.paths import SCENARIOS
from tests.support.scenarios import Case, Item, deliver

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tables(mysql_server: Server) -> Server:
    """The server with all tables of the cases."""
    empty(mysql_server)
    with mysql_server.connect() as connection, connection.cursor() as cursor:
        for statement in (SCENARIOS / "tables.sql").read_text().split(";")[:-1]:
            cursor.execute(statement)
    return mysql_server


def placed(case: Case, name: str, client: Any) -> Case:
    """The case with DynamoDB tables of its own."""
    mapping = Mapping(tuple(replace(table, target=f"case-{name}") for table in case.mapping.tables))
    for table in mapping.tables[:1]:
        client.create_table(
            TableName=table.target,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": k.attribute, "AttributeType": k.type} for k in table.keys
            ],
            KeySchema=[
                {"AttributeName": key.attribute, "KeyType": kind}
                for key, kind in zip(table.keys, ("HASH", "RANGE"), strict=False)
            ],
        )
    return replace(case, mapping=mapping)


def held(case: Case, client: Any) -> list[Item]:
    pages = client.get_paginator("scan").paginate(
        TableName=case.mapping.tables[0].target, ConsistentRead=True
    )
    return [item for page in pages for item in page["Items"]]


@pytest.mark.parametrize("name", CASES)
def test_the_applier_gives_the_items_in_dynamodb(name: str, cloud: Cloud) -> None:
    client = cloud.client("dynamodb")
    case = placed(CASES[name], f"stream-{name}", client)
    played = deliver(case, client)
    check(case, held(case, client))
    assert sorted(played.quarantined.elements()) == sorted(case.expected.get("quarantined", []))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rows is not None])
def test_the_bulk_load_gives_the_items(name: str, cloud: Cloud, tables: Server) -> None:
    mysql = tables
    client = cloud.client("dynamodb")
    case = placed(CASES[name], f"bulk-{name}", client)
    fill(mysql, case)
    login = mysql.capture
    address = Address(mysql.host, mysql.port, login.user, login.password)
    reader = ChunkReader(first_epoch(lambda: connect(address)), RetryPolicy())
    mapped = case.mapping.tables[0]
    with mysql.connect() as connection:
        table = chunks.describe(connection, mapped, mysql_server.columns(connection, mapped))
    grouping, seen = reader.read(table, Chunk())
    reader.close()
    items = [item for item, _ in grouping.items(seen.position)]
    if items:
        assert Writer(client, mapped.target, lambda: None).write(items) == []
    assert not grouping.unusable
    found = held(case, client)
    assert ordered(found) == ordered(case.items("items"))
    assert not any(EXPIRES in item for item in found)


def fill(server: Server, case: Case) -> None:
    name = case.mapping.tables[0].table
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {name}")
        for row in case.rows or []:
            values = [untag(value) for value in row.values()]
            cursor.execute(
                f"INSERT INTO {name} (`{'`, `'.join(row)}`) VALUES ({', '.join(['%s'] * len(row))})",
                [time_text(value) if hasattr(value, "total_seconds") else value for value in values],
            )
