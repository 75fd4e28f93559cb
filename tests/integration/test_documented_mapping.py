"""docs/mapping.md, as a newcomer tries it: each example on a real server with `ferry mapping check`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.database import Server
from rowferry import source
from rowferry.errors import SourceNotReady
from rowferry.mapping import Mapping

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[2] / "docs"
TABLES = [
    (
        "CREATE TABLE purchase (customerid CHAR(9), orderid CHAR(9), productid VARCHAR(20), quantity INT,"
        " PRIMARY KEY (customerid, orderid, productid))"
    ),
    "INSERT INTO purchase VALUES ('7', 'o1', 'p1', 2), ('7', 'o1', 'p2', 5)",
    (
        "CREATE TABLE orders (customerid CHAR(9), orderid CHAR(9), status VARCHAR(9), placed DATETIME,"
        " vip BOOL, PRIMARY KEY (customerid, orderid))"
    ),
    "INSERT INTO orders VALUES ('7', 'o1', 'open', '2026-01-02 03:04:05', 0)",
    (
        "CREATE TABLE payment (customerid CHAR(9), orderid CHAR(9), id INT PRIMARY KEY,"
        " amount DECIMAL(9,2), method VARCHAR(9))"
    ),
    "INSERT INTO payment VALUES ('7', 'o1', 17, 12.50, 'card')",
    (
        "CREATE TABLE customer (id INT PRIMARY KEY, first VARCHAR(9), last VARCHAR(9), email VARCHAR(20),"
        " phone VARCHAR(9), mobile VARCHAR(9), vip TINYINT, password VARCHAR(9))"
    ),
    "INSERT INTO customer VALUES (1, 'Ann', 'Lee', 'a@b.c', NULL, '123', 1, 'x')",
    "CREATE TABLE product (id INT PRIMARY KEY, name VARCHAR(9), tags VARCHAR(20))",
    "INSERT INTO product VALUES (1, 'Ball', 'red,new')",
]
ORDERS = """[[table]]
source = "shop.orders"
target = "orders"
layout = "item-per-row"
hash_key = { attribute = "customerid" }
range_key = { attribute = "orderid" }
"""


@pytest.fixture(scope="module")
def shop(mysql_server: Server) -> Iterator[Server]:
    with mysql_server.connect(database=None) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE shop")
        cursor.execute("USE shop")
        for statement in TABLES:
            cursor.execute(statement)
        yield mysql_server
        cursor.execute("DROP DATABASE shop")


def check(server: Server, folder: Path, text: str) -> list[dict[str, Any]]:
    """What `ferry mapping check --json` says of each table."""
    (folder / "mapping.toml").write_text(text)
    arguments = ["mapping", "check", "--json", "--mapping", str(folder / "mapping.toml")]
    account = server.capture
    found = subprocess.run(
        [sys.executable, "-m", "ferry.cli", *arguments],
        env={
            "PYTHONPATH": "functions:.",
            "ROWFERRY_SOURCE": f"mysql://{account.user}@{server.host}:{server.port}",
            "ROWFERRY_SOURCE_PASSWORD": account.password,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return list(json.loads(found.stdout))


def examples() -> list[str]:
    parts = (DOCS / "mapping.md").read_text(encoding="utf-8").split("```toml\n")[1:]
    return [part.partition("```")[0] for part in parts]


def items(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**item["key"], **item["members"]} for row in table["rows"] for item in row["items"]]


def test_the_first_example_is_one_attribute_a_row(shop: Server, tmp_path: Path) -> None:
    (purchase,) = check(shop, tmp_path, examples()[0])
    key = {"pk": {"S": "customer#7"}, "orderid": {"S": "o1"}}
    assert items(purchase) == [{**key, "p1": {"N": "2"}}, {**key, "p2": {"N": "5"}}]


def test_columns_and_attributes(shop: Server, tmp_path: Path) -> None:
    (customer,) = check(shop, tmp_path, examples()[1])
    assert items(customer) == [
        {
            "pk": {"S": "customer#1"}, "sk": {"S": "profile"}, "id": {"N": "1"},
            "first": {"S": "Ann"}, "last": {"S": "Lee"}, "mail": {"S": "a@b.c"}, "mobile": {"S": "123"},
            "vip": {"BOOL": True}, "phone": {"NULL": True}, "name": {"S": "Ann Lee"},
            "contact": {"M": {"home": {"NULL": True}, "all": {"L": [{"NULL": True}, {"S": "123"}]}}},
        }
    ]  # fmt: skip


def test_a_filter(shop: Server, tmp_path: Path) -> None:
    (orders,) = check(shop, tmp_path, ORDERS + examples()[2])
    assert len(items(orders)) == 1
    (orders,) = check(shop, tmp_path, ORDERS + examples()[2].replace('"open", ', ""))
    assert not items(orders)


def test_three_tables_in_one_item(shop: Server, tmp_path: Path) -> None:
    documented = (DOCS / "mappings" / "one-item-from-three-tables.toml").read_text()
    for text in (examples()[3], documented):
        orders, purchase, payment = check(shop, tmp_path, text)
        key = {"customerid": {"S": "7"}, "orderid": {"S": "o1"}}
        expires = {"expires_at": {"N": "1798859045"}}
        placed = {"status": {"S": "open"}, "placed": {"S": "2026-01-02 03:04:05"}}
        assert items(orders) == [{**key, **placed, **expires}]
        assert items(purchase)[0] == {**key, "lines": {"M": {"p1": {"N": "2"}}}}
        paid = {"M": {"amount": {"N": "12.5"}, "method": {"S": "card"}}}
        assert items(payment) == [{**key, "payment_17": paid}]


def test_texts_that_may_be_the_same_for_two_rows_are_noted(shop: Server, tmp_path: Path) -> None:
    joined = 'hash_key = { attribute = "pk", template = "${customerid}|${orderid}" }\n'
    (purchase,) = check(
        shop,
        tmp_path,
        examples()[0].split("hash_key")[0] + joined + "member" + examples()[0].split("member", 1)[1],
    )
    assert purchase["notes"] == [
        "${customerid}|${orderid} is one text for two rows where customerid can hold '|'"
    ]


def test_a_hook(shop: Server, tmp_path: Path) -> None:
    text = ORDERS.replace("orders", "product").replace("customerid", "tag").replace("orderid", "id")
    (product,) = check(shop, tmp_path, text + examples()[4])
    assert [item["tag"] for item in items(product)] == [{"S": "red"}, {"S": "new"}]


def test_what_fits_no_row_is_refused_before_anything_is_done(shop: Server) -> None:
    mapping = Mapping.parse(ORDERS + 'where = { column = "status", eq = 03:04:05 }')
    with shop.connect(shop.capture, database=None) as connection:
        conditions = source.check(connection, source.identify(connection), mapping)
    with pytest.raises(SourceNotReady, match=r"'status' is compared with a constant of another type.*where"):
        source.require(conditions)
