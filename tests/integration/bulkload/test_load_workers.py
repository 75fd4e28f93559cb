"""The load with several processes: killed, interrupted, held back."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bulkload.connection import connect
from bulkload.direct import chunks, reader
from bulkload.dynamodb.batch_writer import RetryPolicy
from bulkload.throttle.limits import Limits
from lab.cloud import Cloud
from lab.database import Server
from rowferry.control_table import LOADER, chunks_of, load_key
from rowferry.errors import Refused
from rowferry.mapping import Mapping
from rowferry.mysql.server import columns
from tests.support.epochs import first_epoch
from tests.support.move_bed import Bed, make_bed, without_positions
from tests.support.waiting import wait_for, while_alive

pytestmark = pytest.mark.integration


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud) -> Bed:
    return make_bed(mysql, fresh_cloud)


def rows(count: int) -> list[tuple[str, str, str, int]]:
    return [(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(count)]


def done(bed: Bed) -> int:
    return sum(item["state"] == "done" for item in bed.control.items(chunks_of("test.purchase")))


def total(bed: Bed) -> int:
    return int(bed.control.get(load_key("test.purchase"))["chunks"])


@contextmanager
def loading(bed: Bed, **settings: Any) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=bed.load, kwargs=settings)
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def test_a_worker_that_is_killed_loses_and_doubles_nothing(bed: Bed) -> None:
    bed.fill(rows(12_000))
    with loading(bed, processes=2, chunk_rows=100, limits=Limits(rows=300)) as load_thread:
        while_alive(lambda: done(bed) > 5, load_thread)
        killed = multiprocessing.active_children()[0]
        assert killed.pid
        os.kill(killed.pid, signal.SIGKILL)
        Limits().write(bed.control)
    assert any("a worker process died" in line for line in bed.said)
    load = bed.control.get(load_key("test.purchase"))
    assert (load["state"], load["rows"], load["items"]) == ("done", 12_000, 1200)
    assert without_positions(bed.items()) == bed.expected()
    assert not multiprocessing.active_children()


def test_what_fails_in_a_worker_ends_the_load_with_its_reason(bed: Bed) -> None:
    bed.fill(rows(4000))
    ended = threading.Event()
    remove = threading.Thread(
        target=lambda: (
            wait_for(lambda: done(bed) or ended.is_set()),
            bed.dynamodb.delete_table(TableName="purchase"),
        )
    )
    remove.start()
    try:
        with pytest.raises(ClientError, match="ResourceNotFound"):
            bed.load(processes=2, chunk_rows=50, limits=Limits(rows=100))
    finally:
        ended.set()
        remove.join()
    assert bed.control.get(LOADER)["released"]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_load_leaves_no_process_and_goes_on_at_once(bed: Bed, signal_: int) -> None:
    bed.fill(rows(2000))
    command = [sys.executable, "-m", "ferry.cli", "load", "--chunk-rows", "10", "--processes", "2"]
    slowly = [*command, "--max-rows", "2"]  # it never ends by itself
    process = subprocess.Popen(slowly, env=bed.environment, stderr=subprocess.PIPE, text=True)
    while_alive(lambda: done(bed), process)
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(children) >= 2
    process.send_signal(signal_)
    _, said = process.communicate()
    assert process.returncode == 130 and "interrupted" in said
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    before = done(bed)
    Limits().write(bed.control)
    finished = subprocess.run(command, env=bed.environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0 and "to see whether it is alive" not in finished.stderr
    assert 0 < before < 200
    assert without_positions(bed.items()) == bed.expected()


def test_the_workers_of_a_killed_load_end(bed: Bed) -> None:
    bed.fill(rows(2000))
    command = [sys.executable, "-m", "ferry.cli", "load", "--chunk-rows", "10", "--processes", "2"]
    process = subprocess.Popen([*command, "--max-rows", "2"], env=bed.environment)
    while_alive(lambda: done(bed), process)
    listed = ["ps", "-o", "pid=", "--ppid", str(process.pid)]
    children = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    process.kill()
    process.wait()
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


def test_a_load_rests_and_goes_on(bed: Bed, capfd: pytest.CaptureFixture[str]) -> None:
    bed.fill(rows(3000))
    ferry = [sys.executable, "-m", "ferry.cli", "throttle"]
    with loading(bed, chunk_rows=20, limits=Limits(rows=20)) as load:  # 150 s: it is paused long before
        while_alive(lambda: done(bed), load)
        subprocess.run([*ferry, "--pause", "--max-rows", "0"], env=bed.environment, check=True)
        assert Limits.read(bed.control) == Limits(rows=0, paused=True)
        rested = while_alive(lambda: at_rest(bed), load)
        time.sleep(1.5)
        assert done(bed) == rested < total(bed)
        subprocess.run([*ferry, "--resume"], env=bed.environment, check=True)
    assert done(bed) == total(bed)
    assert capfd.readouterr().out == "paused, no limits\nno limits\n"
    refused = subprocess.run(ferry, env=bed.environment, capture_output=True, text=True, check=False)
    assert refused.returncode == 2 and "no load is running" in refused.stderr


def at_rest(bed: Bed) -> int:
    """How many are done, once what was begun is finished: no more for as long as a chunk takes by far."""
    before = done(bed)
    time.sleep(3)
    return before if done(bed) == before else 0


def test_no_chunk_is_begun_while_the_source_is_busy(bed: Bed) -> None:
    bed.fill(rows(300))
    with bed.server.connect() as holder, holder.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK('busy', 0)")
        busy = [threading.Thread(target=bed.sql, args=("SELECT GET_LOCK('busy', 10000)",)) for _ in range(6)]
        for thread in busy:
            thread.start()
        while_alive(lambda: _running(bed) > 6, *busy)
        with loading(bed, chunk_rows=100, limits=Limits(threads_running=5)) as load:
            while_alive(lambda: bed.control.get(load_key("test.purchase")), load)
            time.sleep(2)
            assert not done(bed)
            cursor.execute("SELECT RELEASE_LOCK('busy')")
            for thread in busy:
                thread.join()
    assert done(bed) == total(bed)


def _running(bed: Bed) -> int:
    with bed.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Threads_running'")
        found = cursor.fetchone()
        assert found
        return int(found[1])


def test_a_table_that_cannot_be_cut_is_refused_where_it_does_not_fit(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bed.sql("DROP TABLE purchase", "CREATE TABLE purchase (customerid FLOAT PRIMARY KEY, quantity INT)")
    bed.fill([(number, number) for number in range(3000)])
    bed.dynamodb.delete_table(TableName="purchase")
    bed.table("purchase", customerid="N")
    mapping = """
        [[table]]
        source = "test.purchase"
        target = "purchase"
        layout = "item-per-row"
        hash_key = { attribute = "customerid", type = "N" }
    """
    monkeypatch.setattr(reader, "MOST_UNCUT", 10_000)
    with pytest.raises(Refused, match=r"does not fit into memory.*ferry export"):
        bed.load(mapping)
    assert not bed.items()
    assert exported(bed, mapping) == 3000
    monkeypatch.undo()
    assert bed.load(mapping).result.items == 3000


class Counted:
    """A sink that holds no row, as an export's file."""

    def __init__(self) -> None:
        self.rows = 0

    def take(self, rows: Iterable[Any]) -> None:
        self.rows += len(list(rows))


def exported(bed: Bed, mapping: str) -> int:
    """The rows that an export reads."""
    connection = connect(bed.address)
    with closing(connection):
        (mapped,) = Mapping.parse(mapping).tables
        table = chunks.describe(connection, mapped, columns(connection, mapped))
    with closing(reader.ChunkReader(first_epoch(partial(connect, bed.address)), RetryPolicy())) as reading:
        return reading.read_into(table, chunks.Chunk(), Counted)[0].rows


def test_groups_at_the_limits_are_loaded_right_or_named(bed: Bed) -> None:
    bed.sql("ALTER TABLE purchase MODIFY quantity LONGTEXT")
    key = 2 * len("customeridorderid") // 2 + len("c") + len("399") + len("_pos") + 39  # bytes of the key
    for kilobytes in (399, 401):
        text = "x" * (kilobytes * 1024 - key - len("p"))
        bed.fill([("c", str(kilobytes), "p", text)])
    bed.fill([("many", "o", f"{n:x}", "") for n in range(50_000)])
    outcome = bed.load(processes=2, chunk_rows=1000)
    assert (outcome.result.rows, outcome.result.unusable) == (50_002, 1)
    assert [row.reason.partition(":")[0] for row in bed.unusable] == ["the item would be larger than 400 KB"]
    items = bed.items()
    assert items.keys() == {("c", "399"), ("many", "o")}
    assert len(items["many", "o"]) == 50_001


def test_keys_of_every_byte(bed: Bed) -> None:
    bed.sql(
        "DROP TABLE purchase",
        "CREATE TABLE purchase (customerid VARBINARY(3), orderid VARCHAR(9) COLLATE utf8mb4_bin,"
        " productid VARCHAR(9) COLLATE utf8mb4_bin, quantity INT,"
        " PRIMARY KEY (customerid, orderid, productid))",
    )
    bed.dynamodb.delete_table(TableName="purchase")
    bed.table("purchase", customerid="B", orderid="S")
    texts = [chr(code) for code in (*range(0x300), 0x2028, 0xFFFD, 0x1F600, 0x10FFFF)]
    bed.fill([(bytes([n % 256]), text, text, n) for n, text in enumerate(texts)])
    mapping = """
        [[table]]
        source = "test.purchase"
        target = "purchase"
        layout = "attribute-per-row"
        hash_key = { attribute = "customerid", type = "B" }
        range_key = { attribute = "orderid" }
        member_name = "productid"
        member_value = "quantity"
    """
    assert bed.load(mapping, processes=2, chunk_rows=50).result.items == len(texts)
    pages = bed.dynamodb.get_paginator("scan").paginate(TableName="purchase")
    found = {
        (item["customerid"]["B"], item["orderid"]["S"]): item[item["orderid"]["S"]]["N"]
        for page in pages
        for item in page["Items"]
    }
    assert found == {(bytes([n % 256]), text): str(n) for n, text in enumerate(texts)}
