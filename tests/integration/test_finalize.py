"""What the move left in the items is removed, beside an application that writes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ferry import finalize
from ferry.finalize import PK, Finalizing
from lab.cloud import Cloud
from rowferry.control import CUTOVER
from tests.integration.test_import import Bed

pytestmark = pytest.mark.integration
ITEMS = 450
PLACE = {"S": "0001.00000001.0000000000000064.00000000"}


@pytest.fixture
def bed(fresh_cloud: Cloud, tmp_path: Path) -> Bed:
    bed = Bed(fresh_cloud, tmp_path)
    for number in range(ITEMS):
        put(bed, number, p={"N": str(number)}, **({"_ttl": {"N": "9"}} if number % 9 == 0 else {}))
    return bed


def key(number: int) -> dict[str, Any]:
    return {"customerid": {"S": f"c{number}"}, "orderid": {"S": "o"}}


def put(bed: Bed, number: int, **more: Any) -> None:
    bed.cloud.client("dynamodb").put_item(TableName="purchase", Item={**key(number), "_pos": PLACE, **more})


class Client:
    """DynamoDB's, but somebody writes after each page that is read."""

    def __init__(self, client: Any, meanwhile: Callable[[list[dict[str, Any]]], None]) -> None:
        self._client = client
        self._meanwhile = meanwhile

    def scan(self, **arguments: Any) -> Any:
        answer = self._client.scan(**arguments)
        self._meanwhile(answer["Items"])
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def work(bed: Bed, client: Any = None, **more: Any) -> Finalizing:
    client = client or bed.cloud.client("dynamodb")
    return Finalizing(client, bed.control, "purchase", 1e6, lambda *_: None, **more)


def test_what_is_left_is_the_shops(bed: Bed) -> None:
    done = work(bed)
    done.run()
    assert (done.cleaned, done.buried) == (400, 50)
    items = bed.items("purchase")
    assert len(items) == 400 and all(item.keys() == {"customerid", "orderid", "p"} for item in items)
    again = work(bed)
    again.run()
    assert (again.cleaned, again.buried) == (400, 50)


def test_killed_it_goes_on_behind_what_is_done(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    def step(done: int, _total: int, _note: str) -> None:
        read.append(done)
        if len(read) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(finalize, "PAGE", 100)
    killed = replace_step(work(bed), step)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    assert not bed.control.get(PK + "purchase")["done"]
    resumed = replace_step(work(bed), step)
    resumed.run()
    assert read == [100, 100, 200, 300, 350]
    assert (resumed.cleaned, resumed.buried) == (400, 50)
    assert len(bed.items("purchase")) == 400


def replace_step(work: Finalizing, step: Callable[[int, int, str], None]) -> Finalizing:
    work.step = step
    return work


def test_what_the_application_writes_meanwhile_stays(bed: Bed) -> None:
    """It brings tombstones back, removes items, and puts some anew."""
    client = bed.cloud.client("dynamodb")

    def meanwhile(items: list[dict[str, Any]]) -> None:
        for item in items:
            number, name = int(item["customerid"]["S"][1:]), {"TableName": "purchase"}
            here = key(number)
            if number % 18 == 0:
                client.update_item(
                    **name, Key=here, UpdateExpression="SET q = :q REMOVE #t",
                    ExpressionAttributeNames={"#t": "_ttl"}, ExpressionAttributeValues={":q": {"N": "1"}},
                )  # fmt: skip
            elif number % 10 == 1:
                client.put_item(**name, Item={**here, "new": {"N": "1"}})
            elif number % 10 == 2:
                client.delete_item(**name, Key=here)

    work(bed, Client(client, meanwhile)).run()
    found = {int(item["customerid"]["S"][1:]): item for item in bed.items("purchase")}
    assert not any(item.keys() & {"_pos", "_ttl"} for item in found.values())
    for number in range(ITEMS):
        item = found.get(number)
        if number % 18 == 0:
            assert item and item["q"] == {"N": "1"}
        elif number % 10 == 1:
            assert item and item["new"] == {"N": "1"} and "p" not in item
        elif number % 10 == 2 or number % 9 == 0:
            assert item is None
        else:
            assert item and item["p"] == {"N": str(number)}


def test_the_rate_holds(bed: Bed) -> None:
    slept: list[float] = []
    slow = Finalizing(
        bed.cloud.client("dynamodb"), bed.control, "purchase", 100, lambda *_: None,
        clock=lambda: sum(slept), sleep=slept.append,
    )  # fmt: skip
    slow.run()
    assert sum(slept) == pytest.approx(ITEMS / 100)


def test_before_the_cutover_it_is_refused(bed: Bed) -> None:
    done = bed.ferry("finalize")
    assert done.returncode == 2 and "the cutover is not done: run `ferry cutover`" in done.stderr
    done = bed.ferry("teardown")
    assert done.returncode == 1 and "may go" not in done.stdout
    bed.control.put(CUTOVER, {"state": "done"})
    done = bed.ferry("teardown")
    assert done.returncode == 1 and "purchase still have _pos: run `ferry finalize`" in done.stdout
    assert bed.ferry("finalize").returncode == 0
    done = bed.ferry("teardown")
    assert done.returncode == 0 and "STAYS" not in done.stdout and "sam delete" in done.stdout
