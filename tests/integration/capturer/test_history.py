"""
What a source may do to its history while it is captured: captured to the end, or stopped by its name. All
real.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import Cloud
from rowferry.control_table import CHECKPOINT
from tests.support.failover.history_bed import Captured, captured, copy, one_server

pytestmark = pytest.mark.integration


@pytest.fixture(params=["mysql", "mariadb"])
def bed(
    request: pytest.FixtureRequest, fresh_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Captured]:
    # Beside the empty data that every server is copied from.
    folder = tmp_path_factory.getbasetemp() / "servers" / f"{request.node.name}"
    with one_server(folder, request.param) as server, captured(server, fresh_cloud, folder / "bed") as made:
        yield made


RENAMED = ("--log-bin=newname", "--log-bin-index=binlog.index")


def test_a_binlog_of_another_name_is_captured_under_the_next_epoch(bed: Captured) -> None:
    bed.sql("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    bed.captured_once("c")
    bed.restart(*RENAMED)
    assert bed.files()[-1] == "newname.000001"
    bed.sql("UPDATE purchase SET quantity = 2")
    bed.start()
    bed.wait_changes(2)
    bed.assert_carried()
    assert bed.checkpoint["epoch"] == 2


def test_what_was_not_captured_before_the_binlog_got_another_name_is_not_left_out(bed: Captured) -> None:
    bed.sql("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    bed.captured_once("c")
    bed.insert("d")
    bed.sql("UPDATE purchase SET quantity = 5 WHERE productid = 'c'", "FLUSH BINARY LOGS")
    bed.insert("e")
    bed.restart(*RENAMED)
    bed.sql("UPDATE purchase SET quantity = quantity + 1")
    bed.start()
    bed.wait_changes(7)
    bed.assert_carried()
    assert bed.checkpoint["changes"] == 7, "something was sent twice"


def test_the_binlog_gets_another_name_while_the_capturer_runs(bed: Captured) -> None:
    bed.sql("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    process = bed.start()
    bed.insert("c")
    bed.wait_changes(1)
    bed.restart(*RENAMED)
    bed.sql("UPDATE purchase SET quantity = 2")
    bed.wait_changes(2)
    bed.assert_carried()
    assert bed.checkpoint["epoch"] == 2 and process.poll() is None


def test_a_restart_changes_nothing(bed: Captured) -> None:
    bed.captured_once("c")
    bed.restart()
    bed.insert("d")
    bed.start()
    bed.wait_changes(2)
    bed.restart()
    bed.insert("e")
    bed.wait_changes(3)
    bed.assert_carried()
    assert bed.checkpoint["epoch"] == 1


def test_a_reset_is_noticed_where_the_offset_is_a_boundary_again(bed: Captured) -> None:
    bed.sql(bed.reset)
    bed.captured_once("c")
    before = bed.end()
    bed.sql(bed.reset)
    bed.insert("d")
    assert bed.end() == before, "nothing to show: the transactions differ in size"
    bed.insert("e")
    assert "reset" in bed.stopped()
    assert bed.checkpoint["changes"] == 1


def test_a_reset_is_noticed_at_another_offset(bed: Captured) -> None:
    bed.sql(bed.reset)
    bed.captured_once("c", "d")
    bed.sql(bed.reset)
    bed.insert("e" * 20, "f" * 19, "g" * 18)
    assert "reset" in bed.stopped()


def test_a_reset_is_noticed_where_nothing_was_written_since(bed: Captured) -> None:
    bed.captured_once("c")
    bed.sql(bed.reset)
    assert "reset" in bed.stopped()


def test_a_reset_is_noticed_while_the_capturer_runs(bed: Captured) -> None:
    bed.sql("FLUSH BINARY LOGS", "FLUSH BINARY LOGS")
    process = bed.start()
    bed.insert("c")
    bed.wait_changes(1)
    bed.sql(bed.reset)
    bed.insert("d", "e")
    assert "reset" in bed.stopped(process)


def test_a_restored_copy_that_lacks_what_was_captured_stops_and_lists_it(
    bed: Captured, tmp_path: Path
) -> None:
    process = bed.start()
    bed.insert("c")
    bed.wait_changes(1)
    bed.server.kill()  # a copy of a disk is no better
    copy(bed.data, tmp_path / "copy")
    bed.server.start()
    bed.insert("d")
    bed.wait_changes(2)
    bed.stop(process)
    lost = _last(bed)
    bed.server.kill()
    copy(tmp_path / "copy", bed.data)
    bed.server.start()
    assert lost in bed.stopped()


def test_a_restored_copy_in_which_the_numbers_were_used_again_stops(bed: Captured, tmp_path: Path) -> None:
    process = bed.start()
    bed.insert("c")
    bed.wait_changes(1)
    bed.server.kill()  # a copy of a disk is no better
    copy(bed.data, tmp_path / "copy")
    bed.server.start()
    bed.insert("d", "e")
    bed.wait_changes(3)
    bed.stop(process)
    bed.server.kill()
    copy(tmp_path / "copy", bed.data)
    bed.server.start()
    bed.insert("x", "y", "z")
    said = bed.stopped()
    assert "restored" in said or "other transactions" in said
    assert bed.checkpoint["changes"] == 3


def test_a_file_that_was_purged_when_all_of_it_was_captured_is_not_missed(bed: Captured) -> None:
    bed.captured_once("c")
    bed.purge()
    bed.insert("d")
    bed.start()
    bed.wait_changes(2)
    bed.assert_carried()


def test_a_purged_stretch_that_was_not_captured_stops(bed: Captured) -> None:
    bed.captured_once("c")
    bed.insert("d")
    bed.purge()
    bed.insert("e")
    assert "purged" in bed.stopped()
    assert bed.checkpoint["changes"] == 1


def test_the_index_is_lost_when_all_was_captured(bed: Captured) -> None:
    bed.captured_once("c")
    bed.server.stop()
    (bed.data / "binlog.index").unlink()
    bed.server.start()
    bed.insert("d")
    bed.start()
    bed.wait_changes(2)
    bed.assert_carried()


def test_the_index_is_lost_with_what_was_not_captured(bed: Captured) -> None:
    bed.captured_once("c")
    bed.insert("d")
    bed.server.stop()
    (bed.data / "binlog.index").unlink()
    bed.server.start()
    bed.insert("e")
    assert "purged" in bed.stopped()


def test_a_checkpoint_of_0_2_goes_on_and_gets_its_history(bed: Captured) -> None:
    bed.captured_once("c")
    bed.as_of_0_2()
    assert "history" not in bed.control.get(CHECKPOINT)
    bed.insert("d")
    process = bed.start()
    bed.wait_changes(2)
    bed.stop(process)
    assert bed.checkpoint["epoch"] == 1 and bed.checkpoint["history"]
    bed.sql(bed.reset)
    assert "reset" in bed.stopped()


def _last(bed: Captured) -> str:
    """The GTID of what the server has executed last."""
    if bed.server.flavor == "mariadb":
        return str(bed.sql("SELECT @@GLOBAL.gtid_binlog_pos")[0][0])
    executed = str(bed.sql("SELECT @@GLOBAL.gtid_executed")[0][0])
    uuid, _, numbers = executed.partition(":")
    return f"{uuid}:{numbers.rpartition('-')[2]}"
