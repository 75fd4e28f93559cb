"""A load again while changes still wait: after a TRUNCATE, and with a reset of capture. All real."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from apply_changes.applier import Applier, ApplyResult
from apply_changes.store import DynamoStore
from ferry import consumer_switch
from ferry.status import state
from lab.cloud import Cloud
from lab.database import Server
from rowferry.control_table import CHECKPOINT, FLOORS
from rowferry.errors import Refused
from rowferry.mapping import Mapping
from rowferry.mysql import server, snapshot
from rowferry.position import file_number
from tests.support.mappings import PURCHASE, purchase_of
from tests.support.move_bed import Bed, make_bed, without_positions
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

STREAM = "changes"


class Move:
    """The bed, a stream, and capturers as processes."""

    def __init__(self, bed: Bed, folder: Path) -> None:
        self.bed, self.folder = bed, folder
        self.running: list[subprocess.Popen[bytes]] = []
        (folder / "mapping.toml").write_text(PURCHASE)
        bed.cloud.client("kinesis").create_stream(StreamName=STREAM, ShardCount=1)
        bed.dynamodb.delete_item(TableName=bed.control.name, Key={"pk": {"S": CHECKPOINT}})

    @property
    def checkpoint(self) -> dict[str, Any]:
        return self.bed.control.get(CHECKPOINT)

    def capture(self, **changed: str) -> subprocess.Popen[bytes]:
        address = self.bed.address
        environment = {
            "PATH": os.environ["PATH"], **self.bed.cloud.environment,
            "STREAM_NAME": STREAM, "CONTROL_TABLE": self.bed.control.name, "LANES": "4",
            "MAPPING_FILE": str(self.folder / "mapping.toml"),
            "SOURCE_HOST": address.host, "SOURCE_PORT": str(address.port),
            "SOURCE_USER": address.user, "SOURCE_PASSWORD": address.password,
            "SOURCE_PATIENCE": "60", "LEASE_SECONDS": "60", **changed,
        }  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "capturer"], env=environment, stdout=log, stderr=subprocess.STDOUT
            )
        self.running.append(process)
        return process

    def wait(self, what: Callable[[], Any]) -> None:
        def check() -> None:
            ended = all(process.poll() is not None for process in self.running)
            assert not ended or what(), (self.folder / "log").read_text()[-2000:]

        wait_for(what, check)

    def wait_captured(self) -> None:
        """Also past what the binlog begins with after a reset."""
        with self.bed.server.connect() as connection:
            end = snapshot.current_offset(connection, server.identify(connection))
        goal = (file_number(end.file), end.offset)
        self.wait(lambda: self.checkpoint and _place(self.checkpoint) == goal)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0

    def apply(self, *, floors: bool = True) -> ApplyResult:
        """Everything that waits on the stream."""
        kinesis = self.bed.cloud.client("kinesis")
        (shard,) = kinesis.list_shards(StreamName=STREAM)["Shards"]
        iterator = kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        batch = [record["Data"] for record in kinesis.get_records(ShardIterator=iterator)["Records"]]
        store = DynamoStore(self.bed.dynamodb, time.time, 10**6)
        applier = Applier(Mapping.parse(PURCHASE), store, NoQuarantine(), map, lambda: True)
        return applier.apply(batch, self.bed.control.get(FLOORS) if floors else {})

    def empty_the_target(self) -> None:
        for customer, order in self.bed.items():
            key = {"customerid": {"S": customer}, "orderid": {"S": order}}
            self.bed.dynamodb.delete_item(TableName="purchase", Key=key)

    def items(self) -> Any:
        """Without positions, and without tombstones."""
        found = without_positions(self.bed.items())
        return {key: item for key, item in found.items() if "_ttl" not in item}


class NoQuarantine:
    def add(self, error: Exception, *_: Any) -> None:
        raise AssertionError(error)


def _place(checkpoint: dict[str, Any]) -> tuple[int, int]:
    return file_number(checkpoint["file"]), checkpoint["offset"]


@pytest.fixture
def move(mysql: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Move]:
    made = Move(make_bed(mysql, fresh_cloud), tmp_path)
    try:
        yield made
    finally:
        for process in made.running:
            if process.poll() is None:
                process.kill()
            process.wait()


def test_what_a_truncate_removed_does_not_come_back_from_the_stream(move: Move) -> None:
    process = move.capture()
    move.wait_captured()
    move.bed.fill([("c", "old", "p", 1), ("c", "kept", "p", 1)])
    move.bed.sql("TRUNCATE purchase")
    assert process.wait() == 3
    assert "--skip" in move.checkpoint["fix"] and "CapturerSkip=" in move.checkpoint["fix"]
    stopped = f"{move.checkpoint['file']}:{move.checkpoint['offset']}"
    move.bed.fill([("c", "kept", "p", 2)])
    move.bed.load()
    move.capture(SKIP=f"binlog.000001:4,{stopped}")
    move.bed.fill([("c", "new", "p", 3)])
    move.wait_captured()
    result = move.apply()
    assert move.items() == move.bed.expected() and len(move.items()) == 2
    assert (result.applied, result.repeats) == (1, 3)
    move.apply(floors=False)
    assert ("c", "old") in move.items(), "without the floor there would be nothing to show"


def test_a_load_again_over_live_items_leaves_the_waiting_changes_to_the_stream(move: Move) -> None:
    move.capture()
    move.wait_captured()
    move.bed.fill([("c", "kept", "p", 1), ("c", "gone", "p", 1), ("c", "moved", "p", 1)])
    move.bed.load()
    move.wait_captured()
    move.apply()
    move.bed.sql(
        "UPDATE purchase SET quantity = 2 WHERE orderid = 'kept'",
        "UPDATE purchase SET orderid = 'elsewhere' WHERE orderid = 'moved'",
        "DELETE FROM purchase WHERE orderid = 'gone'",
    )
    move.wait_captured()
    move.bed.load(again=True)
    move.apply()
    assert move.items() == move.bed.expected() and len(move.items()) == 2
    move.bed.load()
    assert not any("warning" in line for line in move.bed.said)
    move.empty_the_target()
    assert move.bed.load().nothing_to_do and "run `ferry load --again`" in move.bed.said[-1]


def test_capture_that_begins_again_leaves_the_old_records_below_the_new_load(move: Move) -> None:
    bed = move.bed
    for _ in range(3):
        bed.sql("FLUSH BINARY LOGS")
    bed.fill([("c", "before", "p", 1)])
    process = move.capture()
    move.wait_captured()
    bed.load()
    bed.fill([("c", "gone", "p", 1), ("c", "o", "p", 1)])
    move.wait_captured()
    move.stop(process)
    with bed.server.connect() as connection:
        renamed = server.identify(connection).version >= (8, 2)
    bed.sql(
        "UPDATE purchase SET quantity = 2",
        "DELETE FROM purchase WHERE orderid IN ('before', 'gone')",
        "RESET BINARY LOGS AND GTIDS" if renamed else "RESET MASTER",
    )
    assert move.capture().wait() == 3
    assert "CapturerReset" in move.checkpoint["fix"] and "--reset" in move.checkpoint["fix"]
    process = move.capture(CAPTURER_RESET="restored")
    move.wait(lambda: move.checkpoint["state"] == "capturing" and move.checkpoint["epoch"] == 2)
    with pytest.raises(Refused, match="before capture was reset"):
        consumer_switch.require_load(bed.control, ["test.purchase"])
    assert state.bulk(bed.control, ["test.purchase"])[0]["state"] == "none"
    with pytest.raises(Refused, match="contains items from before the reset of capture"):
        bed.load()
    move.empty_the_target()
    outcome = bed.load()
    assert outcome.state == "done" and not outcome.nothing_to_do
    assert any("capture was reset" in line for line in bed.said)
    consumer_switch.require_load(bed.control, ["test.purchase"])
    bed.sql("UPDATE purchase SET quantity = 3")
    move.wait_captured()
    result = move.apply()
    assert move.items() == bed.expected() and len(move.items()) == 1
    assert (result.applied, result.repeats) == (1, 2)
    move.stop(process)
    before = move.checkpoint
    process = move.capture(ANEW="restored")  # the same word under the former name: no second reset
    bed.sql("UPDATE purchase SET quantity = 4")
    move.wait_captured()
    assert (move.checkpoint["epoch"], move.checkpoint["changes"]) == (2, before["changes"] + 1)


def test_the_capturer_tells_its_tables_and_a_load_of_others_is_refused(move: Move) -> None:
    move.capture()
    move.wait_captured()
    assert move.checkpoint["tables"] == ["test.purchase"]
    move.bed.sql("CREATE TABLE other LIKE purchase")
    move.bed.table("other", customerid="S", orderid="S")
    with pytest.raises(Refused, match=r"does not capture test.other: deploy the capturer"):
        move.bed.load(PURCHASE + purchase_of("test.other", "other"))
