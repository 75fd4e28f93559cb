"""The capturer as a process between a real server and the emulated Kinesis and DynamoDB."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest

from capturer.capture import Capture
from capturer.parts import CaptureParts
from capturer.source.binlog import ReplicationClient
from capturer.state.lease import Lease
from capturer.stream.sender import kinesis_config
from capturer.telemetry import Metrics
from lab.cloud import Cloud
from lab.database import Account, Server, database
from rowferry.change import Kind, Record, RowChange, decode_record
from rowferry.control_table import CHECKPOINT, LEASE, MARKER, ControlTable, load_key
from rowferry.mapping import Mapping
from rowferry.mysql.server import identify
from rowferry.mysql.snapshot import current_offset
from rowferry.position import Position, file_number
from rowferry.values import Json
from tests.support.mappings import PURCHASE
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

STREAM, CONTROL, LANES = "changes", "control", 8
TABLE = """CREATE TABLE purchase (
    customerid VARCHAR(20), orderid VARCHAR(20), productid VARCHAR(20), quantity INT, note JSON,
    PRIMARY KEY (customerid, orderid, productid))"""

SHORT = "6"
"""Seconds of the lease of one that another takes over from: a slow machine still renews it in time."""


class Ferry:
    """One server, one stream, one control table, and the capturers between them."""

    def __init__(self, server: Server, cloud: Cloud, folder: Path) -> None:
        self.server, self.cloud, self.folder = server, cloud, folder
        self.control = ControlTable(cloud.client("dynamodb"), CONTROL)
        self.capturers: list[subprocess.Popen[bytes]] = []
        self.mapping = folder / "mapping.toml"
        self.mapping.write_text(PURCHASE)
        cloud.client("kinesis").create_stream(StreamName=STREAM, ShardCount=2)
        cloud.client("dynamodb").create_table(
            TableName=CONTROL,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        self.sql(TABLE)

    def sql(self, *statements: str) -> Any:
        with self.server.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    def transaction(self, *statements: str) -> None:
        self.sql("BEGIN", *statements, "COMMIT")

    def environment(self, **changed: str) -> dict[str, str]:
        account = self.server.capture
        return {
            "PATH": os.environ["PATH"], **self.cloud.environment,
            "STREAM_NAME": STREAM, "CONTROL_TABLE": CONTROL, "LANES": str(LANES),
            "MAPPING_FILE": str(self.mapping),
            "SOURCE_HOST": self.server.host, "SOURCE_PORT": str(self.server.port),
            "SOURCE_USER": account.user, "SOURCE_PASSWORD": account.password,
            "SOURCE_PATIENCE": "60", "LEASE_SECONDS": "60", **changed,
        }  # fmt: skip

    def start(self, *arguments: str, ready: bool = True, **changed: str) -> subprocess.Popen[bytes]:
        """Starts a capturer; with `ready`, waits until it captures."""
        log = self.folder / f"capturer-{len(self.capturers)}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "capturer.app", *arguments],
                env=self.environment(**changed), stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.capturers.append(process)
        if ready:
            wait_for(lambda: "capturing" in self.messages(process) or process.poll() is not None)
            assert process.poll() is None, log.read_text()
        return process

    def log(self, process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
        text = (self.folder / f"capturer-{self.capturers.index(process)}.log").read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def messages(self, process: subprocess.Popen[bytes]) -> list[str]:
        return [line["message"] for line in self.log(process) if "message" in line]

    def refused(self, *arguments: str, **changed: str) -> tuple[int, str]:
        """Starts a capturer that ends by itself; returns its exit code and its last words."""
        process = self.start(*arguments, ready=False, **changed)
        code = process.wait()
        last = self.log(process)[-1]
        return code, f"{last['message']}: {last['fix']}"

    @property
    def checkpoint(self) -> dict[str, Any]:
        return self.control.get(CHECKPOINT)

    def end(self) -> tuple[int, int]:
        with self.server.connect() as connection:
            end = current_offset(connection, identify(connection))
        return file_number(end.file), end.offset

    def captured(self) -> bool:
        item = self.checkpoint
        return bool(item) and (file_number(item["file"]), item["offset"]) >= self.end()

    def wait_captured(self) -> None:
        wait_for(self.captured, self.check)

    def check(self) -> None:
        """Somebody captures, or has: else what is waited for can no longer come."""
        ended = [process for process in self.capturers if process.poll() is not None]
        assert len(ended) < len(self.capturers) or self.captured(), self.log(ended[-1])[-3:]

    def records(self) -> list[Record]:
        kinesis, found = self.cloud.client("kinesis"), []
        for shard in kinesis.list_shards(StreamName=STREAM)["Shards"]:
            iterator = kinesis.get_shard_iterator(
                StreamName=STREAM, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
            )["ShardIterator"]
            while batch := kinesis.get_records(ShardIterator=iterator, Limit=10_000):
                found += [
                    (record["PartitionKey"], decode_record(record["Data"])) for record in batch["Records"]
                ]
                iterator = batch["NextShardIterator"]
                if not batch["Records"]:
                    break
        assert all(int(key) == record.lane for key, record in found)
        return [record for _, record in found]

    def assert_carried(self, *, repeats: bool = False) -> None:
        """Everything is on the stream, in order, and folds to what the table holds."""
        lanes: dict[int, list[RowChange]] = defaultdict(list)
        for record in self.records():
            lanes[record.lane] += record.changes
        folded: dict[Any, Any] = {}
        for changes in lanes.values():
            positions = [change.position or "" for change in changes]
            if not repeats:
                assert positions == sorted(positions)
            newest: dict[Any, str] = {}
            for change in changes:
                fold(folded, newest, change)
        rows = {
            (c, o, p): q
            for c, o, p, q in self.sql("SELECT customerid, orderid, productid, quantity FROM purchase")
        }
        assert folded == rows

    def close(self) -> None:
        for process in self.capturers:
            if process.poll() is None:
                process.kill()
                process.wait()


def fold(folded: dict[Any, Any], newest: dict[Any, str], change: RowChange) -> None:
    """What the consumer does: nothing that is older than what the item has."""
    item = (change.image["customerid"], change.image["orderid"])
    if (change.position or "") < newest.get(item, ""):
        return
    newest[item] = change.position or ""
    for image, value in ((change.before, False), (change.after, True)):
        if image is not None:
            key = (image["customerid"], image["orderid"], image["productid"])
            folded.pop(key, None)
            if value:
                folded[key] = image["quantity"]


@pytest.fixture
def ferry(mysql: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Ferry]:
    yield from _ferry(mysql, fresh_cloud, tmp_path)


@pytest.fixture
def maria(mariadb: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Ferry]:
    yield from _ferry(mariadb, fresh_cloud, tmp_path)


def _ferry(server: Server, cloud: Cloud, folder: Path) -> Iterator[Ferry]:
    running = Ferry(server, cloud, folder)
    try:
        yield running
    finally:
        running.close()


def work(ferry: Ferry, seed: int, transactions: int = 60) -> None:
    """Transactions of every shape over few items, so that order matters."""
    random = Random(seed)
    with ferry.server.connect(autocommit=False) as connection, connection.cursor() as cursor:
        for _ in range(transactions):
            for _ in range(random.choice([1, 1, 1, 3, 20])):
                c, o, p = random.choice("ab"), random.choice("xyz"), f"{random.randrange(6)}"
                cursor.execute(*random.choice([
                    ("REPLACE INTO purchase VALUES (%s,%s,%s,%s,NULL)", (c, o, p, random.randrange(10**6))),
                    ("UPDATE purchase SET quantity=quantity+1 WHERE customerid=%s", (c,)),
                    ("DELETE FROM purchase WHERE customerid=%s AND orderid=%s AND productid=%s", (c, o, p)),
                    ("UPDATE IGNORE purchase SET orderid=%s WHERE customerid=%s AND productid=%s", (o, c, p)),
                ]))  # fmt: skip
            (connection.rollback if random.random() < 0.1 else connection.commit)()


def test_changes_of_every_kind_arrive_in_order_and_fold_to_the_table(ferry: Ferry) -> None:
    ferry.start()
    work(ferry, 1)
    ferry.sql("FLUSH BINARY LOGS")
    work(ferry, 2)
    many = ",".join(f"('big','o{n % 50}','p{n}',{n},JSON_OBJECT('at', CURRENT_TIME))" for n in range(3_000))
    ferry.sql(
        f"INSERT INTO purchase VALUES {many}", "CREATE TABLE other (id INT)", "INSERT INTO other VALUES (1)"
    )
    ferry.wait_captured()
    ferry.assert_carried()
    item = ferry.checkpoint
    assert (item["read_file"], item["read_offset"]) == (item["file"], item["offset"])
    assert item["changes"] == sum(len(record.changes) for record in ferry.records())
    assert item["records"] == len(ferry.records())
    assert item["state"] == "capturing"


def test_a_transaction_is_positioned_by_its_start_and_timed_by_its_commit(ferry: Ferry) -> None:
    ferry.start()
    start = ferry.end()
    before = time.time() * 1000
    ferry.transaction(*(f"INSERT INTO purchase VALUES ('a','x','{n}',1,NULL)" for n in range(3)))
    ferry.wait_captured()
    (record,) = ferry.records()
    assert [change.position for change in record.changes] == [
        str(Position(1, *start, row)) for row in (1, 2, 3)
    ]
    assert before - 5 <= record.committed <= time.time() * 1000
    assert record.committed % 1000 != 0 or time.time() * 1000 - record.committed < 1000
    assert record.sender == 1


def test_first_start_begins_at_the_end_and_says_so(ferry: Ferry) -> None:
    ferry.sql("INSERT INTO purchase VALUES ('a','x','p',1,NULL)")
    end = ferry.end()
    process = ferry.start()
    item = ferry.checkpoint
    assert (file_number(item["file"]), item["offset"], item["changes"]) == (*end, 0)
    assert "first start, or a reset: capture begins where the binlog ends now" in ferry.messages(process)
    assert ferry.records() == []


def test_sigterm_ends_with_0_all_sent_the_checkpoint_at_the_end_and_the_lease_given_back(
    ferry: Ferry,
) -> None:
    process = ferry.start()
    work(ferry, 3)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    assert ferry.control.get(LEASE)["released"] is True
    ferry.start()
    ferry.wait_captured()
    ferry.assert_carried(repeats=True)


def test_killed_and_started_again_nothing_is_lost(ferry: Ferry) -> None:
    for seed in (4, 5):
        process = ferry.start(LEASE_SECONDS=SHORT)
        work(ferry, seed, 150)
        process.kill()
        process.wait()
    ferry.start()
    ferry.wait_captured()
    ferry.assert_carried(repeats=True)
    assert {record.sender for record in ferry.records()} <= {1, 2, 3}


def test_a_frozen_server_is_noticed_and_capture_resumes(ferry: Ferry) -> None:
    process = ferry.start(SOURCE_PATIENCE="2")
    work(ferry, 6)
    ferry.server.pause()
    try:
        item = wait_for(lambda: ferry.checkpoint["state"] == "waiting" and ferry.checkpoint)
    finally:
        ferry.server.resume()
    assert "cannot be reached" in item["reason"]
    assert item["fix"]
    work(ferry, 7)
    ferry.wait_captured()
    wait_for(lambda: ferry.checkpoint["state"] == "capturing")
    ferry.assert_carried(repeats=True)
    assert process.poll() is None


def test_a_killed_server_that_comes_back_is_read_on(ferry: Ferry) -> None:
    process = ferry.start()
    work(ferry, 8)
    ferry.server.kill()
    ferry.server.start()
    work(ferry, 9)
    ferry.wait_captured()
    ferry.assert_carried(repeats=True)
    assert process.poll() is None


class Cut:
    """
    A way to the server that breaks: each number of bytes cuts one connection, once it has brought so many.

    `cut` counts the connections that were cut.
    """

    def __init__(self, server: Server, *after: int) -> None:
        self.server, self.after, self.cut = server, list(after), 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self.connect, args=(near,), daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`, as closing alone does not
        self.listener.close()

    def connect(self, near: socket.socket) -> None:
        with near, socket.create_connection((self.server.host, self.server.port)) as far:
            asking = threading.Thread(target=self.carry, args=(near, far, False), daemon=True)
            asking.start()
            self.carry(far, near, True)
            asking.join()

    def carry(self, one: socket.socket, other: socket.socket, counted: bool) -> None:
        brought = 0
        with suppress(OSError):
            while data := one.recv(4096):
                brought += len(data)
                if counted and self.after and brought >= self.after[0]:
                    other.sendall(data[: len(data) - (brought - self.after.pop(0))])
                    self.cut += 1
                    break
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_a_transaction_in_which_the_connection_breaks_is_read_again_from_its_start(ferry: Ferry) -> None:
    way = Cut(ferry.server, 200_000, 120_000, 500_000)  # in the transaction, earlier in it, later
    rows = 5_000  # in portions, so that a part of it has been handed out at each cut
    try:
        process = ferry.start(SOURCE_PORT=str(way.port))
        ferry.sql("INSERT INTO purchase VALUES ('a','x','before',1,NULL)")
        ferry.wait_captured()
        assert way.cut == 0
        start = ferry.end()
        many = ",".join(
            f"('c{n % 7}','o{n % 50}','p{n}',{n},JSON_OBJECT('pad',REPEAT('x',150)))" for n in range(rows)
        )
        ferry.transaction(f"INSERT INTO purchase VALUES {many}", "UPDATE purchase SET quantity=quantity+1")
        ferry.sql("INSERT INTO purchase VALUES ('a','x','behind',1,NULL)")
        ferry.wait_captured()
        assert way.cut == 3
        assert process.poll() is None
        assert ferry.messages(process).count("reading again") == 3
    finally:
        way.close()
        ferry.close()
    ferry.assert_carried(repeats=True)
    found: dict[str, set[str]] = defaultdict(set)
    for record in ferry.records():
        for change in record.changes:
            found[change.position or ""].add(f"{change.kind} {change.image['productid']}")
    transaction = [str(Position(1, *start, row + 1)) for row in range(rows + rows + 1)]
    assert sorted(found)[1:-1] == transaction
    assert [found[at] for at in transaction[:rows]] == [{f"{Kind.INSERT} p{n}"} for n in range(rows)]
    assert all(len(changes) == 1 for changes in found.values())
    assert ferry.checkpoint["state"] == "capturing"


def test_of_two_capturers_one_sends_and_the_other_takes_over(ferry: Ferry) -> None:
    first = ferry.start(LEASE_SECONDS=SHORT)
    second = ferry.start(ready=False)
    wait_for(lambda: "waiting for the lease: another capturer has it" in ferry.messages(second))
    work(ferry, 10)
    ferry.wait_captured()
    assert {record.sender for record in ferry.records()} == {1}
    first.send_signal(signal.SIGSTOP)  # longer than the lease: the other takes over
    wait_for(lambda: "capturing" in ferry.messages(second))
    first.send_signal(signal.SIGCONT)
    work(ferry, 11)
    assert first.wait() == 4
    ferry.wait_captured()
    ferry.assert_carried(repeats=True)
    assert ferry.checkpoint["token"] == 2
    assert ferry.checkpoint["state"] == "capturing"


def test_a_marker_goes_behind_everything_before_it_also_when_no_event_ever_comes_again(ferry: Ferry) -> None:
    ferry.start()
    work(ferry, 12)
    ferry.sql("FLUSH BINARY LOGS")
    position = str(Position(1, *ferry.end()))
    ferry.control.put(MARKER, {"id": "m1", "position": position, "lanes": 0})
    wait_for(lambda: ferry.control.get(MARKER).get("sent") == "m1")
    markers = [record.lane for record in ferry.records() if record.marker]
    assert sorted(markers) == list(range(LANES))
    last = {record.lane: record for record in ferry.records()}
    assert all(record.marker and record.marker.position == position for record in last.values())
    ferry.assert_carried()


def test_a_marker_waits_for_its_position(ferry: Ferry) -> None:
    ferry.start()
    file, offset = ferry.end()
    ferry.control.put(MARKER, {"id": "m2", "position": str(Position(1, file, offset + 50)), "lanes": 0})
    time.sleep(1.2)
    assert "sent" not in ferry.control.get(MARKER)
    ferry.sql("INSERT INTO purchase VALUES ('a','x','p',1,NULL)")
    wait_for(lambda: ferry.control.get(MARKER).get("sent") == "m2")


class Flaky:
    """
    A client whose requests fail in every way: refused records, lost requests, lost answers.

    A lane fails at most four times in a row, for the pauses in between double: with ten, by mere chance,
    a record takes a quarter of a minute.
    """

    def __init__(self, client: Any, random: Random) -> None:
        self.client, self.random = client, random
        self.lanes_in_flight: set[str] = set()
        self.kinds: set[str] = set()
        # Each comes within the first five requests: on a busy machine there are few.
        kinds = ["good", "good", "some", "request lost", "answer lost"]
        self.outcomes = cycle([kind for _ in range(200) for kind in random.sample(kinds, len(kinds))])
        self.in_a_row: Counter[str] = Counter()

    def put_records(self, *, StreamName: str, Records: list[dict[str, Any]]) -> Any:  # noqa: N803
        from botocore.exceptions import ReadTimeoutError

        lanes = {record["PartitionKey"] for record in Records}
        assert len(lanes) == len(Records) and not lanes & self.lanes_in_flight, "two in flight"
        self.lanes_in_flight |= lanes
        try:
            kind = next(self.outcomes)
            if any(self.in_a_row[lane] == 4 for lane in lanes):
                kind = "good"
            self.kinds.add(kind)
            self.in_a_row.update(lanes)
            if kind == "request lost":
                raise ReadTimeoutError(endpoint_url="injected")
            some = [record for record in Records if kind != "some" or self.random.random() < 0.5]
            if some:
                self.client.put_records(StreamName=StreamName, Records=some)
            if kind == "answer lost":
                raise ReadTimeoutError(endpoint_url="injected")
            taken = [record["PartitionKey"] for record in some]
            for lane in taken:
                self.in_a_row[lane] = 0
            return {
                "Records": [{} if r["PartitionKey"] in taken else {"ErrorCode": "Throttled"} for r in Records]
            }
        finally:
            self.lanes_in_flight -= lanes


def noting(ended: list[BaseException], run: Callable[[], None]) -> None:
    """What ends `run`, so that the test need not wait for what cannot come any more."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - the test raises it
        ended.append(error)


def test_failing_requests_of_every_kind_lose_and_reorder_nothing(ferry: Ferry) -> None:
    account = ferry.server.capture
    source = ReplicationClient(ferry.server.host, ferry.server.port, account.user, account.password, 4711)
    flaky = Flaky(ferry.cloud.client("kinesis"), Random(13))
    lease = Lease(ferry.control, "here", time.monotonic)
    capture = Capture(CaptureParts(
        source, Mapping.parse(PURCHASE), LANES, ferry.control, flaky, STREAM, lease,
        Metrics(lambda line: None, lambda: 0),
        random=Random(1),
    ))  # fmt: skip
    ended: list[BaseException] = []
    thread = threading.Thread(target=lambda: noting(ended, capture.run))
    thread.start()
    try:
        wait_for(lambda: ferry.checkpoint or ended)
        work(ferry, 13, 150)
        wait_for(lambda: ended or ferry.captured())
    finally:
        capture.stop()
        thread.join()
    assert ended == []
    assert capture.flushed
    assert flaky.kinds == {"good", "some", "request lost", "answer lost"}
    ferry.assert_carried(repeats=True)


STOPS = {
    "truncate": (["TRUNCATE purchase"], "TRUNCATE of test.purchase"),
    "drop": (["DROP TABLE purchase"], "DROP TABLE of test.purchase"),
    "rename": (["RENAME TABLE purchase TO p2"], "RENAME TABLE of test.purchase"),
    "alter": (["ALTER TABLE purchase DROP COLUMN quantity"], "drops column quantity"),
    "statement": (
        ["SET SESSION binlog_format=STATEMENT", "DELETE FROM purchase"],
        "DELETE was logged as a statement",
    ),
    "row image": (
        ["SET SESSION binlog_row_image=MINIMAL", "UPDATE purchase SET quantity=9"],
        "does not have all columns",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STOPS)
def test_what_cannot_be_carried_stops_capture_before_it_with_reason_and_fix(ferry: Ferry, name: str) -> None:
    statements, reason = STOPS[name]
    process = ferry.start()
    ferry.sql("INSERT INTO purchase VALUES ('a','x','p',1,JSON_OBJECT('a',1,'pad',REPEAT('x',500)))")
    before = ferry.end()
    ferry.sql(*statements)
    assert process.wait() == 3
    item = ferry.checkpoint
    assert item["state"] == "stopped"
    assert reason in item["reason"]
    assert (file_number(item["file"]), item["offset"]) == before
    at = f"--skip {item['file']}:{item['offset']}"
    assert at in item["fix"]
    assert ferry.log(process)[-1]["fix"] == item["fix"]
    assert [change.kind for record in ferry.records() for change in record.changes] == [Kind.INSERT]
    assert ferry.control.get(LEASE)["released"] is True
    if name not in ("drop", "rename", "alter"):
        ferry.start(*at.split())
        ferry.sql("INSERT INTO purchase VALUES ('a','x','later',1,NULL)")
        ferry.wait_captured()
        assert len([change for record in ferry.records() for change in record.changes]) == 2


def prepared(xid: str, *statements: str) -> list[str]:
    return [f"XA START '{xid}'", *statements, f"XA END '{xid}'", f"XA PREPARE '{xid}'"]


def insert(customer: str) -> str:
    return f"INSERT INTO purchase VALUES ('{customer}','x','p',1,NULL)"


def test_what_is_prepared_outlives_the_capturer_and_what_was_before_it_needs_a_load_behind_it(
    ferry: Ferry,
) -> None:
    ferry.sql(*prepared("early", insert("early")), *prepared("first", insert("first")))
    process = ferry.start(LEASE_SECONDS=SHORT)
    start = ferry.end()
    ferry.sql(*prepared("one", insert("one")))
    ferry.sql(*prepared("two", insert("two")))
    ferry.sql(insert("plain"), "XA ROLLBACK 'two'")
    ferry.wait_captured()
    assert ferry.checkpoint["restart_offset"] == start[1]
    process.kill()
    process.wait()
    second = ferry.start()
    ferry.sql("XA COMMIT 'one'")
    ferry.wait_captured()
    ferry.assert_carried()
    customers = [change.image["customerid"] for record in ferry.records() for change in record.changes]
    assert sorted(customers) == ["one", "plain"]
    ferry.sql("XA COMMIT 'first'")  # no load has begun: each will show it
    ferry.wait_captured()
    ferry.control.put(load_key("test.purchase"), {"epoch": 1})
    ferry.sql("XA COMMIT 'early'")
    assert second.wait() == 3
    assert "prepared before capture began" in ferry.checkpoint["reason"]
    ferry.start("--skip", f"{ferry.checkpoint['file']}:{ferry.checkpoint['offset']}")
    ferry.wait_captured()


def test_a_binlog_that_was_purged_before_it_was_captured_stops_with_the_fix(ferry: Ferry) -> None:
    process = ferry.start()
    ferry.wait_captured()
    process.send_signal(signal.SIGTERM)
    process.wait()
    ferry.sql(insert("while it is down"))
    ferry.sql("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    newest = ferry.sql("SHOW BINARY LOGS")[-1][0]
    ferry.sql(f"PURGE BINARY LOGS TO '{newest}'")
    code, text = ferry.refused()
    assert code == 3
    assert "binlog purged" in text
    assert "a new word for --reset" in text
    assert ferry.checkpoint["state"] == "stopped"


@pytest.mark.parametrize("which", ["ferry", "maria"])
def test_another_replica_with_the_same_id_stops_with_the_fix(
    which: str, request: pytest.FixtureRequest
) -> None:
    ferry: Ferry = request.getfixturevalue(which)
    process = ferry.start(SOURCE_SERVER_ID="99")
    wait_for(
        lambda: ferry.sql("SELECT COUNT(*) FROM information_schema.processlist WHERE command LIKE 'Binlog%'")[
            0
        ][0]
    )
    from capturer.source.binlog import Binlog
    from rowferry.position import BinlogOffset

    account = ferry.server.capture
    source = ReplicationClient(ferry.server.host, ferry.server.port, account.user, account.password, 99)
    other = Binlog(
        source, Mapping.parse(PURCHASE), BinlogOffset(ferry.checkpoint["file"], ferry.checkpoint["offset"])
    )
    try:
        next(other.events())
        assert process.wait() == 3
    finally:
        other.close()
    assert "the same server id" in ferry.checkpoint["reason"]


def test_a_server_without_what_was_captured_stops_and_another_number_of_lanes_is_refused(
    ferry: Ferry,
) -> None:
    process = ferry.start()
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    code, text = ferry.refused(LANES="9")
    assert (code, "LANES=8" in text) == (2, True)
    lost = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5"
    ferry.control.update(CHECKPOINT, set={"server": "somebody else", "history": lost})
    code, text = ferry.refused(SOURCE_PATIENCE="2")
    assert (code, f"lacks captured transactions: {lost}" in text) == (3, True)
    assert ferry.checkpoint["state"] == "stopped"


def test_a_source_that_is_not_ready_is_reported_with_the_fix(ferry: Ferry) -> None:
    cases = [
        ({"SOURCE_PASSWORD": "wrong"}, "does not accept", "SOURCE_PASSWORD"),
        ({"SOURCE_PORT": "1"}, "cannot be reached", "SOURCE_HOST"),
        ({"STREAM_NAME": "none"}, "the stream none cannot be used", "STREAM_NAME"),
        ({"CONTROL_TABLE": "none"}, "the control table none cannot be used", "CONTROL_TABLE"),
        ({"MAPPING_FILE": "none.toml"}, "none.toml", "mapping file"),
    ]
    for changed, found, fix in cases:
        code, text = ferry.refused(**changed)
        assert code == 2, text
        assert found in text
        assert fix in text
        assert ferry.server.capture.password not in text


def test_missing_rights_and_wrong_settings_are_reported_with_the_fix(ferry: Ferry) -> None:
    poor = Account("poor", "poor-Password-1")
    ferry.sql(
        "DROP USER IF EXISTS poor@'127.0.0.1'",
        f"CREATE USER poor@'127.0.0.1' IDENTIFIED BY '{poor.password}'",
        "GRANT SELECT, REPLICATION CLIENT ON *.* TO poor@'127.0.0.1'",
        "SET GLOBAL binlog_row_image=MINIMAL",
    )
    try:
        code, text = ferry.refused(SOURCE_USER=poor.user, SOURCE_PASSWORD=poor.password)
    finally:
        ferry.sql("SET GLOBAL binlog_row_image=FULL", "DROP USER poor@'127.0.0.1'")
    assert code == 2
    assert "grant REPLICATION SLAVE is missing" in text
    assert "binlog_row_image is MINIMAL" in text
    assert "SET GLOBAL binlog_row_image=FULL" in text
    assert ferry.checkpoint == {}


def test_a_server_without_binlog_is_reported(mysql: Server, fresh_cloud: Cloud, tmp_path: Path) -> None:
    with database(tmp_path / "server", mysql.flavor, options=["--skip-log-bin", "--gtid-mode=OFF"]) as server:
        for ferry in _ferry(server, fresh_cloud, tmp_path):
            code, text = ferry.refused()
            assert code == 2
            assert "log_bin is OFF" in text


def test_mariadb_is_captured_resumed_and_stopped(maria: Ferry) -> None:
    process = maria.start(LEASE_SECONDS=SHORT)
    work(maria, 14)
    maria.sql("FLUSH BINARY LOGS")
    work(maria, 15)
    process.kill()
    process.wait()
    second = maria.start()
    work(maria, 16)
    maria.wait_captured()
    maria.assert_carried(repeats=True)
    maria.sql("TRUNCATE purchase")
    assert second.wait() == 3
    assert "TRUNCATE of test.purchase" in maria.checkpoint["reason"]


def test_metrics_and_log_lines_are_json_without_values(ferry: Ferry) -> None:
    process = ferry.start()
    ferry.sql(
        "INSERT INTO purchase VALUES ('secret-customer','x','p',1,NULL)",
        "INSERT INTO purchase SELECT 'b','x','p',1,NULL",
    )
    ferry.wait_captured()
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 0
    text = (ferry.folder / "capturer-0.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert "secret" not in text
    assert ferry.server.capture.password not in text
    metrics = [line for line in lines if "_aws" in line]
    assert metrics[0]["CapturerHeartbeat"] == 1
    assert metrics[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Rowferry"


def test_the_client_for_the_stream_does_not_retry_by_itself() -> None:
    config: Any = kinesis_config(2, 5.0)
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert config.connect_timeout + config.read_timeout <= 5.0


OTHERS = [
    ("FLOAT", "1.5"), ("BIT(9)", "b'100000001'"), ("YEAR", "2026"), ("SET('x','y')", "'x,y'"),
    ("BINARY(4)", "x'0102'"), ("VARCHAR(9) CHARACTER SET latin1", "'é'"),
    ("ENUM('é','e') CHARACTER SET latin1", "'é'"), ("POINT", "POINT(1,2)"),
    ("JSON", "JSON_OBJECT('t', CURRENT_TIME, 'a', '한')"), ("DATE", "'0000-00-00'"), ("TEXT", "'long'"),
]  # fmt: skip


RECONNECT = ""


def split(statements: Sequence[str]) -> list[list[str]]:
    """The statements of each connection."""
    sessions: list[list[str]] = [[]]
    for statement in statements:
        if statement == RECONNECT:
            sessions.append([])
        else:
            sessions[-1].append(statement)
    return sessions


def execute(server: Server, statement: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def capture_rows(server: Server, mapping: str, *statements: str) -> list[RowChange]:
    """The changes that the statements cause, read straight from the binlog; they run in UTC."""
    from capturer.source.binlog import Binlog
    from capturer.source.place import Place
    from capturer.source.transactions import Transactions
    from rowferry.position import BinlogOffset

    with server.connect() as connection:
        end = current_offset(connection, identify(connection))
    for session in split(statements):
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET time_zone='+00:00', SESSION sql_mode=''")
            for statement in session:
                cursor.execute(statement)
    with server.connect() as connection:
        goal = current_offset(connection, identify(connection))
    start = BinlogOffset(end.file, end.offset)
    account = server.capture
    source = ReplicationClient(server.host, server.port, account.user, account.password, 4712)
    parsed = Mapping.parse(mapping)
    binlog, read, found = Binlog(source, parsed, start), Transactions(parsed, Place.of(1, start)), []
    try:
        for event in binlog.events():
            found += read.feed(event)
            if read.boundary.order >= (file_number(goal.file), goal.offset):
                return found
    finally:
        binlog.close()
    return found


WIDE = """
[[table]]
source = "test.wide"
target = "wide"
layout = "item-per-row"
hash_key = { attribute = "id", type = "N" }
"""


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_columns_that_do_not_travel_may_have_any_type(flavor: str, request: pytest.FixtureRequest) -> None:
    server: Server = request.getfixturevalue(flavor)
    others = [*OTHERS, *([("VECTOR(3)", "STRING_TO_VECTOR('[1,2,3]')")] if flavor == "mysql" else [])]
    columns = ", ".join(f"c{n} {kind}" for n, (kind, _) in enumerate(others))
    changes = capture_rows(
        server,
        PURCHASE,
        f"CREATE TABLE purchase (customerid VARCHAR(9), {columns}, orderid VARCHAR(9), productid VARCHAR(9),"
        " quantity INT)",
        f"INSERT INTO purchase VALUES ('c', {', '.join(value for _, value in others)}, 'o', 'p', 7)",
        f"INSERT INTO purchase VALUES ('c', {', '.join('NULL' for _ in others)}, 'o', 'q', 8)",
    )
    assert [change.after for change in changes] == [
        {"customerid": "c", "orderid": "o", "productid": name, "quantity": number}
        for name, number in (("p", 7), ("q", 8))
    ]


def test_rows_are_read_whatever_way_the_server_packs_them(mysql: Server, mariadb: Server) -> None:
    """Compressed transactions, changes of JSON in place of documents, compressed events: as without."""
    table = "CREATE TABLE wide (id INT PRIMARY KEY, n INT, j JSON)"
    work = [
        "BEGIN",
        "INSERT INTO wide VALUES (1, 0, JSON_OBJECT('a', 1.50, 'pad', REPEAT('x', 500))), (2, 0, NULL)",
        "UPDATE wide SET n = 5, j = JSON_SET(j, '$.a', 2)",
        "SAVEPOINT s",
        "DELETE FROM wide",
        "ROLLBACK TO s",
        "DELETE FROM wide WHERE id = 2",
        "COMMIT",
    ]
    packed = ["SET SESSION binlog_transaction_compression=ON, SESSION binlog_row_value_options=PARTIAL_JSON"]
    plain = capture_rows(mysql, WIDE, table, *work)
    execute(mysql, "DROP TABLE wide")
    other = capture_rows(mysql, WIDE, table, *packed, *work)
    assert [change[:5] for change in plain] == [change[:5] for change in other]
    assert plain[2].after == {"id": 1, "n": 5, "j": Json({"a": 2, "pad": "x" * 500})}
    for changes in (plain, other):
        rows = [Position.parse(change.position or "") for change in changes]
        assert [row.row for row in rows] == [1, 2, 3, 4, 5]
        assert len({row.boundary for row in rows}) == 1
    try:
        small = ["SET GLOBAL log_bin_compress=ON", "SET GLOBAL log_bin_compress_min_len=10"]
        compressed = capture_rows(mariadb, WIDE, table, *small, *work)
    finally:
        execute(mariadb, "SET GLOBAL log_bin_compress=OFF")
    assert [change.kind for change in compressed] == [change.kind for change in plain]
    assert json.loads(str(compressed[2].image["j"])) == {"a": 2, "pad": "x" * 500}


@pytest.mark.parametrize("flavor", ["mysql", "mariadb"])
def test_of_xa_transactions_what_is_committed_arrives_and_stands_at_its_commit(
    flavor: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(flavor)

    def prepared(xid: str, row: int) -> list[str]:
        insert = f"INSERT INTO wide VALUES ({row}, 'xa')"
        return [f"XA START {xid}", insert, f"XA END {xid}", f"XA PREPARE {xid}"]

    changes = capture_rows(
        server,
        WIDE,
        "CREATE TABLE wide (id INT PRIMARY KEY, v VARCHAR(9))",
        *[RECONNECT, *prepared("'a','b',7", 1), RECONNECT, *prepared("'c'", 2), RECONNECT],
        "INSERT INTO wide VALUES (3, 'plain')",
        *["XA COMMIT 'c'", "XA ROLLBACK 'a','b',7"],
        *[*prepared("'d'", 4)[:3], "XA COMMIT 'd' ONE PHASE"],
        *[*prepared("'e'", 5), "XA COMMIT 'e'"],
        "DELETE FROM wide WHERE id = 2",
    )
    kinds = [(change.image["id"], change.kind) for change in changes]
    assert kinds == [
        (3, Kind.INSERT), (2, Kind.INSERT), (4, Kind.INSERT), (5, Kind.INSERT), (2, Kind.DELETE)
    ]  # fmt: skip
    positions = [change.position or "" for change in changes]
    assert positions == sorted(set(positions))


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("DATE", "'0000-00-00'", "0000-00-00"),
        ("DATETIME(3)", "'2026-00-00 00:00:00.12'", "2026-00-00 00:00:00.120000"),
        ("FLOAT", "1.1", 1.1),
        ("BINARY(4)", "x'01'", b"\1\0\0\0"),
        ("JSON", "'{\"a\": 1.0}'", Json({"a": 1})),
        ("VARCHAR(9) CHARACTER SET latin1", "'é'", "é"),
        ("SET('x','y')", "'y,x'", ("x", "y")),
    ],
)
def test_values_that_need_care_arrive_as_they_are(mysql: Server, kind: str, value: str, read: Any) -> None:
    (change,) = capture_rows(
        mysql,
        WIDE,
        f"CREATE TABLE wide (id INT PRIMARY KEY, v {kind})",
        f"INSERT INTO wide VALUES (1, {value})",
    )
    assert (type(change.image["v"]), change.image["v"]) == (type(read), read)


def test_events_without_checksums_and_row_events_of_the_first_version_are_read(mysql: Server) -> None:
    table = "CREATE TABLE wide (id INT PRIMARY KEY, v VARCHAR(9))"
    try:
        changes = capture_rows(
            mysql, WIDE, "SET GLOBAL binlog_checksum=NONE", table, "INSERT INTO wide VALUES (1,'a')",
            "SET GLOBAL binlog_checksum=CRC32", "INSERT INTO wide VALUES (2,'b')",
        )  # fmt: skip
    finally:
        with mysql.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL binlog_checksum=CRC32")
    assert [change.after for change in changes] == [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]


def test_a_row_of_many_megabytes_is_read_whole(mysql: Server) -> None:
    changes = capture_rows(
        mysql,
        WIDE,
        "CREATE TABLE wide (id INT PRIMARY KEY, v LONGTEXT)",
        "INSERT INTO wide VALUES (1, REPEAT('x', 20000000))",
    )
    assert len(changes[0].image["v"]) == 20_000_000  # type: ignore[arg-type]
