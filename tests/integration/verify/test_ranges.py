"""A table cut by verify: each row in one range and in no other, and the servers use the index for it."""

import json
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.ranges import Range, cut
from lab.database import Server
from tests.integration.verify.test_lookup import TEXTS, TIMES, address, source_server

pytestmark = pytest.mark.integration
__all__ = ["source_server"]

PAIR = Pair("test", "t", "t", (("h", "N", "v"),), "v", "v", {})
STATUS = 400
"""Rows that asking for the status itself reads, and a few more."""
NUMBERS = list(range(-40, 41))
KEYS: dict[str, tuple[list[Any], bool]] = {
    "BIGINT": ([*NUMBERS, -(2**63), 2**63 - 1], True),
    "BIGINT UNSIGNED": ([*range(80), 2**63, 2**64 - 1], True),
    "DECIMAL(30,5)": (
        [f"{n}.{n % 7}" for n in range(80)] + ["-0.1", "9999999999999999999999999.00001"],
        True,
    ),
    "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci": (
        [f"{text}{n:02}" for n, text in enumerate(TEXTS * 4)],
        True,
    ),
    "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": (
        [f"{text}{n}" for n, text in enumerate(TEXTS)],
        True,
    ),
    "CHAR(10) CHARACTER SET latin1": ([f"{text}{n}" for n in range(30) for text in "aé?'\\"], True),
    "VARCHAR(40) CHARACTER SET ucs2": ([f"{text}{n}" for n in range(30) for text in "aöz%"], True),
    "VARCHAR(40) CHARACTER SET utf8mb4": ([f"?{n}" for n in range(150)], False),
    "DATE": ([f"2024-01-{n:02}" for n in range(1, 31)] + ["0000-00-00", "2024-00-01", "2024-02-31"], True),
    "DATETIME(6)": ([*TIMES, *(f"2024-03-01 00:00:{n:02}.{n:06}" for n in range(60))], True),
    "TIMESTAMP(6)": ([f"2024-10-27 0{n % 10}:00:{n:02}" for n in range(60)], True),
    "VARBINARY(20)": ([bytes([n, 39, 92]) for n in range(200)], True),
    "YEAR": (list(range(1990, 2060)), True),
    "ENUM('z','a','m')": (["z", "a", "m"], False),
    "DOUBLE": ([n / 3 for n in range(60)], False),
    "TIME(3)": ([f"{n:02}:00:00.5" for n in range(60)], False),
}


@pytest.mark.parametrize("rows", [1, 7])
@pytest.mark.parametrize("column", KEYS)
def test_each_row_is_in_one_range(source_server: Server, column: str, rows: int) -> None:
    values, comparable = KEYS[column]
    fill(source_server, f"k {column} NOT NULL, PRIMARY KEY (k)", [(value,) for value in values], "k")
    ranges, found = read(source_server, rows)
    assert found == Counter(range(len(values)))
    assert len(ranges) > len(values) // rows // 2 if comparable else len(ranges) == 1


@pytest.mark.parametrize(
    ("key", "bounded"),
    [
        ("a, b, c", 3),
        ("b, a, c", 3),
        ("a, e, c", 1),  # an ENUM ends what can be compared
        ("e, a, c", 0),
        ("b(1), a, c", 0),  # an index of a part of the value
        ("a DESC, b, c DESC", 3),
    ],
)
def test_a_composite_key_is_cut_by_the_columns_that_can_be_compared(
    source_server: Server, key: str, bounded: int
) -> None:
    columns = "a INT NOT NULL, b VARCHAR(9) NOT NULL, e ENUM('z','a') NOT NULL, c BIGINT NOT NULL"
    every = [(n % 3, f"p{n % 5}", "za"[n % 2], n) for n in range(90)]
    fill(source_server, f"{columns}, PRIMARY KEY ({key})", every, "a, b, e, c")
    ranges, found = read(source_server, 4)
    assert found == Counter(range(len(every)))
    assert {len(one.columns) for one in ranges} == {bounded}
    assert (len(ranges) == 1) == (bounded == 0)


def test_a_bound_that_cannot_be_written_is_done_without(
    source_server: Server,
) -> None:
    columns = "a INT NOT NULL, b VARCHAR(9) NOT NULL, PRIMARY KEY (a, b)"
    fill(source_server, columns, [(n // 10, "?" * (n % 10)) for n in range(100)], "a, b")
    ranges, found = read(source_server, 5)
    assert found == Counter(range(100))
    assert {len(one.until) for one in ranges if one.until} <= {1, 2} and len(ranges) > 5


def test_an_empty_table_and_one_without_a_primary_key_are_one_range(source_server: Server) -> None:
    fill(source_server, "k INT NOT NULL, PRIMARY KEY (k)", [], "k")
    assert read(source_server, 3) == ([Range(("k",))], Counter())
    fill(source_server, "k INT", [(n,) for n in range(9)], "k")
    ranges, found = read(source_server, 3)
    assert ranges == [Range(())] and found == Counter(range(9))


@pytest.mark.parametrize("first", ["one", "many"])
def test_the_servers_read_no_more_than_the_range(source_server: Server, first: str) -> None:
    columns = "a INT NOT NULL, b VARCHAR(20) NOT NULL, c INT NOT NULL, PRIMARY KEY (a, b, c)"
    every = [(n % 50 if first == "many" else 1, f"p{n % 500:03}", n) for n in range(20_000)]
    fill(source_server, columns, every, "a, b, c")
    with source_server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("ANALYZE TABLE t")
        cursor.fetchall()
    with closing(source_text.connect(address(source_server))) as connection:
        middle = list(cut(connection, PAIR, 1000))[10]
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN FORMAT=JSON SELECT v FROM test.t WHERE {middle.condition}")
            ((plan,),) = cursor.fetchall()
            before = handlers(cursor)
            cursor.execute(f"SELECT v FROM test.t WHERE {middle.condition}")
            assert len(cursor.fetchall()) == 1000
            assert handlers(cursor) - before < 1000 + STATUS, json.loads(plan)


def handlers(cursor: Any) -> int:
    """Rows that this session has read of tables so far."""
    cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
    return sum(int(count) for name, count in cursor.fetchall() if name != b"Handler_read_rnd_next")


def fill(server: Server, columns: str, every: list[tuple[Any, ...]], named: str) -> None:
    """The table anew; `v` is the row's number."""
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(f"CREATE TABLE t ({columns}, v INT NOT NULL)")
        marks = ", ".join(["%s"] * (len(named.split(",")) + 1))
        cursor.executemany(
            f"INSERT INTO t ({named}, v) VALUES ({marks})", [(*row, n) for n, row in enumerate(every)]
        )
        connection.commit()


def read(server: Server, rows: int) -> tuple[list[Range], Counter[int]]:
    """The ranges, and how often each row is in one."""
    found: Counter[int] = Counter()
    with closing(source_text.connect(address(server))) as connection:
        ranges = list(cut(connection, PAIR, rows))
        for one in ranges:
            for some in source_text.rows(connection, "test", "t", {"v": "int"}, one.condition):
                found.update(int(v) for (v,) in some)
    return ranges, found
