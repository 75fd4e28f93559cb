"""Tables with columns of every type, and statements that fill and change them, for Hypothesis."""

import json
import struct
from dataclasses import dataclass

from hypothesis import strategies as st

type Sql = st.SearchStrategy[str]

CHARSETS = (
    "utf8mb4", "utf8mb3", "latin1", "ascii", "utf16", "utf16le", "utf32", "ucs2", "sjis", "cp932", "gbk",
    "gb2312", "big5", "euckr", "ujis", "eucjpms", "koi8r", "cp1250", "cp1251", "cp1256", "greek", "hebrew",
    "tis620", "swe7", "macroman", "cp850", "geostd8", "armscii8", "dec8", "hp8", "keybcs2", "latin7",
)  # fmt: skip
# no braces: these texts are formatted
LABELS = ("a", "B", "é", "한", "it''s", '"', "e\\\\f", "%s", "()", " x", "1", "0", "ä ö")
LARGEST = 1e125  # DynamoDB's numbers go a little further


@dataclass(frozen=True)
class Column:
    """A column's definition without its name, SQL for values, and SQL that changes the value at `{}`."""

    definition: str
    values: Sql
    changes: tuple[str, ...] = ()


def binary(content: bytes) -> str:
    return f"x'{content.hex()}'"


def text(characters: str) -> str:
    return f"_utf8mb4 x'{characters.encode().hex()}'"


def whole(low: int, high: int) -> st.SearchStrategy[int]:
    return st.sampled_from([low, high]) | st.integers(low, high)


@st.composite
def integers(draw: st.DrawFn) -> Column:
    name, size = draw(
        st.sampled_from([("tinyint", 8), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)])
    )
    if draw(st.booleans()):
        return Column(f"{name} unsigned", whole(0, (1 << size) - 1).map(str))
    return Column(name, whole(-1 << size - 1, (1 << size - 1) - 1).map(str))


@st.composite
def decimals(draw: st.DrawFn) -> Column:
    precision = draw(st.integers(1, 65))
    scale = draw(st.integers(0, min(precision, 30)))
    numbers = whole(1 - 10**precision, 10**precision - 1)
    return Column(f"decimal({precision},{scale})", numbers.map(lambda number: scaled(number, scale)))


def scaled(number: int, scale: int) -> str:
    digits = f"{abs(number):0{scale + 1}}"
    point = len(digits) - scale
    return f"{'-' * (number < 0)}{digits[:point]}.{digits[point:]}0"


def floats() -> st.SearchStrategy[Column]:
    singles = st.floats(width=32, allow_nan=False, allow_infinity=False)
    doubles = st.floats(-LARGEST, LARGEST).filter(lambda number: not number or abs(number) > 1 / LARGEST)
    return st.sampled_from([Column("float", singles.map(repr)), Column("double", doubles.map(repr))])


def bits() -> st.SearchStrategy[Column]:
    return st.integers(1, 64).map(lambda size: Column(f"bit({size})", whole(0, (1 << size) - 1).map(str)))


def dates(first: int = 0, last: int = 9999) -> Sql:
    """Also such as no calendar has."""
    return st.builds(
        "{:04}-{:02}-{:02}".format, st.integers(first, last), st.integers(0, 12), st.integers(0, 31)
    )


@st.composite
def moments(draw: st.DrawFn) -> Column:
    digits, sixty = draw(st.integers(0, 6)), st.integers(0, 59)
    clock = (sixty, sixty, st.sampled_from([0, 1, 999_999, 500_000]) | st.integers(0, 999_999))
    day = (st.integers(0, 23), *clock)
    kinds = {
        f"datetime({digits})": st.builds("'{} {:02}:{:02}:{:02}.{:06}'".format, dates(), *day),
        # what a TIMESTAMP cannot hold becomes zero
        f"timestamp({digits}) null": st.builds(
            "'{} {:02}:{:02}:{:02}.{:06}'".format, dates(1969, 2038), *day
        ),
        f"time({digits})": st.builds(
            "'{}{}:{:02}:{:02}.{:06}'".format, st.sampled_from(["", "-"]), st.integers(0, 838), *clock
        ),
        "date": dates().map("'{}'".format),
        "year": (st.just(0) | st.integers(1901, 2155)).map(str),
    }
    return Column(*draw(st.sampled_from(list(kinds.items()))))


@st.composite
def texts(draw: st.DrawFn) -> Column:
    charset, size = draw(st.sampled_from(CHARSETS)), draw(st.sampled_from([1, 5, 60, 300]))
    kinds = [f"char({min(size, 60)})", f"varchar({size})", "tinytext", "text", "longtext"]
    values = st.text(max_size=min(size, 60)).map(text)
    return Column(f"{draw(st.sampled_from(kinds))} character set {charset}", values, ("CONCAT({}, 'x ')",))


@st.composite
def blobs(draw: st.DrawFn) -> Column:
    size = draw(st.sampled_from([1, 4, 16, 255]))
    kinds = [f"binary({size})", f"varbinary({size})", "varbinary(300)", "blob", "longblob"]
    return Column(draw(st.sampled_from(kinds)), st.binary(max_size=size).map(binary))


@st.composite
def choices(draw: st.DrawFn) -> Column:
    labels = draw(st.lists(st.sampled_from(LABELS), min_size=1, unique=True))
    listed = ",".join(f"'{label}'" for label in labels)
    kind, top = draw(st.sampled_from([("enum", len(labels)), ("set", (1 << len(labels)) - 1)]))
    return Column(f"{kind}({listed}) character set utf8mb4 collate utf8mb4_bin", whole(0, top).map(str))


def points() -> st.SearchStrategy[Column]:
    coordinates = st.floats(-1e9, 1e9)
    return st.just(
        Column("geometry", st.builds("ST_GeomFromText('POINT({!r} {!r})')".format, coordinates, coordinates))
    )


def documents() -> st.SearchStrategy[Column]:
    numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    names = st.text(min_size=1, max_size=5)
    document = st.recursive(
        st.none() | st.booleans() | numbers | st.text(max_size=20),
        lambda inside: st.lists(inside, max_size=4) | st.dictionaries(names, inside, max_size=4),
        max_leaves=12,
    )
    # with what makes it long, MySQL logs only what has changed of it
    longer = st.sampled_from(
        [lambda plain: plain, lambda plain: ["x" * 99, plain], lambda plain: {"x": "x" * 99, "a": plain}]
    )
    values = st.builds(lambda plain, wrap: f"CAST({text(json.dumps(wrap(plain)))} AS JSON)", document, longer)
    changes = (
        "JSON_ARRAY_INSERT({}, '$[0]', 'new')", "JSON_ARRAY_APPEND({}, '$', 2)",
        "JSON_SET({}, '$.a', CAST(-1.50 AS JSON))", "JSON_SET({}, '$[1]', TIME '-01:02:03.5')",
        "JSON_REMOVE({}, '$[0]')", "JSON_REPLACE({}, '$[0]', NULL)",
    )  # fmt: skip
    return st.just(Column("json", values, changes))


def vectors() -> st.SearchStrategy[Column]:
    number = st.floats(width=32, allow_nan=False, allow_infinity=False)
    values = st.lists(number, min_size=1, max_size=9)
    return st.just(
        Column("vector(9)", values.map(lambda found: binary(struct.pack(f"<{len(found)}f", *found))))
    )


@st.composite
def of_mariadb(draw: st.DrawFn) -> Column:
    groups = st.sampled_from([0, 0, 0, 1, 0xFFFF]) | st.integers(0, 0xFFFF)
    addresses = st.lists(groups, min_size=8, max_size=8).map(lambda found: binary(struct.pack(">8H", *found)))
    longer = st.text(max_size=40).map(lambda found: f"REPEAT({text(found)}, 9)")
    kinds = {
        "inet4": st.binary(min_size=4, max_size=4).map(binary),
        "inet6": addresses,
        "uuid": st.uuids().map("'{}'".format),
        "varchar(400) compressed": longer,
        "text compressed character set utf16": longer,
        "blob compressed": st.binary(max_size=300).map(binary),
        "json": st.just("'{\"a\": [1.50]}'"),
    }
    return Column(*draw(st.sampled_from(list(kinds.items()))))


COMMON = (integers(), decimals(), floats(), bits(), moments(), texts(), texts(), blobs(), choices(), points())
OWN = {"mysql": (documents(), documents(), vectors()), "mariadb": (of_mariadb(), of_mariadb())}

SOME = ("a", "A", "b ", "é", "한", "", " ", "0", "x'y")
KEYS: dict[str, tuple[str, Sql]] = {
    "int": ("N", st.integers(-3, 3).map(str)),
    "bigint unsigned": ("S", st.sampled_from([0, 1, 2**64 - 1]).map(str)),
    "varchar(9)": ("S", st.sampled_from(SOME).map(text)),
    "varchar(9) collate utf8mb4_bin": ("S", st.sampled_from(SOME).map(text)),
    "char(5) character set latin1": ("S", st.sampled_from(SOME).map(text)),
    "varchar(9) character set cp1251": ("S", st.sampled_from(("a", "ж", "Ж", "б")).map(text)),
    "varbinary(4)": ("B", st.sampled_from((b"", b"\0", b"\0\0", b"a", b"\xff")).map(binary)),
    "binary(4)": ("B", st.sampled_from((b"", b"\0", b"a", b"\xff")).map(binary)),
    "decimal(9,3)": ("N", st.sampled_from(("0", "1.5", "-1.500", "1.501")).map(str)),
    "decimal(60,3)": ("S", st.sampled_from(("0", "1.5", "9" * 50)).map(str)),
    "date": ("S", st.sampled_from(("'2026-01-02'", "'2026-02-31'", "'0000-00-00'"))),
    "datetime(3)": ("S", st.sampled_from(("'2026-01-02 03:04:05'", "'2026-01-02 03:04:05.5'"))),
    "time(2)": ("S", st.sampled_from(("'-00:00:01.25'", "'00:00:01.25'", "'-838:59:59'", "'1:2:3'"))),
    "timestamp(6)": ("S", st.sampled_from(("'2026-01-02 03:04:05.000001'", "'1970-01-01 00:00:01'"))),
    "year": ("N", st.sampled_from(("0", "1901", "2155"))),
    "bit(9)": ("N", st.sampled_from(("0", "1", "511"))),
    "enum('b','a','é')": ("S", st.sampled_from(("1", "2", "3"))),
    "set('b','a','é')": ("S", st.sampled_from(("1", "2", "3", "7"))),
    "double": ("N", st.sampled_from(("0", "1.5", "-1e-5", "1e100"))),
}
"""Definition of a key column to its type in DynamoDB and few values, so that rows meet."""


@dataclass(frozen=True)
class Made:
    """A table and what happens in it; its name stands at `{0}`."""

    keys: tuple[str, ...]
    create: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Writer:
    """Draws statements of one table; `mandatory` columns are never NULL."""

    draw: st.DrawFn
    keys: list[str]
    columns: list[Column]
    mandatory: list[bool]

    def statement(self) -> str:
        kinds = (self.insert, self.replace, self.update, self.update, self.move, self.delete)
        return self.draw(st.sampled_from(kinds))()

    def insert(self) -> str:
        return f"INSERT IGNORE INTO {{0}} VALUES {self.row()}"

    def replace(self) -> str:
        return f"REPLACE INTO {{0}} VALUES {self.row()}"

    def row(self) -> str:
        numbers = range(len(self.columns))
        return f"({', '.join([*map(self.key, self.keys), *map(self.value, numbers)])})"

    def update(self) -> str:
        numbers = self.draw(st.sets(st.integers(0, len(self.columns) - 1), min_size=1))
        return f"UPDATE {{0}} SET {', '.join(f'c{n} = {self.changed(n)}' for n in numbers)}{self.some()}"

    def move(self) -> str:
        number = self.draw(st.integers(0, len(self.keys) - 1))
        return f"UPDATE IGNORE {{0}} SET k{number} = {self.key(self.keys[number])}{self.some()}"

    def delete(self) -> str:
        return f"DELETE FROM {{0}}{self.some()}"

    def some(self) -> str:
        return f" ORDER BY k0 {self.draw(st.sampled_from(['', 'DESC']))} LIMIT {self.draw(st.integers(1, 3))}"

    def key(self, definition: str) -> str:
        return self.draw(KEYS[definition][1])

    def value(self, number: int) -> str:
        values = self.columns[number].values
        return self.draw(values if self.mandatory[number] else st.none() | values) or "NULL"

    def changed(self, number: int) -> str:
        if (changes := self.columns[number].changes) and self.draw(st.booleans()):
            return self.draw(st.sampled_from(changes)).format(f"c{number}")
        return self.value(number)


@st.composite
def tables(draw: st.DrawFn, flavor: str) -> Made:
    keys = draw(st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=2))
    columns = draw(st.lists(st.one_of(*COMMON, *OWN[flavor]), min_size=1, max_size=6))
    mandatory = [" null" not in column.definition and draw(st.booleans()) for column in columns]
    definitions = [
        *(f"k{number} {definition}" for number, definition in enumerate(keys)),
        *(
            f"c{number} {column.definition}{' not null' * must}"
            for number, (column, must) in enumerate(zip(columns, mandatory, strict=True))
        ),
        f"primary key ({', '.join(f'k{number}' for number in range(len(keys)))})",
    ]
    writer = Writer(draw, keys, columns, mandatory)
    statements = [writer.insert(), *(writer.statement() for _ in range(draw(st.integers(1, 10))))]
    return Made(tuple(keys), f"CREATE TABLE {{0}} ({', '.join(definitions)})", tuple(statements))
