"""What docs/mapping.md shows, from its own examples, on rows of a real server."""

from typing import Any

import pytest

from ferry.commands.mapping import look
from lab.database import Server
from rowferry.mapping import Mapping
from tests.support.paths import ROOT

pytestmark = pytest.mark.integration

DOCS = ROOT / "docs"
TEXT = (DOCS / "mapping.md").read_text(encoding="utf-8")
FIRST, CUSTOMER, WHERE, SHARED, HOOK = [
    part.partition("```")[0].replace('"shop.', '"test.') for part in TEXT.split("```toml\n")[1:]
]
TABLES = """
    CREATE TABLE purchase (customerid INT, orderid VARCHAR(9), productid VARCHAR(9), quantity INT);
    INSERT INTO purchase VALUES (7, 'o1', 'p1', 2);
    CREATE TABLE customer (id INT PRIMARY KEY, first VARCHAR(9), last VARCHAR(9), email VARCHAR(20),
        vip INT, phone VARCHAR(9), mobile VARCHAR(9), password VARCHAR(9), status VARCHAR(9),
        placed DATETIME);
    INSERT INTO customer VALUES
        (7, 'Ann', NULL, 'a@b.example', 1, NULL, '5', 'secret', 'open', '2023-12-31'),
        (8, NULL, NULL, '', 0, '5', NULL, 'secret', 'held', '2024-01-01'),
        (9, NULL, NULL, '', 0, '5', NULL, 'secret', 'held', '2023-12-31'),
        (10, NULL, NULL, '', 1, '5', NULL, 'secret', 'shut', '2024-01-01');
    CREATE TABLE orders (customerid INT, orderid VARCHAR(9), status VARCHAR(9), placed DATETIME);
    INSERT INTO orders VALUES (7, 'o1', 'open', '2026-01-02 03:04:05');
    CREATE TABLE payment (id INT PRIMARY KEY, customerid INT, orderid VARCHAR(9), amount DECIMAL(9,2),
        method VARCHAR(9));
    INSERT INTO payment VALUES (17, 7, 'o1', 12.50, 'card');
    CREATE TABLE product (id INT PRIMARY KEY, tags VARCHAR(20));
    INSERT INTO product VALUES (1, 'red,large'), (2, NULL)
"""
FILE = (DOCS / "mappings" / "one-item-from-three-tables.toml").read_text(encoding="utf-8")
KEY = {"pk": {"S": "customer#7"}, "orderid": {"S": "o1"}}
ORDER = {"customerid": {"S": "7"}, "orderid": {"S": "o1"}}


@pytest.fixture
def shop(mysql: Server) -> Server:
    with mysql.connect() as connection, connection.cursor() as cursor:
        for statement in TABLES.split(";"):
            cursor.execute(statement)
    return mysql


def looked(server: Server, mapping: str) -> list[dict[str, Any]]:
    """What `ferry mapping check` says of each table."""
    with server.connect() as connection:
        return [look(connection, table, 9) for table in Mapping.parse(mapping).tables]


def shown(server: Server, mapping: str) -> list[Any]:
    """The key and the members of each item that `ferry mapping check` shows."""
    tables = looked(server, mapping)
    rows = [row for table in tables for row in table["rows"]]
    assert not any(told["problem"] for told in (*tables, *rows))
    return [(item["key"], item["members"]) for row in rows for item in row["items"]]


def of_layout(*lines: str) -> str:
    """The first example with another layout."""
    kept = [line for line in FIRST.splitlines() if not line.startswith("layout")]
    return "\n".join([*kept, *lines])


@pytest.mark.parametrize(
    ("mapping", "members"),
    [
        (FIRST, {"p1": {"N": "2"}}),
        (
            of_layout('layout = "nested-map"', 'attribute = "products"'),
            {"products": {"M": {"p1": {"N": "2"}}}},
        ),
        (of_layout('layout = "string-set"', 'attribute = "products"'), {"products": {"SS": ["p1:2"]}}),
        (FIRST.replace('"quantity"', '"${quantity} pieces"'), {"p1": {"S": "2 pieces"}}),
        (
            FIRST.replace('"quantity"', '{ map = { count = "quantity", unit = { constant = "piece" } } }'),
            {"p1": {"M": {"count": {"N": "2"}, "unit": {"S": "piece"}}}},
        ),
        (
            FIRST.replace('"quantity"', '"*"'),
            {"p1": {"M": {"customerid": {"N": "7"}, "quantity": {"N": "2"}}}},
        ),
        (
            FIRST.replace('"quantity"', '"*"').replace('"productid"', '{ constant = "order" }'),
            {"order": {"M": {"customerid": {"N": "7"}, "productid": {"S": "p1"}, "quantity": {"N": "2"}}}},
        ),
    ],
)
def test_where_a_row_lies_and_what_it_holds(shop: Server, mapping: str, members: Any) -> None:
    assert shown(shop, mapping) == [(KEY, members)]


def test_an_item_for_each_row(shop: Server) -> None:
    kept = [line for line in FIRST.splitlines() if not line.startswith(("member", "layout", "range"))]
    ranged = 'range_key = { attribute = "sk", template = "${orderid}#${productid}" }'
    assert shown(shop, "\n".join([*kept, ranged, 'layout = "item-per-row"'])) == [
        (
            {"pk": {"S": "customer#7"}, "sk": {"S": "o1#p1"}},
            {
                "customerid": {"N": "7"},
                "orderid": {"S": "o1"},
                "productid": {"S": "p1"},
                "quantity": {"N": "2"},
            },
        )
    ]


def test_columns_texts_types_and_nulls(shop: Server) -> None:
    ann, *_ = shown(shop, CUSTOMER)
    assert ann == (
        {"pk": {"S": "customer#7"}, "sk": {"S": "profile"}},
        {
            "id": {"N": "7"},
            "first": {"S": "Ann"},
            "mail": {"S": "a@b.example"},
            "vip": {"BOOL": True},
            "phone": {"NULL": True},
            "mobile": {"S": "5"},
            "status": {"S": "open"},
            "placed": {"S": "2023-12-31 00:00:00"},
            "name": {"S": "Ann "},
            "contact": {"M": {"home": {"NULL": True}, "all": {"L": [{"NULL": True}, {"S": "5"}]}}},
        },
    )


def test_which_rows(shop: Server) -> None:
    found = [key["pk"]["S"] for key, _ in shown(shop, CUSTOMER + WHERE)]
    assert found == ["customer#7", "customer#8"]


@pytest.mark.parametrize("mapping", [SHARED, FILE.replace('"shop.', '"test.')])
def test_several_tables_in_one_item(shop: Server, mapping: str) -> None:
    assert shown(shop, mapping) == [
        (
            ORDER,
            {
                "status": {"S": "open"},
                "placed": {"S": "2026-01-02 03:04:05"},
                "expires_at": {"N": "1798859045"},
            },
        ),
        (ORDER, {"lines": {"M": {"p1": {"N": "2"}}}}),
        (ORDER, {"payment_17": {"M": {"amount": {"N": "12.5"}, "method": {"S": "card"}}}}),
    ]


def test_code_of_your_own(shop: Server) -> None:
    assert shown(shop, HOOK) == [
        ({"tag": {"S": "red"}}, {"1": {"M": {"id": {"N": "1"}}}}),
        ({"tag": {"S": "large"}}, {"1": {"M": {"id": {"N": "1"}}}}),
    ]


def test_texts_that_may_be_the_same_for_two_rows_are_noted(shop: Server) -> None:
    joined = 'hash_key = { attribute = "pk", template = "${orderid}|${customerid}" }'
    (purchase,) = looked(
        shop, "\n".join([joined if "hash_key" in line else line for line in FIRST.splitlines()])
    )
    assert purchase["notes"] == [
        "${orderid}|${customerid} is one text for two rows where orderid can contain '|'"
    ]
