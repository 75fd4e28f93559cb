"""Every column type of real servers, written with SQL and read from the binlog, against values given here."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

import itertools
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pymysql
import pytest

from capturer.decoder.errors import RowImageNotFull, UnreadableColumn
from capturer.decoder.events import FormatDescription, Gtid, Query, Rotate, RowsEvent, XaPrepared, Xid
from capturer.decoder.framing import EventType
from capturer.decoder.rows.decoder import EVERY_COLUMN
from capturer.decoder.rows.table_schema import Definition, labels
from capturer.decoder.stream import EventStream
from capturer.decoder.values.charset_rules import MULTI_BYTE
from capturer.decoder.values.charsets import reader
from lab.recording.binlog_dump import dump, end_of_binlog
from lab.server import Server
from rowferry.change import Kind
from rowferry.values import Json, parse_time
from rowferry.values.document import parse

pytestmark = pytest.mark.integration


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def only_mysql(mysql: Server) -> Server:
    if mysql.flavor != "mysql":
        pytest.skip("no MySQL on this machine")
    return mysql


def definitions_of(server: Server) -> Any:
    def ask(schema: str, table: str) -> list[Definition]:
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name, data_type, column_type, character_set_name"
                " FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
                " ORDER BY ordinal_position",
                (schema, table),
            )
            return [
                Definition(name, kind, "unsigned" in full, charset, labels(full))
                for name, kind, full, charset in cursor.fetchall()
            ]

    return ask


def run(server: Server, statements: Sequence[str], session: Sequence[str] = (), **options: Any) -> list[Any]:
    """The events that the statements leave in the binlog."""
    start = end_of_binlog(server)
    connection: pymysql.Connection[Any]
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        for statement in (*session, *statements):
            cursor.execute(statement)
    stream = EventStream(options.pop("wanted", lambda schema, table: EVERY_COLUMN), **options)
    return [event for packet in dump(server, *start) for event in stream.feed(packet, 1)]


def changes(events: Sequence[Any]) -> list[tuple[Any, Any]]:
    return [images for event in events if isinstance(event, RowsEvent) for images in event.images]


def span(text: str) -> timedelta:
    return parse_time(text)


A64 = "1" + "0" * 62 + "1"
BIG = "-12345678901234567890123456789012345.123456789012345678901234567890"

COMMON: list[tuple[str, list[tuple[str, Any]]]] = [
    ("tinyint", [("-128", -128), ("127", 127), ("0", 0), ("NULL", None)]),
    ("tinyint unsigned", [("255", 255), ("0", 0)]),
    ("bool", [("TRUE", 1)]),
    ("smallint", [("-32768", -32768), ("32767", 32767)]),
    ("smallint unsigned", [("65535", 65535)]),
    ("mediumint", [("-8388608", -8388608), ("-1", -1), ("8388607", 8388607)]),
    ("mediumint unsigned", [("16777215", 16777215)]),
    ("int", [("-2147483648", -(2**31)), ("2147483647", 2**31 - 1)]),
    ("int unsigned", [("4294967295", 2**32 - 1)]),
    ("bigint", [("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1)]),
    ("bigint unsigned", [("18446744073709551615", 2**64 - 1)]),
    ("year", [("2026", 2026), ("0", 0), ("1901", 1901), ("2155", 2155), ("NULL", None)]),
    ("bit(1)", [("b'1'", 1), ("b'0'", 0)]),
    ("bit(9)", [("b'100000001'", 257), ("b'1'", 1)]),
    ("bit(64)", [(f"b'{A64}'", 2**63 + 1)]),
    (
        "decimal(10,2)",
        [
            ("-12345678.90", Decimal("-12345678.90")),
            ("0.01", Decimal("0.01")),
            ("-0.01", Decimal("-0.01")),
            ("0", Decimal("0.00")),
            ("99999999.99", Decimal("99999999.99")),
        ],
    ),
    ("decimal(65,30)", [(BIG, Decimal(BIG)), ("1e-30", Decimal("1E-30"))]),
    ("decimal(5,0)", [("-7", Decimal(-7)), ("12345", Decimal(12345))]),
    ("decimal(3,3)", [("-0.001", Decimal("-0.001")), ("0.999", Decimal("0.999"))]),
    ("decimal(65,0)", [("9" * 65, Decimal("9" * 65)), ("-" + "9" * 65, Decimal("-" + "9" * 65))]),
    (
        "decimal(20,10)",
        [
            ("-1.0000000001", Decimal("-1.0000000001")),
            ("1000000000.0000000001", Decimal("1000000000.0000000001")),
            ("-999999999.999999999", Decimal("-999999999.9999999990")),
        ],
    ),
    ("decimal(10,2) unsigned", [("1.10", Decimal("1.10"))]),
    (
        "float",
        [
            ("1.1", 1.1),
            ("-3.4e38", -3.4e38),
            ("16777217", 16777200.0),
            ("1e-45", 1.4013e-45),
            ("0", 0.0),
            ("0.1", 0.1),
            ("NULL", None),
        ],
    ),
    ("double", [("1.1", 1.1), ("-1.7976931348623157e308", -1.7976931348623157e308), ("5e-324", 5e-324)]),
    (
        "date",
        [
            ("'2026-11-23'", date(2026, 11, 23)),
            ("'0000-00-00'", "0000-00-00"),
            ("'2026-00-00'", "2026-00-00"),
            ("'2026-02-00'", "2026-02-00"),
            ("'1000-01-01'", date(1000, 1, 1)),
            ("'9999-12-31'", date(9999, 12, 31)),
        ],
    ),
    ("time", [(f"'{t}'", span(t)) for t in ("-838:59:59", "838:59:59", "00:00:00", "-00:00:01")]),
    ("time(1)", [("'-00:00:01.5'", span("-00:00:01.5"))]),
    ("time(2)", [("'-00:00:01.25'", span("-00:00:01.25")), ("'-00:00:00.01'", span("-00:00:00.01"))]),
    ("time(3)", [("'-00:00:01.500'", span("-00:00:01.5")), ("'12:34:56.789'", span("12:34:56.789"))]),
    ("time(4)", [("'-12:34:56.0001'", span("-12:34:56.0001"))]),
    (
        "time(6)",
        [
            (f"'{t}'", span(t))
            for t in ("-00:00:00.000001", "-12:34:56.789012", "838:59:58.999999", "-00:00:01.000000")
        ],
    ),
    (
        "datetime",
        [
            ("'2026-11-23 12:34:56'", datetime(2026, 11, 23, 12, 34, 56)),
            ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
            ("'2026-00-00 00:00:00'", "2026-00-00 00:00:00"),
            ("'9999-12-31 23:59:59'", datetime(9999, 12, 31, 23, 59, 59)),
            ("'1000-01-01 00:00:00'", datetime(1000, 1, 1)),
        ],
    ),
    ("datetime(1)", [("'2026-11-23 12:34:56.7'", datetime(2026, 11, 23, 12, 34, 56, 700_000))]),
    ("datetime(3)", [("'2026-11-23 12:34:56.789'", datetime(2026, 11, 23, 12, 34, 56, 789_000))]),
    ("datetime(4)", [("'2026-11-23 12:34:56.0789'", datetime(2026, 11, 23, 12, 34, 56, 78_900))]),
    (
        "datetime(6)",
        [
            ("'2026-11-23 12:34:56.000001'", datetime(2026, 11, 23, 12, 34, 56, 1)),
            ("'2026-11-23 12:34:56.999999'", datetime(2026, 11, 23, 12, 34, 56, 999_999)),
            ("'2026-00-23 12:34:56.000001'", "2026-00-23 12:34:56.000001"),
            ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
        ],
    ),
    (
        "timestamp null",
        [
            ("'2026-11-23 12:34:56'", datetime(2026, 11, 23, 12, 34, 56)),
            ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
            ("'1970-01-01 00:00:01'", datetime(1970, 1, 1, 0, 0, 1)),
            ("'2038-01-19 03:14:07'", datetime(2038, 1, 19, 3, 14, 7)),
            ("NULL", None),
        ],
    ),
    ("timestamp(3) null", [("'2026-11-23 12:34:56.123'", datetime(2026, 11, 23, 12, 34, 56, 123_000))]),
    (
        "timestamp(6) null",
        [
            ("'2026-11-23 12:34:56.123456'", datetime(2026, 11, 23, 12, 34, 56, 123_456)),
            ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
            ("'2038-01-19 03:14:07.999999'", datetime(2038, 1, 19, 3, 14, 7, 999_999)),
        ],
    ),
    ("char(10)", [("'a'", "a"), ("'한글😀'", "한글😀"), ("''", ""), ("'tr  '", "tr"), ("' x'", " x")]),
    ("char(255)", [("'한글😀'", "한글😀"), ("REPEAT('x',255)", "x" * 255), ("REPEAT('😀',255)", "😀" * 255)]),
    (
        "varchar(20)",
        [("'한글😀'", "한글😀"), ("'tr  '", "tr  "), ("''", ""), ("'\\0'", "\0"), ("NULL", None)],
    ),
    ("varchar(2000)", [("REPEAT('한',2000)", "한" * 2000), ("'a'", "a")]),
    ("varchar(10) character set latin1", [("_latin1 x'E9'", "é"), ("'€'", "€"), ("_latin1 x'81'", "\x81")]),
    ("varchar(10) character set gbk", [("'中'", "中"), ("'a中b'", "a中b")]),
    ("varchar(10) character set euckr", [("'한글'", "한글")]),
    ("varchar(10) character set sjis", [("'日'", "日"), (r"_sjis x'5C815F'", "\\\\")]),
    ("varchar(10) character set cp932", [("'日'", "日")]),
    ("varchar(10) character set utf16", [("'한😀a'", "한😀a")]),
    ("varchar(10) character set utf16le", [("'한😀a'", "한😀a")]),
    ("varchar(10) character set utf32", [("'한😀a'", "한😀a")]),
    ("varchar(10) character set ucs2", [("'한a'", "한a")]),
    ("varchar(10) character set utf8mb3", [("'한a'", "한a")]),
    ("varchar(10) character set ascii", [("'a'", "a")]),
    ("varchar(10) character set swe7", [("'å{'", "å?"), ("'a'", "a")]),
    ("char(5) character set utf16", [("'한a '", "한a"), ("''", "")]),
    ("char(5) character set utf32", [("'한 '", "한")]),
    ("text character set utf16", [("'한a '", "한a ")]),
    ("varchar(10) collate utf8mb4_bin", [("'한'", "한")]),
    (
        "binary(4)",
        [("x'0102'", b"\x01\x02\0\0"), ("x'00000000'", bytes(4)), ("x'FF00FE00'", b"\xff\0\xfe\0")],
    ),
    ("binary(255)", [("x'0102'", b"\x01\x02" + bytes(253))]),
    ("varbinary(10)", [("x'FF00FE00'", b"\xff\0\xfe\0"), ("x''", b""), ("NULL", None)]),
    ("varbinary(300)", [("REPEAT(x'FF', 300)", b"\xff" * 300)]),
    ("tinytext", [("'t'", "t")]),
    ("text", [("'한글😀'", "한글😀"), ("''", "")]),
    ("text character set latin1", [("'é'", "é")]),
    ("mediumtext", [("REPEAT('é', 40000)", "é" * 40000)]),
    ("longtext", [("REPEAT('z',70000)", "z" * 70000)]),
    ("tinyblob", [("x'00FF'", b"\0\xff")]),
    ("blob", [("x'FF00'", b"\xff\0"), ("x''", b"")]),
    ("mediumblob", [("REPEAT(x'00', 70000)", bytes(70000))]),
    ("longblob", [("x'00FF00'", b"\0\xff\0")]),
    ("enum('a','b','한')", [("'b'", "b"), ("'한'", "한"), ("0", ""), ("NULL", None)]),
    ("enum('é','e') character set latin1 collate latin1_bin", [("'é'", "é"), ("'e'", "e")]),
    (f"enum({','.join(f"'v{n}'" for n in range(300))})", [("'v0'", "v0"), ("'v299'", "v299")]),
    ("set('x','y','z')", [("'z,x'", ("x", "z")), ("''", ()), ("NULL", None)]),
    ("set('é','e') character set latin1 collate latin1_bin", [("'é,e'", ("é", "e")), ("'e'", ("e",))]),
    *(
        (
            f"set({','.join(f"'s{n}'" for n in range(count))})",
            [(f"'s0,s{count - 1}'", ("s0", f"s{count - 1}"))],
        )
        for count in (9, 17, 25, 33, 64)
    ),
    (
        "point",
        [
            (
                "ST_GeomFromText('POINT(1 2)')",
                bytes.fromhex("00000000 01 01000000 000000000000f03f 0000000000000040"),
            )
        ],
    ),
    ("geometry", [("NULL", None)]),
]

MYSQL_CRS = {"name": "urn:ogc:def:crs:MySQL::0"}
JSON_TEXT = '{"a":1,"b":[1,2.5,null,true,"한"],"c":{"d":"x"},"":[],"long":' + f'"{"v" * 300}"' + "}"
DEEP = "[" * 99 + "]" * 99
JSON_CASES: list[tuple[str, Any]] = [
    (
        f"'{JSON_TEXT}'",
        {"": [], "a": 1, "b": [1, Decimal("2.5"), None, True, "한"], "c": {"d": "x"}, "long": "v" * 300},
    ),
    ("'[]'", []),
    ("'{}'", {}),
    ("'null'", None),
    ("'\"str\"'", "str"),
    ("'\"\"'", ""),
    ("'12345678901'", 12345678901),
    ("'-1'", -1),
    ("'1.50'", Decimal("1.5")),
    ("'[1.0, -0.0, 1e20]'", [1, 0, 10**20]),
    ("'1e300'", Decimal("1E+300")),
    ("'false'", False),
    ("'0'", 0),
    ("'18446744073709551615'", 2**64 - 1),
    ("'-9223372036854775808'", -(2**63)),
    (
        "'[32767,-32768,65535,32768,2147483647,-2147483648,4294967295,-32769]'",
        [32767, -32768, 65535, 32768, 2147483647, -2147483648, 4294967295, -32769],
    ),
    ("CAST(-1.10 AS JSON)", Decimal("-1.1")),
    (
        (
            "JSON_OBJECT('d',CAST('2026-11-23' AS DATE),'t',CAST('-26:00:00.5' AS TIME(6)),'n',-1.10,"
            "'b',x'ff00',"
            "'dt',CAST('2026-11-23 12:34:56.123456' AS DATETIME(6)),'z',CAST('0000-00-00' AS DATE),"
            "'p',ST_GeomFromText('POINT(1 2)'),'y',CAST(2026 AS YEAR),'bit',b'101')"
        ),
        {
            "d": "2026-11-23",
            "t": "-26:00:00.500000",
            "dt": "2026-11-23 12:34:56.123456",
            "n": Decimal("-1.1"),
            "b": "base64:type15:/wA=",
            "z": "0000-00-00",
            "p": {
                "type": "Point",
                "coordinates": [1, 2],
                "crs": {"type": "name", "properties": MYSQL_CRS},
            },
            "y": 2026,
            "bit": "base64:type15:BQ==",
        },
    ),
    (
        "JSON_OBJECT('k',REPEAT('v',70000),'z',-5,'y',70000,'n',null,'a',JSON_ARRAY(1,'x'))",
        {"k": "v" * 70000, "z": -5, "y": 70000, "n": None, "a": [1, "x"]},
    ),
    (f"'{DEEP}'", eval(DEEP)),
]

MYSQL: list[tuple[str, list[tuple[str, Any]]]] = [
    ("json", [*((sql, Json(value)) for sql, value in JSON_CASES), ("NULL", None)]),
    ("varchar(10) character set gb18030", [("'中😀'", "中😀"), ("'a'", "a")]),
    (
        "vector(3)",
        [("STRING_TO_VECTOR('[1,2,3]')", bytes.fromhex("0000803f 00000040 00004040")), ("NULL", None)],
    ),
    (
        "geometry srid 4326",
        [
            (
                "ST_GeomFromText('POINT(0 1)',4326)",
                bytes.fromhex("e6100000 01 01000000 000000000000f03f 0000000000000000"),
            )
        ],
    ),
]
INET6 = (
    "::",
    "::1",
    "::192.0.2.1",
    "::0.1.0.2",
    "::ffff:192.0.2.1",
    "::ffff:0.0.0.0",
    "1::2:0:0:3:4",
    "2001:0:0:1::",
    "2001:db8::1:1:1:1:1",
    "2001:db8::ff00:42:8329",
)
UUIDS = (
    "00000000-0000-0000-0000-000000000000",
    "123e4567-e89b-12d3-a456-426655440000",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
)
MARIADB: list[tuple[str, list[tuple[str, Any]]]] = [
    ("json", [("'{\"a\": 1}'", '{"a": 1}'), ("NULL", None)]),
    ("inet4", [("'127.0.0.1'", "127.0.0.1"), ("'0.0.0.0'", "0.0.0.0"), ("NULL", None)]),
    ("inet6", [(f"'{address}'", address) for address in INET6]),
    ("uuid", [(f"'{uuid}'", uuid) for uuid in UUIDS]),
    ("varchar(500) compressed", [("REPEAT('한', 400)", "한" * 400), ("'a'", "a"), ("''", "")]),
    ("varchar(499) compressed", [("NULL", None)]),
    ("text compressed", [("REPEAT('z', 40000)", "z" * 40000), ("'é'", "é")]),
    ("varbinary(500) compressed", [("REPEAT(x'00', 400)", bytes(400)), ("x'00ff'", b"\0\xff")]),
    ("blob compressed", [("REPEAT(x'ff', 40000)", b"\xff" * 40000)]),
    ("text compressed character set utf16", [("REPEAT('한', 400)", "한" * 400)]),
]  # fmt: skip

SESSION = ["SET sql_mode = ''", "SET time_zone = '+00:00'"]


def cases(flavor: str) -> list[tuple[str, list[tuple[str, Any]]]]:
    return COMMON + (MYSQL if flavor == "mysql" else MARIADB)


def both(type_: str, values: Sequence[tuple[str, Any]]) -> list[str]:
    inserts = [f"INSERT INTO t (id, v) VALUES ({n}, {sql})" for n, (sql, _) in enumerate(values)]
    return [f"CREATE TABLE t (id INT PRIMARY KEY, v {type_}, w TINYINT)", *inserts]


def shown(value: Any) -> str:
    """Tells 1 from True, 1.0 and Decimal(1); members of JSON objects in one order."""
    if isinstance(value, Json):
        return f"Json {shown(value.document)}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {shown(value[name])}' for name in sorted(value))}}}"
    return f"[{', '.join(map(shown, value))}]" if isinstance(value, list) else repr(value)


def test_every_type(server: Server) -> None:
    wrong = []
    for type_, values in cases(server.flavor):
        events = run(
            server,
            ["DROP TABLE IF EXISTS t", *both(type_, values)],
            SESSION,
            definitions=definitions_of(server),
        )
        read = [after["v"] for _, after in changes(events)]
        expected = [value for _, value in values]
        wrong += [
            (type_, sql, found)
            for (sql, value), found in zip(values, read, strict=True)
            if shown(found) != shown(value)
        ]
        assert len(read) == len(expected)
    assert wrong == []


def test_dates_that_do_not_exist_are_text(server: Server) -> None:
    statements = [
        "CREATE TABLE t (a DATE, b DATETIME(3))",
        "INSERT INTO t VALUES ('2026-02-31', '2026-02-31 01:02:03.04')",
    ]
    events = run(server, statements, ["SET sql_mode = 'ALLOW_INVALID_DATES'"])
    assert changes(events) == [(None, {"a": "2026-02-31", "b": "2026-02-31 01:02:03.040000"})]


DOUBLES = (0.1, 1e-300, 5e-324, 1.7976931348623157e308, 1e15, 1e16, 123456789.123456789, 2.0**70, 1 / 3)


def test_json_is_what_a_select_prints(only_mysql: Server) -> None:
    moments = ("DATETIME", "TIME(3)", "TIMESTAMP", "DATE", "TIME")
    values = [
        *(sql for sql, _ in JSON_CASES),
        *(f"CAST('{number!r}' AS JSON)" for number in DOUBLES),
        *(f"JSON_ARRAY({number!r}, -{number!r}e0)" for number in (1.5, 20.0, 1.25)),
        *(f"JSON_ARRAY(CAST('2026-01-02 03:04:05.678' AS {kind.replace('TIMESTAMP', 'DATETIME(1)')}))"
          for kind in moments),
        "JSON_ARRAY(CAST('-838:59:59' AS TIME), CAST('00:00:00.000001' AS TIME(6)))",
        "JSON_ARRAY(CAST('2026-01-02' AS DATETIME(3)))",
        *(f"JSON_ARRAY(REPEAT(x'fe', {size}))" for size in (1, 56, 57, 58, 114, 1000)),
        "JSON_ARRAY(CAST('2026-02-00' AS DATE), CAST('0000-00-00' AS DATETIME))",
        "JSON_ARRAY(1234567890123456789012345678901234567890.12, 1e65, 123e63, 99999999999999999999)",
    ]  # fmt: skip
    events = run(
        only_mysql, ["DROP TABLE IF EXISTS t", *both("json", [(sql, None) for sql in values])], SESSION
    )
    with only_mysql.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT v FROM t ORDER BY id")
        selected = [Json(parse(text)) for (text,) in cursor.fetchall()]
    assert [shown(after["v"]) for _, after in changes(events)] == [shown(value) for value in selected]


def test_half_a_surrogate_pair_is_a_replacement_character(server: Server) -> None:
    statements = [
        "CREATE TABLE t (u VARCHAR(9) CHARACTER SET ucs2, v VARCHAR(9) CHARACTER SET utf8mb4)",
        "INSERT INTO t VALUES (x'0041D83DDE00', '')",
        *["INSERT INTO t VALUES ('', x'61EDA080')"] * (server.flavor == "mariadb"),
    ]
    found = [after for _, after in changes(run(server, statements, SESSION))]
    assert found[0] == {"u": "A\ufffd\ufffd", "v": ""}
    assert found[1:] == [{"u": "", "v": "a\ufffd"}] * (server.flavor == "mariadb")


def test_update_and_delete_have_both_images_and_nulls(server: Server) -> None:
    events = run(
        server,
        [
            "DROP TABLE IF EXISTS t",
            (
                "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b INT, c TEXT, d DATE, e BIGINT,"
                " f INT, g INT, h INT)"
            ),
            "INSERT INTO t (id, a, c) VALUES (1, 'x', NULL), (2, NULL, 'c')",
            "UPDATE t SET a = NULL, h = 9 WHERE id = 1",
            "DELETE FROM t WHERE id = 1",
        ],
    )
    nothing = dict.fromkeys("abcdefgh")
    first, second = {"id": 1, **nothing, "a": "x"}, {"id": 2, **nothing, "c": "c"}
    updated = {"id": 1, **nothing, "h": 9}
    assert changes(events) == [(None, first), (None, second), (first, updated), (updated, None)]
    assert [event.kind for event in events if isinstance(event, RowsEvent)] == [
        Kind.INSERT,
        Kind.UPDATE,
        Kind.DELETE,
    ]


def test_partitions_wide_tables_and_strange_names(server: Server) -> None:
    names = ["a'b", 'c"d', "{e}", "f\\g", "수량 qty", "h\ni", "None", "data"]
    many = {f"n{number}": None if number % 3 else number for number in range(1, 300)}
    statements = [
        "CREATE TABLE p (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 5",
        "INSERT INTO p VALUES (1), (2), (3), (4), (5), (6)",
        "UPDATE p SET id = id + 100 ORDER BY id",
        f"CREATE TABLE s ({', '.join(f'`{name}` INT' for name in names)})",
        f"INSERT INTO s VALUES ({', '.join(map(str, range(len(names))))})",
        f"CREATE TABLE w ({', '.join(f'{name} BIGINT' for name in many)})",
        f"INSERT INTO w VALUES ({', '.join(str(value or 'NULL') for value in many.values())})",
    ]
    found = changes(run(server, statements))
    inserted = sorted(after["id"] for before, after in found[:6] if before is None)
    assert inserted == [1, 2, 3, 4, 5, 6]
    assert sorted((before["id"], after["id"]) for before, after in found[6:12]) == [
        (n, n + 100) for n in inserted
    ]
    assert found[12:] == [(None, dict(zip(names, itertools.count(), strict=False))), (None, many)]


def test_generated_hidden_and_invisible_columns(only_mysql: Server) -> None:
    statements = [
        "CREATE TABLE t (id INT PRIMARY KEY, j JSON, v INT AS (id + 1), s INT AS (id + 2) STORED, z INT)",
        "ALTER TABLE t ADD i INT INVISIBLE AFTER s, ADD INDEX ((id * 2))",
        "ALTER TABLE t ADD INDEX ((CAST(j->'$.a' AS UNSIGNED ARRAY)))",
        """INSERT INTO t (id, j, i, z) VALUES (1, '{"a": [1, 2]}', 5, 9)""",
        "DELETE FROM t",
    ]
    row = {"id": 1, "j": Json({"a": [1, 2]}), "v": 2, "s": 3, "i": 5, "z": 9}
    assert changes(run(only_mysql, statements)) == [(None, row), (row, None)]


def test_only_wanted_columns_and_tables_are_read(server: Server) -> None:
    columns = ", ".join(
        f"c{n} {type_.replace(' null', '')} NULL"
        for n, (type_, _) in enumerate(cases(server.flavor))
        if len(type_) < 60
    )
    asked = []

    def wanted(schema: str, table: str) -> set[str] | None:
        asked.append((schema, table))
        return {"id", "last"} if table == "t" else None

    statements = [
        "DROP TABLE IF EXISTS t, u",
        f"CREATE TABLE t (id INT PRIMARY KEY, {columns}, last VARCHAR(9))",
        "CREATE TABLE u (id INT PRIMARY KEY)",
        *(
            f"INSERT INTO t (id, c{n}, last) VALUES ({n}, {values[0][0]}, 'z')"
            for n, (type_, values) in enumerate(cases(server.flavor))
            if len(type_) < 60
        ),
        "INSERT INTO u VALUES (1)",
    ]
    events = run(server, statements, SESSION, wanted=wanted)
    assert [after for _, after in changes(events)] == [
        {"id": n, "last": "z"} for n, (type_, _) in enumerate(cases(server.flavor)) if len(type_) < 60
    ]
    assert asked == [("test", "t"), ("test", "u")]


def test_transactions_and_offsets(server: Server) -> None:
    file, start = end_of_binlog(server)
    events = run(
        server, ["CREATE TABLE t (a INT PRIMARY KEY)", "INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS"]
    )
    place = start
    for event in events:
        if isinstance(event, Rotate):
            if event.file != file:
                break
        elif hasattr(event, "start") and event.start != event.end:
            assert place <= event.start < event.end
            place = event.end
    begun = [event for event in events if isinstance(event, Gtid)]
    assert len(begun) == 2
    now = time.time()
    assert all(now - 100 < event.committed / 1e6 <= now + 1 for event in begun)
    assert begun[0].gtid and begun[0].gtid != begun[1].gtid
    assert begun[0].standalone is {"mysql": None, "mariadb": True}[server.flavor]
    assert not begun[1].standalone
    assert [event.sql for event in events if isinstance(event, Query) and "CREATE" in event.sql]
    assert sum(isinstance(event, Xid) for event in events) == 1
    assert events[0] == Rotate(file, start)


def test_checksums_are_switched_while_reading(server: Server) -> None:
    statements = ["CREATE TABLE t (a INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"]
    for number, setting in enumerate(("NONE", "CRC32", "NONE", "CRC32"), start=2):
        statements += [f"SET GLOBAL binlog_checksum = {setting}", f"INSERT INTO t VALUES ({number})"]
    events = run(server, statements)
    assert [after["a"] for _, after in changes(events)] == [1, 2, 3, 4, 5]
    assert [event.checksums for event in events if isinstance(event, FormatDescription)][:3] == [
        True,
        False,
        True,
    ]


def test_statements_keep_their_text(server: Server) -> None:
    events = run(
        server, ["CREATE TABLE `t-é한` (a INT)", "SET NAMES latin1", "CREATE TABLE u (a INT) COMMENT 'x'"]
    )
    statements = [event.sql for event in events if isinstance(event, Query)]
    assert statements == ["CREATE TABLE `t-é한` (a INT)", "CREATE TABLE u (a INT) COMMENT 'x'"]
    with server.connect(charset="latin1") as connection, connection.cursor() as cursor:
        start = end_of_binlog(server)
        cursor.execute("CREATE TABLE `é` (a INT)")
    stream = EventStream(lambda schema, table: None)
    found = [
        event
        for packet in dump(server, *start)
        for event in stream.feed(packet, 1)
        if isinstance(event, Query)
    ]
    assert [(event.schema, event.sql) for event in found] == [("test", "CREATE TABLE `é` (a INT)")]


def test_xa_prepare(server: Server) -> None:
    statements = ["CREATE TABLE t (a INT PRIMARY KEY)", "XA START 'x', 'y', 3", "INSERT INTO t VALUES (1)",
                  "XA END 'x', 'y', 3", "XA PREPARE 'x', 'y', 3", "XA ROLLBACK 'x', 'y', 3"]  # fmt: skip
    events = run(server, statements)
    assert [event[2:] for event in events if isinstance(event, XaPrepared)] == [(False, "X'78',X'79',3")]
    if server.flavor == "mariadb":
        assert [event.prepared for event in events if isinstance(event, Gtid)] == [False, True, False]


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_a_row_image_that_is_not_full_is_refused(server: Server, image: str) -> None:
    statements = ["CREATE TABLE t (a INT PRIMARY KEY, b TEXT, c INT)", "INSERT INTO t (a) VALUES (1)",
                  "UPDATE t SET c = 2"]  # fmt: skip
    session = [f"SET binlog_row_image = {image}"]
    with pytest.raises(RowImageNotFull, match=r"of test\.t"):
        run(server, statements, session)
    assert changes(run(server, ["UPDATE t SET c = 3"], session, wanted=lambda schema, table: None)) == []


def test_rows_without_metadata_need_definitions(server: Server) -> None:
    columns = (
        "id BIGINT UNSIGNED PRIMARY KEY, n TINYINT, l VARCHAR(9) CHARACTER SET latin1, b VARBINARY(5),"
        " f BINARY(3), e ENUM('x','é','it''s,') CHARACTER SET latin1, s SET('p','q'), u TEXT"
    )
    row = "18446744073709551615, -1, 'é', x'ff', x'01', 'é', 'q', '한'"
    before = {"mysql": "MINIMAL", "mariadb": "NO_LOG"}[server.flavor]
    statements = ["DROP TABLE IF EXISTS t", f"CREATE TABLE t ({columns})", f"INSERT INTO t VALUES ({row})"]
    session = [f"SET GLOBAL binlog_row_metadata = {before}"]
    try:
        events = run(server, statements, session, definitions=definitions_of(server))
        with pytest.raises(UnreadableColumn, match="binlog_row_metadata=FULL"):
            run(server, statements)
        assert changes(run(server, statements, wanted=lambda schema, table: None)) == []
        other = [Definition("id", "int"), Definition("n", "varchar")]
        with pytest.raises(UnreadableColumn, match="other columns"):
            run(server, statements, definitions=lambda schema, table: other)
    finally:
        run(server, ["SET GLOBAL binlog_row_metadata = FULL"])
    expected = {
        "id": 2**64 - 1,
        "n": -1,
        "l": "é",
        "b": b"\xff",
        "f": b"\x01\0\0",
        "e": "é",
        "s": ("q",),
        "u": "한",
    }
    assert changes(events) == [(None, expected)]


def test_columns_of_mariadb_that_look_alike_are_not_guessed(mariadb: Server) -> None:
    statements = [
        "DROP TABLE IF EXISTS t",
        "CREATE TABLE t (id INT PRIMARY KEY, u UUID, b BINARY(16))",
        "INSERT INTO t VALUES (1, '123e4567-e89b-12d3-a456-426655440000', x'01')",
    ]
    row = {"id": 1, "u": "123e4567-e89b-12d3-a456-426655440000", "b": b"\x01" + bytes(15)}
    assert changes(run(mariadb, statements, definitions=definitions_of(mariadb))) == [(None, row)]
    assert changes(run(mariadb, statements, wanted=lambda schema, table: {"id"})) == [(None, {"id": 1})]
    with pytest.raises(UnreadableColumn, match="BINARY, INET or UUID"):
        run(mariadb, statements)


def test_old_temporal_formats_of_mariadb(mariadb: Server) -> None:
    session = ["SET GLOBAL mysql56_temporal_format = OFF", *SESSION]
    statements = [
        "CREATE TABLE t (id INT, ts TIMESTAMP NULL, dt DATETIME, tm TIME)",
        "INSERT INTO t VALUES (1, '2026-11-23 12:34:56', '2026-11-23 12:34:56', '-838:59:59')",
        "INSERT INTO t VALUES (2, '0000-00-00', '0000-00-00', '12:34:56')",
        "INSERT INTO t VALUES (3, NULL, '9999-12-31 23:59:59', '00:00:00')",
    ]
    try:
        read = [after for _, after in changes(run(mariadb, statements, session))]
    finally:
        run(mariadb, ["SET GLOBAL mysql56_temporal_format = ON"])
    moment, zero = datetime(2026, 11, 23, 12, 34, 56), "0000-00-00 00:00:00"
    assert read == [
        {"id": 1, "ts": moment, "dt": moment, "tm": span("-838:59:59")},
        {"id": 2, "ts": zero, "dt": zero, "tm": span("12:34:56")},
        {"id": 3, "ts": None, "dt": datetime(9999, 12, 31, 23, 59, 59), "tm": span("00:00:00")},
    ]


def test_compressed_events_of_mariadb(mariadb: Server) -> None:
    statements = [
        "CREATE TABLE t (id INT PRIMARY KEY, a TEXT)",
        "INSERT INTO t VALUES (1, REPEAT('한', 1000)), (2, NULL)",
        "UPDATE t SET a = REPEAT('y', 1000)",
        "DELETE FROM t",
        f"CREATE TABLE u (a INT) COMMENT '{'c' * 900}'",
    ]
    try:
        events = run(
            mariadb,
            statements,
            ["SET GLOBAL log_bin_compress = ON", "SET GLOBAL log_bin_compress_min_len = 10"],
        )
    finally:
        run(mariadb, ["SET GLOBAL log_bin_compress = OFF"])
    old = [{"id": 1, "a": "한" * 1000}, {"id": 2, "a": None}]
    new = [{"id": 1, "a": "y" * 1000}, {"id": 2, "a": "y" * 1000}]
    assert changes(events) == [
        (None, old[0]),
        (None, old[1]),
        (old[0], new[0]),
        (old[1], new[1]),
        (new[0], None),
        (new[1], None),
    ]
    assert [
        event.sql for event in events if isinstance(event, Query) and "COMMENT" in event.sql
    ] == statements[-1:]


def test_compressed_transactions(only_mysql: Server) -> None:
    statements = [
        "CREATE TABLE t (id INT PRIMARY KEY, a TEXT)",
        "BEGIN",
        *(f"INSERT INTO t VALUES ({n}, REPEAT('한', {n}))" for n in range(300)),
        "UPDATE t SET a = 'x' WHERE id = 7",
        "COMMIT",
    ]
    events = run(only_mysql, statements, ["SET binlog_transaction_compression = ON"])
    assert changes(events) == [
        *((None, {"id": n, "a": "한" * n}) for n in range(300)),
        ({"id": 7, "a": "한" * 7}, {"id": 7, "a": "x"}),
    ]
    assert sum(isinstance(event, Xid) for event in events) == 1


def test_tagged_gtids(only_mysql: Server) -> None:
    session = ["SET gtid_next = 'AUTOMATIC:nightly_load'"]
    events = run(only_mysql, ["CREATE TABLE t (a INT PRIMARY KEY)", "INSERT INTO t VALUES (1)"], session)
    with only_mysql.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT @@server_uuid")
        (uuid,) = cursor.fetchone()
    begun = [event for event in events if isinstance(event, Gtid)]
    assert [event.gtid for event in begun] == [f"{uuid}:nightly_load:{n}" for n in (1, 2)]
    now = time.time()
    assert all(now - 100 < event.committed / 1e6 <= now + 1 for event in begun)


PADDED = f'{{"a": 1, "list": [1, {{"n": 2}}, 3], "pad": "{"x" * 30}"}}'
CHANGES = [
    "JSON_SET(j, '$.a', 2)",
    "JSON_REPLACE(j, '$.a', 'a longer text than before')",
    "JSON_SET(j, '$.\"b c\"', JSON_OBJECT('x', NULL))",
    "JSON_SET(j, '$.list[1].n', 5, '$.list[0]', -1)",
    "JSON_REMOVE(j, '$.list[0]')",
    "JSON_SET(j, '$.list[9]', 'end')",
    "JSON_REMOVE(JSON_SET(j, '$.\"한\\\\\"\"', 1.5), '$.a')",
    "JSON_SET(j, '$.big', REPEAT('x', 70000))",
    "JSON_ARRAY_INSERT(j, '$.list[0]', 'first')",
    "JSON_SET(j, '$.big', NULL)",
    "NULL",
]


def test_partial_json_is_put_together(only_mysql: Server) -> None:
    statements = [
        "CREATE TABLE t (id INT PRIMARY KEY, j JSON, k JSON, v VARCHAR(10))",
        f"INSERT INTO t VALUES (1, '{PADDED}', '[1]', 'v')",
    ]
    connection: pymysql.Connection[Any]
    expected = []
    start = end_of_binlog(only_mysql)
    with only_mysql.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SET binlog_row_value_options = PARTIAL_JSON")
        for statement in statements:
            cursor.execute(statement)
        for change in CHANGES:
            cursor.execute(f"UPDATE t SET j = {change}, k = JSON_ARRAY_APPEND(k, '$', 1)")
            cursor.execute("SELECT j, k FROM t")
            expected.append(tuple(text and parse(text) for text in cursor.fetchone()))
    stream = EventStream(lambda schema, table: EVERY_COLUMN)
    packets = list(dump(only_mysql, *start))
    assert sum(packet[5] == EventType.PARTIAL_UPDATE_ROWS for packet in packets) > len(CHANGES) // 2
    found = changes([event for packet in packets for event in stream.feed(packet, 1)])
    assert [
        tuple(json and json.document for json in (after["j"], after["k"])) for _, after in found[1:]
    ] == expected
    assert [before["j"] for before, _ in found[1:]] == [after["j"] for _, after in found[:-1]]


def test_every_character_set_reads_as_the_server_converts_it(server: Server) -> None:
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT character_set_name, maxlen FROM information_schema.character_sets")
        wrong = {
            name: differences(cursor, name, size) for name, size in cursor.fetchall() if name != "binary"
        }
    assert len(wrong) > 35
    assert {name: found[:9] for name, found in wrong.items() if found} == {}


def differences(cursor: Any, charset: str, size: int) -> list[Any]:
    codes = [bytes([code]) for code in range(256)] if size == 1 or charset in MULTI_BYTE else []
    if size > 1:
        text = [chr(code) for code in range(0x20, 0x10FFFF, 41) if not 0xD800 <= code < 0xE000]
        codes += stored(cursor, charset, [*text, *map(chr, range(0x80, 0x500)), *"①∥～－￠￡￢\\¥‾〜−"])
    cursor.execute("DROP TEMPORARY TABLE IF EXISTS codes")
    cursor.execute(
        f"CREATE TEMPORARY TABLE codes (code VARBINARY(4), converted VARCHAR(4) CHARACTER SET {charset})"
    )
    found = []
    for some in itertools.batched(dict.fromkeys(codes), 8192, strict=False):
        cursor.execute("DELETE FROM codes")
        cursor.execute("INSERT INTO codes (code) VALUES " + ",".join(f"(x'{code.hex()}')" for code in some))
        cursor.execute(
            f"SELECT code, HEX(CONVERT(CONVERT(code USING {charset}) USING utf8mb4)) FROM codes"
            f" WHERE CHAR_LENGTH(CONVERT(code USING {charset})) = 1"
            f" AND HEX(CONVERT(code USING {charset})) = HEX(code)"
        )
        for code, converted in cursor.fetchall():
            if converted and reader(charset)(code) != bytes.fromhex(converted).decode():
                found.append((code.hex(), reader(charset)(code)))
    return found


def stored(cursor: Any, charset: str, text: Sequence[str]) -> set[bytes]:
    codes = set()
    for some in itertools.batched(text, 8192, strict=False):
        cursor.execute("DROP TEMPORARY TABLE IF EXISTS texts")
        cursor.execute("CREATE TEMPORARY TABLE texts (c VARBINARY(4))")
        cursor.execute("INSERT INTO texts VALUES " + ",".join(f"(x'{c.encode().hex()}')" for c in some))
        cursor.execute(f"SELECT HEX(CONVERT(CONVERT(c USING utf8mb4) USING {charset})) FROM texts")
        codes |= {bytes.fromhex(code) for (code,) in cursor.fetchall() if code}
    return codes
