"""The example shop in a rehearsal: its customers continue to write while it moves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.shop.moving import MovingPurchases
from examples.shop.purchases import DynamoPurchases, MySqlPurchases
from lab.customers import Customer, Lack, customers
from lab.rehearsal import Rehearsal, StepFailed

COUNT, RATE = 3, 30.0
"""Number of customers, and their writes per second together."""


class MovingShop:
    """The shop. The file `switch` says which database it uses: first `mysql`."""

    def __init__(self, rehearsal: Rehearsal, switch: Path, count: int = COUNT, rate: float = RATE) -> None:
        self._rehearsal = rehearsal
        self.switch = switch
        switch.write_text("mysql", encoding="utf-8")
        self.people: list[Customer] = customers(count, self._purchases, rate)

    @property
    def dynamo(self) -> DynamoPurchases:
        return DynamoPurchases(self._rehearsal.aws.client("dynamodb"), "purchase")

    def _purchases(self) -> MovingPurchases:
        server, account = self._rehearsal.server, self._rehearsal.shop_account
        mysql = MySqlPurchases(lambda: server.connect(account))
        return MovingPurchases({"mysql": mysql, "dynamodb": self.dynamo}, self.switch)

    @contextmanager
    def open(self) -> Iterator[None]:
        """The customers write until the end of the context, or `close`."""
        for person in self.people:
            person.start()
        try:
            yield
        finally:
            self.close()

    def close(self) -> list[Lack]:
        """
        Ends the customers; returns what DynamoDB does not have as acknowledged. Raises StepFailed as `check`.
        """
        for person in self.people:
            person.end()
        self.check()
        return [lack for person in self.people for lack in person.lacks(self.dynamo)]

    def check(self) -> None:
        """Raises StepFailed if a customer's write has failed."""
        for person in self.people:
            if person.failure is not None:
                raise StepFailed(f"{person.name} was not served: {person.failure!r}")

    @property
    def writes(self) -> int:
        """Number of writes that were acknowledged."""
        return sum(person.writes for person in self.people)

    @property
    def longest(self) -> float:
        """Seconds of the slowest write."""
        return max(person.longest for person in self.people)

    def hook(self, path: Path) -> Path:
        """Writes the operator's hook that points the shop to DynamoDB."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            # mv replaces the file atomically: a customer never reads half a word.
            f"#!/bin/sh\necho dynamodb > '{self.switch}.new' && mv '{self.switch}.new' '{self.switch}'\n",
            encoding="utf-8",
        )
        path.chmod(0o755)
        return path
