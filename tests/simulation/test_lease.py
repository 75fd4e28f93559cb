"""The real lease under pauses, lost answers and clocks that agree in nothing: nobody sends beside anybody."""

from collections.abc import Mapping
from random import Random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from capturer.state.lease import MARGIN, Lease
from rowferry.control_table import ConditionFailed
from rowferry.errors import LeaseLost


class Table:
    """The control table; requests fail before or after their effect."""

    def __init__(self, random: Random) -> None:
        self.item: dict[str, Any] = {}
        self.random = random

    def get(self, pk: str) -> dict[str, Any]:
        self._tremble(0.03)
        return dict(self.item)

    def update(
        self,
        pk: str,
        *,
        set: Mapping[str, Any] = {},  # noqa: A002 - as the control table names it
        add: Mapping[str, int] = {},
        only_if: Mapping[str, Any],
    ) -> dict[str, Any]:
        self._tremble(0.03)
        if any(self.item.get(name) != value for name, value in only_if.items()):
            raise ConditionFailed(pk)
        self.item |= {**set, **{name: self.item.get(name, 0) + more for name, more in add.items()}}
        self._tremble(0.03)
        return dict(self.item)

    def _tremble(self, chance: float) -> None:
        if self.random.random() < chance:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, "UpdateItem")


class Holder:
    """One capturer. Its clock has its own origin; it may be frozen between any two steps."""

    def __init__(self, table: Table, name: str, now: list[float], careless: bool) -> None:
        origin = table.random.uniform(-1e6, 1e6)
        self.lease = Lease(table, name, lambda: now[0] + origin, ttl=15.0)  # type: ignore[arg-type]
        self.now, self.careless = now, careless
        self.until = 0.0
        self.awake = 0.0

    def step(self) -> tuple[int, float, float] | None:
        """The token and the time of a request that this step begins."""
        try:
            if not self.lease.token and not self.lease.try_acquire():
                return None
            if self.lease._table.random.random() < 0.3:  # type: ignore[attr-defined]
                self.lease.renew()
        except LeaseLost:
            self.lease.token = 0
            return None
        except ClientError:
            return None
        if not (self.lease.token and (self.careless or self.lease.valid())):
            return None
        longest = self.lease.ttl * MARGIN
        return self.lease.token, self.now[0], self.now[0] + longest * self.lease._table.random.random()  # type: ignore[attr-defined]


def overlapping(seed: int, *, careless: bool = False) -> bool:
    """Whether two tokens had requests under way at the same time."""
    random, now = Random(seed), [0.0]
    table = Table(random)
    holders = [Holder(table, f"h{n}", now, careless) for n in range(3)]
    sent: list[tuple[int, float, float]] = []
    for _ in range(150):
        now[0] += random.random() * 2
        holder = random.choice(holders)
        if holder.awake > now[0]:
            continue
        if random.random() < 0.05:
            holder.awake = now[0] + random.uniform(5, 40)
        elif found := holder.step():
            if any(token != found[0] and end > found[1] for token, _, end in sent):
                return True
            if any(token > found[0] for token, _, _ in sent):
                return True
            sent.append(found)
    assert sent
    return False


def test_no_two_capturers_send_at_the_same_time() -> None:
    assert not [seed for seed in range(400) if overlapping(seed)]


def test_a_capturer_that_does_not_look_at_its_lease_is_found() -> None:
    assert any(overlapping(seed, careless=True) for seed in range(100))


@pytest.mark.parametrize("seed", range(3))
def test_tokens_rise(seed: int) -> None:
    random, now = Random(seed), [0.0]
    table, tokens = Table(random), []
    for n in range(5):
        lease = Lease(table, f"h{n}", lambda: now[0])  # type: ignore[arg-type]
        while not lease.token:
            now[0] += 1
            try:
                lease.try_acquire()
            except ClientError:
                continue
        tokens.append(lease.token)
    assert tokens == sorted(set(tokens))
