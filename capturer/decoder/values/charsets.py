"""
Text of every character set of MySQL 9 and MariaDB 10.11, as the server itself converts it.

Python's codecs of the same names differ: MySQL's latin1 has the C1 controls where cp1252 has nothing, its
sjis keeps the backslash, and so on.
"""

import re
import struct
from collections.abc import Callable
from functools import cache

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.values.charset_rules import MULTI_BYTE, private_use
from capturer.decoder.values.charset_tables import COLLATIONS, EXCEPTIONS, SINGLE_BYTE
from capturer.decoder.wire import damaged

type Reader = Callable[[bytes], str]
"""Stored bytes to text. Raises UnicodeDecodeError or ValueError for bytes that no server stores."""

UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8"})
_UNICODE = {
    **dict.fromkeys(UTF8, "utf-8"),
    "utf16": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
}
_HALF = re.compile("[\ud800-\udfff]")


@cache
def _charset_of_collation() -> dict[int, str]:
    found = {}
    for charset, ranges in COLLATIONS.items():
        for run in ranges.split():
            first, _, last = run.partition("-")
            found.update(dict.fromkeys(range(int(first), int(last or first) + 1), charset))
    return found


def charset_of(collation: int) -> str:
    """
    The character set of a collation id. Raises UnreadableColumn for one that no known server has.

    >>> charset_of(255), charset_of(63)
    ('utf8mb4', 'binary')
    """
    found = _charset_of_collation().get(collation)
    if found is None:
        raise UnreadableColumn(
            f"the collation {collation} is not known", "convert the column to utf8mb4, or leave it out"
        )
    return found


def keeps_ascii(charset: str) -> bool:
    """Whether text of bytes below 0x80 alone is ASCII: the condition of the fast path."""
    return charset in UTF8 or charset in MULTI_BYTE or len(SINGLE_BYTE.get(charset, "")) == 128


@cache
def reader(charset: str) -> Reader:
    """The reader of a character set. Raises UnreadableColumn for an unknown one."""
    if codec := _UNICODE.get(charset):
        return _unicode(codec)
    if charset == "ucs2":
        return _ucs2
    if charset in MULTI_BYTE:
        return _multi_byte(charset)
    if charset in SINGLE_BYTE:
        return _single_byte(SINGLE_BYTE[charset])
    raise UnreadableColumn(
        f"the character set {charset} is not known", "convert the column to utf8mb4, or leave it out"
    )


def _unicode(codec: str) -> Reader:
    """Half a surrogate pair is not text, but servers store it: it becomes U+FFFD."""

    def read(data: bytes) -> str:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            return _HALF.sub("\N{REPLACEMENT CHARACTER}", data.decode(codec, "surrogatepass"))

    return read


def _ucs2(data: bytes) -> str:
    """ucs2 has no surrogate pairs: two adjacent halves stay two halves."""
    if len(data) % 2:
        damaged("not ucs2")
    text = "".join(map(chr, struct.unpack(f">{len(data) // 2}H", data)))
    return _HALF.sub("\N{REPLACEMENT CHARACTER}", text)


def _single_byte(characters: str) -> Reader:
    # 128 characters are the upper half, over ASCII; a character set without ASCII has all 256.
    first = 256 - len(characters)
    table = dict(enumerate(characters, start=first))
    return lambda data: data.decode("latin-1").translate(table)


class _Characters(dict[bytes, str]):
    """Cache from stored unit to character."""

    def __init__(self, charset: str) -> None:
        super().__init__(EXCEPTIONS[charset])
        self._codec = MULTI_BYTE[charset].codec

    def __missing__(self, unit: bytes) -> str:
        try:
            character = unit.decode(self._codec)
        except UnicodeDecodeError:
            # `?` is what servers make of such bytes.
            character = private_use(unit) if self._codec == "euc_jp" else "?"
        self[unit] = character
        return character


def _multi_byte(charset: str) -> Reader:
    characters, unit = _Characters(charset), MULTI_BYTE[charset].unit

    def read(data: bytes) -> str:
        units = unit.findall(data)
        if sum(map(len, units)) != len(data):  # `findall` skips what matches nothing
            damaged(f"not {charset}")
        return "".join(map(characters.__getitem__, units))

    return read
