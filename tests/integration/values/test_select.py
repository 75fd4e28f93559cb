"""Every column type of real servers as the bulk load reads it: the values given here, and the binlog's."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from bulkload.connection import connect
from bulkload.direct import chunks
from bulkload.direct.chunks import Chunk
from bulkload.direct.reader import ChunkReader, rows_of
from bulkload.dynamodb.batch_writer import RetryPolicy
from lab.server import Server
from rowferry.mapping import Mapping
from rowferry.mysql import server as mysql_server
from rowferry.mysql.address import Address
from rowferry.values import Json, Value, parse_time
from tests.integration.capturer.test_decoder import changes, definitions_of, run, shown
from tests.support.epochs import first_epoch

pytestmark = pytest.mark.integration

MAPPED = """
    [[table]]
    source = "{schema}.{table}"
    target = "t"
    layout = "item-per-row"
    hash_key = {{ attribute = "key", column = "{key}" }}
"""


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def only_mysql(mysql: Server) -> Server:
    if mysql.flavor != "mysql":
        pytest.skip("no MySQL on this machine")
    return mysql


def select_values(server: Server, schema: str, table: str, key: str = "id") -> list[dict[str, Value]]:
    """The rows of a table as the bulk load reads them, in the order of the key column."""
    mapped = Mapping.parse(MAPPED.format(schema=schema, table=table, key=key)).tables[0]
    account = server.capture
    with connect(Address(server.host, server.port, account.user, account.password)) as connection:
        described = chunks.describe(connection, mapped, mysql_server.columns(connection, mapped))
        names = described.selection.names
        return [
            dict(zip(names, values, strict=True))
            for some in rows_of(connection, described, Chunk())
            for values in some
        ]


A64 = "1" + "0" * 62 + "1"
LONG = "".join(f"{n:02x}" for n in range(120))
LONG_TEXT = (
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4\n"
    "OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJTVFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3Bx\ncnN0dXZ3"
)
POINT = "00000000 01 01000000 000000000000f03f 0000000000000040"

type Cases = list[tuple[str, list[tuple[str, Any]]]]
COMMON: Cases = [
    ("tinyint unsigned", [("255", 255), ("0", 0)]),
    ("bigint unsigned", [("18446744073709551615", 2**64 - 1)]),
    ("bigint", [("-9223372036854775808", -(2**63))]),
    ("bool", [("TRUE", 1)]),
    ("year", [("2026", 2026), ("0", 0), ("1901", 1901)]),
    ("bit(1)", [("b'1'", 1), ("b'0'", 0)]),
    ("bit(9)", [("b'100000001'", 257)]),
    ("bit(64)", [(f"b'{A64}'", 2**63 + 1), ("b'0'", 0)]),
    ("decimal(10,2)", [("1.1", Decimal("1.10")), ("0", Decimal("0.00")), ("-0.01", Decimal("-0.01"))]),
    ("decimal(65,30)", [("9" * 35 + "." + "9" * 30, Decimal("9" * 35 + "." + "9" * 30))]),
    (
        "float",
        [("1.1", 1.1), ("16777217", 16777200.0), ("1e20", 1e20), ("1e-45", 1.4013e-45), ("-3.4e38", -3.4e38)],
    ),
    ("float(10,2)", [("123456.78", 123457.0), ("-0.05", -0.05)]),
    ("double", [("0.1", 0.1), ("-1.7976931348623157e308", -1.7976931348623157e308), ("5e-324", 5e-324)]),
    ("double(20,2)", [("1e15 + 0.125", 1000000000000000.125), ("1.1", 1.1)]),
    (
        "date",
        [
            ("'2026-11-23'", date(2026, 11, 23)),
            ("'0000-00-00'", "0000-00-00"),
            ("'2026-00-10'", "2026-00-10"),
            ("'2026-02-31'", "2026-02-31"),
        ],
    ),
    (
        "datetime",
        [
            ("'9999-12-31 23:59:59'", datetime(9999, 12, 31, 23, 59, 59)),
            ("'0000-00-00'", "0000-00-00 00:00:00"),
            ("'2026-02-31 01:02:03'", "2026-02-31 01:02:03"),
        ],
    ),
    (
        "datetime(3)",
        [
            ("'2026-11-23 12:34:56.789'", datetime(2026, 11, 23, 12, 34, 56, 789_000)),
            ("'2026-00-10 00:00:00'", "2026-00-10 00:00:00"),
            ("'2026-00-10 00:00:00.5'", "2026-00-10 00:00:00.500000"),
            ("'0000-00-00'", "0000-00-00 00:00:00"),
        ],
    ),
    (
        "timestamp(6) null",
        [
            ("'2026-11-23 12:34:56.123456'", datetime(2026, 11, 23, 12, 34, 56, 123_456)),
            ("'0000-00-00'", "0000-00-00 00:00:00"),
            ("'1970-01-01 00:00:01'", datetime(1970, 1, 1, 0, 0, 1)),
        ],
    ),
    (
        "time(6)",
        [
            (f"'{t}'", parse_time(t))
            for t in ("-00:00:00.000001", "-00:00:01.500000", "838:59:58.999999", "-838:59:59", "00:00:00")
        ],
    ),
    ("time", [("'-26:00:01'", parse_time("-26:00:01"))]),
    ("char(10)", [("'tr  '", "tr"), ("''", ""), ("' 한글😀'", " 한글😀")]),
    ("varchar(20)", [("'tr  '", "tr  "), ("''", ""), ("'\\0%s'", "\0%s")]),
    ("varchar(10) character set latin1", [("'€é'", "€é"), ("_latin1 x'818D8F909D'", "\x81\x8d\x8f\x90\x9d")]),
    ("char(5) character set utf16", [("'한😀 '", "한😀"), ("''", "")]),
    ("varchar(5) character set utf32", [("'한😀 '", "한😀 ")]),
    (
        "varchar(5) character set ucs2",
        [
            ("'한a '", "한a "),
            ("_ucs2 x'0041D8000042'", "A\ufffdB"),
            ("_ucs2 x'D83DDE00'", "\ufffd\ufffd"),
            ("''", ""),
        ],
    ),
    ("char(5) character set ucs2", [("'한 '", "한")]),
    ("text character set ucs2", [("_ucs2 x'DE00'", "\ufffd")]),
    ("varchar(5) character set utf8mb3", [("'한a'", "한a")]),
    ("varchar(5) character set swe7", [("'å{'", "å?")]),
    ("varchar(5) character set sjis", [(r"_sjis x'5C815F'", "\\\\"), ("'日'", "日")]),
    ("varchar(5) character set euckr", [("'한글'", "한글")]),
    ("varchar(5) character set cp1251", [("_cp1251 x'98'", "?"), ("'Я'", "Я")]),
    ("varchar(5) character set tis620", [("_tis620 x'A1DB'", "ก\ufffd")]),
    ("mediumtext", [("'한글😀'", "한글😀"), ("''", "")]),
    ("binary(4)", [("x'0102'", b"\x01\x02\0\0"), ("x'00000000'", bytes(4)), ("x'20202020'", b"    ")]),
    ("varbinary(10)", [("x'FF00FE00'", b"\xff\0\xfe\0"), ("x''", b"")]),
    ("longblob", [("x'00FF00'", b"\0\xff\0"), ("x''", b"")]),
    ("enum('a','it''s','한','')", [("'it''s'", "it's"), ("0", ""), ("'한'", "한"), ("''", "")]),
    ("enum('é','e') character set ucs2 collate ucs2_bin", [("'é'", "é")]),
    ("set('x','it''s','z')", [("'z,x'", ("x", "z")), ("''", ()), ('"it\'s"', ("it's",))]),
    ("set('é','한') character set utf16", [("'한,é'", ("é", "한"))]),
    ("set('x','','z')", [("7", ("x", "z")), ("2", ()), ("1", ("x",))]),
    (f"set({','.join(f"'s{n}'" for n in range(64))})", [("'s63,s0'", ("s0", "s63"))]),
    ("point", [("ST_GeomFromText('POINT(1 2)')", bytes.fromhex(POINT))]),
    ("geometry", [("ST_GeomFromText('POINT(1 2)')", bytes.fromhex(POINT))]),
]
JSON: list[tuple[str, Any]] = [
    (
        '\'{"b": [1, 1.0, 2.50, -0.0, 1e300, 1e20, null, true, "한\\\\n"], "": {}, "a": ""}\'',
        {"": {}, "a": "", "b": [1, 1, Decimal("2.5"), 0, Decimal("1E+300"), 10**20, None, True, "한\n"]},
    ),
    ("'null'", None),
    ("'[18446744073709551615, 0.1]'", [2**64 - 1, Decimal("0.1")]),
    ("CAST(CAST('-1.10' AS DECIMAL(10,2)) AS JSON)", Decimal("-1.1")),
    (f"CAST(CAST('{'9' * 65}' AS DECIMAL(65,0)) AS JSON)", int("9" * 65)),
    (
        (
            "JSON_ARRAY(CAST('2026-11-23' AS DATE), CAST('-26:00:00.5' AS TIME(6)),"
            " CAST('2026-11-23 12:34:56' AS DATETIME), CAST(2026 AS YEAR), b'101', x'ff00')"
        ),
        [
            "2026-11-23",
            "-26:00:00.500000",
            "2026-11-23 12:34:56.000000",
            2026,
            "base64:type15:BQ==",
            "base64:type15:/wA=",
        ],
    ),
    (f"JSON_OBJECT('b', x'{LONG}')", {"b": f"base64:type15:{LONG_TEXT}"}),
]
MYSQL: Cases = [
    ("json", [(sql, Json(document)) for sql, document in JSON]),
    ("varchar(5) character set gb18030", [("'中😀'", "中😀")]),
    ("vector(3)", [("STRING_TO_VECTOR('[1,2,3]')", bytes.fromhex("0000803f 00000040 00004040"))]),
]
MARIADB: Cases = [
    ("json", [("'{\"a\": 1.0}'", '{"a": 1.0}')]),
    ("inet4", [("'127.0.0.1'", "127.0.0.1")]),
    ("inet6", [("'::1'", "::1"), ("'::ffff:192.0.2.1'", "::ffff:192.0.2.1")]),
    (
        "uuid",
        [("'123E4567-e89b-12d3-a456-426655440000'", "123e4567-e89b-12d3-a456-426655440000")],
    ),
    ("varchar(500) compressed", [("REPEAT('한', 400)", "한" * 400), ("''", "")]),
]
SESSION = ["SET sql_mode = 'ALLOW_INVALID_DATES'", "SET time_zone = '+00:00'"]


def table_of(cases: Cases) -> tuple[list[str], list[dict[str, Any]]]:
    """One table with a column for each type, and what its rows must be; the last has NULLs only."""
    columns = [f"c{n} {type_}" for n, (type_, _) in enumerate(cases)]
    statements = [f"CREATE TABLE t (id INT PRIMARY KEY, {', '.join(columns)}) CHARACTER SET utf8mb4"]
    expected = []
    lines = [*zip_longest(*(values for _, values in cases)), [None] * len(cases)]
    for number, line in enumerate(lines):
        cells = [("NULL", None) if cell is None else cell for cell in line]
        statements.append(f"INSERT INTO t VALUES ({number}, {', '.join(sql for sql, _ in cells)})")
        expected.append({"id": number} | {f"c{n}": value for n, (_, value) in enumerate(cells)})
    return statements, expected


def differences(cases: Cases, found: Sequence[dict[str, Any]], expected: Sequence[dict[str, Any]]) -> Any:
    types = {"id": "int"} | {f"c{n}": type_ for n, (type_, _) in enumerate(cases)}
    assert len(found) == len(expected)
    return [
        (types[name], shown(row[name]), shown(value))
        for row, right in zip(found, expected, strict=True)
        for name, value in right.items()
        if shown(row[name]) != shown(value)
    ]


@pytest.fixture
def cases(server: Server) -> Cases:
    return COMMON + (MYSQL if server.flavor == "mysql" else MARIADB)


def test_every_type_is_selected(server: Server, cases: Cases) -> None:
    statements, expected = table_of(cases)
    execute(server, [*SESSION, *statements])
    assert differences(cases, select_values(server, "test", "t"), expected) == []


def test_the_binlog_has_the_same(server: Server, cases: Cases) -> None:
    statements, expected = table_of(cases)
    events = run(server, statements, SESSION, definitions=definitions_of(server))
    assert differences(cases, [after for _, after in changes(events)], expected) == []


def test_half_a_character_in_the_text_of_a_row_is_replaced(server: Server) -> None:
    columns = "id VARCHAR(5) PRIMARY KEY, u VARCHAR(5) CHARACTER SET ucs2, m VARCHAR(5)"
    statements = [
        f"CREATE TABLE t ({columns}) CHARACTER SET utf8mb4",
        "INSERT INTO t (id, u) VALUES ('a', _ucs2 x'0041D8000042')",
        "UPDATE t SET m = u",
    ]
    execute(server, statements)
    mapped = Mapping.parse(MAPPED.format(schema="test", table="t", key="id")).tables[0]
    address = Address(server.host, server.port, server.capture.user, server.capture.password)
    with connect(address) as connection:
        table = chunks.describe(connection, mapped, mysql_server.columns(connection, mapped))
    reader = ChunkReader(first_epoch(lambda: connect(address)), RetryPolicy(tries=0))
    grouping, _ = reader.read(table, Chunk())
    reader.close()
    (members,) = [members for _, members, _ in grouping.members()]
    assert members == {"u": {"S": "A\ufffdB"}, "m": {"S": "A\ufffdB"}}


def execute(server: Server, statements: Sequence[str]) -> None:
    connection: Any
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
