"""Which changes of a column's definition keep every value. As data: before, after, yes or no."""

from dataclasses import replace

import pytest

from capturer.ddl.type_changes import keeps_values
from capturer.decoder.rows.table_schema import Definition, labels


def column(text: str) -> list[Definition]:
    """`varchar(9) utf8mb4 !null auto_increment` as information_schema has it."""
    declared, *rest = text.split(";")
    kind = declared.partition("(")[0].split()[0]
    textual = kind in ("char", "varchar", "text", "mediumtext", "longtext", "tinytext", "enum", "set")
    charset = next((word for word in rest if word.startswith(("utf8", "latin", "ascii"))), "utf8mb4")
    return [
        Definition(
            "C",
            kind,
            "unsigned" in declared,
            charset if textual else None,
            labels(declared),
            declared=declared,
            nullable="notnull" not in rest,
            computed=next((word for word in rest if word.startswith(("auto", "expression"))), ""),
        )
    ]


KEPT = [
    ("int", "int"),
    ("int(11)", "bigint(20)"),
    ("tinyint", "smallint"),
    ("int unsigned", "bigint unsigned"),
    ("int unsigned", "bigint"),
    ("int;notnull", "int"),
    ("bigint;auto", "bigint;auto"),
    ("varchar(9)", "varchar(10)"),
    ("varchar(9)", "text"),
    ("varchar(9);latin1", "varchar(9);utf8mb4"),
    ("char(9)", "varchar(9)"),
    ("text;utf8mb3", "text;utf8mb4"),
    ("text;latin1", "mediumtext;utf8mb4"),
    ("longtext;latin1", "longtext;utf8mb4"),
    ("enum('a');latin1", "enum('a','b');utf8mb4"),
    ("text", "longtext"),
    ("varbinary(9)", "varbinary(99)"),
    ("blob", "mediumblob"),
    ("decimal(5,2)", "decimal(9,2)"),
    ("decimal(5,2) unsigned", "decimal(5,2)"),
    ("enum('a','b')", "enum('a','b','c')"),
    ("set('a')", "set('a','b')"),
    ("datetime(3)", "datetime(3)"),
]
CHANGED = [
    ("bigint", "int"),
    ("int", "int unsigned"),
    ("int", "bigint unsigned"),
    ("int unsigned", "int"),
    ("int", "int;notnull"),
    ("int", "int;auto"),
    ("int;expression1", "int;expression2"),
    ("int;expression1", "int"),
    ("varchar(9)", "int"),
    ("int", "varchar(20)"),
    ("varchar(10)", "varchar(9)"),
    ("varchar(9)", "char(9)"),
    ("varchar(9);utf8mb4", "varchar(9);latin1"),
    ("varchar(9)", "tinytext"),
    ("text;latin1", "text;utf8mb4"),
    ("tinytext;latin1", "tinytext;utf8mb4"),
    ("mediumtext;latin1", "mediumtext;utf8mb4"),
    ("varchar(40000);latin1", "text;utf8mb4"),
    ("longtext", "text"),
    ("text", "blob"),
    ("binary(3)", "binary(4)"),
    ("binary(3)", "varbinary(3)"),
    ("decimal(5,2)", "decimal(9,3)"),
    ("decimal(9,2)", "decimal(5,2)"),
    ("decimal(5,2)", "double"),
    ("float", "double"),
    ("enum('a','b')", "enum('b','a')"),
    ("enum('a','b')", "enum('a')"),
    ("datetime", "datetime(3)"),
    ("timestamp", "datetime"),
]


@pytest.mark.parametrize(("before", "after"), KEPT)
def test_kept(before: str, after: str) -> None:
    assert keeps_values(column(before), column(after), frozenset(["c"]))


@pytest.mark.parametrize(("before", "after"), CHANGED)
def test_changed_or_not_known(before: str, after: str) -> None:
    assert not keeps_values(column(before), column(after), frozenset(["c"]))


def test_a_column_that_is_not_there_is_not_known() -> None:
    assert not keeps_values(column("int"), column("int"), frozenset(["c", "d"]))


def test_a_column_that_is_spelled_otherwise_has_another_name() -> None:
    (old,) = column("int")
    assert not keeps_values([old], [replace(old, name="c")], frozenset(["c"]))


@pytest.mark.parametrize(("charset", "kept"), [("latin1", False), ("utf8mb4", True)])
def test_what_is_generated_from_a_text_depends_on_its_character_set(charset: str, kept: bool) -> None:
    made = replace(column("char(9)")[0], name="made", computed="hex(`C`)")
    before, after = (column(f"varchar(9);{one}") for one in (charset, "utf8mb4"))
    assert keeps_values([*before, made], [*after, made], frozenset(["c"])) is kept
