"""
A real replica is promoted, and the source's address leads to it: capture goes on under the next epoch, or it
stops and lists what the new primary lacks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.cloud import Cloud
from tests.support.databases import empty
from tests.support.failover.history_bed import IMPATIENT, Captured, captured
from tests.support.failover.replicas import Replicas, history, replicas, sql
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

WITHOUT_LOG = {"mysql": "--log-replica-updates=OFF", "mariadb": "--log-slave-updates=OFF"}


@dataclass
class Bed:
    """The pair, and a capturer's bed whose source is the endpoint."""

    pair: Replicas
    bed: Captured

    @property
    def epoch(self) -> int:
        return int(self.bed.checkpoint["epoch"])


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def flavor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of servers: the empty data that each is copied from is made once."""
    return tmp_path_factory.getbasetemp() / "servers"


@pytest.fixture(scope="module")
def lasting(flavor: str, folder: Path) -> Iterator[Replicas]:
    with replicas(folder, flavor, name=f"lasting-{flavor}") as pair:
        yield pair


@pytest.fixture
def failing(lasting: Replicas, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Bed]:
    """For tests that leave the pair whole, whoever is the primary then."""
    empty(lasting.endpoint)
    with captured(lasting.endpoint, fresh_cloud, tmp_path) as bed:
        yield Bed(lasting, bed)
    lasting.catch_up()


@pytest.fixture
def torn(flavor: str, folder: Path, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Bed]:
    """For tests that tear the pair apart."""
    with (
        replicas(folder, flavor, name=tmp_path.name) as pair,
        captured(pair.endpoint, fresh_cloud, tmp_path) as bed,
    ):
        yield Bed(pair, bed)


@pytest.fixture
def unlogged(flavor: str, folder: Path, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Bed]:
    """The replica executes what the primary does, and has none of it in its binlog."""
    with (
        replicas(folder, flavor, name=tmp_path.name, second=[WITHOUT_LOG[flavor]]) as pair,
        captured(pair.endpoint, fresh_cloud, tmp_path) as bed,
    ):
        yield Bed(pair, bed)


def test_promoted_while_the_capturer_runs_capture_goes_on(failing: Bed) -> None:
    pair, bed = failing.pair, failing.bed
    process = bed.start()
    bed.insert("c", "d", "e")
    bed.wait_changes(3)
    pair.switch_over()
    bed.sql("UPDATE purchase SET quantity = quantity + 1", "DELETE FROM purchase WHERE productid = 'd'")
    bed.wait_changes(7)
    bed.assert_carried()
    assert failing.epoch == 2 and process.poll() is None
    assert bed.checkpoint["changes"] == 7, "something was sent twice"


def test_promoted_while_the_capturer_is_down_nothing_is_left_out(failing: Bed) -> None:
    pair, bed = failing.pair, failing.bed
    bed.captured_once("c")
    bed.insert("d")  # captured from the new primary only
    pair.received()
    pair.fail_over()
    bed.sql("FLUSH BINARY LOGS")
    bed.sql("UPDATE purchase SET quantity = quantity + 1")
    bed.start()
    bed.wait_changes(4)
    bed.assert_carried()
    assert (failing.epoch, bed.checkpoint["changes"]) == (2, 4)


def test_back_on_the_first_server_is_another_epoch(failing: Bed) -> None:
    pair, bed = failing.pair, failing.bed
    bed.start()
    bed.insert("c")
    bed.wait_changes(1)
    for epoch in (2, 3, 4):
        pair.switch_over()
        bed.sql("UPDATE purchase SET quantity = quantity + 1")
        bed.wait_changes(epoch)
        assert failing.epoch == epoch
    bed.assert_carried()
    assert bed.checkpoint["changes"] == 4


def test_there_and_back_while_the_capturer_is_down(failing: Bed) -> None:
    """The checkpoint's server and file are there, and its history goes on with that of another."""
    pair, bed = failing.pair, failing.bed
    bed.captured_once("c")
    pair.switch_over()
    bed.insert("d")
    pair.switch_over()
    bed.sql("UPDATE purchase SET quantity = quantity + 1")
    bed.start()
    bed.wait_changes(4)
    bed.assert_carried()
    assert bed.checkpoint["changes"] == 4


def test_a_new_primary_that_lacks_what_was_captured_stops_and_lists_it(torn: Bed) -> None:
    pair, bed = torn.pair, torn.bed
    process = bed.start(**IMPATIENT)
    bed.insert("c")
    bed.wait_changes(1)
    pair.catch_up()
    pair.stop_receiving()
    bed.insert("d")
    bed.wait_changes(2)
    lost = _newest(pair)
    pair.primary.kill()
    pair.promote()
    # As many as it lacks, and more: MariaDB's numbers go beyond those of the lost one.
    bed.insert("x", "y", "z")
    said = bed.stopped(process)
    assert lost in said and "damaged" not in said
    assert bed.checkpoint["changes"] == 2
    assert lost in bed.stopped(), "a second start says the same"


def test_a_transaction_of_which_a_part_was_sent_counts_as_captured(torn: Bed) -> None:
    """Its first rows are on the stream for good, though the checkpoint is before it."""
    pair, bed = torn.pair, torn.bed
    process = bed.start(**IMPATIENT)
    bed.insert("c")
    bed.wait_changes(1)
    pair.catch_up()
    pair.stop_receiving()
    before = bed.checkpoint
    pair.endpoint.stall(500_000)
    with pair.primary.connect() as connection, connection.cursor() as cursor:
        pad = "JSON_OBJECT('pad', REPEAT('x', 200))"
        many = ",".join(f"('a', 'b', 'p{number}', {number}, {pad})" for number in range(4_000))
        cursor.execute(f"INSERT INTO purchase VALUES {many}")
    wait_for(pair.endpoint.stalled.is_set, lambda: _runs(bed, process))
    bed.wait_changes(2)
    assert bed.checkpoint["offset"] == before["offset"], "nothing to show: it was captured to its end"
    lost = _newest(pair)
    pair.primary.kill()
    pair.promote()
    assert lost in bed.stopped(process)


def test_a_former_primary_that_was_made_again_from_the_new_one_lacks_what_was_lost(torn: Bed) -> None:
    """It has its former name and goes on counting: MariaDB's state seems to have all below its number."""
    pair, bed = torn.pair, torn.bed
    bed.sql("FLUSH BINARY LOGS")  # the servers' first files may be of one second, which tells them apart
    process = bed.start()
    bed.insert("c")
    bed.wait_changes(1)
    pair.catch_up()
    pair.stop_receiving()
    bed.insert("d")
    bed.wait_changes(2)
    bed.stop(process)
    pair.primary.kill()
    pair.promote()
    bed.insert("x", "y")
    pair.make_again()
    pair.switch_over()
    bed.insert("z")
    assert bed.stopped()
    assert bed.checkpoint["changes"] == 2


def test_a_table_that_was_altered_before_and_after(failing: Bed) -> None:
    pair, bed = failing.pair, failing.bed
    bed.captured_once("c")
    bed.sql(
        "ALTER TABLE purchase ADD COLUMN extra INT FIRST, DROP COLUMN note",
        "INSERT INTO purchase (customerid, orderid, productid, quantity) VALUES ('a', 'b', 'd', 1)",
    )
    pair.switch_over()
    bed.sql("UPDATE purchase SET quantity = quantity + 1", "ALTER TABLE purchase ADD COLUMN last INT")
    bed.start()
    bed.sql("UPDATE purchase SET quantity = quantity + 1")
    bed.wait_changes(6)
    bed.assert_carried()
    assert bed.checkpoint["changes"] == 6


def test_lost_transactions_that_were_not_captured_are_no_reason_to_stop(torn: Bed) -> None:
    pair, bed = torn.pair, torn.bed
    bed.captured_once("c")
    pair.catch_up()
    pair.stop_receiving()
    bed.insert("lost")
    pair.primary.kill()
    pair.promote()
    bed.insert("d")
    bed.start()
    bed.wait_changes(2)
    bed.assert_carried()


def test_what_the_new_primary_still_applies_is_waited_for(torn: Bed) -> None:
    pair, bed = torn.pair, torn.bed
    bed.captured_once("c")
    pair.catch_up()
    pair.stop_applying()
    process = bed.start()
    bed.insert("d")
    bed.wait_changes(2)
    pair.received()
    pair.primary.kill()
    pair.endpoint.move(pair.replica)  # before it has applied its relay log, and is promoted
    wait_for(lambda: bed.checkpoint["state"] == "waiting", lambda: _runs(bed, process))
    pair.go_on_applying()
    pair.applied()
    pair.promote()
    bed.insert("e")
    bed.wait_changes(3)
    bed.assert_carried()
    assert process.poll() is None and bed.checkpoint["changes"] == 3


def test_an_address_that_moves_is_noticed_while_the_former_primary_still_answers(failing: Bed) -> None:
    pair, bed = failing.pair, failing.bed
    process = bed.start()
    bed.insert("c")
    bed.wait_changes(1)
    pair.catch_up()
    pair.promote(drop=False)
    bed.insert("d")  # the former primary, which the capturer still reads, replicates from nobody
    bed.wait_changes(2)
    bed.assert_carried()
    assert failing.epoch == 2 and process.poll() is None
    pair.follow()


def test_prepared_before_and_committed_after(failing: Bed) -> None:
    pair, bed = failing.pair, failing.bed
    bed.start()
    bed.insert("before")
    with pair.endpoint.connect() as connection, connection.cursor() as cursor:
        for statement in (
            "XA START 'x'", "INSERT INTO purchase VALUES ('a', 'b', 'prepared', 1, NULL)", "XA END 'x'",
            "XA PREPARE 'x'",
        ):  # fmt: skip
            cursor.execute(statement)
    bed.insert("after")
    bed.wait_changes(2)
    pair.switch_over()
    bed.insert("later")
    bed.wait_changes(3)
    bed.sql("XA COMMIT 'x'")
    bed.wait_changes(4)
    bed.assert_carried()
    assert bed.checkpoint["changes"] == 4


def test_transactions_of_other_domains_and_tags_are_part_of_the_history(failing: Bed, flavor: str) -> None:
    pair, bed = failing.pair, failing.bed
    other = {"mariadb": "SET gtid_domain_id = 5", "mysql": "SET gtid_next = 'AUTOMATIC:tag'"}[flavor]
    plain = "INSERT INTO purchase VALUES ('a', 'b', '{}', 1, NULL)".format
    bed.start()
    bed.sql(plain("c"), other, plain("d"))
    bed.wait_changes(2)
    pair.switch_over()
    bed.sql(plain("e"), other, plain("f"))
    bed.wait_changes(4)
    pair.switch_over()
    bed.sql(other, plain("g"))
    bed.wait_changes(5)
    bed.assert_carried()
    assert (failing.epoch, bed.checkpoint["changes"]) == (3, 5)


def test_without_a_log_of_its_updates_a_new_primary_is_followed_if_all_was_captured(
    unlogged: Bed, flavor: str
) -> None:
    pair, bed = unlogged.pair, unlogged.bed
    bed.captured_once("c")
    pair.catch_up()
    pair.promote()
    bed.insert("d")
    if flavor == "mariadb":  # its binlog does not say so: what it has applied may be more than was captured
        assert "log_slave_updates" in bed.stopped()
        return
    bed.start()
    bed.wait_changes(2)
    bed.assert_carried()


def test_without_a_log_of_its_updates_what_was_not_captured_stops(unlogged: Bed) -> None:
    pair, bed = unlogged.pair, unlogged.bed
    bed.captured_once("c")
    bed.insert("d")
    pair.catch_up()
    pair.promote()
    bed.insert("e")
    assert bed.stopped()
    assert bed.checkpoint["changes"] == 1


def test_the_former_primary_alive_and_written_to_is_not_followed_unnoticed(torn: Bed) -> None:
    """Split brain: both take writes, and the address goes to one and back."""
    pair, bed = torn.pair, torn.bed
    process = bed.start(**IMPATIENT)
    bed.insert("c")
    bed.wait_changes(1)
    pair.catch_up()
    pair.promote()
    bed.insert("d")
    bed.wait_changes(2)
    taken = _newest(pair)
    pair.endpoint.move(pair.replica)  # the former primary, which replicates from nobody
    bed.insert("x")
    assert taken in bed.stopped(process)


def test_a_checkpoint_of_0_2_meets_another_server_and_stops(failing: Bed) -> None:
    """Nothing says what of its history was captured."""
    pair, bed = failing.pair, failing.bed
    bed.captured_once("c")
    bed.as_of_0_2()
    pair.switch_over()
    bed.insert("d")
    assert "another server" in bed.stopped()


def test_the_pair_itself_replicates_both_ways(lasting: Replicas) -> None:
    empty(lasting.endpoint)
    sql(lasting.primary, "CREATE TABLE test.t (id INT PRIMARY KEY)")
    for number in range(4):
        sql(lasting.primary, f"INSERT INTO test.t VALUES ({number})")
        if number % 2:
            lasting.received()
            lasting.fail_over()
        else:
            lasting.switch_over()
    lasting.catch_up()
    assert len(sql(lasting.replica, "SELECT * FROM test.t")) == 4


def _runs(bed: Captured, process: object) -> None:
    assert process.poll() is None, bed.log(process)[-2:]  # type: ignore[attr-defined, arg-type]


def _newest(pair: Replicas) -> str:
    """The GTID of what the primary has executed last under its own name."""
    if pair.primary.flavor == "mariadb":
        return str(sql(pair.primary, "SELECT @@GLOBAL.gtid_binlog_pos AS found")[0]["found"])
    own = str(sql(pair.primary, "SELECT @@GLOBAL.server_uuid AS found")[0]["found"])
    (numbers,) = [part for part in history(pair.primary).split(",") if part.startswith(own)]
    return f"{own}:{numbers.partition(':')[2].rpartition('-')[2]}"
