"""The rows of some items, found by their keys: exactly those that reading everything finds."""

from collections.abc import Iterator
from contextlib import closing
from random import Random
from typing import Any

import pytest

from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.members import expected
from ferry.verify.point_reads import RowLookup, together, types_of
from lab.database import Server
from rowferry.mysql.address import Address

pytestmark = pytest.mark.integration

TEXTS = [
    "a",
    "A",
    "a ",
    "",
    "é",
    "e\u0301",
    "'",
    '"',
    "\\",
    "\\'",
    "%s",
    "${a}",
    "?",
    "\ufffd",
    "\n",
    "\x00",
    "😀",
    "0",
    "00",
    "1e1",
]
NUMBERS = ["0", "1", "-1", "12.50", "12.5", "99999999999999999999", "0.1"]
DATES = ["2024-02-29", "1000-01-01", "0000-00-00"]
TIMES = ["2024-02-29 12:00:00", "2024-02-29 12:00:00.500000", "2001-01-01 00:00:00"]
COLUMNS: dict[str, list[Any]] = {
    "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci": TEXTS,
    "VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": TEXTS,
    "CHAR(10) CHARACTER SET latin1": ["a", "A", "é", "ä", "?", "'"],
    "VARCHAR(40) CHARACTER SET ucs2": ["a", "é", "?", "%"],
    "TEXT CHARACTER SET utf8mb4": TEXTS,
    "INT": [0, 1, -1, 2**31 - 1],
    "BIGINT UNSIGNED": [0, 2**53 + 1, 2**64 - 1],
    "DECIMAL(30,5)": NUMBERS,
    "DOUBLE": [0, 0.1, -1.5, 1e22],
    "FLOAT": [0, 0.1, -1.5],
    "BIT(9)": [0, 1, 511],
    "ENUM('a','B','''','0','1')": ["a", "B", "'", "0", "1"],
    "SET('a','b')": ["", "a", "a,b"],
    "DATE": DATES,
    "DATETIME(6)": TIMES,
    "TIMESTAMP(6) NULL": TIMES,
    "TIME(6)": ["12:00:00", "-01:00:00.5"],
    "YEAR": [1999, 2024],
    "VARBINARY(20)": [b"", b"a", b"\x00", b"\xff'\\"],
}
MADE = ["k", "pre#${k}", "${k}#", "${k}|${n}"]


def cases() -> Iterator[tuple[str, str, str]]:
    for column in COLUMNS:
        if "BINARY" in column:
            yield column, "k", "B"
            continue
        for made in MADE:
            yield column, made, "S"
        if column.partition("(")[0].partition(" ")[0] in {
            "INT",
            "BIGINT",
            "DECIMAL",
            "DOUBLE",
            "FLOAT",
            "BIT",
            "YEAR",
        }:
            yield column, "k", "N"


@pytest.fixture(params=["mysql", "mariadb"])
def source_server(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.mark.parametrize(("column", "made", "kind"), list(cases()))
def test_by_key_as_by_reading_all(source_server: Server, column: str, made: str, kind: str) -> None:
    connection: Any
    values = COLUMNS[column]
    with source_server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        cursor.execute(f"CREATE TABLE t (k {column}, n INT NOT NULL, v INT NOT NULL)")
        cursor.executemany(
            "INSERT INTO t VALUES (%s, %s, %s)", [(value, n, n) for n in range(3) for value in values]
        )
        connection.commit()
    pair = Pair("test", "t", "t", (("h", kind, made),), "n", "v", {})
    with closing(source_text.connect(address(source_server))) as connection:
        rows = RowLookup(pair, types_of(connection, pair), connection)
        everything = together(
            member
            for some in source_text.rows(connection, "test", "t", rows.types)
            for member in expected(pair, rows.types, iter(some))
        )
        keys = sorted(everything)
        some = Random(1).sample(keys, max(1, len(keys) // 2))
        assert together(rows.of(some)) == {key: everything[key] for key in some}
        for key in keys:
            assert together(rows.of([key])) == {key: everything[key]}


def address(server: Server) -> Address:
    account = server.capture
    return Address(server.host, server.port, account.user, account.password)
