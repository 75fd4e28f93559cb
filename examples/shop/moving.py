"""
The purchases of a shop that is moved while it works: a file says which database is used, `mysql` or
`dynamodb`, read before each request.

While MySQL takes no writes, a write waits and is tried again, there or where the file says by then. So
customers see a pause, and nothing that was acknowledged is lost.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from examples.shop.purchases import Purchases, ReadOnly

PAUSE = 0.02  # seconds between two tries


class MovingPurchases:
    """`stores` by the word in the `switch` file. A write is given up after `patience` seconds: ReadOnly."""

    def __init__(self, stores: Mapping[str, Purchases], switch: Path, patience: float = 60.0) -> None:
        self._stores = stores
        self._switch = switch
        self._patience = patience

    @property
    def store(self) -> Purchases:
        """The one in use."""
        return self._stores[self._switch.read_text(encoding="utf-8").strip()]

    def put(self, customer: str, order: str, product: str, quantity: int) -> None:
        """As Purchases has it, for which it may wait."""
        self._write(lambda store: store.put(customer, order, product, quantity))

    def remove(self, customer: str, order: str, product: str) -> None:
        """As Purchases has it, for which it may wait."""
        self._write(lambda store: store.remove(customer, order, product))

    def order(self, customer: str, order: str) -> dict[str, int]:
        """As Purchases has it."""
        return self.store.order(customer, order)

    def _write(self, write: Callable[[Purchases], None]) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return write(self.store)
            except ReadOnly:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)
