"""Everything that reading a binlog is known to get wrong: where it is shown what comes of it here."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from capturer.source.binlog import Binlog, ReplicationClient
from lab.cloud import Cloud
from lab.server import Server
from rowferry.errors import CaptureStopped, RowferryError, SourceNotReady
from rowferry.mapping import Mapping
from rowferry.mysql import conditions as mysql_conditions
from rowferry.mysql.server import identify, rows
from rowferry.position import BinlogOffset
from tests.integration.capturer.test_capturer import Ferry, _ferry, work
from tests.integration.ferry.test_ferry import bed, differences, moved
from tests.integration.ferry.test_ferry import ferry as command
from tests.support import matrix_cases
from tests.support.matrix_bed import both, rows_as_items, run, server
from tests.support.move_bed import context_of
from tests.support.paths import ROOT
from tests.support.rows_to_items import Place, changes, stream_road
from tests.support.waiting import wait_for

__all__ = ["bed", "command", "moved", "server"]
pytestmark = pytest.mark.integration

CAPTURER, DECODER, HERE = (
    f"integration/capturer/test_{name}.py" for name in ("capturer", "decoder", "hazards")
)
SHAPES, MATRIX = "integration/values/test_shapes.py", "integration/values/test_matrix.py"
STREAM, SNAPSHOTS = "unit/capturer/decoder/test_stream.py", "integration/bulkload/test_snapshots.py"
TRANSLATION, SERVER = "unit/capturer/source/test_translation.py", "unit/rowferry/mysql/test_server.py"
STOPS, CUT_OFF = "test_what_it_cannot_follow_stops_before_it", "test_a_transaction_in_which_the_connection"
SHOWN: dict[str, list[tuple[str, str]]] = {
    "compressed transactions": [
        (CAPTURER, "test_rows_are_read_whatever_way_the_server_packs_them"),
        (MATRIX, "test_packed_changes"),
        (TRANSLATION, "test_a_compressed_transaction_that_is_damaged_ends_where"),
    ],
    "resume inside a transaction": [
        (CAPTURER, CUT_OFF), (HERE, "test_reading_that_begins_inside_a_transaction_stops"),
    ],
    "PARTIAL_JSON": [(DECODER, "test_partial_json_is_put_together")],
    "a session's binlog_format": [
        (SHAPES, STOPS), (HERE, "test_rows_that_are_changed_by_a_statement_elsewhere_stop_capture"),
    ],
    "TRUNCATE, DROP, RENAME, partitions": [
        (SHAPES, STOPS), (CAPTURER, "test_what_cannot_be_carried_stops_capture"),
        (HERE, "test_a_partition_that_is_dropped_stops_capture"),
    ],
    "foreign keys that act": [(HERE, "test_foreign_keys_that_act")],
    "sql_log_bin=0": [(HERE, "test_what_is_kept_out_of_the_binlog_is_found_by_verify")],
    "row image MINIMAL and NOBLOB": [
        (DECODER, "test_a_row_image_that_is_not_full_is_refused"), (CAPTURER, "test_missing_rights_and"),
    ],
    "no position": [(CAPTURER, "test_first_start_begins_at_the_end_and_says_so")],
    "the dump thread is killed": [(HERE, "test_capture_goes_on_when_its_dump_thread_is_killed")],
    "XA PREPARE, ROLLBACK, COMMIT": [
        (CAPTURER, "test_of_xa_transactions_what_is_committed_arrives_and_stands_at_its_commit"),
        (CAPTURER, "test_what_is_prepared_outlives_the_capturer"),
        (SNAPSHOTS, "test_a_snapshot_shows_what_stands_before_its_watermark"),
    ],
    "names after ALTER without FULL metadata": [
        (SHAPES, "test_rows_on_both_sides_of_an_alter_have_their_own_names"),
        (SHAPES, "test_an_alter_between_rows_and_reading_stops_before_the_rows"),
    ],
    "TIMESTAMP in the writer's zone": [
        (MATRIX, "test_a_timestamp_is_utc_whatever_the_writers_zone"),
    ],
    "a frozen server": [(CAPTURER, "test_a_frozen_server_is_noticed_and_capture_resumes")],
    "two readers with one server_id": [
        (CAPTURER, "test_another_replica_with_the_same_id_stops_with_the_fix"),
    ],
    "purged, unknown and bad places": [
        (CAPTURER, "test_a_binlog_that_was_purged_before_it_was_captured_stops_with_the_fix"),
        (HERE, "test_places_that_the_server_does_not_have_are_distinguished"),
    ],
    "a row of 40 MB": [(HERE, "test_a_row_of_40_mb_is_read_whole_and_quarantined")],
    "a server that starts again": [(CAPTURER, "test_a_killed_server_that_comes_back_is_read_on")],
    "SHOW MASTER STATUS": [
        (SERVER, "test_the_end_of_the_binlog_is_asked_for_in_the_servers_words"),
    ],
    "checksums": [(DECODER, "test_checksums_are_switched_while_reading")],
    # A file over 4 GB takes too long to write here: the arithmetic of its offsets is shown.
    "files over 4 GB": [
        (STREAM, "test_offsets_go_on_beyond_4_gib"),
        (TRANSLATION, "test_offsets_go_on_beyond_4_gib"),
    ],
}  # fmt: skip
CASES = {
    "VECTOR": ("vector(3)", "STRING_TO_VECTOR('[1,2,3]')"),
    "JSON of TIME": ("json", "JSON_ARRAY(CAST('-26:00:00.5' AS TIME(6)), CAST('838:59:59' AS TIME))"),
    "JSON of opaque values": ("json", "JSON_ARRAY(x'ff00', b'101')"),
    "BINARY": ("binary(4)", "x'0102'"),
    "empty VARBINARY": ("varbinary(10)", "x''"),
    "zero dates": ("date", "'0000-00-00'"),
    "partial dates": ("datetime", "'2026-00-10 12:34:56'"),
    "YEAR 0000": ("year", "0"),
    "empty SET": ("set('x','y','z')", "''"),
    "the order of a SET": ("set('x','y','z')", "'z,x'"),
    "latin1 0x81": ("varchar(10) character set latin1", "_latin1 x'818D8F909D'"),
    "utf16": ("varchar(10) character set utf16", "'한😀a'"),
    "utf32": ("varchar(10) character set utf32", "'한😀a'"),
    "ucs2": ("varchar(10) character set ucs2", "'한a'"),
    "swe7": ("varchar(10) character set swe7", "'å{'"),
    "FLOAT": ("float", "1.1"),
    "BIT": ("bit(9)", "b'100000000'"),
    "TIMESTAMP": ("timestamp(6) null", "'2026-11-23 12:34:56.123456'"),
    "negative TIME with a fraction": ("time(6)", "'-00:00:00.000001'"),
    "ENUM in latin1": ("enum('é','e') character set latin1 collate latin1_bin", "'é'"),
}
"""Types that are read wrongly: their cases in the matrix, on both roads (test_values_matrix.py)."""


@pytest.mark.parametrize(("file", "test"), sorted(set(chain(*SHOWN.values()))))
def test_what_shows_a_hazard_is_there(file: str, test: str) -> None:
    assert f"\ndef {test}" in (ROOT / "tests" / file).read_text()


@pytest.mark.parametrize("hazard", CASES)
def test_the_matrix_has_the_case(hazard: str) -> None:
    definition, sql = CASES[hazard]
    assert any(sql in columns.get(definition, {}) for columns in matrix_cases.TABLES["mysql"].values())


TABLE = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20))"
MAPPING = Mapping.parse(rows_as_items(["t"]))


def stop_of(server: Server, start: Place, mapping: Mapping = MAPPING) -> CaptureStopped:
    with pytest.raises(CaptureStopped) as stopped:
        list(changes(server, start, mapping))
    return stopped.value


def test_reading_that_begins_inside_a_transaction_stops(server: Server) -> None:
    """Its table map is missing: the rest of the rows must not be passed over."""
    # A file of its own: others hold statements that are no UTF-8.
    run(server, TABLE, "FLUSH BINARY LOGS")
    file, _ = run(server, "BEGIN", "INSERT INTO t VALUES (1, 'a')", "INSERT INTO t VALUES (2, 'b')", "COMMIT")
    with server.connect() as connection:
        events = rows(connection, f"SHOW BINLOG EVENTS IN '{file}'")
    row_events = [event["pos"] for event in events if event["event_type"].startswith("Write_rows")]
    error = stop_of(server, (file, row_events[-1]))
    assert "row" in error.found and error.fix


@pytest.mark.parametrize("logged_as", ["STATEMENT", "MIXED"])
@pytest.mark.parametrize("by", ["UPDATE v SET a = 'x'", "INSERT INTO x VALUES (1)", "CALL p()"])
def test_rows_that_are_changed_by_a_statement_elsewhere_stop_capture(
    server: Server, logged_as: str, by: str
) -> None:
    """Through a view, a trigger or a routine of another schema; the statement does not name the table."""
    start = run(
        server,
        TABLE,
        "INSERT INTO t VALUES (1, 'a')",
        "DROP DATABASE IF EXISTS elsewhere",
        "CREATE DATABASE elsewhere",
        "USE elsewhere",
        "CREATE TABLE x (id INT)",
        "CREATE VIEW v AS SELECT * FROM test.t",
        "CREATE TRIGGER x AFTER INSERT ON x FOR EACH ROW UPDATE test.t SET a = 'x'",
        "CREATE PROCEDURE p() UPDATE test.t SET a = 'x'",
    )
    try:
        start = run(server, "USE elsewhere", f"SET SESSION binlog_format = {logged_as}", by)
        assert "was logged as a statement" in stop_of(server, start).found
    finally:
        run(server, "DROP DATABASE elsewhere")


def test_a_partition_that_is_dropped_stops_capture(server: Server) -> None:
    start = run(
        server,
        f"{TABLE} PARTITION BY RANGE (id)"
        " (PARTITION p VALUES LESS THAN (9), PARTITION q VALUES LESS THAN (20))",
        "INSERT INTO t VALUES (1, 'a')",
        "ALTER TABLE t DROP PARTITION p",
    )
    error = stop_of(server, start)
    assert "DROP PARTITION" in error.found and "ferry load --again" in error.fix


FAMILY = (
    "CREATE TABLE p (id INT PRIMARY KEY)",
    "CREATE TABLE c (id INT PRIMARY KEY, p INT, q INT)",
    "ALTER TABLE c ADD CONSTRAINT gone FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE",
    "ALTER TABLE c ADD CONSTRAINT emptied FOREIGN KEY (q) REFERENCES p (id) ON DELETE SET NULL",
    "INSERT INTO p VALUES (1), (2)",
    "INSERT INTO c VALUES (1, 1, 2), (2, 2, 1)",
)


def keys_of(server: Server, mapping: str, **changed: Any) -> list[mysql_conditions.Condition]:
    with server.connect(server.capture) as connection:
        found = replace(identify(connection), **changed)
        conditions = mysql_conditions.check(connection, found, Mapping.parse(mapping))
    return [one for one in conditions if one.name.startswith("foreign keys") and not one.holds]


def test_foreign_keys_that_act(server: Server) -> None:
    """MySQL 9.6 logs what they do. Elsewhere the binlog has only the parent's change: refused."""
    start = run(server, *FAMILY, "DELETE FROM p WHERE id = 1")
    text = rows_as_items(["c"])
    before = {"version": (9, 5, 0)} if server.flavor == "mysql" else {}
    (refused,) = keys_of(server, text, **before)
    assert refused.needed and "emptied ON DELETE SET NULL, gone ON DELETE CASCADE" in refused.found
    with pytest.raises(SourceNotReady, match="RESTRICT"):
        mysql_conditions.require([refused])
    (one,) = keys_of(server, rows_as_items(["c"], exclude='["q"]'), **before)
    assert "emptied" not in one.found
    assert keys_of(server, rows_as_items(["p"]), **before) == []
    if server.flavor == "mysql":
        assert keys_of(server, text) == []
        loaded, streamed = both(server, start, text)
        assert loaded.items == streamed.items == {"c": [{"id": {"N": "2"}, "p": {"N": "2"}}]}


def test_what_is_kept_out_of_the_binlog_is_found_by_verify(moved: Any, command: Any, tmp_path: Path) -> None:
    moved.sql("SET sql_log_bin = 0", "UPDATE purchase SET quantity = 999 WHERE orderid = 'o3'")
    summary, _ = differences(command, tmp_path / "found.jsonl")
    assert (summary["different"], summary["missing"], summary["extra"]) == (5, 0, 0)


@pytest.fixture
def ferry(server: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Ferry]:
    yield from _ferry(server, fresh_cloud, tmp_path)


def test_capture_goes_on_when_its_dump_thread_is_killed(ferry: Ferry) -> None:
    dumps = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
    process = ferry.start()
    for seed in (1, 2):
        work(ferry, seed, 30)
        (killed,) = wait_for(lambda: ferry.sql(dumps))
        ferry.sql(f"KILL {killed[0]}")
        wait_for(lambda seed=seed: ferry.messages(process).count("reading again") == seed)
    work(ferry, 3, 30)
    ferry.wait_captured()
    ferry.assert_carried(repeats=True)
    assert process.poll() is None


def test_places_that_the_server_does_not_have_are_distinguished(server: Server) -> None:
    old, _ = run(server, TABLE, "FLUSH BINARY LOGS", "INSERT INTO t VALUES (1, 'a')", "FLUSH BINARY LOGS")
    account = server.capture
    reader = ReplicationClient(server.host, server.port, account.user, account.password, 4721)

    def refusal(file: str, offset: int) -> RowferryError:
        with pytest.raises(RowferryError) as refused:
            binlog = Binlog(reader, MAPPING, BinlogOffset(file, offset))
            try:
                list(binlog.events())
            finally:
                binlog.close()
        return refused.value

    newest, end = run(server)

    def purged(*, to: str) -> list[str]:
        run(server, f"PURGE BINARY LOGS TO '{to}'")
        with server.connect() as connection:
            return [row["log_name"] for row in rows(connection, "SHOW BINARY LOGS")]

    wait_for(lambda: purged(to=newest) == [newest])  # MariaDB keeps a file until its rows are on disk
    for file in (old, f"{newest[:-2]}99"):
        error = refusal(file, 4)
        assert "no longer on the server" in error.found and "binlog_expire_logs_seconds" in error.fix
    assert "the binlog ends before the checkpoint" in refusal(newest, end + 1_000_000).found
    run(server, "INSERT INTO t VALUES (2, 'b')")
    inside = refusal(newest, end + 5)
    assert "cannot read its binlog at the checkpoint" in inside.found and "error log" in inside.fix


def test_a_row_of_40_mb_is_read_whole_and_quarantined(server: Server) -> None:
    with context_of(server, max_allowed_packet=1 << 30):
        start = run(
            server,
            "CREATE TABLE t (id INT PRIMARY KEY, a LONGTEXT)",
            "INSERT INTO t VALUES (1, REPEAT('x', 40000000)), (2, 'b')",
        )
        arrived = stream_road(server, start, MAPPING)
        whole = [len(str(change.image["a"])) for change in changes(server, start, MAPPING)]
    assert whole == [40_000_000, 1]
    assert arrived.items == {"t": [{"id": {"N": "2"}, "a": {"S": "b"}}]}
    ((key, reason),) = arrived.refused["test.t"]
    assert key == {"id": 1} and "larger than a stream record" in reason
