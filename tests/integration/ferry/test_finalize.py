"""finalize: strips what is ours, whatever the application writes, and goes on where it was killed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from ferry import cli
from ferry.commands.teardown import leftovers
from ferry.metadata_removal import TableLimiter, TargetTable, finalize
from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import ROOT
from rowferry.control_table import CUTOVER, finalize_key
from tests.support.move_bed import Bed, make_bed
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

POS = {"S": "0001.00000001.0000000000000004.00000000"}
PURCHASES = TargetTable("purchase", ("customerid", "orderid"), grouped=True)


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Bed:
    made = make_bed(mysql, fresh_cloud)
    for name in [name for name in os.environ if name.startswith(("AWS_", "ROWFERRY_"))]:
        monkeypatch.delenv(name)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE")
    return made


def put(bed: Bed, customer: str, **attributes: Any) -> None:
    key = {"customerid": {"S": customer}, "orderid": {"S": "o"}}
    bed.dynamodb.put_item(TableName="purchase", Item={**key, **attributes})


def strip(bed: Bed, client: Any = None, rate: float = 1e6) -> dict[str, int]:
    return finalize(
        bed.control, client or bed.dynamodb, PURCHASES, TableLimiter(rate), lambda *_: None, segments=2
    )


def test_positions_and_tombstones_go_and_everything_else_stays(bed: Bed) -> None:
    put(bed, "live", p={"N": "1"}, _pos=POS)
    put(bed, "tombstone", _pos=POS, _ttl={"N": "9999999999"})
    put(bed, "unburied", _pos=POS)
    put(bed, "revived", p={"N": "2"}, _pos=POS, _ttl={"N": "9999999999"})
    put(bed, "new", p={"N": "3"})
    assert strip(bed) == {"stripped": 2, "deleted": 2, "skipped": 0}
    assert bed.items() == {
        ("live", "o"): {"p": {"N": "1"}},
        ("revived", "o"): {"p": {"N": "2"}},
        ("new", "o"): {"p": {"N": "3"}},
    }


class Racing:
    """The real client; before the first call of `method` the application writes."""

    def __init__(self, client: Any, method: str, write: Callable[[], None]) -> None:
        self._client, self._method, self._write = client, method, write
        self.raced = False

    def __getattr__(self, name: str) -> Any:
        if name == self._method and not self.raced:
            self.raced = True
            self._write()
        return getattr(self._client, name)


@pytest.mark.parametrize("ttl", [{}, {"_ttl": {"N": "9999999999"}}], ids=["live", "tombstone"])
def test_an_item_that_the_application_puts_meanwhile_stays_as_it_put_it(
    bed: Bed, ttl: dict[str, Any]
) -> None:
    members = {} if ttl else {"p": {"N": "1"}}
    put(bed, "c", _pos=POS, **ttl, **members)
    racing = Racing(
        bed.dynamodb, "delete_item" if ttl else "update_item", lambda: put(bed, "c", new={"S": "x"})
    )
    assert strip(bed, racing) == {"stripped": 0, "deleted": 0, "skipped": 1} and racing.raced
    assert bed.items() == {("c", "o"): {"new": {"S": "x"}}}


def test_what_the_application_adds_to_a_tombstone_meanwhile_is_not_lost(bed: Bed) -> None:
    put(bed, "c", _pos=POS, _ttl={"N": "9999999999"})

    def add() -> None:
        bed.dynamodb.update_item(
            TableName="purchase",
            Key={"customerid": {"S": "c"}, "orderid": {"S": "o"}},
            UpdateExpression="SET p = :v",
            ExpressionAttributeValues={":v": {"N": "5"}},
        )

    strip(bed, Racing(bed.dynamodb, "delete_item", add))
    assert bed.items() == {("c", "o"): {"p": {"N": "5"}}}


def test_the_rate_is_kept(bed: Bed) -> None:
    for number in range(30):
        put(bed, f"c{number}", p={"N": "1"}, _pos=POS)
    began = time.monotonic()
    strip(bed, rate=20)
    assert time.monotonic() - began > 0.8


def test_killed_and_run_again_it_goes_on_and_the_switch_stays_off(bed: Bed, capfd: Any) -> None:
    for number in range(1200):
        put(bed, f"c{number}", p={"N": "1"}, _pos=POS)
    assert cli.main(["finalize", "--execute"]) == 2
    assert "the cutover is open, not done" in capfd.readouterr().err
    bed.control.put(CUTOVER, {"phase": "done"})
    environment = bed.environment | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions")])}
    command = [sys.executable, "-m", "ferry.cli", "finalize", "--execute", "--max-wcu", "60"]  # 20 s
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    wait_for(lambda: _left(bed) <= 1100)
    process.kill()
    process.wait()
    left = _left(bed)
    assert 0 < left <= 1100
    assert cli.main(["finalize", "--execute", "--max-wcu", "100000"]) == 0
    assert _left(bed) == 0 and len(bed.items()) == 1200
    assert cli.main(["switch", "on"]) == 2
    assert "finalize` has begun" in capfd.readouterr().err
    assert all(item["done"] for item in bed.control.items(finalize_key("purchase") + "#"))
    assert cli.main(["teardown"]) == 0
    assert "NOT YET" not in capfd.readouterr().out


def _left(bed: Bed) -> int:
    return sum("_pos" in item for item in bed.items().values())


def test_teardown_lets_nothing_go_before_the_move_and_the_record_goes_last() -> None:
    before = list(leftovers("rowferry", {}, "u", moved=False, stripped=False))
    assert not any(leftover.now for leftover in before)
    moved = list(leftovers("rowferry", {}, "u", moved=True, stripped=False))
    assert next(leftover.what for leftover in moved if leftover.now) == "the capturer"
    assert not moved[-1].now and "control table" in moved[-1].what
    assert all(leftover.now for leftover in leftovers("rowferry", {}, "u", moved=True, stripped=True))
