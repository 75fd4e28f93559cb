"""What the servers' answers mean. The questions themselves: test_source_servers.py."""

from dataclasses import replace
from typing import Any

import pytest

from rowferry.errors import SourceNotReady
from rowferry.mysql import conditions as mysql_conditions
from rowferry.mysql import server, snapshot
from rowferry.mysql.conditions import Condition
from rowferry.mysql.server import Server
from rowferry.position import BinlogOffset, Position

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
MYSQL = Server("mysql", (9, 1, 0), UUID)


class Answering:
    """A connection that answers the first part of a question that it knows; lists answer in turn."""

    description: Any = None

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("_", " "): answer for name, answer in answers.items()}
        self.asked: list[str] = []
        self._found: list[dict[str, Any]] = []

    def cursor(self) -> "Answering":
        return self

    def close(self) -> None:
        """It is a cursor too."""

    def execute(self, sql: str, parameters: Any = None) -> None:
        self.asked.append(sql)
        name = next((name for name in self.answers if sql.replace("_", " ").startswith(name)), None)
        answer = self.answers[name] if name else []
        self._found = answer.pop(0) if answer and isinstance(answer[0], list) else answer
        self.description = [(column,) for column in self._found[0]] if self._found else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self._found]


def identity(version: str, **variables: str) -> Server:
    found = [{"Variable_name": name, "Value": value} for name, value in variables.items()]
    return server.identify(Answering(SELECT_VERSION=[{"version": version}], SHOW_GLOBAL_VARIABLES=found))


@pytest.mark.parametrize(
    ("version", "variables", "expected"),
    [
        ("8.4.3", {"server_uuid": UUID, "server_id": "1"}, Server("mysql", (8, 4, 3), UUID)),
        ("8.0.36-log", {"server_uuid": UUID, "server_id": "1"}, Server("mysql", (8, 0, 36), UUID)),
        (
            "10.11.6-MariaDB-0+deb12u1",
            {"server_uid": "x", "server_id": "1"},
            Server("mariadb", (10, 11, 6), "x"),
        ),
        ("10.6.1-MariaDB", {"server_id": "5"}, Server("mariadb", (10, 6, 1), "server_id=5")),
        (
            "9.1.0",
            {"server_uuid": UUID, "lower_case_table_names": "1"},
            Server("mysql", (9, 1, 0), UUID, lower_case_table_names=1),
        ),
    ],
)
def test_a_server_is_known_by_flavor_version_and_identity(
    version: str, variables: Any, expected: Server
) -> None:
    assert identity(version, **variables) == expected


STATUS = [{"File": "binlog.000012", "Position": 4711}]


@pytest.mark.parametrize(
    ("version", "asked"), [((8, 0, 36), "SHOW MASTER STATUS"), ((8, 4, 0), "SHOW BINARY LOG STATUS")]
)
def test_the_end_of_the_binlog_is_asked_for_in_the_servers_words(version: Any, asked: str) -> None:
    connection = Answering(SHOW=STATUS)
    end = snapshot.current_offset(connection, Server("mysql", version, UUID))
    assert end == BinlogOffset("binlog.000012", 4711) and connection.asked == [asked]
    assert end.position(3) == Position(3, 12, 4711, 0)


def test_a_server_without_binlog_is_refused_with_the_fix() -> None:
    with pytest.raises(SourceNotReady, match="log_bin"):
        snapshot.current_offset(Answering(), MYSQL)


OTHER = UUID.replace("3", "4")


@pytest.mark.parametrize(
    ("owned", "waited"),
    [
        ([""], []),
        ([None], []),
        ([f"{UUID}:5#31", f"{UUID}:5#31", ""], [f"{UUID}:5", f"{UUID}:5"]),
        # MySQL 8.3 has tags, which stand before their numbers
        ([f"{UUID}:5#31:nightly:7#33", ""], [f"{UUID}:5,{UUID}:nightly:7"]),
        # what comes later is not waited for, or a busy server would never be done
        (
            [f"{UUID}:5#31:6#32, {OTHER}:1#7", f"{UUID}:6#32:9#9", f"{UUID}:9#9"],
            [f"{UUID}:5,{UUID}:6,{OTHER}:1", f"{UUID}:6"],
        ),
    ],
)
def test_a_snapshot_waits_for_what_the_binlog_already_holds(owned: list[Any], waited: list[str]) -> None:
    answers = [[{"owned": text}] for text in owned]
    connection = Answering(
        SHOW=STATUS,
        **{"SELECT_@@GLOBAL.gtid_owned": answers, "SELECT_WAIT": [{"timed_out": 0}]},
    )
    assert snapshot.begin_snapshot(connection, MYSQL) == BinlogOffset("binlog.000012", 4711)
    assert [sql.split("'")[1] for sql in connection.asked if "WAIT_FOR" in sql] == waited
    assert connection.asked[0].startswith("SHOW") and connection.asked[-1].startswith("START TRANSACTION")


def test_a_long_wait_for_a_snapshot_says_what_it_waits_for() -> None:
    connection = Answering(
        SHOW=STATUS,
        **{
            "SELECT_@@GLOBAL.gtid_owned": [
                [{"owned": f"{UUID}:5#31:6#32"}],
                *[[{"owned": f"{UUID}:6#32"}]] * 9,
                [{"owned": ""}],
            ],
            "SELECT_WAIT": [{"timed_out": 1}],
        },
    )
    said: list[str] = []
    snapshot.begin_snapshot(connection, MYSQL, said.append)
    assert (
        len(said) == 1
        and f"since 5 s for transactions that the server has not committed yet: {UUID}:6." in said[0]
    )


def told(file: str, offset: int) -> list[dict[str, Any]]:
    return [
        {"Variable_name": "Binlog_snapshot_file", "Value": f"mariadb-bin.{file}"},
        {"Variable_name": "Binlog_snapshot_position", "Value": str(offset)},
    ]


MARIADB = Server("mariadb", (10, 11), "x")


@pytest.mark.parametrize(
    ("answers", "watermark"),
    [
        ([told("000003", 99), told("000003", 99)], BinlogOffset("mariadb-bin.000003", 99)),
        # what was committed in between, or another session's answer
        ([told("000003", 99), told("000003", 120)], BinlogOffset("mariadb-bin.000003", 99)),
        ([told("000003", 99), told("000004", 4)], BinlogOffset("mariadb-bin.000003", 99)),
        # the new file with another session's offset in the old one
        ([told("000004", 9000), told("000004", 4)], BinlogOffset("mariadb-bin.000004", 4)),
    ],
)
def test_on_mariadb_the_lower_of_two_answers_counts(answers: Any, watermark: BinlogOffset) -> None:
    connection = Answering(SHOW_STATUS=answers)
    assert snapshot.begin_snapshot(connection, MARIADB) == watermark
    asked = [sql.split()[0] for sql in connection.asked]
    assert asked == ["SHOW", "XA", "START", "SHOW"]


def test_on_mariadb_what_is_prepared_is_waited_for_and_reported() -> None:
    """What is prepared later is not: its outcome stands behind the watermark."""
    listed = [[{"data": "X'61',X'',1"}], *[[{"data": "X'61',X'',1"}, {"data": "X'62',X'',1"}]] * 501]
    connection = Answering(
        SHOW_STATUS=[told("000003", 99), told("000003", 120)],
        XA_RECOVER=[*listed, [{"data": "X'62',X'',1"}]],
    )
    said: list[str] = []
    assert snapshot.begin_snapshot(connection, MARIADB, said.append) == BinlogOffset("mariadb-bin.000003", 99)
    (line,) = said
    assert "since 5 s for the outcome of XA transactions: X'61',X'',1. XA COMMIT or XA ROLLBACK" in line


def test_all_that_is_missing_is_reported_at_once_with_each_fix_once() -> None:
    broken = [
        Condition("a", "OFF", False, "fix one"),
        Condition("b", "ON", True, "-"),
        Condition("c", "x", False, "fix one"),
    ]
    with pytest.raises(SourceNotReady) as refused:
        mysql_conditions.require(broken)
    assert (refused.value.found, refused.value.fix) == ("a is OFF; c is x", "fix one")
    mysql_conditions.require([broken[1]])
    advised = Condition("d", "MINIMAL", False, "set d", needed=False)
    mysql_conditions.require([advised])
    assert mysql_conditions.advice([*broken, advised, replace(advised, holds=True)]) == [
        "d is MINIMAL: set d"
    ]


RIGHT = {
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "gtid_mode": "ON",
    "binlog_row_metadata": "FULL",
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("wrong", ["OFF", None])
def test_each_setting_alone_is_found(name: str, wrong: str | None) -> None:
    """Also those that no server can be given while it runs."""
    found = {**RIGHT, name: wrong} if wrong else {key: value for key, value in RIGHT.items() if key != name}
    conditions = list(mysql_conditions._settings({key: str(value) for key, value in found.items()}, MYSQL))
    assert [one.name for one in conditions if not one.holds] == [name]
    assert [one.name for one in mysql_conditions._settings(RIGHT, MYSQL) if not one.holds] == []
