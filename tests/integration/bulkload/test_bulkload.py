"""The bulk load against a real MySQL and an emulated DynamoDB."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pymysql
import pytest

from bulkload.connection import connect
from bulkload.direct import chunks
from bulkload.lock import LoaderLock
from lab.cloud import Cloud
from lab.database import Server
from rowferry.control_table import CHECKPOINT, LOADER, chunk_key, chunks_of
from rowferry.errors import LeaseLost, Refused, SourceNotReady
from rowferry.mapping import Mapping
from rowferry.mysql import server as mysql_server
from rowferry.mysql import snapshot
from rowferry.mysql.address import Address
from rowferry.position import BinlogOffset, Position
from tests.support.mappings import PURCHASE
from tests.support.move_bed import Bed, context_of, make_bed, without_positions
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud) -> Bed:
    return make_bed(mysql, fresh_cloud)


def rows(count: int) -> list[tuple[str, str, str, int]]:
    return [(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(count)]


def test_every_row_is_in_its_item_with_the_watermark(bed: Bed) -> None:
    bed.fill(rows(3000))
    outcome = bed.load(chunk_rows=500)
    assert (outcome.state, outcome.result.rows, outcome.result.items) == ("done", 3000, 300)
    assert without_positions(bed.items()) == bed.expected()
    end = current_end(bed).position(1)
    assert {item["_pos"]["S"] for item in bed.items().values()} == {str(end)}


def current_end(bed: Bed) -> BinlogOffset:
    with bed.server.connect() as connection:
        return snapshot.current_offset(connection, mysql_server.identify(connection))


def test_what_is_quiet_is_right_while_the_application_writes(bed: Bed) -> None:
    bed.fill(rows(8000))
    started = current_end(bed).position(1)
    stop = threading.Event()
    writers = [threading.Thread(target=_write, args=(bed.server, number, stop)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        bed.load(chunk_rows=300, workers=3)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    items = bed.items()
    quiet = {key: item for key, item in items.items() if not key[0].startswith("busy")}
    assert without_positions(quiet) == bed.expected("customerid NOT LIKE 'busy%'")
    positions = {Position.parse(item["_pos"]["S"]) for item in items.values()}
    assert len(positions) > 5 and started <= min(positions) and max(positions) <= current_end(bed).position(1)
    # an order is one transaction, so a watermark shows all of it or nothing
    busy = {key: item for key, item in items.items() if key[0].startswith("busy")}
    for (customer, order), item in busy.items():
        assert item.keys() - {"_pos"} == {"p0", "p1", "p2"}, (customer, order)


def _write(server: Server, number: int, stop: threading.Event) -> None:
    """Transactions that each make a whole order of three rows: a load that shows a part of one is wrong."""
    with server.connect(autocommit=False) as connection, connection.cursor() as cursor:
        order = 0
        while not stop.is_set():
            order += 1
            for product in range(3):
                cursor.execute(
                    "INSERT INTO purchase VALUES (%s, %s, %s, 1)",
                    (f"busy{number}", f"o{order}", f"p{product}"),
                )
            connection.commit()


@pytest.mark.parametrize("chunk_rows", [1, 2, 3, 1000])
def test_keys_that_mysql_takes_for_equal_are_items_of_their_own(bed: Bed, chunk_rows: int) -> None:
    bed.sql("ALTER TABLE purchase DROP PRIMARY KEY, ADD KEY (customerid, orderid)")
    bed.sql(
        "ALTER TABLE purchase CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"
    )  # pads with spaces
    names = ["A", "a", "á", "b", "B ", "b  ", "ß", "s", "S", "z"]
    bed.fill([(name, order, f"p{n}", n) for n in range(3) for name in names for order in ("o", "O", "o ")])
    outcome = bed.load(chunk_rows=chunk_rows)
    assert outcome.result.items == 30
    assert without_positions(bed.items()) == bed.expected()


@pytest.mark.parametrize("count", [0, 1])
def test_a_small_table_is_one_chunk(bed: Bed, count: int) -> None:
    if count:
        bed.fill(rows(count))
    outcome = bed.load()
    assert (outcome.state, outcome.chunks, outcome.result.rows) == ("done", 1, count)
    assert without_positions(bed.items()) == bed.expected()


def test_a_group_larger_than_a_chunk_is_not_split(bed: Bed) -> None:
    bed.fill([("c", "big", f"p{n}", n) for n in range(700)] + rows(200))
    outcome = bed.load(chunk_rows=50)
    assert outcome.chunks < 7
    assert len(bed.items()["c", "big"]) == 701
    assert without_positions(bed.items()) == bed.expected()


CHUNKS = chunks_of("test.purchase")
SINGLE = """
    [[table]]
    source = "test.{table}"
    target = "{table}"
    layout = "item-per-row"
    hash_key = {{ attribute = "id", type = "{type}" }}
"""


@pytest.mark.parametrize(
    ("column", "kind", "values"),
    [
        ("BIGINT UNSIGNED", "N", [0, 1, 2**53, 2**53 + 1, 2**53 + 2, 2**64 - 2, 2**64 - 1]),
        ("BIGINT", "N", [-(2**63), -(2**53) - 1, -(2**53), -1, 0, 2**63 - 1]),
        ("DECIMAL(38,10)", "N", ["-1.5", "0", "0.0000000001", "1234567890123456789012345678.0000000001"]),
        ("VARBINARY(20)", "B", [b"\x00", b"\x00\x00", b"%s'\\", b"\xff"]),
        ("VARCHAR(20) COLLATE utf8mb4_0900_bin", "S", ["A", "a", "a ", "%", "\\'", "한글😀"]),
        ("CHAR(20) CHARACTER SET ascii", "S", ["A", "b", "c"]),
        ("ENUM('z','a','m')", "S", ["z", "a", "m"]),
        ("DATETIME(6)", "S", ["2026-11-23 01:02:03.000001", "2026-11-23 01:02:03", "0001-01-01 00:00:00"]),
        ("DATE", "S", ["2026-11-23", "2026-11-24"]),
        ("TIME(6)", "S", ["-00:00:01.500000", "-838:59:58", "00:00:00", "01:02:03.000004"]),
        ("DOUBLE", "N", [-1.5, 0.1, 1e-7, 1.7976931348623157e100]),
        ("FLOAT", "N", [-1.5, 0.1, 16777216, 1e-7]),
        ("BIT(64)", "N", [0, 1, 2**64 - 2, 2**64 - 1]),
        ("YEAR", "N", [0, 1901, 2001, 2155]),
        ("BINARY(3)", "B", [b"\x00", b" ", b"  ", b"\xff%s"]),
        ("SET('z','a','m')", "S", ["z", "a", "m,z", "m"]),
        ("VARCHAR(20) CHARACTER SET latin1", "S", ["é", "f", "€", "%s"]),
        ("CHAR(20) CHARACTER SET euckr", "S", ["한", "글", "a", "%s"]),
        ("VARCHAR(20) CHARACTER SET ucs2", "S", ["한", "글", "a", "%s"]),
    ],
)
def test_every_key_type_is_cut_into_chunks_without_loss(
    bed: Bed, column: str, kind: str, values: list[Any]
) -> None:
    bed.sql(f"CREATE TABLE kinds (id {column} NOT NULL PRIMARY KEY, note INT INVISIBLE)")
    with bed.server.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO kinds (id, note) VALUES (%s, %s)", [(v, n) for n, v in enumerate(values)]
        )
    bed.table("kinds", id=kind)
    outcome = bed.load(SINGLE.format(table="kinds", type=kind), chunk_rows=1)
    assert outcome.result.rows == outcome.result.items == len(values)
    assert {item["note"]["N"] for item in bed.items("kinds").values()} == {str(n) for n in range(len(values))}


def test_values_come_as_the_binlog_has_them(bed: Bed) -> None:
    bed.sql(
        "CREATE TABLE kinds (id INT PRIMARY KEY, t TIME(6), s TIMESTAMP, d DATETIME(3), c CHAR(5),"
        " v VARCHAR(5), n DECIMAL(60,0), `odd %s name` INT)",
        "SET time_zone = '+09:00'",
        "INSERT INTO kinds VALUES (1, '-00:00:01.5', '2026-11-23 09:00:00', '2026-11-23 01:02:03', 'a', 'a ',"
        " 123456789012345678901234567890123456789012345678901, 7)",
    )
    bed.table("kinds", id="N")
    with context_of(bed.server, sql_mode="PAD_CHAR_TO_FULL_LENGTH"):
        bed.load(SINGLE.format(table="kinds", type="N"))
    item = bed.items("kinds")[("1",)]
    del item["_pos"]
    assert item == {
        "t": {"S": "-00:00:01.500000"},
        "s": {"S": "2026-11-23 00:00:00"},
        "d": {"S": "2026-11-23 01:02:03"},
        "c": {"S": "a"},
        "v": {"S": "a "},
        "n": {"S": "123456789012345678901234567890123456789012345678901"},
        "odd %s name": {"N": "7"},
    }


def test_unusable_rows_are_named_and_the_load_is_not_done_until_accepted(bed: Bed) -> None:
    bed.sql(
        "ALTER TABLE purchase DROP PRIMARY KEY, MODIFY customerid VARCHAR(3000),"
        " MODIFY orderid VARCHAR(60) NULL,"
        " MODIFY productid LONGTEXT, ADD KEY (customerid(10), orderid)"
    )
    bed.fill(
        [
            ("c", "o", "p", 1),
            (None, "o", "null", 1),
            ("c", None, "null", 1),
            ("", "o", "empty", 1),
            ("x" * 2049, "o", "long", 1),
            ("c", "o", "orderid", 1),
            ("c", "o", "_pos", 1),
            ("c", "big", "b" * 60_000, 1),
            *(("c", "large", f"{n}".ljust(60_000, "l"), 1) for n in range(8)),
        ]
    )
    bed.said.clear()
    outcome = bed.load(chunk_rows=2)
    assert (outcome.state, outcome.result.rows, outcome.result.unusable) == ("loading", 16, 14)
    assert bed.items().keys() == {("c", "o"), ("c", "big")}
    assert any("slow" in line for line in bed.said)
    assert sorted(row.reason.split()[0] for row in bed.unusable) == [
        "a",
        "a",
        "key",
        "key",
        "key",
        "key",
        "the",
    ]
    loaded = bed.items()
    bed.unusable.clear()
    again = bed.load()
    assert (again.state, len(bed.unusable)) == ("loading", 7)
    assert bed.items().keys() == loaded.keys()
    assert bed.load(accept_unusable=True).state == "done"


def test_a_finished_load_does_nothing_and_can_be_begun_again(bed: Bed) -> None:
    bed.fill(rows(100))
    bed.load()
    before = bed.items()
    bed.sql("UPDATE purchase SET quantity = -1")
    outcome = bed.load()
    assert outcome.nothing_to_do and outcome.result.rows == 100
    assert bed.items() == before
    assert not bed.loader().run(True)[0].result.unusable  # the switch does not matter any more
    assert not bed.load(again=True, chunk_rows=10).nothing_to_do
    assert without_positions(bed.items()) == bed.expected()


@pytest.fixture
def slow_client(bed: Bed) -> Any:
    class Slow:
        """Lets a few batches of items through, then fails as a network does."""

        left = 5

        def __getattr__(self, name: str) -> Any:
            return getattr(bed.dynamodb, name)

        def batch_write_item(self, **arguments: Any) -> Any:
            if "purchase" in arguments["RequestItems"]:
                self.left -= 1
                if self.left < 0:
                    raise RuntimeError("cut")
            return bed.dynamodb.batch_write_item(**arguments)

    return Slow()


def test_after_a_failure_only_the_open_chunks_are_loaded(bed: Bed, slow_client: Any) -> None:
    bed.fill(rows(3000))
    with pytest.raises(RuntimeError, match="cut"):
        bed.loader(client=slow_client, workers=2, chunk_rows=200).run(False)
    done = {item["pk"] for item in bed.control.items(CHUNKS) if item["state"] == "done"}
    assert 0 < len(done) < 15
    marks = {item["pk"]: item["watermark"] for item in bed.control.items(CHUNKS) if item["pk"] in done}
    bed.sql("INSERT INTO purchase VALUES ('zz', 'later', 'p', 1)")
    assert bed.load().state == "done"
    after = {item["pk"]: item["watermark"] for item in bed.control.items(CHUNKS)}
    assert {pk: after[pk] for pk in done} == marks
    assert max(after.values()) > max(marks.values())
    assert without_positions(bed.items()) == bed.expected()


def test_killed_at_any_moment_it_goes_on(bed: Bed) -> None:
    bed.fill(rows(20_000))
    command = [sys.executable, "-m", "ferry.cli", "load", "--chunk-rows", "100", "--processes", "2"]
    slowly = [*command, "--max-rows", "500"]  # 40 s: it has been killed long before
    process = subprocess.Popen(slowly, env=bed.environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: sum(item["state"] == "done" for item in bed.control.items(CHUNKS)) > 10)
    finally:
        process.kill()
        process.wait()
    marks = {item["pk"]: item["watermark"] for item in bed.control.items(CHUNKS) if item["state"] == "done"}
    assert len(marks) < 200
    bed.sql("INSERT INTO purchase VALUES ('zz', 'later', 'p', 1)")
    finished = subprocess.run(command, env=bed.environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert "waiting 15 s to see whether it is alive" in finished.stderr
    after = {item["pk"]: item["watermark"] for item in bed.control.items(CHUNKS)}
    assert {pk: after[pk] for pk in marks} == marks
    assert without_positions(bed.items()) == bed.expected()


def test_an_interrupted_planning_leaves_no_trace(bed: Bed) -> None:
    bed.fill(rows(1000))
    for number in range(1, 60):  # a plan of smaller chunks that was never finished
        bed.control.put(
            chunk_key("test.purchase", number),
            {"lower": '["c0", "o1"]', "upper": '["c0", "o2"]', "nulls": False, "state": "open"},
        )
    assert bed.load(chunk_rows=100).result.rows == 1000
    assert without_positions(bed.items()) == bed.expected()


def test_a_second_loader_is_refused_while_the_first_lives(bed: Bed) -> None:
    first = LoaderLock(bed.control, ttl=5.0)
    with first.held(bed.said.append), pytest.raises(Refused, match="another loader is running"):
        bed.load()
    assert bed.load().state == "done"


def test_a_lock_is_taken_over_from_the_dead_and_the_dead_write_no_more(bed: Bed) -> None:
    now = [0.0]
    dead = LoaderLock(bed.control, ttl=10.0, clock=lambda: now[0])
    dead.acquire(time.sleep, bed.said.append)
    dead.check()
    heir = LoaderLock(bed.control)
    slept: list[float] = []
    heir.acquire(slept.append, bed.said.append)
    assert slept == [10.0]
    with pytest.raises(LeaseLost, match="another loader has taken over"):
        dead.renew()
    with pytest.raises(LeaseLost):
        dead.check()
    dead.release()
    assert not bed.control.get(LOADER)["released"]


def test_a_lock_under_another_name_is_still_held(bed: Bed) -> None:
    lock = LoaderLock(bed.control)
    with lock.held(bed.said.append):
        before = lock.owner
        lock.pass_on()
        assert bed.control.get(LOADER)["owner"] == lock.owner != before
        lock.renew()
        lock.check()
    assert bed.control.get(LOADER)["released"]


def test_a_lock_that_was_lost_is_not_taken_back_by_another_name(bed: Bed) -> None:
    lock = LoaderLock(bed.control)
    lock.acquire(time.sleep, bed.said.append)
    bed.control.update(LOADER, set={"owner": "heir"})
    lock.pass_on()
    assert bed.control.get(LOADER)["owner"] == "heir"
    with pytest.raises(LeaseLost):
        lock.renew()


def test_a_loader_that_cannot_renew_stops_before_another_may_begin(bed: Bed) -> None:
    now = [0.0]
    lock = LoaderLock(bed.control, ttl=10.0, clock=lambda: now[0])
    lock.acquire(time.sleep, bed.said.append)
    now[0] = 4.9
    lock.check()
    now[0] = 5.1
    with pytest.raises(LeaseLost, match="could not renew"):
        lock.check()


def test_the_servers_certificate_must_name_the_host(bed: Bed) -> None:
    if bed.server.flavor != "mysql":
        pytest.skip("MariaDB makes no CA of its own")
    ca = str(bed.server.folder / "data" / "ca.pem")
    with pytest.raises(pymysql.err.OperationalError, match="mismatch"):
        connect(replace(bed.address, ca=ca))


def test_a_load_without_a_capturer_is_refused(bed: Bed) -> None:
    bed.dynamodb.delete_item(TableName=bed.control.name, Key={"pk": {"S": CHECKPOINT}})
    with pytest.raises(Refused, match=r"no capturer has run yet.*start the capturer"):
        bed.load()


def test_a_load_from_another_server_is_refused(bed: Bed) -> None:
    bed.capture(server="0000-other")
    with pytest.raises(Refused, match="0000-other is being captured: name in --source"):
        bed.load()


def test_a_load_from_a_server_that_went_back_is_refused(bed: Bed) -> None:
    bed.capture(offset=10**12)
    with pytest.raises(Refused, match=r"before the checkpoint.*CapturerReset"):
        bed.load()


def test_a_load_while_the_switch_is_on_is_refused(bed: Bed) -> None:
    with pytest.raises(Refused, match=r"the switch is ON.*ferry verify"):
        bed.loader().run(True)


def test_a_load_from_a_source_that_is_not_ready_is_refused(bed: Bed) -> None:
    minimal = context_of(bed.server, binlog_row_image="MINIMAL")
    with minimal, pytest.raises(SourceNotReady, match="binlog_row_image is MINIMAL"):
        bed.load()


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        (
            {"customerid": "S"},
            r"has the key customerid \(S, hash\), the mapping says customerid \(S, hash\), orderid",
        ),
        ({"customerid": "S", "orderid": "N"}, r"orderid \(N, range\), the mapping says"),
        ({"orderid": "S", "customerid": "S"}, r"has the key orderid \(S, hash\), customerid \(S, range\)"),
        ({}, "there is no DynamoDB table purchase"),
    ],
)
def test_a_target_with_another_key_is_refused(bed: Bed, keys: dict[str, str], found: str) -> None:
    bed.dynamodb.delete_table(TableName="purchase")
    if keys:
        bed.table("purchase", **keys)
    with pytest.raises(Refused, match=found):
        bed.load()


def test_chunks_are_found_by_a_range_of_the_index(bed: Bed) -> None:
    bed.fill(rows(3000))
    bed.sql("ANALYZE TABLE purchase")
    with connect(bed.address) as connection:
        mapped = Mapping.parse(PURCHASE).tables[0]
        table = chunks.describe(connection, mapped, mysql_server.columns(connection, mapped))
        assert table.indexed
        middle = list(chunks.plan(connection, table, 100))[15]
        sql, parameters = chunks.select(table, middle)
        with connection.cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {sql}", parameters)
            (line,) = cursor.fetchall()
    assert (line["type"], line["key"]) == ("range", "PRIMARY")
    assert "filesort" not in (line["Extra"] or "")
    assert line["rows"] < 1000


def test_a_commit_in_the_binlog_may_not_be_visible_yet_and_the_snapshot_waits_for_it(bed: Bed) -> None:
    """
    The trap that `begin_snapshot` is for. The delay between a transaction's
    place in the binlog and its visibility is drawn out to a second; where the naive way
    takes longer, it is tried again: that it may miss the transaction is what is shown.
    """
    with context_of(bed.server, sync_binlog=1, binlog_group_commit_sync_delay=1_000_000):
        while _read_behind_a_commit(bed, _naively):
            pass
        assert _read_behind_a_commit(bed, snapshot.begin_snapshot)


def _read_behind_a_commit(bed: Bed, take: Callable[[Any, mysql_server.Server], BinlogOffset]) -> list[Any]:
    """The rows in a snapshot that begins once the transaction of one row is in the binlog."""
    bed.sql("DELETE FROM purchase")
    before = current_end(bed)
    commit = threading.Thread(target=bed.sql, args=("INSERT INTO purchase VALUES ('c', 'o', 'p', 1)",))
    with connect(bed.address) as connection:
        server = mysql_server.identify(connection)
        commit.start()
        wait_for(lambda: current_end(bed) != before)
        watermark = take(connection, server)
        found = mysql_server.rows(connection, "SELECT * FROM test.purchase")
    commit.join()
    assert watermark.offset > before.offset  # the transaction lies before the watermark
    return found


def _naively(connection: Any, server: mysql_server.Server) -> BinlogOffset:
    """What everybody writes first: the end of the binlog, then the snapshot."""
    end = snapshot.current_offset(connection, server)
    mysql_server.execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
    return end


@pytest.fixture
def busy_mariadb(mariadb: Server) -> Iterator[Server]:
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE counted (id INT PRIMARY KEY AUTO_INCREMENT, x INT)")
        cursor.execute("FLUSH BINARY LOGS")  # the test counts the inserts of one file
    stop = threading.Event()
    writer = threading.Thread(target=_count_up, args=(mariadb, stop))
    writer.start()
    yield mariadb
    stop.set()
    writer.join()


def _count_up(server: Server, stop: threading.Event) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        while not stop.is_set():
            cursor.execute("INSERT INTO counted (x) VALUES (1)")


def test_on_mariadb_what_stands_before_the_watermark_is_in_the_snapshot(busy_mariadb: Server) -> None:
    account = busy_mariadb.capture
    address = Address(busy_mariadb.host, busy_mariadb.port, account.user, account.password)
    with connect(address) as connection:
        server = mysql_server.identify(connection)
        for _ in range(8):  # each reads the whole file, which grows
            watermark = snapshot.begin_snapshot(connection, server)
            (found,) = mysql_server.rows(connection, "SELECT COUNT(*) AS newest FROM test.counted")
            connection.rollback()
            time.sleep(0.01)
            inserts = _inserts_before(busy_mariadb, watermark)
            assert found["newest"] >= inserts
    assert inserts


def test_mariadbs_snapshot_waits_for_the_outcome_of_what_is_prepared(mariadb: Server) -> None:
    """An XA COMMIT stands in the binlog, and before the snapshot's own position, ahead of its visibility."""
    with mariadb.connect() as writer, writer.cursor() as cursor, mariadb.connect() as connection:
        for sql in ("CREATE TABLE x (id INT PRIMARY KEY)", "XA START 'a'", "INSERT INTO x VALUES (1)"):
            cursor.execute(sql)
        cursor.execute("XA END 'a'")
        cursor.execute("XA PREPARE 'a'")
        server, taken = mysql_server.identify(connection), []
        taking = threading.Thread(target=lambda: taken.append(snapshot.begin_snapshot(connection, server)))
        taking.start()
        taking.join(0.3)
        assert not taken
        cursor.execute("XA COMMIT 'a'")
        taking.join()
        assert taken
        assert mysql_server.rows(connection, "SELECT COUNT(*) AS n FROM test.x") == [{"n": 1}]


def _inserts_before(server: Server, watermark: BinlogOffset) -> int:
    with server.connect() as connection:
        events = mysql_server.rows(connection, f"SHOW BINLOG EVENTS IN '{watermark.file}'")
    return sum(
        event["event_type"].startswith("Write_rows") and event["end_log_pos"] <= watermark.offset
        for event in events
    )
