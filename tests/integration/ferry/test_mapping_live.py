"""
Whole moves with every kind of mapping: a real source under writes, the capturer as a process, the load in
small chunks, the records applied by the consumer's own applier, and verify over what came of it.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from apply_changes.applier import Applier
from apply_changes.store import DynamoStore
from bulkload.connection import connect
from bulkload.direct.loader import Loader, LoadSettings, Reports
from bulkload.lock import LoaderLock
from lab.cloud import Cloud
from lab.database import Server
from rowferry.change import encode_change, encode_record
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address
from tests.integration.capturer.test_capturer import Ferry
from tests.integration.ferry.test_mapping import HOOK, LINES, ORDERS, SET, TEMPLATE
from tests.support.paths import FUNCTIONS
from tests.support.scenarios import Kept
from tests.support.verified import verified
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

DMS = (FUNCTIONS / "article-dms.json").read_text().replace("mydatabase", "test")
FILTERED = LINES.replace("[[table]]", '[[table]]\n    where = { column = "quantity", between = [200, 700] }')
ROW = LINES.replace('"quantity"', '"*"').replace('"nested-map"', '"attribute-per-row"').replace(
    'attribute = "lines"', 'prefix = "line_"'
)  # fmt: skip
MOVE = "UPDATE IGNORE purchase SET orderid = %s, quantity = %s WHERE customerid = %s AND productid = %s"
MAPPINGS = {
    "the-article's-dms-json": DMS,
    "orders-and-lines-in-a-map": ORDERS + LINES,
    "orders-and-lines-in-a-set": ORDERS + SET,
    "orders-and-rows-as-members": ORDERS + ROW,
    "string-set": SET,
    "filtered-map": FILTERED,
    "key-of-a-text": TEMPLATE,
    "hook": HOOK,
}


@pytest.fixture
def ferry(mysql: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Ferry]:
    running = Ferry(mysql, fresh_cloud, tmp_path)
    running.sql(
        "ALTER TABLE purchase DROP note",
        "CREATE TABLE orders (customerid VARCHAR(20), orderid VARCHAR(20), status VARCHAR(9),"
        " placed DATETIME, PRIMARY KEY (customerid, orderid))",
        "CREATE TABLE product (id INT PRIMARY KEY, tags VARCHAR(60), name VARCHAR(60), price DECIMAL(9,2))",
    )
    try:
        yield running
    finally:
        running.close()


def change(ferry: Ferry, random: Random, transactions: int) -> None:
    """Transactions of one to four statements over few rows."""
    with ferry.server.connect(autocommit=False) as connection, connection.cursor() as cursor:
        for _ in range(transactions):
            for _ in range(random.randint(1, 4)):
                cursor.execute(*statement(random))
            connection.commit()


def statement(random: Random) -> tuple[str, tuple[Any, ...]]:
    place = f"c{random.randrange(2)}", f"o{random.randrange(4)}"
    product, number = f"p{random.randrange(4)}", random.randrange(1000)
    tags = ",".join(random.sample(["red", "large", "new", "old"], random.randrange(4)))
    return random.choice(
        [
            ("REPLACE INTO purchase VALUES (%s, %s, %s, %s)", (*place, product, number)),
            ("REPLACE INTO purchase VALUES (%s, %s, %s, %s)", (*place, product, number)),
            (
                "DELETE FROM purchase WHERE customerid = %s AND orderid = %s AND productid = %s",
                (*place, product),
            ),
            (
                MOVE,
                (place[1], number, place[0], product),
            ),
            ("REPLACE INTO orders VALUES (%s, %s, %s, '2026-01-02 03:04:05')", (*place, f"s{number}")),
            ("UPDATE orders SET status = NULL, placed = NULL WHERE customerid = %s AND orderid = %s", place),
            ("DELETE FROM orders WHERE customerid = %s AND orderid = %s", place),
            ("REPLACE INTO product VALUES (%s, %s, %s, 1.50)", (number % 6, tags, f"n{number}")),
            ("DELETE FROM product WHERE id = %s", (number % 6,)),
        ]
    )


def load(ferry: Ferry, mapping: Mapping, address: Address, random: Random) -> None:
    """The bulk load in chunks of two rows, with changes after each."""
    Loader(
        connect=partial(connect, address),
        client=lambda: ferry.cloud.client("dynamodb"),
        control=ferry.control,
        mapping=mapping,
        settings=LoadSettings(processes=1, workers=1, chunk_rows=2),
        reports=Reports(lambda _: None, lambda _: change(ferry, random, 2), lambda _: None),
        lock=LoaderLock(ferry.control),
    ).run(False)


def make_tables(client: Any, mapping: Mapping) -> None:
    for table in {table.target: table for table in mapping.tables}.values():
        keys = list(zip(table.keys, ("HASH", "RANGE"), strict=False))
        client.create_table(
            TableName=table.target,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": key.attribute, "AttributeType": key.type} for key, _ in keys
            ],
            KeySchema=[{"AttributeName": key.attribute, "KeyType": role} for key, role in keys],
        )


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_move_under_writes_ends_without_a_difference(ferry: Ferry, name: str) -> None:
    random, client = Random(name), ferry.cloud.client("dynamodb")
    ferry.mapping = ferry.folder / f"mapping.{'json' if name.endswith('json') else 'toml'}"
    ferry.mapping.write_text(MAPPINGS[name])
    mapping = Mapping.load(ferry.mapping)
    make_tables(client, mapping)
    change(ferry, random, 60)
    ferry.start()
    wait_for(lambda: ferry.checkpoint)
    account = ferry.server.capture
    address = Address(ferry.server.host, ferry.server.port, account.user, account.password)
    load(ferry, mapping, address, random)
    change(ferry, random, 60)
    ferry.wait_captured()
    kept = Kept()
    applier = Applier(mapping, DynamoStore(client, lambda: 0.0, 60), kept, map, lambda: True)
    batch = [
        encode_record(r.lane, r.sender, r.committed, [encode_change(one) for one in r.changes])
        for r in ferry.records()
    ]
    for some in (batch, batch[len(batch) // 2 :]):  # half of it once more
        assert applier.apply(some).failed is None
    summary, found = verified(ferry.mapping, address, client)
    assert not kept.errors and found == [] and summary.read.rows and summary.read.items
