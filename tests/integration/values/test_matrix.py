"""Every column type through the bulk load and through the stream: both give what the cases say."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from lab.cloud import Cloud
from lab.server import Server
from rowferry.errors import SourceNotReady
from rowferry.mapping import Mapping
from tests.support import matrix_cases as cases
from tests.support.matrix_bed import SESSION, both, by_value, rows_as_items, run, server
from tests.support.matrix_cases import Attribute, Differs
from tests.support.rows_to_items import Item, Place, bulk_road

__all__ = ["server"]
pytestmark = pytest.mark.integration


@dataclass(slots=True)
class Laid:
    """A table that holds a column for each definition and a row for the next case of each."""

    name: str
    columns: dict[str, str]
    rows: list[dict[str, tuple[str, Attribute]]]
    from_elsewhere: int = 0
    """Rows are inserted under another id, and moved from there."""

    @property
    def statements(self) -> Iterator[str]:
        columns = "".join(f", {name} {definition}" for name, definition in self.columns.items())
        yield f"CREATE TABLE {self.name} (id INT PRIMARY KEY{columns})"
        for number, row in enumerate(self.rows):
            literals = ", ".join(row[name][0] if name in row else "NULL" for name in self.columns)
            yield f"INSERT INTO {self.name} VALUES ({number + self.from_elsewhere}, {literals})"
        if self.from_elsewhere:
            yield f"UPDATE {self.name} SET id = id - {self.from_elsewhere}"

    def expected(self, number: int, *, nulls: bool) -> Item:
        absent: Item = {name: {"NULL": True} for name in self.columns} if nulls else {}
        present = {name: attribute for name, (_, attribute) in self.rows[number].items()}
        return by_value({"id": {"N": str(number)}, **absent, **present})  # type: ignore[no-any-return]

    def wrong(self, road: str, found: Item | None, number: int, *, nulls: bool) -> Iterator[str]:
        """A line for each case that has another value."""
        got, wanted = by_value(found or {}), self.expected(number, nulls=nulls)
        for name in sorted(got.keys() | wanted.keys()):
            if got.get(name) != wanted.get(name):
                case = f"{self.columns.get(name, name)} = {self.rows[number].get(name, ('NULL',))[0]}"
                yield f"{road}: {case[:90]}: {_short(got.get(name))}, not {_short(wanted.get(name))}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:90]}...{text[-90:]}"


def laid(name: str, columns: cases.Columns, flavor: str, elsewhere: int = 0) -> Laid:
    names = {f"c{number}": definition for number, definition in enumerate(columns)}
    rows = [
        {
            column: (sql, getattr(attribute, flavor) if isinstance(attribute, Differs) else attribute)
            for column, case in zip(names, some, strict=True)
            if case is not None
            for sql, attribute in [case]
        }
        for some in zip_longest(*(found.items() for found in columns.values()))
    ]
    return Laid(f"{name}{elsewhere or ''}", names, [*rows, {}], elsewhere)


def compare(server: Server, tables: Sequence[Laid], start: Place) -> list[str]:
    wrong: list[str] = []
    for nulls in ("leave-out", "attribute"):
        text = rows_as_items([table.name for table in tables], null=f'"{nulls}"')
        for road, arrived in zip(("bulk", "stream"), both(server, start, text), strict=True):
            wrong += [
                f"{road} refused {key}: {why}" for some in arrived.refused.values() for key, why in some
            ]
            for table in tables:
                found = arrived.by(table.name, "id")
                assert len(found) == len(table.rows)
                for number in range(len(table.rows)):
                    item = found.get((str(number),))
                    wrong += table.wrong(road, item, number, nulls=nulls == "attribute")
    return wrong


def test_every_type_is_the_same_on_both_methods(server: Server) -> None:
    tables = [
        laid(name, columns, server.flavor, elsewhere)
        for name, columns in cases.TABLES[server.flavor].items()
        for elsewhere in (0, 1000)
    ]
    start = run(server, *(statement for table in tables for statement in table.statements))
    wrong = compare(server, tables, start)
    assert not wrong, "\n".join(wrong)


def test_old_temporal_formats_of_mariadb(mariadb: Server) -> None:
    """Read without fractions; refused with, until the table is written anew."""
    whole = {definition: found for definition, found in cases.TEMPORAL.items() if "(" not in definition}
    old, fractions = laid("old", whole, "mariadb"), laid("fractions", cases.TEMPORAL, "mariadb")
    try:
        start = run(
            mariadb, "SET GLOBAL mysql56_temporal_format = OFF", *old.statements, *fractions.statements
        )
        wrong = compare(mariadb, [old], start)
    finally:
        run(mariadb, "SET GLOBAL mysql56_temporal_format = ON")
    assert not wrong, "\n".join(wrong)
    mapping = Mapping.parse(rows_as_items(["fractions"]))
    with pytest.raises(
        SourceNotReady, match=r"fractions of test\.fractions is in MariaDB 5.3's format in c2"
    ):
        bulk_road(mariadb, mapping)
    after = run(mariadb, "ALTER TABLE fractions FORCE", "UPDATE fractions SET id = id + 1000")
    after = run(mariadb, "UPDATE fractions SET id = id - 1000")
    wrong = compare(mariadb, [fractions], after)
    assert not wrong, "\n".join(wrong)


def test_what_dynamodb_cannot_take_is_quarantined_by_both_methods_with_one_reason(server: Server) -> None:
    refused = cases.REFUSED[server.flavor]
    tables = [f"r{number}" for number in range(len(refused))]
    statements = [
        statement
        for table, (definition, sql, _) in zip(tables, refused, strict=True)
        for statement in (
            f"CREATE TABLE {table} (id INT PRIMARY KEY, v {definition})",
            f"INSERT INTO {table} VALUES (1, {sql}), (2, NULL)",
        )
    ]
    start = run(server, *statements)
    for arrived in both(server, start, rows_as_items(tables)):
        for table, (definition, sql, reason) in zip(tables, refused, strict=True):
            named = f"{definition} = {sql[:80]}"
            assert [key for key, _ in arrived.refused.get(f"test.{table}", [])] == [{"id": 1}], named
            assert reason in arrived.refused[f"test.{table}"][0][1], named
            assert list(arrived.by(table, "id")) == [("2",)], named


def test_types_of_the_mapping(server: Server) -> None:
    overridden = cases.OVERRIDDEN[server.flavor]
    names = [f"c{number}" for number in range(len(overridden))]
    columns = ", ".join(f"{name} {case[0]}" for name, case in zip(names, overridden, strict=True))
    row = ", ".join(sql for _, _, sql, _ in overridden)
    start = run(server, f"CREATE TABLE o (id INT PRIMARY KEY, {columns})", f"INSERT INTO o VALUES (1, {row})")
    types = {name: f'{{ type = "{case[1]}" }}' for name, case in zip(names, overridden, strict=True)}
    text = rows_as_items(["o"], **{f"columns.{name}": rule for name, rule in types.items()})
    for arrived in both(server, start, text):
        found = by_value(arrived.by("o", "id")["1",])
        for name, (definition, kind, sql, attribute) in zip(names, overridden, strict=True):
            assert found[name] == by_value(attribute), f"{definition} as {kind}: {sql[:80]}"


def test_a_timestamp_is_utc_whatever_the_writers_zone(server: Server) -> None:
    zones = {"+00:00": "12:00:00", "+09:00": "03:00:00", "-12:00": "24:00:00", "+13:00": "-1"}
    statements = ["CREATE TABLE z (id INT PRIMARY KEY, ts TIMESTAMP(3) NULL, dt DATETIME)"]
    for number, zone in enumerate(zones):
        moment = "'2026-11-23 12:00:00'"
        statements += [f"SET time_zone = '{zone}'", f"INSERT INTO z VALUES ({number}, {moment}, {moment})"]
    start = run(server, *statements)
    utc = ["2026-11-23 12:00:00", "2026-11-23 03:00:00", "2026-11-24 00:00:00", "2026-11-22 23:00:00"]
    for arrived in both(server, start, rows_as_items(["z"])):
        found = [item for _, item in sorted(arrived.by("z", "id").items())]
        assert [item["ts"]["S"] for item in found] == utc
        assert {item["dt"]["S"] for item in found} == {"2026-11-23 12:00:00"}


def test_wide_tables_and_strange_names(server: Server) -> None:
    names = ["a'b", 'c"d', "{e}", "f\\g", "수량 qty", "h\ni", "None", "data", "p%q", "%s", "_x", "``"]
    quoted = [f"`{name.replace('`', '``')}`" for name in names]
    many = {f"n{number}": None if number % 3 else number for number in range(1, 300)}
    start = run(
        server,
        f"CREATE TABLE s (id INT PRIMARY KEY, {', '.join(f'{name} INT' for name in quoted)})",
        f"INSERT INTO s VALUES (7, {', '.join(map(str, range(len(names))))})",
        f"CREATE TABLE w (id INT PRIMARY KEY, {', '.join(f'{name} BIGINT' for name in many)})",
        f"INSERT INTO w VALUES (7, {', '.join(str(value or 'NULL') for value in many.values())})",
    )
    for arrived in both(server, start, rows_as_items(["s", "w"])):
        assert arrived.items["s"] == [
            {"id": {"N": "7"}, **{name: {"N": str(number)} for number, name in enumerate(names)}}
        ]
        present = {name: {"N": str(value)} for name, value in many.items() if value}
        assert arrived.items["w"] == [{"id": {"N": "7"}, **present}]


GENERATED = {
    "mysql": "v INT AS (id + 1), st INT AS (id + 2) STORED, i INT INVISIBLE,"
    " ti DATE AS (DATE('2026-01-02')) INVISIBLE",
    "mariadb": "v INT AS (id + 1) VIRTUAL, st INT AS (id + 2) STORED, i INT INVISIBLE,"
    " ti DATE AS ('2026-01-02') INVISIBLE",
}
HIDDEN = {
    "mysql": ["ALTER TABLE g ADD INDEX ((id * 2)), ADD INDEX ((CAST(t AS CHAR(9))))"],
    "mariadb": ["ALTER TABLE g ADD UNIQUE (t)"],
}


def test_generated_invisible_and_hidden_columns(server: Server) -> None:
    start = run(
        server,
        f"CREATE TABLE g (id INT PRIMARY KEY, {GENERATED[server.flavor]}, t VARCHAR(3000), z INT)",
        *HIDDEN[server.flavor],
        "INSERT INTO g (id, i, t, z) VALUES (1, 5, 'x', 9), (2, NULL, 'y', NULL), (3, 1, 'z', 1)",
        "UPDATE g SET i = 6, t = REPEAT('x', 2000) WHERE id = 1",
        "DELETE FROM g WHERE id = 3",
    )
    kept = {name: {"NULL": True} for name in ("i", "z")}
    day = {"ti": {"S": "2026-01-02"}}
    expected = {
        ("1",): {
            "id": {"N": "1"}, "v": {"N": "2"}, "st": {"N": "3"}, "i": {"N": "6"}, "z": {"N": "9"},
            "t": {"S": "x" * 2000}, **day,
        },
        ("2",): {"id": {"N": "2"}, "v": {"N": "3"}, "st": {"N": "4"}, "t": {"S": "y"}, **kept, **day},
    }  # fmt: skip
    for arrived in both(server, start, rows_as_items(["g"], null='"attribute"')):
        assert arrived.by("g", "id") == expected


def test_system_versioned_tables_of_mariadb_are_refused(mariadb: Server) -> None:
    """An update writes the row of before as an insert behind itself, a delete is an update."""
    run(mariadb, "CREATE TABLE h (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING")
    with pytest.raises(SourceNotReady, match=r"kind of test\.h is system versioned.*DROP SYSTEM VERSIONING"):
        bulk_road(mariadb, Mapping.parse(rows_as_items(["h"])))


def test_views_are_refused(server: Server) -> None:
    run(server, "CREATE TABLE t (id INT PRIMARY KEY)", "CREATE VIEW w AS SELECT id FROM t")
    with pytest.raises(SourceNotReady, match=r"kind of test\.w is view"):
        bulk_road(server, Mapping.parse(rows_as_items(["w"])))


def test_the_invisible_primary_key_of_mysql(mysql: Server) -> None:
    start = run(
        mysql,
        "SET sql_generate_invisible_primary_key = ON",
        "CREATE TABLE k (id INT NOT NULL)",
        "INSERT INTO k VALUES (7)",
    )
    for arrived in both(mysql, start, rows_as_items(["k"])):
        assert arrived.items["k"] == [{"id": {"N": "7"}, "my_row_id": {"N": "1"}}]


def test_addresses_of_mariadb_next_to_the_same_bytes(mariadb: Server) -> None:
    start = run(
        mariadb,
        "CREATE TABLE i (id INT PRIMARY KEY, i4 INET4, b4 BINARY(4), i6 INET6, b16 BINARY(16), u UUID,"
        " c4 CHAR(4) CHARACTER SET latin1, c16 CHAR(16) CHARACTER SET latin1)",
        "INSERT INTO i VALUES (1, '97.98.99.100', 'abcd', '6162:6364:6566:6768:696a:6b6c:6d6e:6f70',"
        " 'abcdefghijklmnop', '61626364-6566-6768-696a-6b6c6d6e6f70', 'abcd', 'abcdefghijklmnop')",
    )  # fmt: skip
    expected = {
        "id": {"N": "1"},
        "i4": {"S": "97.98.99.100"},
        "b4": {"B": b"abcd"},
        "i6": {"S": "6162:6364:6566:6768:696a:6b6c:6d6e:6f70"},
        "b16": {"B": b"abcdefghijklmnop"},
        "u": {"S": "61626364-6566-6768-696a-6b6c6d6e6f70"},
        "c4": {"S": "abcd"},
        "c16": {"S": "abcdefghijklmnop"},
    }
    for arrived in both(mariadb, start, rows_as_items(["i"])):
        assert arrived.items["i"] == [expected]


PACKED = {
    "mysql": ["SET binlog_row_value_options = PARTIAL_JSON, binlog_transaction_compression = ON"],
    "mariadb": ["SET GLOBAL log_bin_compress = ON, log_bin_compress_min_len = 10"],
}
LONG = {"a": 1, "list": [1, {"n": 2}, 3], "pad": "x" * 90}
CHANGED = {
    "mysql": "JSON_REMOVE(JSON_ARRAY_INSERT(JSON_SET(j, '$.a', -1.50, '$.b', 'é'),"
    " '$.list[1]', NULL), '$.list[0]')",
    "mariadb": "CONCAT(j, ' ')",
}
AFTERWARDS = {
    "mysql": cases.document({**LONG, "a": Decimal("-1.5"), "b": "é", "list": [None, {"n": 2}, 3]}),
    "mariadb": cases.s(json.dumps(LONG) + " "),
}


def test_packed_changes(server: Server) -> None:
    try:
        start = run(
            server,
            "CREATE TABLE p (id INT PRIMARY KEY, j JSON, k JSON, v VARCHAR(300))",
            f"INSERT INTO p VALUES (1, '{json.dumps(LONG)}', '[1]', REPEAT('한', 99)), (2, NULL, '[]', NULL)",
            f"UPDATE p SET j = {CHANGED[server.flavor]}, v = REPEAT('y', 300)",
            "DELETE FROM p WHERE id = 2",
            session=[SESSION, *PACKED[server.flavor]],
        )
    finally:
        if server.flavor == "mariadb":
            run(server, "SET GLOBAL log_bin_compress = OFF, log_bin_compress_min_len = DEFAULT")
    k = cases.document([1]) if server.flavor == "mysql" else cases.s("[1]")
    expected = {"id": {"N": "1"}, "j": AFTERWARDS[server.flavor], "k": k, "v": {"S": "y" * 300}}
    for arrived in both(server, start, rows_as_items(["p"])):
        assert by_value(arrived.items["p"]) == [by_value(expected)]


GROUPED = """[[table]]
source = "test.m"
target = "m"
layout = "attribute-per-row"
hash_key = { attribute = "pk", column = "k" }
member_name = "name"
member_value = "v"
"""


def test_nulls_and_empty_strings_in_keys_names_and_values(server: Server) -> None:
    rows = [
        ("'a'", "'n'", "''"), ("'a'", "'o'", "NULL"), ("'a'", "' '", "'x'"), ("' '", "'n'", "'x'"),
        ("''", "'n'", "'x'"), ("NULL", "'n'", "'x'"), ("'a'", "''", "'x'"), ("'a'", "NULL", "'x'"),
    ]  # fmt: skip
    start = run(
        server,
        "CREATE TABLE m (id INT PRIMARY KEY, k VARCHAR(9), name VARCHAR(9) CHARACTER SET utf16,"
        " v VARCHAR(9))",
        *(f"INSERT INTO m VALUES ({number}, {', '.join(row)})" for number, row in enumerate(rows)),
    )
    loaded, streamed = both(server, start, GROUPED)
    for arrived in (loaded, streamed):
        assert arrived.by("m", "pk") == {
            ("a",): {"pk": {"S": "a"}, "n": {"S": ""}, "o": {"NULL": True}, " ": {"S": "x"}},
            (" ",): {"pk": {"S": " "}, "n": {"S": "x"}},
        }
        assert sorted(map(repr, (key for key, _ in arrived.refused["test.m"]))) == [
            "{'k': '', 'name': 'n'}",
            "{'k': 'a', 'name': ''}",
            "{'k': 'a', 'name': None}",
            "{'k': None, 'name': 'n'}",
        ]
    assert sorted(map(repr, loaded.refused["test.m"])) == sorted(map(repr, streamed.refused["test.m"]))


def test_the_emulated_dynamodb_keeps_what_the_roads_give(server: Server, fresh_cloud: Cloud) -> None:
    """One sample, put as it is and read again: nothing of it is only right in memory."""
    found_in = cases.TABLES[server.flavor]
    table = laid("kept", found_in["choices"] | found_in["numbers"] | found_in["temporal"], server.flavor)
    start = run(server, *table.statements)
    dynamodb = fresh_cloud.client("dynamodb")
    dynamodb.create_table(
        TableName="kept",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    for arrived in both(server, start, rows_as_items(["kept"], null='"attribute"')):
        for item in arrived.items["kept"]:
            dynamodb.put_item(TableName="kept", Item=item)
        for number in range(len(table.rows)):
            found = dynamodb.get_item(TableName="kept", Key={"id": {"N": str(number)}})["Item"]
            assert list(table.wrong("read again", found, number, nulls=True)) == []
