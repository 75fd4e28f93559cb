"""Tables with every type of key on real servers, cut into chunks: every row in one chunk, every item too."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from bulkload.connection import connect
from bulkload.direct import chunks
from bulkload.direct.reader import rows_of
from lab.server import Server
from rowferry.errors import EmptyKey
from rowferry.items.keys import key_of
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address
from rowferry.mysql.server import columns
from rowferry.values import Row

pytestmark = pytest.mark.integration

MAPPED = """
    [[table]]
    source = "test.t"
    target = "t"
    layout = "attribute-per-row"
    hash_key = {{ attribute = "hash", column = "k", type = "{type}" }}
    range_key = {{ attribute = "range", column = "l" }}
    member_name = "n"
    member_value = "n"
"""
DATES = ["'0000-00-00'", "'2026-00-10'", "'2026-02-31'", "'2026-03-01'", "'0001-01-01'", "'9999-12-31'"]
SAME = ["'A'", "'a'", "'á'", "'b'", "'B '", "'b  '", "'ß'", "'ss'", "'z'"]
COMMON: list[tuple[str, str, list[str]]] = [
    ("BIGINT UNSIGNED", "N", ["0", "1", "9007199254740993", "18446744073709551614", "18446744073709551615"]),
    (
        "DECIMAL(65,30)",
        "S",
        ["0", "-1", "1e-30", "2e-30", f"{'9' * 35}.{'9' * 30}", f"{'9' * 35}.{'9' * 29}8"],
    ),
    ("FLOAT", "N", ["0", "1.1", "16777216", "16777218", "-1e-45", "3.4e38"]),
    ("FLOAT(10,2)", "N", ["123456.78", "123456.70", "0.1"]),
    ("DOUBLE", "S", ["-0e0", "0.1", "0.1 + 0.2e0", "0.3", "1e22", "5e-324"]),
    ("DOUBLE(20,2)", "N", ["1e15 + 0.125", "1e15 + 0.375", "0.1"]),
    ("BIT(64)", "N", ["b'0'", "b'1'", "~0", "~0 - 1"]),
    ("YEAR", "N", ["0", "1901", "2001", "2155"]),
    ("DATE", "S", DATES),
    ("DATETIME(6)", "S", [*DATES, "'2026-02-31 00:00:00.000001'", "'2026-03-01 00:00:00.000001'"]),
    ("TIMESTAMP(3)", "S", ["'0000-00-00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999'"]),
    ("TIME(6)", "S", ["'-838:59:59'", "'-00:00:00.000001'", "'00:00:00'", "'00:00:00.5'", "'838:59:59'"]),
    ("BINARY(3)", "B", ["''", "x'00'", "x'20'", "x'2000'", "x'FF'", "x'FFFFFF'"]),
    ("VARBINARY(3)", "B", ["''", "x'00'", "x'0000'", "x'20'", "x'2020'", "x'FF'"]),
    ("ENUM('z','a','M','')", "S", ["'z'", "'a'", "'M'", "''", "0"]),
    ("ENUM('é','e','z') CHARACTER SET utf16 COLLATE utf16_bin", "S", ["'é'", "'e'", "'z'"]),
    ("SET('z','','a')", "S", ["'z'", "'a'", "'z,a'", "3", "7", "0", "2"]),
    ("CHAR(5)", "S", SAME),
    ("VARCHAR(5) COLLATE utf8mb4_general_ci", "S", SAME),
    ("VARCHAR(5) COLLATE utf8mb4_bin", "S", [*SAME, "'%s'", "'한😀'"]),
    ("VARCHAR(5) CHARACTER SET utf8mb3", "S", [*SAME, "'한'"]),
    ("VARCHAR(5) CHARACTER SET latin1", "S", [*SAME, "'€'", "_latin1 x'81'"]),
    ("VARCHAR(5) CHARACTER SET latin1 COLLATE latin1_bin", "S", [*SAME, "'€'", "_latin1 x'81'"]),
    ("VARCHAR(5) CHARACTER SET latin1 COLLATE latin1_german2_ci", "S", SAME),
    ("CHAR(5) CHARACTER SET utf16 COLLATE utf16_bin", "S", [*SAME, "'한😀'"]),
    ("VARCHAR(5) CHARACTER SET utf16le", "S", [*SAME, "'한😀'"]),
    ("VARCHAR(5) CHARACTER SET utf32", "S", [*SAME, "'한😀'"]),
    (
        "VARCHAR(5) CHARACTER SET ucs2 COLLATE ucs2_bin",
        "S",
        ["'a'", "_ucs2 x'D800'", "_ucs2 x'D801'", "'한'"],
    ),
    ("VARCHAR(5) CHARACTER SET koi8r COLLATE koi8r_bin", "S", ["'Я'", "'я'", "'a'"]),
    ("VARCHAR(5) CHARACTER SET swe7 COLLATE swe7_bin", "S", ["'å'", "'{'", "'?'", "'a'"]),
    ("VARCHAR(5) CHARACTER SET cp1251 COLLATE cp1251_bin", "S", ["_cp1251 x'98'", "'?'", "'Я'", "'a'"]),
    ("VARCHAR(5) CHARACTER SET sjis", "S", ["'日'", "'本'", "'ｱ'", "'a'", "'A'"]),
    ("VARCHAR(5) CHARACTER SET euckr COLLATE euckr_bin", "S", ["'한'", "'글'", "'a'", "'A'", "'z'"]),
    ("VARCHAR(5) CHARACTER SET gbk", "S", ["'中'", "'文'", "'a'", "'A'"]),
    ("TEXT", "S", SAME),
    ("BLOB", "B", ["''", "x'00'", "x'0000'", "x'FF'"]),
]
MYSQL = [
    ("VARCHAR(5) COLLATE utf8mb4_0900_ai_ci", "S", SAME),
    ("VARCHAR(5) COLLATE utf8mb4_0900_bin", "S", SAME),
    ("VARCHAR(5) CHARACTER SET gb18030", "S", ["'中'", "'文'", "'😀'", "'a'", "'A'"]),
]
MARIADB = [
    ("VARCHAR(5) COLLATE utf8mb4_nopad_bin", "S", SAME),
    ("CHAR(5) CHARACTER SET latin1 COLLATE latin1_nopad_bin", "S", SAME),
    ("INET4", "S", ["'0.0.0.0'", "'9.0.0.1'", "'10.0.0.1'", "'255.255.255.255'"]),
    ("INET6", "S", ["'::'", "'::1'", "'9::'", "'10::'", "'::ffff:10.0.0.1'", "'ffff::'"]),
    (
        "UUID",
        "S",
        [
            "'00000000-0000-0000-0000-000000000000'",
            "'123e4567-e89b-12d3-a456-426655440000'",
            "'f47ac10b-58cc-4372-a567-0e02b2c3d479'",
            "'02b2c3d4-58cc-4372-a567-0e02b2c3d479'",
        ],
    ),
]


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


@contextmanager
def connected(server: Server) -> Iterator[Any]:
    account = server.capture
    connection = connect(Address(server.host, server.port, account.user, account.password))
    try:
        yield connection
    finally:
        connection.close()


def fill(server: Server, kind: str, values: Sequence[str]) -> None:
    """Each value with two others beside it, in two rows each."""
    part = "(3)" if kind in ("TEXT", "BLOB") else ""
    connection: Any
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(
            f"CREATE TABLE t (k {kind} NOT NULL, l VARCHAR(5) NOT NULL, n INT AUTO_INCREMENT PRIMARY KEY,"
            f" KEY (k{part}, l)) CHARACTER SET utf8mb4"
        )
        rows = [f"({value}, '{other}')" for value in values for other in "bB" for _ in range(2)]
        cursor.execute(f"INSERT INTO t (k, l) VALUES {', '.join(rows)}")


def chunked(connection: Any, mapping: Mapping, size: int) -> list[list[Row]]:
    """The rows of each chunk."""
    mapped = mapping.tables[0]
    table = chunks.describe(connection, mapped, columns(connection, mapped))
    names = table.selection.names
    planned = [
        chunks.read_bound(chunks.bound_text(chunk.upper)) for chunk in chunks.plan(connection, table, size)
    ]
    bounds = zip([None, *planned], planned, strict=False)
    return [
        [
            dict(zip(names, values, strict=True))
            for some in rows_of(connection, table, chunks.Chunk(lower, upper))
            for values in some
        ]
        for lower, upper in bounds
    ]


def test_every_type_of_key_is_cut_without_loss(server: Server) -> None:
    wrong = []
    for kind, type_, values in COMMON + (MYSQL if server.flavor == "mysql" else MARIADB):
        fill(server, kind, values)
        mapping = Mapping.parse(MAPPED.format(type=type_))
        with connected(server) as connection:
            for size in (1, 3):
                found = chunked(connection, mapping, size)
                wrong += [(kind, size, what) for what in problems(mapping, found, 4 * len(values))]
    assert wrong == []


def problems(mapping: Mapping, found: Sequence[Sequence[Row]], count: int) -> Iterator[str]:
    if sorted(row["n"] for rows in found for row in rows) != list(range(1, count + 1)):
        yield "rows lost or doubled"
    items = [{key for row in rows if (key := item(row, mapping))} for rows in found]
    if sum(map(len, items)) != len(set().union(*items)):
        yield "an item in two chunks"
    if len(found) == 1:
        yield "not cut"


def item(row: Row, mapping: Mapping) -> Any:
    try:
        return key_of(row, mapping.tables[0])
    except EmptyKey:
        return None
