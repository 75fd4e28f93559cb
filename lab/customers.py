"""
Customers of the example shop: they write continuously, also while it moves, and keep a ledger of what the
shop has acknowledged.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from examples.shop.purchases import Purchases

PRODUCTS = 40


@dataclass(frozen=True, slots=True)
class Lack:
    """An order that the shop does not have as it had acknowledged it: a lost write."""

    customer: str
    order: str
    expected: dict[str, int]
    found: dict[str, int]


class Customer(threading.Thread):
    """One customer, the only writer of its orders, `rate` times a second. An error ends it, as `failure`."""

    def __init__(self, name: str, purchases: Purchases, rate: float, random: Random) -> None:
        super().__init__(name=f"customer {name}", daemon=True)
        self._purchases = purchases
        self._rate = rate
        self._random = random
        self._ended = threading.Event()
        self.ledger: dict[str, dict[str, int]] = {}
        """Quantities by order and product."""
        self.writes = 0
        self.longest = 0.0
        """Seconds of the slowest write."""
        self.failure: Exception | None = None

    def run(self) -> None:
        due = time.monotonic()
        try:
            while not self._ended.is_set():
                began = time.monotonic()
                self._write()
                self.longest = max(self.longest, time.monotonic() - began)
                self.writes += 1
                # A customer that had to wait does not catch up: after the pause there is no burst.
                due = max(due + 1 / self._rate, began)
                self._ended.wait(max(0.0, due - time.monotonic()))
        except Exception as error:  # noqa: BLE001 - a thread's error would be lost
            self.failure = error

    def _write(self) -> None:
        order = f"order{self._random.randint(1, 200)}"
        product = f"product{self._random.randint(1, PRODUCTS)}"
        products = self.ledger.setdefault(order, {})
        if product in products and self._random.random() < 0.3:
            self._purchases.remove(self.name, order, product)
            del products[product]
        else:
            quantity = self._random.randint(1, 9999)
            self._purchases.put(self.name, order, product, quantity)
            # After the write: only what was acknowledged is expected.
            products[product] = quantity

    def end(self) -> None:
        """Ends it after the write in progress."""
        self._ended.set()
        self.join()

    def lacks(self, purchases: Purchases) -> Iterator[Lack]:
        """Each order that is not as acknowledged."""
        for order, expected in self.ledger.items():
            found = purchases.order(self.name, order)
            if found != expected:
                yield Lack(self.name, order, expected, found)


def customers(count: int, make: Callable[[], Purchases], rate: float, seed: int = 1) -> list[Customer]:
    """`count` customers, who together write `rate` times a second; each has a connection of its own."""
    return [Customer(f"c{number}", make(), rate / count, Random(seed + number)) for number in range(count)]
