"""
The hard shapes of data: tables, their rows, and the items that these have to become.

What is expected is worked out here from the rows, by DynamoDB's documented limits and not by the project's
code.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import islice, product
from typing import Any

type Row = tuple[Any, Any, Any, Any]
"""A row: the hash key, the range key, the member's name and its value."""
type Named = tuple[dict[str, Any], int, str]
"""What is unusable: its key, its rows, and words of the reason."""
type Attribute = dict[str, Any]

POSITION_BYTES = len("_pos") + 39
LIMIT = 400 * 1024
"""Bytes of an item (DynamoDB developer guide, "Constraints")."""
HASH, RANGE, NAME = 2048, 1024, 65_535
"""Bytes of keys and of a name (the same)."""
TOO_LARGE = "larger than 400 KB"

LAYOUTS = {
    "attributes": 'layout = "attribute-per-row"',
    "map": 'layout = "nested-map"\nattribute = "m"',
    "set": 'layout = "string-set"\nattribute = "m"',
}


@dataclass(frozen=True, slots=True)
class Table:
    """`types` of its columns h, r, p and n; `layout` one of LAYOUTS; `keys`: DynamoDB's types of h and r."""

    name: str
    types: str
    layout: str = "attributes"
    keys: str = "SS"
    index: str = "KEY (h, r)"

    @property
    def create(self) -> str:
        kinds = self.types.split("|")
        columns = ", ".join(f"{name} {kind} NOT NULL" for name, kind in zip("hrpn", kinds, strict=True))
        return f"CREATE TABLE {self.name} ({columns}, {self.index}) CHARACTER SET utf8mb4"

    @property
    def mapping(self) -> str:
        first, second = self.keys
        return f"""
[[table]]
source = "test.{self.name}"
target = "{self.name}"
{LAYOUTS[self.layout]}
hash_key = {{ attribute = "h", type = "{first}" }}
range_key = {{ attribute = "r", type = "{second}" }}
member_name = "p"
member_value = "n"
"""


@dataclass(frozen=True, slots=True)
class Case:
    """Rows of a table that have keys of their own there, and which of them are `named` as unusable."""

    sentence: str
    table: Table
    rows: Callable[[], Sequence[Row]]
    named: Callable[[], Sequence[Named]] = list

    def items(self) -> list[dict[str, Attribute]]:
        """The items of the usable rows, without `_pos`."""
        left_out = [key for key, _, _ in self.named()]
        found: dict[Any, dict[Any, Any]] = {}
        for h, r, p, n in self.rows():
            if {"h": h, "r": r} not in left_out and {"h": h, "r": r, "p": p} not in left_out:
                found.setdefault((h, r), {})[p] = n
        return [self._item(key, members) for key, members in found.items()]

    def _item(self, key: Any, members: Mapping[Any, Any]) -> dict[str, Attribute]:
        item = {name: {kind: part} for name, kind, part in zip("hr", self.table.keys, key, strict=True)}
        stored = {p: {"S": n} if isinstance(n, str) else {"N": n} for p, n in members.items()}
        if self.table.layout == "attributes":
            return item | stored
        if self.table.layout == "map":
            return item | {"m": {"M": stored}}
        return item | {"m": {"SS": [f"{p}:{n}" for p, n in members.items()]}}


# groups of many rows

MANY = 50_000
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def crowds(value: Callable[[int], Any]) -> Callable[[], list[Row]]:
    """A group that no item can hold, one as long that an item can, and a small one."""

    def rows() -> list[Row]:
        short = islice(map("".join, product(LETTERS, repeat=3)), MANY)
        large = [("crowd", "large", f"product-{n:06d}", value(n)) for n in range(MANY)]
        fits = [("crowd", "fits", name, value(n % 10)) for n, name in enumerate(short)]
        return [*large, *fits, ("crowd", "small", "p", value(1))]

    return rows


def crowded() -> list[Named]:
    return [({"h": "crowd", "r": "large"}, MANY, TOO_LARGE)]


# groups that are about as large as an item may be

SIZES = {
    "below": 399 * 1024,
    "exact": LIMIT,
    "one more": LIMIT + 1,
    "above": 401 * 1024,
}
MEMBERS = 10


def sizes(layout: str) -> Callable[[], list[Row]]:
    return lambda: [row for name, size in SIZES.items() for row in _of_size(layout, name, size)]


def _of_size(layout: str, name: str, size: int) -> Iterator[Row]:
    """Texts of two-byte characters, so that bytes and characters differ; the last one fills up."""
    left = size - len("h") - len("size") - len("r") - len(name) - POSITION_BYTES
    # a map: 3 bytes, and 1 for each entry; a set: its strings are "p0:..."
    left -= {"attributes": 0, "map": len("m") + 3 + MEMBERS, "set": len("m") + MEMBERS}[layout]
    left -= MEMBERS * len("p0")
    for number in range(MEMBERS):
        part = left // MEMBERS + (left % MEMBERS if number == MEMBERS - 1 else 0)
        yield "size", name, f"p{number}", "é" * (part // 2) + "x" * (part % 2)


def oversized() -> list[Named]:
    return [({"h": "size", "r": name}, MEMBERS, TOO_LARGE) for name, size in SIZES.items() if size > LIMIT]


DIGITS = 1000


def numbers_near_the_limit() -> list[Row]:
    """
    Each number takes a byte for two digits and one more. With a byte more for each they would be too large.
    """
    left = LIMIT - DIGITS // 2 - len("h") - len("size") - len("r") - len("numbers") - POSITION_BYTES
    longest = left // DIGITS - 2
    return [("size", "numbers", f"{n}".rjust(longest, "x"), 37) for n in range(DIGITS)]


# keys and names of every character


def _blocks() -> Iterator[str]:
    """All characters but the half surrogates: those of the basic plane, and some of each further one."""
    codes = [code for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(codes), 128):
        yield "".join(map(chr, codes[start : start + 128]))
    for plane in range(1, 17):
        yield "".join(map(chr, (plane << 16, (plane << 16) + 0x1234, (plane << 16) + 0xFFFF)))


ODD = [
    "\\N", "\\\\N", "NULL", "null", '"', '""', "''", "\\", "\\\\", "\\0", "\t", "\n", "\r\n", "\n\n",
    ",", ",,", '","', '"\n"', " ", "  ", " x", "x ", " x ", "\tx\t", "e\u0301", "\u00e9", "\u0301",
    "한글", "ﷺ", "👩‍👩‍👧", "\ufeffx", '{"S":"x"}', '":null', "},", "%s", "${h}", "#", "_", ".",
    "/", "é" * 30, "\x1a", "\x00", "\x00x", "x\x00",
]  # fmt: skip


@cache
def texts() -> list[str]:
    return list(dict.fromkeys([*map(chr, range(256)), *_blocks(), *ODD]))


def text_keys() -> list[Row]:
    hashes = [*texts(), "x" * HASH, "é" * (HASH // 2), "😀" * (HASH // 4), *_long(HASH)]
    ranges = [*texts(), "x" * RANGE, "é" * (RANGE // 2), "😀" * (RANGE // 4), *_long(RANGE)]
    return [(text, "range", "p", 1) for text in [*hashes, ""]] + [
        ("hash", text, "p", 2) for text in [*ranges, ""]
    ]


def _long(limit: int) -> list[str]:
    return ["x" * (limit + 1), "é" * (limit // 2) + "x", "😀" * (limit // 4) + "x"]


def unusable_texts() -> list[Named]:
    found: list[Named] = [
        ({"h": text, "r": "range", "p": "p"}, 1, "longer than 2048") for text in _long(HASH)
    ]
    found += [({"h": "hash", "r": text, "p": "p"}, 1, "longer than 1024") for text in _long(RANGE)]
    found += [({"h": h, "r": r, "p": "p"}, 1, "empty") for h, r in (("", "range"), ("hash", ""))]
    return found


ALIKE = [
    "A",
    "a",
    "á",
    "a\u0301",
    "ä",
    "ae",
    "æ",
    "ß",
    "ss",
    "s",
    "S",
    "B",
    "B ",
    "B  ",
    "z\x00",
    "z",
    "Ω",
    "ω",
    "😀",
    "😁",
]


def alike() -> list[Row]:
    """MySQL takes many of these for one another."""
    return [(f"alike {h}", r, p, n) for n, (p, h, r) in enumerate(product(("p", "P"), ALIKE, ALIKE))]


LONGEST = ["x" * NAME, "é" * (NAME // 2) + "x", "😀" * (NAME // 4) + "xxx"]
OVER = ["x" * (NAME + 1), "é" * (NAME // 2 + 1)]


def member_names(value: Any) -> Callable[[], list[Row]]:
    return lambda: [
        *(("name", "texts", text, value) for text in [*texts(), ""]),
        *(("name", "long", text, value) for text in [*LONGEST, *OVER]),
    ]


def unusable_names() -> list[Named]:
    found: list[Named] = [({"h": "name", "r": "long", "p": text}, 1, "longer than 65535") for text in OVER]
    return [*found, ({"h": "name", "r": "texts", "p": ""}, 1, "empty")]


def unusable_attributes() -> list[Named]:
    """The key attributes have these names."""
    reserved = ({"h": "name", "r": "texts", "p": name} for name in "hr")
    return [*unusable_names(), *((key, 1, "name of a key attribute") for key in reserved)]


def unusable_set_names() -> list[Named]:
    separated = [text for text in texts() if ":" in text]
    found: list[Named] = [({"h": "name", "r": "texts", "p": text}, 1, "separator") for text in separated]
    return [*unusable_names(), *found]


def byte_keys() -> list[Row]:
    """Every byte alone, at the beginning, in the middle and at the end."""
    each = [bytes([byte]) for byte in range(256)]
    found = [key for byte in each for key in (byte, byte + b"bc", b"a" + byte + b"c", b"ab" + byte)]
    found = list(dict.fromkeys([*found, b"".join(each), b"\x00" * 9, b"  ", "é".encode(), b"\xff" * RANGE]))
    hashes = [*found, b"\xff" * HASH, b"\x00" * (HASH + 1), b""]
    ranges = [*found, b"\x00" * (RANGE + 1), b""]
    return [(key, b"range", "p", 1) for key in hashes] + [(b"hash", key, "p", 2) for key in ranges]


def unusable_bytes() -> list[Named]:
    return [
        ({"h": b"\x00" * (HASH + 1), "r": b"range", "p": "p"}, 1, "longer than 2048"),
        ({"h": b"hash", "r": b"\x00" * (RANGE + 1), "p": "p"}, 1, "longer than 1024"),
        ({"h": b"", "r": b"range", "p": "p"}, 1, "empty"),
        ({"h": b"hash", "r": b"", "p": "p"}, 1, "empty"),
    ]


WHOLE = [Decimal(n) for n in (0, 1, -1, 2**64 - 1, 2**53 + 1, 10**38 - 1, 1 - 10**38, 10**64, 5 - 10**37)]
WIDE = [Decimal(n) for n in (10**38 + 1, -(10**64) - 1)]
REAL = [0.0, 0.1, -1.5, 1e-130, 9.99e125, -9.99e125, 1e22, 5e-130, 123456789.125]
FAR = [1e126, -1e126, 1e-131, 5e-324, 1.7976931348623157e308]


def number_keys() -> list[Row]:
    rows = [(whole, 0.5, "p", 1) for whole in [*WHOLE, *WIDE]]
    return rows + [(Decimal(7), real, "p", 2) for real in [*REAL, *FAR]] + [(Decimal(7), -0.0, "q", 3)]


def unusable_numbers() -> list[Named]:
    found: list[Named] = [({"h": whole, "r": 0.5, "p": "p"}, 1, "38 digits") for whole in WIDE]
    return [*found, *(({"h": Decimal(7), "r": real, "p": "p"}, 1, "38 digits") for real in FAR)]


EQUAL = "COLLATE utf8mb4_general_ci"
PREFIXES = "KEY (h(100), r(100))"
GROUPS = f"VARCHAR(60)|VARCHAR(60)|LONGTEXT {EQUAL}"
WITH_NUMBERS = Table("with_numbers", f"{GROUPS}|INT")
WITH_TEXTS = Table("with_texts", f"{GROUPS}|LONGTEXT")
MAPS = Table("maps", f"{GROUPS}|LONGTEXT", "map")
SETS = Table("sets", f"{GROUPS}|LONGTEXT", "set")
NOTHING, SINGLE = (Table(name, f"{GROUPS}|INT") for name in ("nothing", "single"))
TEXTS = Table("texts", f"VARCHAR(2100) {EQUAL}|VARCHAR(1100) {EQUAL}|VARCHAR(60)|INT", index=PREFIXES)
BYTES = Table("bytes", "VARBINARY(2100)|VARBINARY(1100)|VARCHAR(60)|INT", keys="BB", index=PREFIXES)
NUMBERS = Table("numbers", "DECIMAL(65,0)|DOUBLE|VARCHAR(60)|INT", keys="NN")

CASES = [
    Case("50,000 rows are an item or named", WITH_NUMBERS, crowds(int), crowded),
    Case("50,000 rows are a set or named", SETS, crowds(str), crowded),
    Case("items of about 400 KB", WITH_TEXTS, sizes("attributes"), oversized),
    Case("maps of about 400 KB", MAPS, sizes("map"), oversized),
    Case("sets of about 400 KB", SETS, sizes("set"), oversized),
    Case("numbers in just below 400 KB", WITH_NUMBERS, numbers_near_the_limit),
    Case("a table without rows", NOTHING, list),
    Case("a table of one row", SINGLE, lambda: [("c", "o", "p", 7)]),
    Case("text keys of every character", TEXTS, text_keys, unusable_texts),
    Case("keys that MySQL takes for equal", TEXTS, alike),
    Case("attribute names of every character", WITH_NUMBERS, member_names(1), unusable_attributes),
    Case("map entries of every character", MAPS, member_names("v"), unusable_names),
    Case("set members of every character", SETS, member_names("v"), unusable_set_names),
    Case("binary keys of every byte", BYTES, byte_keys, unusable_bytes),
    Case("number keys at the limits", NUMBERS, number_keys, unusable_numbers),
]
TABLES = list({case.table.name: case.table for case in CASES}.values())
