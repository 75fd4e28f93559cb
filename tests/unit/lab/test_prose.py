import pytest

from lab import prose


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("x" * 120, []),
        ("x" * 121, [(1, "121 characters, 120 are the most")]),
        ("One.\n\nIt is set\naside here.", [(3, "says 'set aside'")]),
        ("- one\n- What became\n  of it", [(2, "says 'What became of'")]),
        ("| a | lies behind |", [(1, "says 'lies behind'")]),
        ("`capturer --anew` and ANEW", []),
        ("begin anew", [(1, "says 'anew'")]),
        ("by another road", [(1, "says 'road'")]),
        ("`--road` and roadmap", []),
        ("**bold** and `**` and\n**more\nbold**", []),
        ("**No end. And on", [(1, "has emphasis or a code span that does not end")]),
        ("- **one**\n- **two", [(2, "has emphasis or a code span that does not end")]),
        ("a `span", [(1, "has emphasis or a code span that does not end")]),
        ("```sh\nls **/*.py\n```\nfine", []),
        ("```\nhe was told\n```", [(2, "says 'told'")]),
    ],
)
def test_documents(text: str, wrong: list[tuple[int, str]]) -> None:
    assert list(prose.of_document(text)) == wrong


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("told = 1", []),
        ('"""It was told."""', [(1, "says 'told'")]),
        ("x = 1  # mended", [(1, "says 'mended'")]),
        ('f"{told} anew"', [(1, "says 'anew'")]),
        ('"--anew"', []),
    ],
)
def test_strings_and_comments_of_python(source: str, wrong: list[tuple[int, str]]) -> None:
    assert list(prose.of_python(source)) == wrong
