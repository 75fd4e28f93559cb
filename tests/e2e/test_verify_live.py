"""
Verify while the shop goes on: every difference that was made is found, nothing that is on its way is one, and
a repair leaves none.

ROWFERRY_ROWS, ROWFERRY_DIFFERENCES: rows before the traffic starts, and how many members are made wrong.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import ROOT, Rehearsal, wait_for
from lab.shop import Shop
from rowferry.control_table import APPLIED, VERIFIED

pytestmark = pytest.mark.integration

ROWS = int(os.environ.get("ROWFERRY_ROWS", "5000"))
DIFFERENCES = int(os.environ.get("ROWFERRY_DIFFERENCES", "100"))
RATE = 100  # row changes a second
LONG_AGO = "0000.00000000.0000000000000000.00000000"

type Member = tuple[str, str, str]
"""Customer, order and product."""


@dataclass
class Wrongs:
    """Makes one member of an item wrong at a time, behind the consumer's back. `made`: as verify says it."""

    client: Any
    made: dict[Member, str] = field(default_factory=dict)

    def missing(self, member: Member) -> None:
        self._update(member, "REMOVE #p", "missing")

    def extra(self, member: Member) -> None:
        other = (*member[:2], "productid-extra")
        self._update(other, "SET #p = :v", "extra", {":v": {"N": "1"}})

    def different(self, member: Member) -> None:
        self._update(member, "SET #p = #p + :v", "different", {":v": {"N": "1000"}})

    def wrong_type(self, member: Member) -> None:
        self._update(member, "SET #p = :v", "different", {":v": {"S": "7"}})

    def stale(self, member: Member) -> None:
        """As if the consumer had missed all since long ago."""
        names, values = {"#o": "_pos"}, {":v": {"N": "-5"}, ":o": {"S": LONG_AGO}}
        self._update(member, "SET #p = :v, #o = :o", "different", values, names)

    def _update(
        self,
        member: Member,
        expression: str,
        kind: str,
        values: dict[str, Any] | None = None,
        names: dict[str, str] | None = None,
    ) -> None:
        customer, order, product = member
        self.client.update_item(
            TableName="purchase",
            Key={"customerid": {"S": customer}, "orderid": {"S": order}},
            UpdateExpression=expression,
            ExpressionAttributeNames={"#p": product, **(names or {})},
            **({"ExpressionAttributeValues": values} if values else {}),
        )
        self.made[member] = kind

    @property
    def kinds(self) -> list[Callable[[Member], None]]:
        return [self.missing, self.extra, self.different, self.wrong_type, self.stale]


def test_every_difference_is_found_under_traffic_and_repaired(
    mysql: Server, fresh_cloud: Cloud, tmp_path: Path
) -> None:
    busy, calm = [Shop(name, Random(name)) for name in "ab"], Shop("calm", Random("calm"))
    rehearsal = Rehearsal(tmp_path, mysql, fresh_cloud, [*busy, calm])
    rehearsal.deploy()
    rehearsal.fill(ROWS)
    rehearsal.shops = busy  # nobody writes to the calm one's orders: what is made wrong there stays so
    try:
        with rehearsal.traffic(RATE), rehearsal.capturing():
            rehearsal.ferry("load")
            rehearsal.ferry("switch", "on")
            assert verify(rehearsal, tmp_path)[0] == 0
            first = rehearsal.control.get(VERIFIED)["position"]

            wrongs = Wrongs(fresh_cloud.client("dynamodb"))
            for member, kind in zip(members(calm), [*wrongs.kinds] * (DIFFERENCES // 5), strict=False):
                kind(member)
            assert len(wrongs.made) == DIFFERENCES
            applied = rehearsal.control.get(APPLIED)["changes"]

            assert verify(rehearsal, tmp_path) == (DIFFERENCES, named(wrongs.made))
            assert verify(rehearsal, tmp_path, "--repair") == (0, named(wrongs.made))
            assert verify(rehearsal, tmp_path) == (0, {})
            assert rehearsal.control.get(APPLIED)["changes"] > applied, "no traffic went on"
            assert rehearsal.control.get(VERIFIED)["position"] > first
            goes_on_where_it_was_killed(rehearsal, tmp_path)
            rehearsal.fence()
            rehearsal.ferry("drain")
        summary = json.loads(rehearsal.ferry("verify", "--json", "--at-rest", capture=True))
    finally:
        rehearsal.tidy()
    assert (summary["missing"], summary["extra"], summary["different"]) == (0, 0, 0)


def goes_on_where_it_was_killed(rehearsal: Rehearsal, folder: Path) -> None:
    slowly = ("verify", "--work", str(folder / "work"), "--max-rows", str(ROWS // 25))
    begun = subprocess.Popen([sys.executable, "-m", "ferry.cli", *slowly], env=rehearsal.operator, cwd=ROOT)
    try:
        wait_for(lambda: tasks_read(folder / "work") > 3, "some of it read", rehearsal.fail_if_broken)
    finally:
        begun.kill()
        begun.wait()
    before = tasks_read(folder / "work")
    position = rehearsal.control.get(VERIFIED)["position"]
    assert verify(rehearsal, folder, "--work", str(folder / "work")) == (0, {})
    assert before > 3 and not list((folder / "work").iterdir())
    assert rehearsal.control.get(VERIFIED)["position"] > position


def tasks_read(folder: Path) -> int:
    for file in folder.glob("*/purchase.members"):
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as base, suppress(sqlite3.Error):
            return int(base.execute("SELECT COUNT(*) FROM task WHERE done").fetchone()[0])
    return 0


def members(shop: Shop) -> Iterator[Member]:
    """Of different orders."""
    for order, products in shop.orders.items():
        yield from ((*order, product) for product in islice(products, 1))


def named(made: dict[Member, str]) -> dict[tuple[str, str], set[str]]:
    """The kinds by item."""
    return {member[:2]: {kind} for member, kind in made.items()}


def verify(rehearsal: Rehearsal, folder: Path, *more: str) -> tuple[int, dict[tuple[str, str], set[str]]]:
    """How many are left, and the kinds of differences by item."""
    listed = folder / "differences"
    said = rehearsal.ferry(
        "verify", "--json", "--differences", str(listed), *more, capture=True, accept=(0, 1)
    )
    summary = json.loads(said)
    print(summary, flush=True)
    assert summary["unsettled"] == 0
    found: dict[tuple[str, str], set[str]] = {}
    for line in map(json.loads, listed.read_text().splitlines()):
        key = line["key"]
        found.setdefault((key["customerid"], key["orderid"]), set()).add(line["kind"])
    return summary["left"], found
