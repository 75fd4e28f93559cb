import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferry.verify.oracle.mapping_words import pieces
from rowferry.errors import MappingError, MissingColumn
from rowferry.mapping.template import Template


@pytest.mark.parametrize(
    ("written", "texts", "columns"),
    [
        ("plain", ("plain",), ()),
        ("", ("",), ()),
        ("${a}|${b}", ("", "|", ""), ("a", "b")),
        ("$${a}", ("${a}",), ()),
        ("$$${a}", ("$", ""), ("a",)),
        ("$$$${a}", ("$${a}",), ()),
        ("5$ {x} $", ("5$ {x} $",), ()),
        ("${a b-c.한}", ("", ""), ("a b-c.한",)),
    ],
)
def test_a_template_is_read(written: str, texts: tuple[str, ...], columns: tuple[str, ...]) -> None:
    assert Template.parse(written) == Template(texts, columns)
    assert str(Template.parse(written)) == written


@pytest.mark.parametrize("written", ["${a", "x${", "${}", "a${}b"])
def test_a_column_that_is_not_closed_or_has_no_name_is_refused(written: str) -> None:
    with pytest.raises(MappingError, match=r"\$\{ is not closed"):
        Template.parse(written)


@given(st.lists(st.text("$a{b|", max_size=5), min_size=1, max_size=4))
def test_any_template_is_written_as_it_is_read_by_both_readers(texts: list[str]) -> None:
    template = Template(tuple(texts), ("c",) * (len(texts) - 1))
    assert Template.parse(str(template)) == template
    assert list(pieces(str(template))) == [*((text, "c") for text in texts[:-1]), (texts[-1], None)]


def test_null_ends_a_key_and_is_empty_in_a_value() -> None:
    template = Template.parse("${a}-${b}")
    assert template.key({"a": 1, "b": None}) is None
    assert template.value({"a": 1, "b": None}) == "1-"
    assert template.value({"a": None, "b": None}) is None
    with pytest.raises(MissingColumn):
        template.key({"a": 1})
