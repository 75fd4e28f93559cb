"""What preflight demands, and DDL or a setting takes away while capture runs: it stops in time, and says."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random

import pytest

from capturer.capture import Capture
from capturer.parts import CaptureParts
from capturer.source.binlog import ReplicationClient
from capturer.source.demands import Demands
from capturer.state.lease import Lease
from capturer.telemetry import Metrics
from lab.cloud import Cloud
from lab.database import Server, database
from rowferry.change import Kind
from rowferry.control_table import LEASE
from rowferry.errors import LOAD, PASS, CaptureStopped
from rowferry.mapping import Mapping
from tests.integration.capturer.test_capturer import LANES, STREAM, Ferry, noting
from tests.support.mappings import PURCHASE
from tests.support.move_bed import context_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

PARENT = "CREATE TABLE orders (id VARCHAR(20) PRIMARY KEY)"
ADD_KEY = (
    "ALTER TABLE purchase ADD CONSTRAINT k FOREIGN KEY (orderid) REFERENCES orders (id) ON DELETE CASCADE"
)
INSERT = "INSERT INTO purchase VALUES ('a', 'x', '{}', 1, NULL)"


@contextmanager
def between(server: Server, cloud: Cloud, folder: Path) -> Iterator[Ferry]:
    made = Ferry(server, cloud, folder)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def on_mariadb(mariadb: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Ferry]:
    with between(mariadb, fresh_cloud, tmp_path) as made:
        yield made


@pytest.fixture
def on_mysql(mysql: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Ferry]:
    if mysql.flavor != "mysql":
        pytest.skip("no MySQL on this machine")
    with between(mysql, fresh_cloud, tmp_path) as made:
        yield made


@pytest.fixture(params=["on_mysql", "on_mariadb"])
def ferry(request: pytest.FixtureRequest) -> Ferry:
    found: Ferry = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def native_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A MySQL whose engine, and not the server, executes what foreign keys do; before 9.6 every one does."""
    options = ["--loose-innodb-native-foreign-keys=ON"]
    with database(tmp_path_factory.mktemp("native"), options=options) as server:
        yield server


def kinds(ferry: Ferry) -> list[Kind]:
    return [change.kind for record in ferry.records() for change in record.changes]


def stops_before_what_vanishes(ferry: Ferry) -> None:
    """Of the two rows one vanishes with its parent, which no binlog says."""
    ferry.sql(PARENT, "INSERT INTO orders VALUES ('x'), ('y')")
    process = ferry.start()
    ferry.sql(INSERT.format("p"), INSERT.format("q").replace("'x'", "'y'"))
    ferry.wait_captured()
    ferry.sql(ADD_KEY, "DELETE FROM orders WHERE id = 'x'", INSERT.format("r").replace("'x'", "'y'"))
    assert process.wait() == 3
    assert kinds(ferry) == [Kind.INSERT, Kind.INSERT]
    item = ferry.checkpoint
    assert "a foreign key of test.purchase with ON DELETE CASCADE" in item["reason"]
    assert "drop the key" in item["fix"] and item["remedy"] == PASS and item["again"] == ["test.purchase"]
    assert ferry.control.get(LEASE)["released"] is True
    # After the fix and the load, capture goes on from there.
    ferry.sql("ALTER TABLE purchase DROP FOREIGN KEY k")
    ferry.start("--skip", f"{item['file']}:{item['offset']}")
    ferry.wait_captured()
    assert kinds(ferry) == [Kind.INSERT] * 3


def test_a_cascading_key_that_is_added_on_mariadb(on_mariadb: Ferry) -> None:
    stops_before_what_vanishes(on_mariadb)


def test_a_cascading_key_that_is_added_on_a_mysql_with_native_keys(
    native_keys: Server, fresh_cloud: Cloud, tmp_path: Path
) -> None:
    if native_keys.flavor != "mysql":
        pytest.skip("no MySQL on this machine")
    with between(native_keys, fresh_cloud, tmp_path) as made:
        stops_before_what_vanishes(made)


def test_a_key_that_was_made_and_dropped_while_the_capturer_was_down(on_mariadb: Ferry) -> None:
    """The server's present state does not show it; the statement does."""
    ferry = on_mariadb
    ferry.sql(PARENT, "INSERT INTO orders VALUES ('x')", INSERT.format("p"))
    process = ferry.start()
    ferry.wait_captured()
    process.terminate()
    assert process.wait() == 0
    ferry.sql(ADD_KEY, "DELETE FROM orders", "ALTER TABLE purchase DROP FOREIGN KEY k", INSERT.format("r"))
    code, said = ferry.refused()
    assert code == 3 and "a foreign key of test.purchase with ON DELETE CASCADE" in said
    assert kinds(ferry) == []


def test_mysql_logs_what_its_own_keys_change_and_capture_goes_on(on_mysql: Ferry) -> None:
    ferry = on_mysql
    ferry.sql(PARENT, "INSERT INTO orders VALUES ('x')")
    ferry.start()
    ferry.sql(INSERT.format("p"), ADD_KEY, "DELETE FROM orders")
    ferry.wait_captured()
    assert kinds(ferry) == [Kind.INSERT, Kind.DELETE]


WHOLE_ROWS = """
[[table]]
source = "test.purchase"
target = "purchase"
layout = "item-per-row"
hash_key = { attribute = "productid" }
"""


def test_a_new_column_of_a_type_that_is_not_carried(ferry: Ferry) -> None:
    """Nothing but the condition says so: in every row there is, the column is NULL."""
    ferry.mapping.write_text(WHOLE_ROWS)
    process = ferry.start()
    ferry.sql(INSERT.format("p"))
    ferry.wait_captured()
    before = ferry.end()
    add = "ALTER TABLE purchase ADD s SET('a', 'b') COLLATE binary"
    ferry.sql(add, INSERT.format("q").replace(", NULL", ", NULL, NULL"))
    assert process.wait() == 3
    assert "type of test.purchase.s is set" in ferry.checkpoint["reason"]
    assert (ferry.checkpoint["offset"], kinds(ferry)) == (before[1], [Kind.INSERT])
    # With the column left out of the mapping, capture goes on.
    ferry.mapping.write_text(WHOLE_ROWS + 'exclude = ["s"]')
    ferry.start()
    ferry.wait_captured()
    assert kinds(ferry) == [Kind.INSERT] * 2


@dataclass(frozen=True)
class Running:
    """A capture in this process, and what ended it."""

    ferry: Ferry
    ended: list[BaseException]

    def wait_captured(self) -> None:
        wait_for(lambda: self.ended or self.ferry.captured())
        assert self.ended == []

    def stopped(self) -> CaptureStopped:
        wait_for(lambda: self.ended)
        assert isinstance(self.ended[0], CaptureStopped), self.ended
        return self.ended[0]


@contextmanager
def capturing(ferry: Ferry, every: float = 0.0) -> Iterator["Running"]:
    """In this process, and asking at each sign of life."""
    account = ferry.server.capture
    source = ReplicationClient(ferry.server.host, ferry.server.port, account.user, account.password, 4711)
    capture = Capture(CaptureParts(
        source, Mapping.parse(PURCHASE), LANES, ferry.control, ferry.cloud.client("kinesis"), STREAM,
        Lease(ferry.control, "here", time.monotonic), Metrics(lambda line: None, lambda: 0),
        random=Random(1), demands=partial(Demands, every=every),
    ))  # fmt: skip
    ended: list[BaseException] = []
    thread = threading.Thread(target=lambda: noting(ended, capture.run))
    thread.start()

    try:
        wait_for(lambda: ferry.checkpoint or ended)
        yield Running(ferry, ended)
    finally:
        capture.stop()
        thread.join()


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("binlog_row_image", "MINIMAL"), ("binlog_format", "MIXED"), ("binlog_format", "STATEMENT")],
)
def test_a_setting_that_is_changed_while_capture_runs(ferry: Ferry, name: str, wrong: str) -> None:
    with capturing(ferry) as running:
        ferry.sql(INSERT.format("p"))
        running.wait_captured()
        with context_of(ferry.server, **{name: wrong}):
            error = running.stopped()
    assert error.found == f"{name} is {wrong}, which it was not before"
    assert f"SET GLOBAL {name}=" in error.fix and error.remedy == ""
    with capturing(ferry) as running:  # the setting is as before: it goes on by itself
        ferry.sql(INSERT.format("q"))
        running.wait_captured()
    assert len(kinds(ferry)) == 2


def test_ddl_without_the_binlog_is_found_by_the_next_look(on_mariadb: Ferry) -> None:
    """No statement says that the key is there."""
    ferry = on_mariadb
    ferry.sql(PARENT, "INSERT INTO orders VALUES ('x')")
    with capturing(ferry) as running:
        ferry.sql(INSERT.format("p"))
        running.wait_captured()
        ferry.sql("SET sql_log_bin = 0", ADD_KEY)
        error = running.stopped()
    assert "foreign keys of test.purchase is k ON DELETE CASCADE" in error.found
    assert (error.remedy, error.tables) == (LOAD, ["test.purchase"])


def test_what_is_of_no_mapped_table_stops_nothing(ferry: Ferry) -> None:
    with capturing(ferry) as running:
        ferry.sql(
            PARENT,
            "CREATE TABLE other (id VARCHAR(20) PRIMARY KEY,"
            " FOREIGN KEY (id) REFERENCES orders (id) ON DELETE CASCADE)",
            "ALTER TABLE purchase ADD INDEX (orderid)",
            "CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW"
            " INSERT INTO purchase VALUES ('a', 'x', NEW.id, 1, NULL)",
            "INSERT INTO orders VALUES ('p')",
            "SET SESSION binlog_format = STATEMENT",
            "FLUSH STATUS",
        )
        running.wait_captured()
    assert kinds(ferry) == [Kind.INSERT]  # what a trigger writes is logged as rows


def test_a_filter_that_a_restart_brings(tmp_path: Path, fresh_cloud: Cloud) -> None:
    with database(tmp_path / "server", "mariadb") as server, between(server, fresh_cloud, tmp_path) as ferry:
        with capturing(ferry) as running:
            ferry.sql(INSERT.format("p"))
            running.wait_captured()
            server.stop()
            server._options = (*server._options, "--binlog-ignore-db=test")
            server.start()
            ferry.sql(INSERT.format("lost"))
            error = running.stopped()
        assert "binlog of schema test is without its rows" in error.found
        assert (error.remedy, error.tables) == (LOAD, ["test.purchase"])
