import pytest

from bulkload.connection import HALVES
from bulkload.direct.chunk_keys import key_column
from capturer.decoder.rows.types import DECLARED
from capturer.decoder.values.charset_rules import MULTI_BYTE
from capturer.decoder.values.charset_tables import COLLATIONS, SINGLE_BYTE
from capturer.decoder.values.charsets import UTF8
from rowferry.errors import SourceNotReady
from rowferry.mysql.select import CHARSETS, SourceColumn, note, reading, selection
from rowferry.values import Json


def test_both_methods_know_the_same_types() -> None:
    assert {type_ for type_ in DECLARED if reading(SourceColumn("c", type_, "utf8mb4")) is None} == set()


def test_both_methods_know_the_same_character_sets() -> None:
    assert COLLATIONS.keys() | UTF8 == CHARSETS


@pytest.mark.parametrize(
    ("type_", "charset"), [("xmltype", None), ("varchar", "klingon"), ("enum", "klingon"), ("set", "binary")]
)
def test_what_is_not_known_is_refused_by_name(type_: str, charset: str | None) -> None:
    with pytest.raises(SourceNotReady, match=rf"column c\$ is {type_}"):
        selection([SourceColumn("c$", type_, charset)])


def test_values_are_made_where_the_driver_gives_others() -> None:
    columns = [
        SourceColumn("id", "int"),
        SourceColumn("s", "set", "latin1"),
        SourceColumn("f", "float"),
        SourceColumn("j", "json"),
    ]
    chosen = selection([*columns, SourceColumn("u", "text", "ucs2")])
    assert chosen.listed == "`id`, `s`, `f` * 1e0, `j`, CAST(`u` AS BINARY)"
    fetched = [(1, "a,,b", 1.100000023841858, '{"a": 1.0}', b"\xd8\x00\x00A"), (2, "", None, "null", None)]
    assert [tuple(row) for row in chosen.values(fetched)] == [
        (1, ("a", "b"), 1.1, Json({"a": 1}), "\ufffdA"),
        (2, (), None, Json(None), None),
    ]


def test_rows_of_plain_columns_are_not_copied() -> None:
    fetched = [(1, "a")]
    assert (
        selection([SourceColumn("id", "int"), SourceColumn("c", "char", "utf8mb4")]).values(fetched)
        is fetched
    )


def test_text_is_read_with_half_characters() -> None:
    assert b"a\xed\xa0\x80\xf0\x9f\x98\x80".decode(HALVES) == "a\ufffd😀"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode(HALVES)


def test_long_decimals_are_noted() -> None:
    assert "65 digits" in str(note(SourceColumn("n", "decimal", digits=65)))
    assert note(SourceColumn("n", "decimal", digits=38)) is None
    assert note(SourceColumn("n", "bigint", digits=64)) is None


def one_to_one(charset: str) -> bool:
    """Whether no two of its texts are the same in Unicode."""
    table = SINGLE_BYTE[charset]
    characters = "".join(map(chr, range(256 - len(table)))) + table
    return len(set(characters)) == 256


@pytest.mark.parametrize("charset", sorted(SINGLE_BYTE.keys() - {"ascii"}))
def test_a_table_is_cut_along_the_column_itself_where_texts_stay_apart(charset: str) -> None:
    key = key_column(SourceColumn("c", "varchar", charset, f"{charset}_bin"))
    assert key is not None
    assert (key.expression == "`c`") is one_to_one(charset)


@pytest.mark.parametrize("charset", MULTI_BYTE)
def test_where_texts_may_become_the_same_a_table_is_cut_along_what_they_become(charset: str) -> None:
    key = key_column(SourceColumn("c", "varchar", charset, f"{charset}_bin"))
    assert key is not None and key.expression == "CONVERT(`c` USING utf8mb4)"


def test_a_bound_is_compared_in_the_columns_own_collation() -> None:
    key = key_column(SourceColumn("50%", "char", "latin1", "latin1_german2_ci"))
    assert key is not None
    assert (key.selected, key.bound) == (
        "CAST(`50%%` AS BINARY)",
        "CONVERT(%s USING latin1) COLLATE latin1_german2_ci",
    )


@pytest.mark.parametrize("type_", ["float", "set", "json", "point", "vector"])
def test_a_table_is_not_cut_along_what_prints_the_same_for_different_values(type_: str) -> None:
    assert key_column(SourceColumn("c", type_)) is None
