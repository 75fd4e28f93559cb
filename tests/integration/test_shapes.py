"""Tables that change under capture, and rows that come without the names of their columns. All real."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from capturer.ahead import statements
from capturer.binlog import Binlog, ConnectionLost, Source
from capturer.definitions import Definitions
from capturer.events import Boundary
from capturer.transactions import Transactions
from lab.database import Server
from rowferry.errors import LOAD, CaptureStopped
from rowferry.mapping import Mapping
from rowferry.position import Position, file_number
from rowferry.source import current_offset, identify
from tests.integration.move_bed import settings_of
from tests.integration.test_capturer import wait_for

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
    with settings_of(chosen, binlog_row_metadata=minimal):
        yield chosen


def run(server: Server, *sql: str) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        for statement in sql:
            cursor.execute(statement)


def end_of(server: Server) -> Boundary:
    with server.connect() as connection:
        end = current_offset(connection, identify(connection))
    return Boundary(end.file, end.offset)


class Reader:
    """A capturer's reading half, that reads when it is told to: what it has not read yet is its lag."""

    def __init__(self, server: Server, start: Boundary | None = None) -> None:
        account = server.capture
        self.server = server
        self.source = Source(server.host, server.port, account.user, account.password, 4713)
        self.mapping = Mapping.parse(MAPPING)
        self.read = Transactions(self.mapping, 1, start or end_of(server))
        self.floors: dict[str, str] = {}
        self.asked = 0
        self.binlog: Binlog | None = None
        self.definitions = Definitions(
            self.source, self.mapping, 1, at=lambda: self.read.boundary, floors=lambda: self.floors
        )
        self.connect()

    def ask(self, schema: str, table: str) -> Any:
        self.asked += 1
        return self.definitions(schema, table)

    def up_to(self, goal: Boundary | None = None) -> list[tuple[str, Any]]:
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
        self.binlog = Binlog(self.source, self.mapping, self.read.boundary, self.ask)
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


def loaded_up_to(place: Boundary) -> str:
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
    reader = reading(server)
    run(server, "INSERT INTO other VALUES (1)")
    before = end_of(server)
    run(server, "INSERT INTO t VALUES (1, 10, 20)")
    ddl = end_of(server)
    run(server, alter, "INSERT INTO other VALUES (2)")
    with pytest.raises(CaptureStopped, match=r"does not name the columns of test\.t") as stopped:
        reader.up_to()
    assert reader.read.boundary == before
    assert f"at {before}:" in stopped.value.found and f"{ddl.file}:" in stopped.value.found
    assert "binlog_row_metadata=FULL" in stopped.value.fix and "ferry resume" in stopped.value.fix
    assert (stopped.value.remedy, stopped.value.tables) == (LOAD, ["test.t"])


def test_rows_that_a_load_shows_are_passed_over_up_to_the_alter(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, x INT)", "CREATE TABLE other (id INT PRIMARY KEY)")
    reader = reading(server)
    run(server, "INSERT INTO t VALUES (1, 0)", "INSERT INTO other VALUES (1)")
    early = end_of(server)
    run(server, "ALTER TABLE t ADD y INT", "INSERT INTO t (id, x) VALUES (2, 0)")
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
    reader = reading(server)
    run(server, "INSERT INTO t VALUES (1)", "DROP TABLE t")
    with pytest.raises(CaptureStopped, match="is not there any more"):
        reader.up_to()


def test_events_that_name_their_columns_need_no_question(server: Server, reading: Reading) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)")
    with settings_of(server, binlog_row_metadata="FULL"):
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
    monkeypatch.setattr("capturer.definitions.LOCK_SECONDS", 1)
    run(server, "CREATE TABLE t (id INT PRIMARY KEY, x INT)")
    reader = reading(server)
    run(server, "INSERT INTO t VALUES (1, 0)")
    with server.connect(autocommit=False) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT * FROM t")
        altering = threading.Thread(target=run, args=(server, "ALTER TABLE t ADD y INT"))
        altering.start()
        wait_for(lambda: _is_waiting(server))
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
    for columns, end in answers:
        renames = sum("RENAME COLUMN" in query.sql for _, query in statements(reader.source, start, end))
        assert columns[1].name == f"n{renames}"
    assert len({columns[1].name for columns, _ in answers}) > 1


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

    def found(first: Boundary, last: Boundary) -> list[str]:
        texts = [query.sql for _, query in statements(reader.source, first, last)]
        return [text[13:14] for text in texts if text.startswith("CREATE")]

    assert found(start, middle) == ["a", "b"]
    assert found(middle, end_of(server)) == ["c"]
    assert found(start, start) == []
