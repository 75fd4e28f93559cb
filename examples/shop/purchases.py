"""
What customers have ordered, with one interface: in MySQL a row for each product, in DynamoDB an item for each
order with an attribute for each product.

An item may have attributes whose names begin with `_`, which are not the shop's: they are ignored. An item
with `_ttl` is an order that was removed and that DynamoDB will delete soon: a write makes it valid again.
"""

from collections.abc import Callable
from typing import Any, Protocol

KEY = ("customerid", "orderid")
_GONE = "_ttl"


class Purchases(Protocol):
    """Quantities by customer, order and product."""

    def put(self, customer: str, order: str, product: str, quantity: int) -> None:
        """Sets the quantity. Raises ReadOnly if nothing may be written now."""

    def remove(self, customer: str, order: str, product: str) -> None:
        """Removes the product from the order. Raises ReadOnly if nothing may be written now."""

    def order(self, customer: str, order: str) -> dict[str, int]:
        """Quantities by product; empty if there is no such order."""


class ReadOnly(Exception):
    """Nothing may be written now, and nothing was."""


class MySqlPurchases:
    """The table `purchase`."""

    _REFUSED = (1142, 1227, 1290, 1836)
    """Codes of the errors of a server, or for a user, that may not write."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """`connect` returns a connection of PyMySQL, with autocommit."""
        self._connect = connect
        self._connection: Any = None

    def put(self, customer: str, order: str, product: str, quantity: int) -> None:
        self._run(
            "INSERT INTO purchase (customerid, orderid, productid, quantity) VALUES (%s, %s, %s, %s)"
            " ON DUPLICATE KEY UPDATE quantity = VALUES(quantity)",
            (customer, order, product, quantity),
        )

    def remove(self, customer: str, order: str, product: str) -> None:
        self._run(
            "DELETE FROM purchase WHERE customerid = %s AND orderid = %s AND productid = %s",
            (customer, order, product),
        )

    def order(self, customer: str, order: str) -> dict[str, int]:
        return dict(
            self._run(
                "SELECT productid, quantity FROM purchase WHERE customerid = %s AND orderid = %s",
                (customer, order),
            )
        )

    def _run(self, sql: str, values: tuple[object, ...]) -> Any:
        try:
            self._connection = self._connection or self._connect()
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()
        except Exception as error:
            if error.args and error.args[0] in self._REFUSED:
                raise ReadOnly from error
            self._connection = None  # it may be broken: the next request makes a new one
            raise


class DynamoPurchases:
    """The items of a table; `client` is boto3's low-level client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def put(self, customer: str, order: str, product: str, quantity: int) -> None:
        self._client.update_item(
            TableName=self._table,
            Key=_key(customer, order),
            UpdateExpression="SET #p = :q REMOVE #gone",
            ExpressionAttributeNames={"#p": product, "#gone": _GONE},
            ExpressionAttributeValues={":q": {"N": str(quantity)}},
        )

    def remove(self, customer: str, order: str, product: str) -> None:
        self._client.update_item(
            TableName=self._table,
            Key=_key(customer, order),
            UpdateExpression="REMOVE #p",
            ExpressionAttributeNames={"#p": product},
        )

    def order(self, customer: str, order: str) -> dict[str, int]:
        answer = self._client.get_item(TableName=self._table, Key=_key(customer, order), ConsistentRead=True)
        item = answer.get("Item", {})
        if _GONE in item:
            return {}
        return {
            name: int(value["N"])
            for name, value in item.items()
            if name not in KEY and not name.startswith("_")
        }


def _key(customer: str, order: str) -> dict[str, Any]:
    return {name: {"S": value} for name, value in zip(KEY, (customer, order), strict=True)}
