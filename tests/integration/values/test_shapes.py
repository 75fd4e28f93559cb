"""Tables that change under capture, and rows that come without the names of their columns. All real."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from bulkload.connection import connect
from bulkload.direct.chunks import Chunk, CutTable, describe
from bulkload.direct.reader import ChunkReader as LoadReader
from bulkload.dynamodb.batch_writer import RetryPolicy
from capturer.source.binlog import Binlog, ConnectionLost, ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.lookahead import statements
from capturer.source.place import Place
from capturer.source.transactions import Transactions
from lab.cloud import Cloud
from lab.database import Server
from rowferry.errors import LOAD, PASS, CaptureStopped, Refused
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address
from rowferry.mysql.server import columns, identify
from rowferry.mysql.snapshot import current_offset
from rowferry.position import BinlogOffset, Position, file_number
from tests.integration.capturer.test_reset import Move
from tests.support.epochs import first_epoch
from tests.support.move_bed import context_of, make_bed
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

MAPPING = """
[[table]]
source = "test.t"
target = "t"
layout = "item-per-row"
hash_key = { attribute = "id", type = "N" }
[[table]]
source = "test.other"
target = "other"
layout = "item-per-row"
hash_key = { attribute = "id", type = "N" }
"""


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    chosen: Server = request.getfixturevalue(request.param)
    minimal = "NO_LOG" if chosen.flavor == "mariadb" else "MINIMAL"
    with context_of(chosen, binlog_row_metadata=minimal):
        yield chosen


def run(server: Server, *sql: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        for statement in sql:
            cursor.execute(statement)


def end_of(server: Server) -> BinlogOffset:
    with server.connect() as connection:
        end = current_offset(connection, identify(connection))
    return BinlogOffset(end.file, end.offset)


class Reader:
    """A capturer's reading half, that reads when it is told to: what it has not read yet is its lag."""

    def __init__(
        self,
        server: Server,
        start: BinlogOffset | None = None,
        mapping: str = MAPPING,
        skip: Iterable[BinlogOffset] = (),
    ) -> None:
        account = server.capture
        self.server = server
        self.source = ReplicationClient(server.host, server.port, account.user, account.password, 4713)
        self.mapping = Mapping.parse(mapping)
        self.read = Transactions(self.mapping, Place.of(1, start or end_of(server)), skip, self.same_values)
        self.floors: dict[str, str] = {}
        self.asked = 0
        self.binlog: Binlog | None = None
        self.definitions = Definitions(
            self.source, self.mapping, lambda: 1, at=lambda: self.read.boundary, floors=lambda: self.floors
        )
        self.connect()

    def same_values(self, *asked: Any) -> bool:
        return self.definitions.same_values(*asked)

    def ask(self, schema: str, table: str) -> Any:
        self.asked += 1
        return self.definitions(schema, table)

    def up_to(self, goal: BinlogOffset | None = None) -> list[tuple[str, Any]]:
        """What it reads up to there, or the binlog's present end: tables, and images after the change."""
        goal = goal or end_of(self.server)
        found = []
        for event in self.events:
            found += [(change.table, change.after) for change in self.read.feed(event)]
            if self.read.boundary.order >= goal.order:
                break
        return found

    def connect(self) -> None:
        """From the newest boundary on; what was known over the former connection is forgotten."""
        self.close()
        self.definitions.learn()
        self.binlog = Binlog(
            self.source, self.mapping, self.read.boundary, self.ask, self.definitions.reshaped
        )
        self.events = self.binlog.events()

    def close(self) -> None:
        if self.binlog is not None:
            self.binlog.close()


@pytest.fixture
def reading() -> Iterator["Reading"]:
    """Makes readers."""
    with ExitStack() as stack:

        def make(*arguments: Any) -> Reader:
            reader = Reader(*arguments)
            stack.callback(reader.close)
            return reader

        yield make


type Reading = Callable[..., Reader]


def loaded_up_to(place: BinlogOffset) -> str:
    return str(Position(1, file_number(place.file), place.offset))


def test_names_signs_and_labels_are_asked_for_once(server: Server, reading: Reading) -> None:
    run(
        server,
        "CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, a TINYINT, b ENUM('x','é') CHARACTER SET latin1,"
        " c VARCHAR(9) CHARACTER SET latin1, d BINARY(3), s SET('p','q'))",
    )
    reader = reading(server)
    for number in range(20):
        run(server, f"INSERT INTO t VALUES ({2**64 - 1 - number}, -1, 'é', 'é', x'01', 'q')")
    found = reader.up_to()
    assert [image for _, image in found] == [
        {"id": 2**64 - 1 - number, "a": -1, "b": "é", "c": "é", "d": b"\x01\0\0", "s": ("q",)}
        for number in range(20)
    ]
    assert reader.asked == 1


def test_rows_on_both_sides_of_an_alter_have_their_own_names(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, x INT, a INT, b INT)")
    reader = reading(server)
    run(
        server,
        "INSERT INTO t VALUES (1, 0, 10, 20)",
        "ALTER TABLE t ADD INDEX (a)",
        "CREATE TABLE elsewhere (a INT)",
        "INSERT INTO t VALUES (2,0,10,20)",
    )
    found = reader.up_to()
    assert reader.asked == 1, "an index changes no name"
    run(server, "INSERT INTO t VALUES (3, 0, 10, 20)", "ALTER TABLE t ADD y INT FIRST")
    run(server, "INSERT INTO t VALUES (99, 4, 0, 10, 20)")
    found += reader.up_to()
    before = [{"id": number, "x": 0, "a": 10, "b": 20} for number in (1, 2, 3)]
    assert [image for _, image in found] == [
        *before[:2],
        before[2],
        {"y": 99, "id": 4, "x": 0, "a": 10, "b": 20},
    ]


@pytest.mark.parametrize(
    "alter",
    [
        "ALTER TABLE t ADD y INT",
        "ALTER TABLE t DROP b",
        "ALTER TABLE t RENAME COLUMN b TO c",
        "ALTER TABLE t MODIFY b INT AFTER id",
        "ALTER TABLE t MODIFY b INT UNSIGNED",
        "RENAME TABLE t TO gone, gone TO t",
    ],
)
def test_an_alter_between_rows_and_reading_stops_before_the_rows(
    server: Server, reading: Reading, alter: str
) -> None:
    """A table of now may fit rows of then in number and type, and still have other names."""
    run(
        server, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)", "CREATE TABLE other (id INT PRIMARY KEY)"
    )
    start = end_of(server)
    run(server, "INSERT INTO other VALUES (1)")
    before = end_of(server)
    run(server, "INSERT INTO t VALUES (1, 10, 20)")
    ddl = end_of(server)
    run(server, alter, "INSERT INTO other VALUES (2)")
    reader = reading(server, start)
    with pytest.raises(CaptureStopped, match=r"does not name the columns of test\.t") as stopped:
        reader.up_to()
    assert reader.read.boundary == before
    assert f"at {before}:" in stopped.value.found and f"{ddl.file}:" in stopped.value.found
    assert "binlog_row_metadata=FULL" in stopped.value.fix and "ferry resume" in stopped.value.fix
    assert (stopped.value.remedy, stopped.value.tables) == (LOAD, ["test.t"])


def test_rows_that_a_load_shows_are_passed_over_up_to_the_alter(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, x INT)", "CREATE TABLE other (id INT PRIMARY KEY)")
    start = end_of(server)
    run(server, "INSERT INTO t VALUES (1, 0)", "INSERT INTO other VALUES (1)")
    early = end_of(server)
    run(server, "ALTER TABLE t ADD y INT", "INSERT INTO t (id, x) VALUES (2, 0)")
    reader = reading(server, start)
    reader.floors = {"test.t": loaded_up_to(early), "test.other": loaded_up_to(end_of(server))}
    with pytest.raises(CaptureStopped):
        reader.up_to()
    reader.floors = {"test.t": loaded_up_to(end_of(server))}
    reader.connect()
    run(server, "INSERT INTO t VALUES (3, 0, 5)")
    assert reader.up_to() == [
        ("other", {"id": 1}),
        ("t", {"id": 2, "x": 0, "y": None}),
        ("t", {"id": 3, "x": 0, "y": 5}),
    ]


def test_rows_and_an_alter_that_both_wait_are_read_with_what_was_known(
    server: Server, reading: Reading
) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, x INT)")
    reader = reading(server)
    run(
        server,
        "INSERT INTO t VALUES (1, 0)",
        "ALTER TABLE t ADD y INT FIRST",
        "INSERT INTO t VALUES (7, 2, 0)",
    )
    reader.connect()
    expected: list[Any] = [{"id": 1, "x": 0}, {"id": 2, "x": 0, "y": 7}]
    assert [image for _, image in reader.up_to()] == expected
    run(server, "ALTER TABLE t ADD z INT", "ALTER TABLE t ADD w INT", "INSERT INTO t VALUES (7, 3, 0, 1, 2)")
    assert reader.up_to() == [("t", {"id": 3, "x": 0, "y": 7, "z": 1, "w": 2})]
    run(server, "ALTER TABLE t ADD v INT", "INSERT INTO t VALUES (7,4,0,1,2,3)", "ALTER TABLE t ADD u INT")
    with pytest.raises(CaptureStopped, match="does not name"):
        reader.up_to()


def test_a_capturer_that_starts_again_after_the_alter_goes_on(server: Server, reading: Reading) -> None:
    run(
        server,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)",
        "INSERT INTO t VALUES (1, 10, 20)",
        "ALTER TABLE t RENAME COLUMN a TO c",
    )
    start = end_of(server)
    run(server, "INSERT INTO t VALUES (2, 10, 20)", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (3, 10, 20)")
    again = reading(server, start)
    assert [image for _, image in again.up_to()] == [{"id": n, "c": 10, "b": 20} for n in (2, 3)]


def test_a_table_that_is_gone_by_now_stops(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY)")
    start = end_of(server)
    run(server, "INSERT INTO t VALUES (1)", "DROP TABLE t")
    reader = reading(server, start)
    with pytest.raises(CaptureStopped, match="does not exist any more"):
        reader.up_to()


def test_events_that_name_their_columns_need_no_question(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)")
    with context_of(server, binlog_row_metadata="FULL"):
        reader = reading(server)
        run(
            server,
            "INSERT INTO t VALUES (1, 10, 20)",
            "ALTER TABLE t ADD y INT",
            "INSERT INTO t VALUES (2,1,1,1)",
        )
        assert [image for _, image in reader.up_to()] == [
            {"id": 1, "a": 10, "b": 20},
            {"id": 2, "a": 1, "b": 1, "y": 1},
        ]
    assert reader.asked == 0


def test_a_definition_that_is_being_changed_is_waited_for(
    server: Server, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answer would be of before or after, nobody knows: a lock that the ALTER needs tells."""
    monkeypatch.setattr("capturer.source.column_definitions.LOCK_SECONDS", 1)
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, x INT)")
    start = end_of(server)
    run(server, "INSERT INTO t VALUES (1, 0)")
    with server.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT * FROM t")
        altering = threading.Thread(target=run, args=(server, "ALTER TABLE t ADD y INT"))
        altering.start()
        wait_for(lambda: _is_waiting(server))
        reader = reading(server, start)
        with pytest.raises(ConnectionLost, match=r"the definition of test\.t"):
            reader.up_to()
        holder.rollback()
    altering.join()
    reader.connect()
    with pytest.raises(CaptureStopped, match="does not name"):
        reader.up_to()


def _is_waiting(server: Server) -> bool:
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%metadata lock%'"
        )
        return cursor.fetchone() != (0,)


def test_ddl_never_gets_between_the_columns_and_the_end_of_the_binlog(
    server: Server, reading: Reading
) -> None:
    """Under constant ALTERs each answer is the one that the binlog's statements up to its place give."""
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, n0 INT)")
    start, stop = end_of(server), threading.Event()

    def alter() -> None:
        number = 0
        while not stop.is_set():
            run(server, f"ALTER TABLE t RENAME COLUMN n{number} TO n{number + 1}")
            number += 1

    altering = threading.Thread(target=alter)
    altering.start()
    reader = reading(server)
    try:
        answers = [reader.definitions._read("test", "t") for _ in range(40)]
    finally:
        stop.set()
        altering.join()
    for found, end in answers:
        renames = sum("RENAME COLUMN" in query.sql for _, query in statements(reader.source, start, end))
        assert found[1].name == f"n{renames}"
    assert len({found[1].name for found, _ in answers}) > 1


def test_the_statements_of_a_stretch_are_found_over_files(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY)")
    start = end_of(server)
    run(
        server,
        "CREATE TABLE a (a INT)",
        "INSERT INTO t VALUES (1)",
        "FLUSH BINARY LOGS",
        "CREATE TABLE b (a INT)",
    )
    middle = end_of(server)
    run(server, "CREATE TABLE c (a INT)")
    reader = reading(server)

    def found(first: BinlogOffset, last: BinlogOffset) -> list[str]:
        texts = [query.sql for _, query in statements(reader.source, first, last)]
        return [text[13:14] for text in texts if text.startswith("CREATE")]

    assert found(start, middle) == ["a", "b"]
    assert found(middle, end_of(server)) == ["c"]
    assert found(start, start) == []


# DDL in flight

ROWS = """
[[table]]
source = "test.t"
target = "t"
layout = "item-per-row"
hash_key = { attribute = "id", type = "N" }
exclude = ["secret"]
[[table]]
source = "test.other"
target = "other"
layout = "attribute-per-row"
hash_key = { attribute = "g" }
member_name = "m"
member_value = "v"
"""
TABLES = (
    "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), secret INT)",
    "CREATE TABLE other (g VARCHAR(9), m VARCHAR(9), v INT, note TEXT, PRIMARY KEY (g, m))",
    "INSERT INTO t VALUES (1, '1', 1)",
    "INSERT INTO other VALUES ('g', 'm', 1, 'n')",
)
FOLLOWED: dict[str, tuple[list[str], list[Any]]] = {
    "a column that is NULL everywhere": (
        ["ALTER TABLE t ADD n INT", "INSERT INTO t VALUES (2, '2', 2, 5)"],
        [("t", {"id": 2, "a": "2", "n": 5})],
    ),
    "a column that does not travel": (
        ["ALTER TABLE other ADD n INT NOT NULL DEFAULT 5", "UPDATE other SET v = 2"],
        [("other", {"g": "g", "m": "m", "v": 2})],
    ),
    "columns that do not travel change and go": (
        [
            "ALTER TABLE t MODIFY secret TEXT FIRST", "ALTER TABLE t DROP secret",
            "ALTER TABLE other RENAME COLUMN note TO remark", "UPDATE t SET a = '3'",
        ],
        [("t", {"id": 1, "a": "3"})],
    ),
    "types that keep every value": (
        [
            "ALTER TABLE t MODIFY a VARCHAR(99) COMMENT 'wide'", "ALTER TABLE t MODIFY a MEDIUMTEXT",
            "ALTER TABLE other CHANGE v v BIGINT AFTER g", "UPDATE t SET a = '3'",
            "UPDATE other SET v = 1 << 40",
        ],
        [("t", {"id": 1, "a": "3"}), ("other", {"g": "g", "m": "m", "v": 1 << 40})],
    ),
    "indexes, options, partitions": (
        [
            "ALTER TABLE t ADD INDEX (a), COMMENT 'DROP COLUMN a'", "ALTER TABLE t ENGINE = InnoDB",
            "ALTER TABLE t PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9))",
            "ALTER TABLE t ADD PARTITION (PARTITION q VALUES LESS THAN (99))", "UPDATE t SET a = '3'",
        ],
        [("t", {"id": 1, "a": "3"})],
    ),
    "tables that are not mapped": (
        [
            "CREATE TABLE x LIKE t", "INSERT INTO x SELECT * FROM t", "RENAME TABLE x TO y", "TRUNCATE y",
            "DROP TABLE y", "CREATE TABLE z AS SELECT * FROM t", "UPDATE t SET a = '3'",
        ],
        [("t", {"id": 1, "a": "3"})],
    ),
    "views, triggers and routines that change mapped rows": (
        [
            "CREATE VIEW w AS SELECT * FROM t", "CREATE TABLE x (id INT)",
            "CREATE TRIGGER x AFTER INSERT ON x FOR EACH ROW UPDATE t SET a = NEW.id",
            "CREATE PROCEDURE p() BEGIN UPDATE t SET a = '6'; DELETE FROM t WHERE a = '7'; END",
            "UPDATE w SET a = '4'", "INSERT INTO x VALUES (5)", "CALL p()",
        ],
        [("t", {"id": 1, "a": value}) for value in "456"],
    ),
}  # fmt: skip
STOPPED = {
    "TRUNCATE of test.t": ["TRUNCATE t"],
    "DROP TABLE of test.t": ["DROP TABLE IF EXISTS `t`"],
    "DROP DATABASE test": ["DROP DATABASE test"],
    "RENAME TABLE of test.t": ["CREATE TABLE _t_gho LIKE t", "RENAME TABLE t TO _t_del, _t_gho TO t"],
    "adds column n": ["ALTER TABLE t ADD n INT NOT NULL DEFAULT 5"],
    "drops column a": ["ALTER TABLE t DROP a"],
    "renames column v": ["ALTER TABLE other RENAME COLUMN v TO w"],
    "changes column a": ["ALTER TABLE t MODIFY a INT"],
    "changes column v": ["ALTER TABLE other MODIFY V INT"],
    "CONVERT TO": ["ALTER TABLE t CONVERT TO CHARACTER SET latin1"],
    "TRUNCATE PARTITION": [
        "ALTER TABLE t PARTITION BY HASH (id) PARTITIONS 2",
        "ALTER TABLE t TRUNCATE PARTITION ALL",
    ],
    "EXCHANGE PARTITION": [
        "CREATE TABLE x LIKE t",
        "ALTER TABLE t PARTITION BY RANGE (id) (PARTITION p VALUES LESS THAN (9))",
        "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE x",
    ],
    "UPDATE was logged as a statement": ["SET binlog_format = STATEMENT", "UPDATE t SET a = '9'"],
    "INSERT was logged as a statement": [
        "CREATE TABLE x (id INT)",
        "CREATE TRIGGER x AFTER INSERT ON x FOR EACH ROW UPDATE t SET a = NEW.id",
        "SET binlog_format = STATEMENT",
        "INSERT INTO x VALUES (1)",
    ],
    "does not have all columns": ["SET binlog_row_image = MINIMAL", "UPDATE t SET a = '9'"],
}


@pytest.fixture(params=["mysql", "mariadb"])
def named(request: pytest.FixtureRequest) -> Server:
    """With column names in the binlog."""
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


@pytest.mark.parametrize("case", FOLLOWED)
def test_what_the_mapping_can_follow_is_followed(named: Server, reading: Reading, case: str) -> None:
    statements, expected = FOLLOWED[case]
    run(named, *TABLES)
    reader = reading(named, end_of(named), ROWS)
    found = []
    for statement in statements:
        run(named, statement)
        found += reader.up_to()
    assert found == expected


def test_a_change_is_judged_once_the_server_answers_and_a_column_made_of_it_counts(
    named: Server, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(named, "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9) CHARACTER SET latin1, b INT)")
    reader, real = reading(named), Definitions._read
    run(named, "ALTER TABLE t MODIFY a VARCHAR(9) CHARACTER SET utf8mb4", "INSERT INTO t VALUES (1, 'é', 1)")

    def lost(*_: Any) -> Any:
        raise ConnectionLost("gone", "wait")

    monkeypatch.setattr(Definitions, "_read", lost)
    with pytest.raises(ConnectionLost):
        reader.up_to()
    monkeypatch.setattr(Definitions, "_read", real)
    reader.read.resume()
    reader.connect()
    assert reader.up_to() == [("t", {"id": 1, "a": "é", "b": 1})]
    run(named, "ALTER TABLE t MODIFY a VARCHAR(9) CHARACTER SET latin1, ADD h TEXT AS (HEX(a))")
    again = reading(named)
    run(named, "ALTER TABLE t MODIFY a VARCHAR(9) CHARACTER SET utf8mb4")
    with pytest.raises(CaptureStopped, match="changes column a"):
        again.up_to()


@pytest.mark.parametrize("reason", STOPPED)
def test_what_it_cannot_follow_stops_before_it(named: Server, reading: Reading, reason: str) -> None:
    *first, last = STOPPED[reason]
    run(named, *TABLES)
    reader = reading(named, end_of(named), ROWS)
    with named.connect() as connection, connection.cursor() as cursor:
        for statement in first:
            cursor.execute(statement)
        before = end_of(named)
        cursor.execute(last)
        cursor.execute("CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4")
    with pytest.raises(CaptureStopped) as stopped:
        reader.up_to()
    error = stopped.value
    assert reason in error.found and str(before) == error.at
    assert reader.read.boundary == before
    assert f"--skip {before}" in error.fix and "`ferry resume --after-ddl`" in error.fix
    assert (error.remedy == PASS and "test.t" in error.tables) or "test.other" in error.tables
    again = reading(named, before, ROWS, [before])
    run(named, "CREATE TABLE IF NOT EXISTS test.later (id INT)", "INSERT INTO test.later VALUES (1)")
    assert again.up_to() == []
    assert again.read.boundary == end_of(named)


def test_a_mapped_table_that_is_dropped_and_made_again_is_followed(server: Server, reading: Reading) -> None:
    """The word of the operator passes over DROP TABLE; the new table has other columns in other places."""
    run(server, *TABLES)
    before = end_of(server)
    run(server, "DROP TABLE t")
    run(server, "CREATE TABLE t (b INT, a INT, id INT PRIMARY KEY)", "INSERT INTO t VALUES (3, 2, 1)")
    assert reading(server, before, ROWS, [before]).up_to() == [("t", {"b": 3, "a": 2, "id": 1})]


# The whole way


@pytest.fixture
def move(named: Server, fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Move]:
    made = Move(make_bed(named, fresh_cloud), tmp_path)
    try:
        yield made
    finally:
        for process in made.running:
            if process.poll() is None:
                process.kill()
            process.wait()


def ferry(move: Move, *arguments: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "ferry.cli", *arguments, "--mapping", str(move.folder / "mapping.toml")]
    done = subprocess.run(command, env=move.bed.environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def test_after_a_truncate_the_steps_are_shown_and_lead_back(move: Move) -> None:
    process = move.capture()
    move.wait_captured()
    assert ferry(move, "resume", "--after-ddl")[:2] == (0, "capture has not stopped: nothing to do\n")
    move.bed.fill([("c", "old", "p", 1)])
    move.bed.sql("TRUNCATE purchase")
    assert process.wait() == 3
    assert '"CaptureStopped": 1' in (move.folder / "log").read_text()
    assert "ferry resume --after-ddl" in json.loads(ferry(move, "status", "--json")[1])["waits"]
    code, out, _ = ferry(move, "resume", "--after-ddl")
    assert code == 0 and "TRUNCATE of test.purchase" in out and "  2. ferry load --again" in out
    code, _, error = ferry(move, "resume", "--after-ddl", "--execute")
    assert code == 2 and "test.purchase not loaded again" in error
    move.bed.fill([("c", "new", "p", 2)])
    assert ferry(move, "load", "--again")[0] == 0
    told = json.loads(ferry(move, "resume", "--after-ddl", "--execute", "--json")[1])
    assert told["passed"] and told["loaded"] == ["test.purchase"]
    move.capture()
    move.bed.fill([("c", "newer", "p", 3)])
    move.wait(lambda: move.checkpoint["state"] == "capturing")
    move.wait_captured()
    move.apply()
    assert move.items() == move.bed.expected() and len(move.items()) == 2


def test_a_move_without_column_names(move: Move) -> None:
    """Also over an ALTER that capture reads too late: the load shows the rows that nobody can read."""
    bed = move.bed
    minimal = "NO_LOG" if bed.server.flavor == "mariadb" else "MINIMAL"
    with context_of(bed.server, binlog_row_metadata=minimal):
        process = move.capture()
        move.wait_captured()
        bed.fill([("c", "o", f"p{number}", number) for number in range(50)])
        bed.sql("ALTER TABLE purchase ADD note INT FIRST", "UPDATE purchase SET quantity = quantity + 1")
        move.wait_captured()
        move.stop(process)
        bed.sql(
            "UPDATE purchase SET quantity = quantity + 1",
            "ALTER TABLE purchase DROP note",
            "UPDATE purchase SET quantity = quantity + 1",
        )
        assert move.capture().wait() == 3
        assert "does not name the columns of test.purchase" in move.checkpoint["reason"]
        bed.load(again=True)
        code, out, _ = ferry(move, "resume", "--after-ddl")
        assert code == 0 and "  1. start the capturer" in out
        move.capture()
        move.wait(lambda: move.checkpoint["state"] == "capturing")
        bed.sql("UPDATE purchase SET quantity = quantity + 1 WHERE productid < 'p2'")
        move.wait_captured()
    move.apply()
    assert move.items() == bed.expected()


def test_a_load_does_not_go_on_with_the_columns_of_before(named: Server) -> None:
    """A value in the new column could lie below a chunk's watermark, and in no item."""
    run(named, *TABLES)
    mapping = Mapping.parse(ROWS)
    address = Address(named.host, named.port, named.capture.user, named.capture.password)

    def tables() -> list[CutTable]:
        with closing(connect(address)) as connection:
            return [describe(connection, table, columns(connection, table)) for table in mapping.tables]

    reader = LoadReader(first_epoch(lambda: connect(address)), RetryPolicy())
    with closing(reader):
        t, other = tables()
        run(
            named,
            "ALTER TABLE t ADD n INT",
            "ALTER TABLE other ADD n INT",
            "INSERT INTO t VALUES (2, '2', 2, 5)",
        )
        with pytest.raises(Refused, match=r"test\.t got other columns"):
            reader.read(t, Chunk())
        assert reader.read(other, Chunk())[0].rows == 1, "what does not travel does not matter"
        assert reader.read(tables()[0], Chunk())[0].rows == 2
