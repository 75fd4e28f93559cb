"""
Every column type of real servers against items written by hand.

Neither the rows nor the items come from the project's own roads: rows by SQL, items as literal attributes.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ferry.verify.diff import Difference
from lab.cloud import Cloud
from lab.server import Server
from rowferry.mysql.address import Address
from tests.support.move_bed import context_of
from tests.support.verified import verified

pytestmark = pytest.mark.integration

type Attribute = dict[str, Any]
MAPPING = """
    [[table]]
    source = "test.every"
    target = "every"
    layout = "item-per-row"
    hash_key = { attribute = "id", type = "N" }
"""


class Case(NamedTuple):
    """A column type; values with the attribute that each must be; attributes that the first must not be."""

    type: str
    values: list[tuple[str, Attribute]]
    wrong: list[Attribute]


def s(text: str) -> Attribute:
    return {"S": text}


def n(text: str) -> Attribute:
    return {"N": text}


def b(hexadecimal: str) -> Attribute:
    return {"B": bytes.fromhex(hexadecimal)}


def l(*labels: str) -> Attribute:  # noqa: E743 - the attribute's name
    return {"L": [s(label) for label in labels]}


POINT = "00000000 0101000000 000000000000f03f 0000000000000040"
LINE = "00000000 0102000000 02000000 0000000000000000 0000000000000000 000000000000f03f 000000000000f03f"
COMMON = [
    Case("tinyint", [("-128", n("-128")), ("0", n("0"))], [s("-128"), n("128"), {"BOOL": True}]),
    Case("bool", [("TRUE", n("1"))], [{"BOOL": True}, n("0"), {}]),
    Case("smallint", [("-32768", n("-32768"))], [n("32768"), s("-32768")]),
    Case("mediumint unsigned", [("16777215", n("16777215"))], [n("-1"), s("16777215")]),
    Case("int(5) zerofill", [("7", n("7"))], [s("00007"), n("70")]),
    Case(
        "bigint unsigned",
        [("18446744073709551615", n("18446744073709551615"))],
        [n("-1"), n("18446744073709551616")],
    ),
    Case("bit(1)", [("b'1'", n("1")), ("b'0'", n("0"))], [b("01"), {"BOOL": True}, n("0")]),
    Case(
        "bit(64)",
        [(f"b'1{'0' * 62}1'", n("9223372036854775809"))],
        [n("-9223372036854775807"), b("8000000000000001")],
    ),
    Case("year", [("2026", n("2026")), ("0", n("0"))], [s("2026"), n("26")]),
    Case("decimal(10,2)", [("-1.50", n("-1.5")), ("0", n("0"))], [s("-1.50"), n("1.5"), n("-1.51")]),
    Case(
        "decimal(65,30)",
        [
            (
                "12345678901234567890123456789012345.1234",
                s("12345678901234567890123456789012345.123400000000000000000000000000"),
            ),
            ("1e-30", n("1e-30")),
        ],
        [n("12345678901234567890123456789012345.123"), s("12345678901234567890123456789012345.1234")],
    ),
    Case(
        "float",
        [
            ("1.1", n("1.1")),
            ("16777217", n("16777200")),
            ("-3.4e38", n("-3.4e38")),
            ("1e-45", n("1.4013e-45")),
        ],
        [n("1.10000002384185791015625"), s("1.1")],
    ),
    Case("float(12,4)", [("123.4567", n("123.457")), ("1.1", n("1.1"))], [n("123.4567"), n("123.46")]),
    Case(
        "double",
        [
            ("1.1", n("1.1")),
            ("-0e0", n("0")),
            ("123456789012345680", n("123456789012345680")),
            ("1e-100", n("1e-100")),
        ],
        [n("1.1000000000000001"), s("1.1")],
    ),
    Case("double(30,2)", [("1.10", n("1.1")), ("1e23", n("1e23"))], [s("1.10"), n("1.11")]),
    Case(
        "date",
        [
            ("'2026-11-23'", s("2026-11-23")),
            ("'0000-00-00'", s("0000-00-00")),
            ("'2026-00-10'", s("2026-00-10")),
            ("'2026-02-31'", s("2026-02-31")),
        ],
        [s("2026-11-24"), s("2026-11-23 00:00:00"), n("20261123"), {"NULL": True}],
    ),
    Case(
        "datetime(3)",
        [
            ("'2026-11-23 01:02:03.5'", s("2026-11-23 01:02:03.500000")),
            ("'2026-11-23 01:02:03'", s("2026-11-23 01:02:03")),
            ("'2026-00-10 01:02:03.04'", s("2026-00-10 01:02:03.040000")),
            ("'0000-00-00 00:00:00'", s("0000-00-00 00:00:00")),
        ],
        [
            s("2026-11-23 01:02:03.500"),
            s("2026-11-23 01:02:03"),
            s("2026-11-23 01:02:03.500001"),
            s("2026-11-23T01:02:03.500000"),
        ],
    ),
    Case(
        "timestamp(6) null",
        [("'2026-11-23 01:02:03.000001'", s("2026-11-23 01:02:03.000001"))],
        [s("2026-11-23 10:02:03.000001"), n("1795395723")],
    ),
    Case(
        "time(2)",
        [
            ("'-00:00:00.5'", s("-00:00:00.500000")),
            ("'-838:59:59'", s("-838:59:59")),
            ("'00:00:00'", s("00:00:00")),
        ],
        [s("00:00:00.500000"), s("-00:00:00.5"), s("-00:00:00.050000")],
    ),
    Case(
        "char(9)", [("'a  '", s("a")), ("'한글😀'", s("한글😀")), ("''", s(""))], [s("a "), s("A"), b("61")]
    ),
    Case("varchar(9)", [("'a '", s("a ")), ("''", s(""))], [s("a"), s("a  "), s("A ")]),
    Case(
        "text", [("REPEAT('한', 500)", s("한" * 500)), ("''", s(""))], [s("한" * 499 + "글"), s("한" * 499)]
    ),
    Case("varchar(9) character set latin1", [("'é€'", s("é€")), ("x'81'", s("\x81"))], [s("e€"), s("Ã©â‚¬")]),
    Case("varchar(9) character set gbk", [("'a中b'", s("a中b"))], [s("a?b")]),
    Case("varchar(9) character set euckr", [("'한글'", s("한글"))], [s("??")]),
    Case("varchar(9) character set sjis", [("'日'", s("日")), ("x'5C'", s("\\"))], [s("?")]),
    Case("char(9) character set utf16", [("'한😀 '", s("한😀"))], [s("한😀 "), s("한")]),
    Case("text character set utf32", [("'한😀 '", s("한😀 "))], [s("한😀")]),
    Case("varchar(9) character set ucs2", [("'한'", s("한")), ("x'0041D800'", s("A\ufffd"))], [s("한 ")]),
    Case("varchar(9) character set swe7", [("'å{'", s("å?"))], [s("å{")]),
    Case("binary(4)", [("x'0102'", b("01020000"))], [b("0102"), b("01022020"), s("\x01\x02")]),
    Case("varbinary(9)", [("x'ff00fe00'", b("ff00fe00")), ("x''", b(""))], [b("ff00fe"), b("ff00fe0000")]),
    Case("mediumblob", [("REPEAT(x'00', 500)", b("00" * 500))], [b("00" * 499 + "01"), b("00" * 499)]),
    Case("enum('x','한')", [("'한'", s("한")), ("0", s(""))], [s("x"), n("2"), s("")]),
    Case("enum('é') character set latin1", [("'é'", s("é"))], [s("Ã©")]),
    Case(
        "set('x','y','z')",
        [("'z,x'", l("x", "z")), ("''", l())],
        [l("z", "x"), l("x"), s("x,z"), {"SS": ["x", "z"]}],
    ),
    Case("set('','é') character set latin1", [("3", l("é")), ("1", l())], [l("", "é"), l()]),
    Case(
        "point",
        [("ST_GeomFromText('POINT(1 2)')", b(POINT))],
        [b(POINT[9:]), b(POINT.replace("f03f", "f13f"))],
    ),
    Case(
        "geometry",
        [("ST_GeomFromText('LINESTRING(0 0, 1 1)', 0)", b(LINE))],
        [b(LINE[:-2] + "40"), s("LINESTRING(0 0,1 1)")],
    ),
]
DOCUMENT = (
    '{"a": 1, "b": 2.50, "c": [true, null, "x ", {}], "f": 1.0, "z": -0.0, "e": 1e300, "한": "글",'
    ' "i": 18446744073709551615, "s": 1e20}'
)
FOUND: Attribute = {
    "a": n("1"),
    "b": n("2.5"),
    "c": {"L": [{"BOOL": True}, {"NULL": True}, s("x "), {"M": {}}]},
    "f": n("1"),
    "z": n("0"),
    "e": s("1E+300"),
    "한": s("글"),
    "i": n("18446744073709551615"),
    "s": n("100000000000000000000"),
}
MYSQL = [
    Case(
        "json",
        [
            (f"'{DOCUMENT}'", {"M": FOUND}),
            ("'null'", {"NULL": True}),
            ("'\"\"'", s("")),
            ("CAST(-1.10 AS JSON)", n("-1.1")),
            (f"CAST({'9' * 39}.5 AS JSON)", s("9" * 39 + ".5")),
            ("CAST(CAST('2026-01-02 03:04:05' AS DATETIME) AS JSON)", s("2026-01-02 03:04:05.000000")),
            ("CAST(x'ff00' AS JSON)", s("base64:type15:/wA=")),
        ],
        [
            {"M": {**FOUND, "a": s("1")}},
            {"M": {**FOUND, "b": n("2.51")}},
            {"M": {**FOUND, "c": {"L": [{"BOOL": True}, s("x "), {"M": {}}]}}},
            {"M": {**FOUND, "c": {"L": [{"BOOL": True}, {"NULL": True}, s("x"), {"M": {}}]}}},
            {"M": {name: value for name, value in FOUND.items() if name != "f"}},
            {"M": {**FOUND, "i": n("18446744073709551616")}},
            s(DOCUMENT),
        ],
    ),
    Case(
        "json",
        [("'[1]'", {"L": [n("1")]}), ("NULL", {})],
        [{"L": [n("1"), n("1")]}, {"L": [{"BOOL": True}]}, {"NS": ["1"]}],
    ),
    Case("json", [("'null'", {"NULL": True})], [s("null"), {}]),
    Case("varchar(9) character set gb18030", [("'中😀'", s("中😀"))], [s("中?")]),
    Case(
        "vector(2)",
        [("STRING_TO_VECTOR('[1,2]')", b("0000803f00000040"))],
        [b("0000803f00000041"), s("[1,2]"), l()],
    ),
    Case("point srid 4326", [("ST_GeomFromText('POINT(2 1)', 4326)", b("e6100000" + POINT[8:]))], [b(POINT)]),
]
MARIADB = [
    Case("json", [("'{\"a\": 1.0}'", s('{"a": 1.0}'))], [{"M": {"a": n("1")}}, s('{"a":1.0}')]),
    Case("varchar(9)", [("_utf8mb4 x'61eda080'", s("a\ufffd"))], [s("a"), s("a\ufffd\ufffd\ufffd")]),
    Case("inet4", [("'127.0.0.1'", s("127.0.0.1"))], [b("7f000001"), s("127.0.0.2")]),
    Case(
        "inet6",
        [("'::ffff:192.0.2.1'", s("::ffff:192.0.2.1")), ("'1:0::2'", s("1::2"))],
        [s("::ffff:c000:201")],
    ),
    Case(
        "uuid",
        [("'123E4567-E89B-12D3-A456-426655440000'", s("123e4567-e89b-12d3-a456-426655440000"))],
        [s("123E4567-E89B-12D3-A456-426655440000")],
    ),
    Case("varchar(500) compressed", [("REPEAT('한', 400)", s("한" * 400))], [s("한" * 399)]),
    Case("blob compressed", [("REPEAT(x'ff', 500)", b("ff" * 500))], [b("ff" * 499)]),
]


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


def column(index: int, case: Case) -> str:
    return f"c{index} {case.type}"


def fill(server: Server, cases: Sequence[Case], rows: dict[int, int]) -> None:
    """A table with a column for each case; row `id` has value `rows[id]` of each, NULL where it has none."""
    columns = [f"`{column(index, case)}` {case.type}" for index, case in enumerate(cases)]
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'")
        cursor.execute(f"CREATE TABLE every (id INT PRIMARY KEY, {', '.join(columns)}) ROW_FORMAT=DYNAMIC")
        for row, which in rows.items():
            values = [case.values[which][0] if which < len(case.values) else "NULL" for case in cases]
            cursor.execute(f"INSERT INTO every VALUES ({row}, {', '.join(values)})")


class Items:
    """The target, written by hand."""

    def __init__(self, cloud: Cloud) -> None:
        self.dynamodb = cloud.client("dynamodb")
        self.dynamodb.create_table(
            TableName="every",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )

    def put(self, row: int, attributes: dict[str, Attribute]) -> None:
        there = {name: attribute for name, attribute in attributes.items() if attribute}
        self.dynamodb.put_item(TableName="every", Item={"id": n(str(row)), **there})


def right(cases: Sequence[Case], which: int) -> dict[str, Attribute]:
    return {
        column(index, case): case.values[which][1]
        for index, case in enumerate(cases)
        if which < len(case.values)
    }


def differences(address: Address, items: Items, folder: Path) -> list[Difference]:
    (folder / "mapping.toml").write_text(MAPPING)
    return verified(folder / "mapping.toml", address, items.dynamodb)[1]


@contextmanager
def reader_of(server: Server) -> Iterator[Address]:
    """A user who may read the one table, and nothing else."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE USER reader IDENTIFIED BY 'a password'")
        cursor.execute("GRANT SELECT ON test.every TO reader")
        try:
            yield Address(server.host, server.port, "reader", "a password")
        finally:
            cursor.execute("DROP USER reader")


def key_of(difference: Difference) -> int:
    ((_, key),) = json.loads(difference.member.key)
    return int(key)


def test_every_type_is_read_as_documented_and_every_falsehood_is_named(
    server: Server, fresh_cloud: Cloud, tmp_path: Path
) -> None:
    cases = COMMON + (MYSQL if server.flavor == "mysql" else MARIADB)
    deepest, falsehoods = max(len(case.values) for case in cases), max(len(case.wrong) for case in cases)
    rows = {which: which for which in range(deepest)} | {100 + number: 0 for number in range(falsehoods)}
    fill(server, cases, rows)
    items = Items(fresh_cloud)
    for row, which in rows.items():
        items.put(row, right(cases, which))
    modes = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,REAL_AS_FLOAT,HIGH_NOT_PRECEDENCE"
    with reader_of(server) as address, context_of(server, sql_mode=modes, time_zone="+09:00"):
        assert [(one.member, one.expected, one.found) for one in differences(address, items, tmp_path)] == []
        told = []
        for number in range(falsehoods):
            changed = {
                column(index, case): case.wrong[number]
                for index, case in enumerate(cases)
                if number < len(case.wrong)
            }
            items.put(100 + number, {**right(cases, 0), **changed})
            told += [(100 + number, name, next(iter(attribute), None)) for name, attribute in changed.items()]
        found = differences(address, items, tmp_path)
    assert {one.kind for one in found} == {"different", "missing"}
    named = [(key_of(one), one.member.member, one.found) for one in found]
    assert sorted(named, key=str) == sorted(told, key=str)
