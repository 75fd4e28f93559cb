"""
The purchases of a shop that is moved while it works: a file says which database is used, `mysql` or
`dynamodb`. It is read before each request.

While MySQL refuses writes, a write waits and is retried, on MySQL or on the database that the file names by
then. So customers see a pause, and nothing that was acknowledged is lost.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from examples.shop.purchases import Purchases, ReadOnly

PAUSE = 0.02  # seconds between two attempts


class MovingPurchases:
    """
    Uses the one of `stores` that the file `switch` names.

    A write that is refused for longer than `patience` seconds raises ReadOnly.
    """

    def __init__(self, stores: Mapping[str, Purchases], switch: Path, patience: float = 60.0) -> None:
        self._stores = stores
        self._switch = switch
        self._patience = patience

    @property
    def store(self) -> Purchases:
        """The store in use now."""
        return self._stores[self._switch.read_text(encoding="utf-8").strip()]

    def put(self, customer: str, order: str, product: str, quantity: int) -> None:
        self._write(lambda store: store.put(customer, order, product, quantity))

    def remove(self, customer: str, order: str, product: str) -> None:
        self._write(lambda store: store.remove(customer, order, product))

    def order(self, customer: str, order: str) -> dict[str, int]:
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
