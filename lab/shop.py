"""
The shop of the rehearsal: its table, its first rows, and the next transactions of its customers.

No input or output here: a Shop returns transactions as SQL statements with parameters.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import batched, count
from random import Random

PURCHASE = (
    "CREATE TABLE purchase (customerid VARCHAR(64) NOT NULL, orderid VARCHAR(64) NOT NULL,"
    " productid VARCHAR(64) NOT NULL, quantity INT NOT NULL, PRIMARY KEY (customerid, orderid, productid))"
    " DEFAULT CHARACTER SET utf8mb4"
)
AUDIT_LOG = "CREATE TABLE audit (id BIGINT AUTO_INCREMENT PRIMARY KEY, note VARCHAR(200) NOT NULL)"
"""A table that is not mapped: some transactions write to it and to the mapped one."""
PRODUCTS = 400
ROWS_PER_INSERT = 1_000  # a statement stays far below max_allowed_packet

type Order = tuple[str, str]
type Statement = tuple[str, tuple[object, ...]]

INSERT = "INSERT INTO purchase (customerid, orderid, productid, quantity) VALUES (%s, %s, %s, %s)"
_WHERE = " WHERE customerid = %s AND orderid = %s AND productid = %s"
UPDATE = "UPDATE purchase SET quantity = %s" + _WHERE
RENAME = "UPDATE purchase SET productid = %s" + _WHERE
MOVE = "UPDATE purchase SET customerid = %s, orderid = %s" + _WHERE
DELETE = "DELETE FROM purchase" + _WHERE
DELETE_ORDER = "DELETE FROM purchase WHERE customerid = %s AND orderid = %s"
AUDIT = "INSERT INTO audit (note) VALUES (%s)"


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction: its statements, and the number of row changes that they make in the mapped table."""

    statements: tuple[Statement, ...]
    changes: int


class Shop:
    """
    One writer's share of the shop: only it changes its orders, so it knows its rows.

    `name` distinguishes the shares. All choices come from `random`.
    """

    def __init__(self, name: str, random: Random) -> None:
        self.name = name
        self._random = random
        self._numbers = count(1)
        self.orders: dict[Order, dict[str, int]] = {}
        self._open: list[Order] = []
        self._cancelled: list[Order] = []
        self._kinds: list[tuple[Callable[[], Transaction | None], int]] = [
            (self._buy, 35),
            (self._change_quantity, 30),
            (self._take_out, 10),
            (self._swap_product, 8),
            (self._move_row, 7),
            (self._change_order, 10),
            (self._cancel, 2),
            (self._reorder, 4),
        ]

    def fill(self, rows: int) -> Iterator[list[Statement]]:
        """Inserts of the first rows, about ten products in each order."""
        values = self._first_rows(rows)
        for part in batched(values, ROWS_PER_INSERT, strict=False):
            places = ",".join(["(%s,%s,%s,%s)"] * len(part))
            yield [(f"INSERT INTO purchase VALUES {places}", tuple(value for row in part for value in row))]

    def _first_rows(self, rows: int) -> Iterator[tuple[str, str, str, int]]:
        left = rows
        while left:
            order = self._new_order()
            products = self._random.sample(range(PRODUCTS), min(left, self._random.randint(1, 19)))
            left -= len(products)
            self._place(order, {f"productid{number}": self._quantity() for number in products})
            for product, quantity in self.orders[order].items():
                yield (*order, product, quantity)

    def next(self) -> Transaction:
        """The next transaction. Call it after the previous one has been committed."""
        kinds, weights = zip(*self._kinds, strict=True)
        while True:
            made: Transaction | None = self._random.choices(kinds, weights)[0]()
            if made is not None:
                return made

    def _new_order(self) -> Order:
        number = next(self._numbers)
        return f"customerid{self.name}{number // 3}", f"orderid{number}"

    def _quantity(self) -> int:
        return self._random.randint(1, 99)

    def _place(self, order: Order, products: dict[str, int]) -> None:
        self.orders[order] = products
        self._open.append(order)

    def _some_order(self) -> Order:
        if not self._open:
            self._place(self._new_order(), {})
        return self._random.choice(self._open)

    def _new_product(self, order: Order) -> str | None:
        product = f"productid{self._random.randrange(PRODUCTS)}"
        return None if product in self.orders[order] else product

    def _some_product(self, order: Order) -> str | None:
        products = self.orders[order]
        return self._random.choice(list(products)) if products else None

    def _buy(self) -> Transaction | None:
        order = self._some_order()
        product = self._new_product(order)
        if product is None:
            return None
        self.orders[order][product] = quantity = self._quantity()
        return _one(INSERT, *order, product, quantity)

    def _change_quantity(self) -> Transaction | None:
        order = self._some_order()
        product = self._some_product(order)
        if product is None:
            return None
        quantity = self.orders[order][product] + 1  # another value, otherwise MySQL logs no change
        self.orders[order][product] = quantity
        return _one(UPDATE, quantity, *order, product)

    def _take_out(self) -> Transaction | None:
        order = self._some_order()
        product = self._some_product(order)
        if product is None:
            return None
        del self.orders[order][product]
        return _one(DELETE, *order, product)

    def _swap_product(self) -> Transaction | None:
        order = self._some_order()
        old, new = self._some_product(order), self._new_product(order)
        if old is None or new is None:
            return None
        self.orders[order][new] = self.orders[order].pop(old)
        return _one(RENAME, new, *order, old)

    def _move_row(self) -> Transaction | None:
        source, target = self._some_order(), self._some_order()
        product = self._some_product(source)
        if product is None or source == target or product in self.orders[target]:
            return None
        self.orders[target][product] = self.orders[source].pop(product)
        return Transaction(((MOVE, (*target, *source, product)),), 1)

    def _change_order(self) -> Transaction | None:
        """Several rows and two tables in one transaction."""
        order = self._some_order()
        products = self.orders[order]
        if not products:
            return None
        for product in products:
            products[product] += 1
        changes = tuple((UPDATE, (quantity, *order, product)) for product, quantity in products.items())
        return Transaction((*changes, (AUDIT, (f"order of {len(products)} changed",))), len(products))

    def _cancel(self) -> Transaction | None:
        order = self._some_order()
        products = self.orders.pop(order)
        self._open.remove(order)
        self._cancelled.append(order)
        return Transaction(((DELETE_ORDER, order),), len(products)) if products else None

    def _reorder(self) -> Transaction:
        """A new order of several rows, sometimes with the key of one that was cancelled."""
        again = self._cancelled and self._random.random() < 0.5
        order = self._cancelled.pop() if again else self._new_order()
        products = {f"productid{n}": self._quantity() for n in self._random.sample(range(PRODUCTS), 5)}
        self._place(order, products)
        rows = tuple((INSERT, (*order, product, quantity)) for product, quantity in products.items())
        return Transaction((*rows, (AUDIT, ("new order",))), len(rows))


def _one(sql: str, *parameters: object) -> Transaction:
    return Transaction(((sql, parameters),), 1)
