"""SQL text as tokens. The expectations were tried out on MySQL 9.7 and MariaDB 10.11."""

import pytest

from capturer.ddl.sql_tokens import NotUnderstood, meant, tokens
from rowferry.mysql.dialect import ANSI_QUOTES, SqlDialect, folded

MYSQL = SqlDialect("mysql", (9, 7, 4))
MARIADB = SqlDialect("mariadb", (10, 11, 18))


def texts(sql: str, dialect: SqlDialect = MYSQL) -> list[str]:
    return [token.text for token in tokens(sql, dialect)]


def test_text_and_comments_hide_nothing_but_themselves() -> None:
    sql = "a'b''c\\'d' `e``f` \"g\" -- h\n# i\n/* j */ /*!50000 k */ l.m,1-- 2"
    found = ["a", "", "e`f", "", "k", "l", ".", "m", ",", "1"]
    assert texts(sql) == found
    found[3] = "g"
    assert texts(sql, MYSQL.under(ANSI_QUOTES)) == found


@pytest.mark.parametrize("sql", ["'", "`a", '"a', "/* a", "/*! a", "/*!999999 a /* b */", "/*/ a", "@'a"])
def test_what_does_not_end_is_not_guessed(sql: str) -> None:
    with pytest.raises(NotUnderstood, match="does not end"):
        tokens(sql, MYSQL)


@pytest.mark.parametrize(
    ("comment", "mysql", "mariadb"),
    [
        ("/*! x */", True, True),
        ("/*!50000 x */", True, True),
        ("/*!50000x*/", True, True),
        ("/*!050000 x */", True, True),
        ("/*!50699 x */", True, True),
        ("/*!50700 x */", True, False),
        ("/*!80000 x */", True, False),
        ("/*!90704 x */", True, False),
        ("/*!90705 x */", False, False),
        ("/*!100000 x */", False, True),
        ("/*!101118 x */", False, True),
        ("/*!101119 x */", False, False),
        ("/*!999999 x */", False, False),
        ("/*M! x */", False, True),
        ("/*M!50700 x */", False, True),
        ("/*M!101119 x */", False, False),
        ("/*!999999 y /* z */ x */", False, False),
        ("/*! /* y */ x */", True, True),
        ("/*! /*!999999 y */ x */", True, True),
        ("/* /*!999999 */ x ", True, True),
        ("/*+ x */", False, False),
    ],
)
def test_a_comment_counts_where_the_server_executes_it(comment: str, mysql: bool, mariadb: bool) -> None:
    for dialect, executed in ((MYSQL, mysql), (MARIADB, mariadb)):
        assert texts(f"a{comment}b", dialect) == (["a", "x", "b"] if executed else ["a", "b"])


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("a\xa0b \u3000c", ["a\xa0b", "\u3000c"]),
        ("a\x0bb\x0cc\rd", ["a", "b", "c", "d"]),
        ("1--1", ["1", "-", "-", "1"]),
        ("1--\x01 2\n3", ["1", "3"]),
        ("1 #2\r3\n4", ["1", "4"]),
        ("x'41' N'a' _utf8mb4'b' n \u0078'1'", ["", "", "_utf8mb4", "", "n", ""]),
        ("1e5 1e 0x1f 0x1g $a", ["1e5", "1e", "0x1f", "0x1g", "$a"]),
        ("@a @@global.b @`c` root@localhost", ["", "", "", "root", ""]),
        ("a\0", ["a"]),
        ("*/**/ a*/b", ["*", "a", "*", "/", "b"]),
    ],
)
def test_the_letters_of_a_name_and_white_space(sql: str, found: list[str]) -> None:
    assert texts(sql) == found


def test_what_names_may_mean() -> None:
    parsed = tokens("UPDATE s . t x, `u` SET t.1e5 = 1.5, .v = 1e5", MYSQL)
    words = {("d", "UPDATE"), ("d", "SET"), ("d", "x"), ("d", "s"), ("d", "t"), ("d", "u"), ("d", "v")}
    assert meant(parsed, "d", str) - {("d", "5")} == words | {("s", "t"), ("t", "1e5")}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Quantity", "quantity", True),
        ("É", "é", True),
        ("e", "é", False),
        ("\u0130", "i", True),
        ("\u212a", "k", True),
        ("ΟΔΟΣ", "οδοσ", True),
        ("ΟΔΟΣ", "οδος", False),
        ("ß", "ss", False),
    ],
)
def test_columns_compare_letter_by_letter(one: str, other: str, same: bool) -> None:
    assert (folded(one) == folded(other)) is same
