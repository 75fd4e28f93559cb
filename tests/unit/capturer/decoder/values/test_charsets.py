"""Text of every character set."""

import pytest

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.values.charset_tables import COLLATIONS
from capturer.decoder.values.charsets import charset_of, keeps_ascii, reader


def test_latin1_has_the_controls() -> None:
    assert reader("latin1")(bytes(range(0x80, 0xA0))) == ("€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ")


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("sjis", b"a\x81\x5f\x93\xfa", "a\\日"),
        ("big5", b"\xf9\xd6", "碁"),
        ("eucjpms", b"\xad\xa1\xf5\xa1", "①\ue000"),
        ("ujis", b"\x8e\xb1\xa1\xc0\x8f\xf5\xa1", "ｱ\\\ue3ac"),
        ("gb18030", b"\xa8\xbc\x94\x39\xda\x33a", "ḿ💩a"),
        ("swe7", b"}a{", "åaä"),
        ("utf16", b"\xd8\x3d\xde\x00", "😀"),
        ("utf32", b"\0\x01\xf6\0", "😀"),
        ("koi8u", b"\xa4", "є"),
        ("hp8", b"\xa9", "ˋ"),
    ],
)
def test_text_of_character_sets(charset: str, data: bytes, text: str) -> None:
    assert reader(charset)(data) == text


def test_cut_off_text_is_refused() -> None:
    for charset in ("gbk", "gb18030", "ujis", "utf16", "utf8mb4", "utf32"):
        with pytest.raises(ValueError, match=r".+"):
            reader(charset)(b"\xe4")


def test_every_collation_has_a_reader() -> None:
    assert charset_of(8) == "latin1"
    assert charset_of(2304) == "utf8mb4"
    for charset in COLLATIONS:
        if charset != "binary":
            assert reader(charset)(b"") == ""
    assert not keeps_ascii("swe7")
    assert not keeps_ascii("ucs2")
    with pytest.raises(UnreadableColumn, match="9999"):
        charset_of(9999)
