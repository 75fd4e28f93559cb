"""
What a column's value becomes in DynamoDB: SQL that is written, and the attribute that must come of it.

Written by hand from MySQL's and DynamoDB's documents, not with the project's code. Numbers compare by value.
"""

import struct
from base64 import encodebytes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

type Attribute = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Differs:
    """What each server makes of the same SQL."""

    mysql: Attribute
    mariadb: Attribute


type Cases = dict[str, Attribute | Differs]
"""SQL to what it becomes."""
type Columns = dict[str, Cases]
"""A column's definition to its cases."""


def n(number: int | str) -> Attribute:
    return {"N": str(number)}


def s(text: str) -> Attribute:
    return {"S": text}


def b(content: bytes | str) -> Attribute:
    return {"B": bytes.fromhex(content) if isinstance(content, str) else content}


def labels(*texts: str) -> Attribute:
    return {"L": [s(text) for text in texts]}


def document(plain: Any) -> Attribute:
    """What JSON becomes: maps, lists, texts, numbers, truth and null."""
    match plain:
        case bool():
            return {"BOOL": plain}
        case None:
            return {"NULL": True}
        case dict():
            return {"M": {name: document(value) for name, value in plain.items()}}
        case list():
            return {"L": [document(value) for value in plain]}
        case str():
            return s(plain)
    return n(plain)


def numbers(*literals: str) -> Cases:
    return {literal: n(literal) for literal in literals}


def quoted(*texts: str) -> Cases:
    return {f"'{text}'": s(text) for text in texts}


def integers(name: str, bits: int) -> Columns:
    top = 1 << bits - 1
    return {
        name: numbers(*map(str, (-top, top - 1, 0, -1, 1))),
        f"{name} unsigned": numbers(*map(str, (2 * top - 1, top, 0))),
    }


def bits(size: int) -> Cases:
    found = {0, 1, (1 << size) - 1, 1 << size - 1}
    return {f"b'{number:b}'": n(number) for number in sorted(found)}


NINES = "9" * 65
NUMBERS: Columns = {
    **integers("tinyint", 8),
    **integers("smallint", 16),
    **integers("mediumint", 24),
    **integers("int", 32),
    **integers("bigint", 64),
    "bool": {"TRUE": n(1), "FALSE": n(0)},
    "int(5) unsigned zerofill": numbers("42"),
    "decimal(10,2)": {
        "1.10": n("1.1"),
        "-12345678.90": n("-12345678.9"),
        "0.01": n("0.01"),
        "-0.01": n("-0.01"),
        "-0.00": n(0),
        "99999999.99": n("99999999.99"),
        "100": n(100),
    },
    "decimal(10,2) unsigned": numbers("1.25", "0"),
    "decimal(1,0)": numbers("9", "-9"),
    "decimal(1,1)": numbers("0.9", "-0.9"),
    "decimal(3,3)": numbers("-0.001", "0.999"),
    "decimal(5,0)": numbers("-7", "12345", "10000"),
    "decimal(9,0)": numbers("999999999", "-1"),
    "decimal(20,10)": numbers("-1.0000000001", "1000000000.0000000001", "-999999999.999999999"),
    "decimal(30,30)": numbers("0." + "9" * 30, "-0." + "0" * 29 + "1"),
    "decimal(38,0)": numbers("9" * 38, "-" + "9" * 38, "1" + "0" * 37),
    "decimal(38,30)": numbers("12345678.123456789012345678901234567890", "-99999999." + "9" * 30),
    "decimal(39,0)": {"9" * 39: s("9" * 39), "1" + "0" * 38: n("1" + "0" * 38), "5": n(5)},
    "decimal(39,1)": {"1" * 38 + ".0": n("1" * 38), "-" + "1" * 38 + ".5": s("-" + "1" * 38 + ".5")},
    "decimal(65,0)": {NINES: s(NINES), "-" + NINES: s("-" + NINES), "0": n(0), "7": n(7)},
    "decimal(65,30)": {
        "-12345678901234567890123456789012345.123456789012345678901234567890": s(
            "-12345678901234567890123456789012345.123456789012345678901234567890"
        ),
        "9" * 35 + "." + "9" * 30: s("9" * 35 + "." + "9" * 30),
        "1e-30": n("1e-30"),
        "-1.5": n("-1.5"),
        "0": n(0),
    },
    "float": {
        "1.1": n("1.1"),
        "0.1": n("0.1"),
        "-0e0": n(0),
        "16777216": n(16777200),
        "16777217": n(16777200),
        "123456": n(123456),
        "999999.5": n(1000000),
        "3.4e38": n("3.4e38"),
        "-3.40282e38": n("-3.40282e38"),
        "1e-38": n("1e-38"),
        "1.17549e-38": n("1.17549e-38"),
        "1e-45": n("1.4013e-45"),
        "3.14159265": n("3.14159"),
    },
    "float unsigned": numbers("2.5"),
    "float(7,3)": numbers("1.125", "-1234.5"),
    "float(30)": {"0.1": n("0.1"), "1e100": n("1e100")},
    "double": {
        "1.1": n("1.1"),
        "0.1 + 0.2e0": n("0.30000000000000004"),
        "-0e0": n(0),
        "1e125": n("1e125"),
        "-9.99e125": n("-9.99e125"),
        "1e-130": n("1e-130"),
        "123456789012345678": n("123456789012345680"),
        "9007199254740993": n(9007199254740992),
        "2.2250738585072014e-100": n("2.2250738585072013e-100"),
    },
    "double(10,2)": numbers("1234.25"),
    "double unsigned": numbers("0.5"),
    "year": numbers("2026", "0", "1901", "2155", "1970"),
    **{
        f"bit({size})": bits(size) for size in (1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 48, 56, 63, 64)
    },
}

TEMPORAL: Columns = {
    "date": quoted(
        "2026-11-23", "1000-01-01", "9999-12-31", "0001-01-01", "2024-02-29",
        "0000-00-00", "2026-00-00", "2026-02-00", "2026-00-10", "2026-02-31", "2023-02-29", "0000-01-01",
    ),
    "time": {
        **quoted("-838:59:59", "838:59:59", "00:00:00", "-00:00:01", "24:00:00", "-24:00:00", "100:00:00"),
        "'9:8:7'": s("09:08:07"),
        "'900:00:00'": s("838:59:59"),
    },
    "time(1)": {"'-00:00:01.5'": s("-00:00:01.500000"), "'00:00:00.1'": s("00:00:00.100000")},
    "time(2)": {"'-00:00:01.25'": s("-00:00:01.250000"), "'-00:00:00.01'": s("-00:00:00.010000")},
    "time(3)": {
        "'-00:00:01.500'": s("-00:00:01.500000"),
        "'12:34:56.789'": s("12:34:56.789000"),
        "'-25:00:00.001'": s("-25:00:00.001000"),
        "'12:34:56'": s("12:34:56"),
    },
    "time(4)": {"'-12:34:56.0001'": s("-12:34:56.000100"), "'12:34:56.9999'": s("12:34:56.999900")},
    "time(5)": {"'-12:34:56.00001'": s("-12:34:56.000010"), "'-00:00:00.99999'": s("-00:00:00.999990")},
    "time(6)": quoted(
        "-00:00:00.000001", "-12:34:56.789012", "838:59:58.999999", "-838:59:58.999999", "00:00:00.000001",
        "-00:00:59.999999", "-01:00:00",
    ),
    "datetime": quoted(
        "2026-11-23 12:34:56", "9999-12-31 23:59:59", "1000-01-01 00:00:00", "0001-01-01 00:00:01",
        "0000-00-00 00:00:00", "2026-00-00 00:00:00", "2026-00-10 12:34:56", "2026-02-31 23:59:59",
    ),
    "datetime(1)": {"'2026-11-23 12:34:56.7'": s("2026-11-23 12:34:56.700000")},
    "datetime(2)": {"'2026-11-23 12:34:56.07'": s("2026-11-23 12:34:56.070000")},
    "datetime(3)": {
        "'2026-11-23 12:34:56.789'": s("2026-11-23 12:34:56.789000"),
        "'2026-11-23 12:34:56'": s("2026-11-23 12:34:56"),
        "'2026-02-31 01:02:03.04'": s("2026-02-31 01:02:03.040000"),
        "'0000-00-00 00:00:00.001'": s("0000-00-00 00:00:00.001000"),
    },
    "datetime(4)": {"'2026-11-23 12:34:56.0789'": s("2026-11-23 12:34:56.078900")},
    "datetime(5)": {"'2026-00-23 12:34:56.00001'": s("2026-00-23 12:34:56.000010")},
    "datetime(6)": quoted(
        "2026-11-23 12:34:56.000001", "2026-11-23 12:34:56.999999", "2026-11-23 12:34:56",
        "2026-00-23 12:34:56.000001", "0000-00-00 00:00:00",
    ),
    "timestamp null": quoted(
        "2026-11-23 12:34:56", "0000-00-00 00:00:00", "1970-01-01 00:00:01", "2038-01-19 03:14:07",
    ),
    "timestamp(1) null": {"'2026-11-23 12:34:56.1'": s("2026-11-23 12:34:56.100000")},
    "timestamp(2) null": {"'2026-11-23 12:34:56.01'": s("2026-11-23 12:34:56.010000")},
    "timestamp(3) null": {"'2026-11-23 12:34:56.123'": s("2026-11-23 12:34:56.123000")},
    "timestamp(4) null": {"'2026-11-23 12:34:56.0001'": s("2026-11-23 12:34:56.000100")},
    "timestamp(5) null": {"'2026-11-23 12:34:56.99999'": s("2026-11-23 12:34:56.999990")},
    "timestamp(6) null": quoted(
        "2026-11-23 12:34:56.123456", "0000-00-00 00:00:00", "2038-01-19 03:14:07.999999",
        "1970-01-01 00:00:01.000001",
    ),
}  # fmt: skip

TEXTS: Columns = {
    "char(10)": {
        **quoted("a", "한글😀", "", " x", "\u3000"),
        "'tr  '": s("tr"),
        "'   '": s(""),
        "'tab\\t '": s("tab\t"),
        "'\\0'": s("\0"),
        "'a\u00a0'": s("a\u00a0"),
    },
    "char(0)": quoted(""),
    "char(255)": {"REPEAT('x',255)": s("x" * 255), "REPEAT('😀',255)": s("😀" * 255), "'한'": s("한")},
    "char(64)": {"REPEAT('😀',64)": s("😀" * 64), "'x '": s("x")},
    "char(5) character set utf16": {"'한a '": s("한a"), "''": s(""), "'😀😀😀😀😀'": s("😀" * 5)},
    "char(5) character set utf16le": {"'한a '": s("한a"), "''": s("")},
    "char(5) character set utf32": {"'한 '": s("한"), "'  '": s("")},
    "char(5) character set ucs2": {"'한 '": s("한"), "'a'": s("a")},
    "char(5) character set latin1": {"'é '": s("é"), "_latin1 x'A0'": s("\u00a0")},
    "char(5) character set sjis": {"'日 '": s("日")},
    "char(5) collate utf8mb4_bin": {"'a '": s("a")},
    "varchar(20)": {**quoted("한글😀", "tr  ", "", " ", "a\u0300", "\u200b", "\U0010ffff"), "'\\0'": s("\0")},
    "varchar(255)": {"REPEAT('x',255)": s("x" * 255)},
    "varchar(256)": {"REPEAT('x',256)": s("x" * 256), "''": s("")},
    "varchar(2000)": {"REPEAT('한',2000)": s("한" * 2000), "'a'": s("a")},
    "varchar(10) collate utf8mb4_bin": quoted("한", "K k"),
    "varchar(10) character set latin1": {
        "_latin1 x'E9'": s("é"),
        "'€'": s("€"),
        "_latin1 x'818D8F909D'": s("\x81\x8d\x8f\x90\x9d"),
        "'한'": s("?"),
    },
    "varchar(10) character set ascii": {"'a'": s("a"), "'é'": s("?")},
    "varchar(10) character set swe7": {"'å{'": s("å?"), "'a'": s("a")},
    "varchar(10) character set utf8mb3": {"'한a'": s("한a"), "'😀'": s("?")},
    "varchar(10) character set utf16": quoted("한😀a", "", " "),
    "varchar(10) character set utf16le": quoted("한😀a", "a "),
    "varchar(10) character set utf32": quoted("한😀a", "\U0010ffff"),
    "varchar(10) character set ucs2": {"'한a'": s("한a"), "_ucs2 x'0061'": s("a")},
    "varchar(10) character set sjis": {"'日'": s("日"), r"_sjis x'5C815F'": s("\\\\")},
    "tinytext": quoted("t", ""),
    "text": quoted("한글😀", "", "tr  "),
    "text character set latin1": quoted("é", ""),
    "text character set utf16": quoted("한a ", ""),
    "mediumtext": {"REPEAT('é', 40000)": s("é" * 40000)},
    "longtext": {"REPEAT('z',70000)": s("z" * 70000)},
    "binary(4)": {
        "x'0102'": b("01020000"),
        "x'00000000'": b("00000000"),
        "x'FF00FE00'": b("ff00fe00"),
        "x''": b("00000000"),
        "'a  '": b("61202000"),
        "x'7F000001'": b("7f000001"),
    },
    "binary(16)": {"x'0102'": b(b"\x01\x02" + bytes(14)), "REPEAT(x'AB',16)": b(b"\xab" * 16)},
    "binary(1)": {"x'00'": b("00"), "x'FF'": b("ff")},
    "binary(0)": {"''": b("")},
    "binary(255)": {"x'0102'": b(b"\x01\x02" + bytes(253))},
    "varbinary(10)": {"x'FF00FE00'": b("ff00fe00"), "x''": b(""), "x'00'": b("00"), "'a '": b(b"a ")},
    "varbinary(300)": {"REPEAT(x'FF', 300)": b(b"\xff" * 300), "x'80'": b("80")},
    "tinyblob": {"x'00FF'": b("00ff")},
    "blob": {"x'FF00'": b("ff00"), "x''": b("")},
    "mediumblob": {"REPEAT(x'00', 70000)": b(bytes(70000))},
    "longblob": {"x'00FF00'": b("00ff00")},
}

MANY = ",".join(f"'v{number}'" for number in range(300))


def members(count: int) -> str:
    return ",".join(f"'s{number}'" for number in range(count))


CHOICES: Columns = {
    "enum('a','b','한')": {**quoted("b", "한", "a"), "0": s(""), "3": s("한")},
    "enum('it''s','c,d','\"','e\\\\f','%s','(g)')": {
        "1": s("it's"), "2": s("c,d"), "3": s('"'), "4": s("e\\f"), "5": s("%s"), "6": s("(g)"),
    },
    "enum('','x')": {"''": s(""), "'x'": s("x")},
    "enum('1','0')": {"'0'": s("0"), "1": s("1")},
    "enum('é','e') character set latin1 collate latin1_bin": quoted("é", "e"),
    "enum('日','b') character set sjis": quoted("日", "b"),
    "enum('Ж','я') character set koi8r": quoted("Ж", "я"),
    "enum('é','x') character set utf8mb3": quoted("é"),
    "enum('א','x') character set hebrew": quoted("א"),
    "enum('한😀','x') character set utf16": quoted("한😀", "x"),
    "enum('한','x') character set ucs2": quoted("한"),
    "enum('x','Å') character set swe7": {"'x'": s("x"), "2": s("Å")},
    "set('한😀','x') character set utf32": {"3": labels("한😀", "x")},
    "set('é','\u20ac') character set cp1250": {"3": labels("é", "€")},
    f"enum({MANY})": quoted("v0", "v254", "v255", "v299"),
    "set('x','y','z')": {
        "'z,x'": labels("x", "z"), "''": labels(), "'y'": labels("y"), "7": labels("x", "y", "z"),
    },
    "set('','a')": {"3": labels("a"), "1": labels(), "2": labels("a")},
    "set('it''s','\"')": {"3": labels("it's", '"')},
    "set('é','e') character set latin1 collate latin1_bin": {"'é,e'": labels("é", "e"), "'e'": labels("e")},
    "set('日','本') character set cp932": {"'本,日'": labels("日", "本")},
    "set('k','j','i','h','g','f','e','d')": {"'d,k'": labels("k", "d"), "255": labels(*"kjihgfed")},
    **{
        f"set({members(count)})": {f"'s{count - 1},s0'": labels("s0", f"s{count - 1}"), "''": labels()}
        for count in (9, 16, 17, 24, 25, 32, 33, 64)
    },
}  # fmt: skip


def wkb(kind: int, *parts: int | float | bytes, srid: int = 0) -> bytes:
    """SRID, byte order and kind, then counts, coordinates and what lies inside."""
    return struct.pack("<I", srid) + shape(kind, *parts)


def shape(kind: int, *parts: int | float | bytes) -> bytes:
    packed = [
        part if isinstance(part, bytes) else struct.pack("<I" if isinstance(part, int) else "<d", part)
        for part in parts
    ]
    return struct.pack("<BI", 1, kind) + b"".join(packed)


def geometry(text: str) -> str:
    return f"ST_GeomFromText('{text}')"


POINT, LINE = (1.0, 2.0), (2, 0.0, 0.0, 1.0, 1.5)
RING = (4, 0.0, 0.0, 4.0, 0.0, 4.0, 4.0, 0.0, 0.0)
RINGS = "((0 0,4 0,4 4,0 0))"
GEOMETRY: Columns = {
    "point": {
        geometry("POINT(1 2)"): b(wkb(1, *POINT)),
        "ST_GeomFromText('POINT(1 2)', 3857)": b(wkb(1, *POINT, srid=3857)),
        geometry("POINT(-0.5 1e300)"): b(wkb(1, -0.5, 1e300)),
    },
    "linestring": {geometry("LINESTRING(0 0,1 1.5)"): b(wkb(2, *LINE))},
    "polygon": {geometry(f"POLYGON{RINGS}"): b(wkb(3, 1, *RING))},
    "multipoint": {geometry("MULTIPOINT(1 2)"): b(wkb(4, 1, shape(1, *POINT)))},
    "multilinestring": {geometry("MULTILINESTRING((0 0,1 1.5))"): b(wkb(5, 1, shape(2, *LINE)))},
    "multipolygon": {geometry(f"MULTIPOLYGON({RINGS})"): b(wkb(6, 1, shape(3, 1, *RING)))},
    "geometrycollection": {
        geometry("GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1.5))"): b(
            wkb(7, 2, shape(1, *POINT), shape(2, *LINE))
        ),
    },
    "geometry": {geometry("POINT(1 2)"): b(wkb(1, *POINT)), geometry(f"POLYGON{RINGS}"): b(wkb(3, 1, *RING))},
}


def nested(levels: int, around: Callable[[Any], Any] = lambda inside: [inside]) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = around(found)
    return found


def opaque(kind: int, content: bytes) -> str:
    """As MySQL prints it: base64 in lines of 76 characters."""
    return f"base64:type{kind}:" + encodebytes(content).decode().removesuffix("\n")


CRS = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
JSON: Columns = {
    "json": {
        """'{"a":1,"b":[1,2.5,null,true,"한"],"c":{"d":"x"},"long":"v"}'""": document(
            {"a": 1, "b": [1, Decimal("2.5"), None, True, "한"], "c": {"d": "x"}, "long": "v"}
        ),
        "'[]'": document([]),
        "'{}'": document({}),
        "'null'": document(None),
        "'true'": document(True),
        "'false'": document(False),
        "'\"str\"'": s("str"),
        "'\"\"'": s(""),
        "'[\"\", []]'": document(["", []]),
        '\'"\\\\u0000\\\\ud83d\\\\ude00\\\\""\'': s('\0😀"'),
        "'0'": n(0),
        "'-0.0'": n(0),
        "'1.0'": n(1),
        "'1e2'": n(100),
        "'-1'": n(-1),
        "'1.5'": n("1.5"),
        "'0.1'": n("0.1"),
        "'12345678901'": n(12345678901),
        "'18446744073709551615'": n(2**64 - 1),
        "'18446744073709551616'": n("18446744073709552000"),
        "'-9223372036854775808'": n(-(2**63)),
        "'1e125'": n("1e125"),
        "'1e126'": s("1E+126"),
        "'1e300'": s("1E+300"),
        "'-5e-324'": s("-5E-324"),
        "'1e-130'": n("1e-130"),
        "'[1.7976931348623157e308]'": {"L": [s("1.7976931348623157E+308")]},
        "'[32767,-32768,65535,32768,2147483647,-2147483648,4294967295,-32769]'": document(
            [32767, -32768, 65535, 32768, 2147483647, -2147483648, 4294967295, -32769]
        ),
        "CAST(-1.10 AS JSON)": n("-1.1"),
        f"CAST({NINES} AS JSON)": s(NINES),
        f"CAST({'1' * 38} AS JSON)": n("1" * 38),
        f"JSON_ARRAY({'1' * 39}, 1.50, 2.00)": {"L": [s("1" * 39), n("1.5"), n(2)]},
        "JSON_ARRAY(CAST(1e65 AS DOUBLE), 1e64)": {"L": [n("1e65"), n("1e64")]},
        "CAST(18446744073709551615 AS JSON)": n(2**64 - 1),
        "JSON_OBJECT('d', CAST('2026-11-23' AS DATE), 'z', CAST('0000-00-00' AS DATE))": document(
            {"d": "2026-11-23", "z": "0000-00-00"}
        ),
        "JSON_ARRAY(CAST('-26:00:00.5' AS TIME(6)), CAST('838:59:59' AS TIME))": document(
            ["-26:00:00.500000", "838:59:59.000000"]
        ),
        (
            "JSON_ARRAY(CAST('2026-11-23 12:34:56.123456' AS DATETIME(6)),"
            " CAST('2026-11-23 12:34:56' AS DATETIME))"
        ): document(["2026-11-23 12:34:56.123456", "2026-11-23 12:34:56.000000"]),
        "JSON_OBJECT('y', CAST(2026 AS YEAR), 'n', -1.10, 's', CAST('x' AS BINARY))": document(
            {"y": 2026, "n": Decimal("-1.1"), "s": opaque(15, b"x")}
        ),
        "JSON_ARRAY(x'ff00', b'101')": document([opaque(15, b"\xff\0"), opaque(15, b"\x05")]),
        "JSON_ARRAY(CAST(REPEAT(x'ab', 200) AS BINARY))": document([opaque(15, b"\xab" * 200)]),
        "JSON_ARRAY(ST_GeomFromText('POINT(1 2)', 3857))": document(
            [{"type": "Point", "coordinates": [1, 2], "crs": CRS}]
        ),
        """'{"키 \\\\"\\\\\\\\": {"é": 1}, "b": 2, "a": 3, "aa": 4}'""": document(
            {'키 "\\': {"é": 1}, "b": 2, "a": 3, "aa": 4}
        ),
        "JSON_OBJECT('k',REPEAT('v',70000),'z',-5,'y',70000,'n',null,'a',JSON_ARRAY(1,'x'))": document(
            {"k": "v" * 70000, "z": -5, "y": 70000, "n": None, "a": [1, "x"]}
        ),
        "JSON_OBJECT('k', REPEAT('v', 127), 'l', REPEAT('v', 128), 'm', REPEAT('한', 20000))": document(
            {"k": "v" * 127, "l": "v" * 128, "m": "한" * 20000}
        ),
        f"'{'[' * 31}1{']' * 31}'": document(nested(31)),
        f"""'{'{"a":' * 31}1{"}" * 31}'""": document(nested(31, lambda inside: {"a": inside})),
    },
}

VECTORS: Columns = {
    "vector(3)": {
        "STRING_TO_VECTOR('[1,2,3]')": b("0000803f 00000040 00004040"),
        "STRING_TO_VECTOR('[-0.5,1e38,0]')": b(struct.pack("<3f", -0.5, 1e38, 0)),
    },
    "vector(2048)": {"STRING_TO_VECTOR('[7]')": b(struct.pack("<f", 7))},
}
INET6 = (
    "::", "::1", "::192.0.2.1", "::0.1.0.2", "::ffff:192.0.2.1", "::ffff:0.0.0.0", "1::2:0:0:3:4",
    "2001:0:0:1::", "2001:db8::1:1:1:1:1", "2001:db8::ff00:42:8329",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
)  # fmt: skip
UUIDS = (
    "00000000-0000-0000-0000-000000000000",
    "123e4567-e89b-12d3-a456-426655440000",
    "f47ac10b-58cc-4372-a567-0e02b2c3d479",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
)
ADDRESSES: Columns = {
    "inet4": quoted("127.0.0.1", "0.0.0.0", "255.255.255.255"),
    "inet6": {
        **quoted(*INET6),
        "'0:1:1:1:1:1:1:1'": s("::1:1:1:1:1:1:1"),
        "'1:0:1:1:1:1:1:0'": s("1::1:1:1:1:1:0"),
    },
    "uuid": quoted(*UUIDS),
}
TEXT_JSON: Columns = {"json": quoted('{"a": 1}', '{"b":1,"a":[2 , 1e5]}', "null", "[]", '"é"')}
COMPRESSED: Columns = {
    "varchar(500) compressed": {"REPEAT('한', 400)": s("한" * 400), **quoted("a", "")},
    "varchar(99) compressed": {"REPEAT('x', 99)": s("x" * 99)},
    "text compressed": {"REPEAT('z', 40000)": s("z" * 40000), **quoted("é", "")},
    "varbinary(500) compressed": {
        "REPEAT(x'00', 400)": b(bytes(400)), "x'00ff'": b("00ff"), "x''": b(""),
    },
    "blob compressed": {"REPEAT(x'ff', 40000)": b(b"\xff" * 40000), "x'00'": b("00")},
    "text compressed character set utf16": {"REPEAT('한', 400)": s("한" * 400)},
    "longtext compressed character set latin1": {"REPEAT('é', 4000)": s("é" * 4000)},
}  # fmt: skip

COMMON: dict[str, Columns] = {
    "numbers": NUMBERS,
    "temporal": TEMPORAL,
    "texts": TEXTS,
    "choices": CHOICES,
    "geometry": GEOMETRY,
}
TABLES: dict[str, dict[str, Columns]] = {
    "mysql": {**COMMON, "json": JSON, "vectors": VECTORS},
    "mariadb": {**COMMON, "text_json": TEXT_JSON, "addresses": ADDRESSES, "compressed": COMPRESSED},
}

DEEP_LIST, DEEP_MAP = "[" * 32 + "]" * 32, '{"a":' * 32 + "1" + "}" * 32
REFUSED: dict[str, list[tuple[str, str, str]]] = {
    "mysql": [
        ("double", "1.7976931348623157e308", "outside what DynamoDB stores"),
        ("double", "-1e126", "outside what DynamoDB stores"),
        ("double", "9e-131", "outside what DynamoDB stores"),
        ("double", "5e-324", "outside what DynamoDB stores"),
        ("json", f"'{DEEP_LIST}'", "nested"),
        ("json", f"'{DEEP_MAP}'", "nested"),
        ("json", """'{"a": [{"": 1}]}'""", "without a name"),
    ],
}
REFUSED["mariadb"] = [case for case in REFUSED["mysql"] if case[0] != "json"]
"""Definition and SQL of values that DynamoDB cannot take, and what the message says."""

OVERRIDDEN: dict[str, list[tuple[str, str, str, Attribute]]] = {
    "mysql": [
        ("double", "string", "1.7976931348623157e308", s("1.7976931348623157E+308")),
        ("double", "string", "5e-324", s("5E-324")),
        ("double", "string", "1.5", s("1.5")),
        ("double", "string", "-0e0", s("0")),
        ("decimal(65,30)", "string", "1.50", s("1.5")),
        ("decimal(65,0)", "string", NINES, s(NINES)),
        ("bigint", "string", "-7", s("-7")),
        ("bigint", "boolean", "-7", {"BOOL": True}),
        ("bit(1)", "boolean", "b'0'", {"BOOL": False}),
        ("year", "string", "0", s("0")),
        ("datetime(3)", "string", "'2026-11-23 12:34:56.5'", s("2026-11-23 12:34:56.500000")),
        ("date", "string", "'2026-00-10'", s("2026-00-10")),
        ("time(2)", "string", "'-00:00:00.01'", s("-00:00:00.010000")),
        ("varchar(40)", "number", f"' {'1' * 38} '", n("1" * 38)),
        ("varchar(40)", "boolean", "'no'", {"BOOL": False}),
        ("varchar(40)", "binary", "'é'", b(b"\xc3\xa9")),
        ("varchar(60)", "json", """'{"a": [1.50, 1e300, "x", null]}'""",
         document({"a": [Decimal("1.5"), "1E+300", "x", None]})),
        ("varbinary(9)", "string", "'é'", s("é")),
        ("set('x','y')", "string", "'y,x'", s("x,y")),
    ],
}  # fmt: skip
OVERRIDDEN["mariadb"] = [
    *OVERRIDDEN["mysql"],
    ("json", "json", """'{"a": [1.50, {}]}'""", document({"a": [Decimal("1.5"), {}]})),
    ("uuid", "string", f"'{UUIDS[1]}'", s(UUIDS[1])),
]
OVERRIDDEN["mysql"] += [
    ("json", "string", """'{"b":1.50,  "a":null}'""", s('{"a": null, "b": 1.5}')),
    ("json", "json", "'[1.0]'", document([1])),
]
"""Definition, the mapping's type, SQL, and what comes of it."""
