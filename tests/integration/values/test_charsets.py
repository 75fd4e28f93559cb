"""Every character set of the server, every code in it: both roads give what the server converts it to."""

from collections.abc import Iterable, Iterator
from itertools import batched, product
from typing import Any

import pytest

from lab.recording.binlog_dump import end_of_binlog
from lab.server import Server
from rowferry.mapping import Mapping
from tests.support.matrix_bed import rows_as_items, run, server
from tests.support.rows_to_items import Arrived, bulk_road, stream_road

__all__ = ["server"]
pytestmark = pytest.mark.integration

UNICODE = {
    "utf8mb3": "utf-8",
    "utf8mb4": "utf-8",
    "ucs2": "utf-16-be",
    "utf16": "utf-16-be",
    "utf16le": "utf-16-le",
    "utf32": "utf-32-be",
}
SIZES = {"varchar": "(200)", "text": "", "char": "(9)"}
IN_ONE_VALUE = 200


def code_points(charset: str) -> Iterator[int]:
    """Every one below U+3000, and some of each part of the others."""
    last = 0x10000 if charset in ("utf8mb3", "ucs2") else 0x110000
    for code in (*range(0x3000), *range(0x3000, last, 41), last - 1):
        if not 0xD800 <= code < 0xE000:
            yield code


def candidates(charset: str, size: int) -> list[bytes]:
    """Bytes that may be one character; the server knows which are."""
    if charset in UNICODE:
        return [chr(code).encode(UNICODE[charset]) for code in code_points(charset)]
    found = [bytes([code]) for code in range(256)]
    if size > 1:
        found += map(bytes, product(range(0x80, 0x100), range(0x21, 0x100)))
    if charset in ("ujis", "eucjpms"):
        found += (b"\x8f" + bytes(code) for code in product(range(0xA1, 0xFF), repeat=2))
    if charset == "gb18030":
        found += (code for point in code_points(charset) if len(code := chr(point).encode("gb18030")) == 4)
    return found


def characters(cursor: Any, charset: str, size: int) -> list[bytes]:
    """All that the server stores as one character."""
    cursor.execute(
        f"CREATE TEMPORARY TABLE codes (id INT, code VARBINARY(4), held VARCHAR(4) CHARACTER SET {charset})"
    )
    found: list[bytes] = []
    for some in batched(candidates(charset, size), 20_000, strict=False):
        codes = ",".join(f"({number},x'{code.hex()}',x'{code.hex()}')" for number, code in enumerate(some))
        cursor.execute(f"INSERT INTO codes VALUES {codes}")
        cursor.execute(
            "SELECT code FROM codes WHERE HEX(held) = HEX(code) AND CHAR_LENGTH(held) = 1 ORDER BY id"
        )
        found += (code for (code,) in cursor.fetchall())
        cursor.execute("DELETE FROM codes")
    cursor.execute("DROP TEMPORARY TABLE codes")
    return found


def fill(cursor: Any, charset: str, codes: Iterable[bytes]) -> list[tuple[bytes, ...]]:
    """A row for some of the codes: in a VARCHAR, in a TEXT, and the first one alone in a CHAR."""
    columns = ", ".join(f"`{kind}` {kind}{size} CHARACTER SET {charset}" for kind, size in SIZES.items())
    cursor.execute(f"CREATE TABLE t_{charset} (id INT PRIMARY KEY, {columns})")
    rows = list(batched(codes, IN_ONE_VALUE, strict=False))
    values = (
        f"({number}, x'{b''.join(row).hex()}', x'{b''.join(row).hex()}', x'{row[0].hex()}')"
        for number, row in enumerate(rows)
    )
    cursor.execute(f"INSERT INTO t_{charset} VALUES {','.join(values)}")
    return rows


def converted(cursor: Any, charset: str) -> dict[tuple[str], dict[str, str]]:
    """What the server makes of it in utf8mb4, past the driver's own reading."""
    columns = ", ".join(f"HEX(CONVERT(`{kind}` USING utf8mb4))" for kind in SIZES)
    cursor.execute(f"SELECT id, {columns} FROM t_{charset}")
    return {
        (str(number),): {kind: bytes.fromhex(text).decode() for kind, text in zip(SIZES, texts, strict=True)}
        for number, *texts in cursor.fetchall()
    }


def differences(
    rows: list[tuple[bytes, ...]], wanted: dict[tuple[str], dict[str, str]], arrived: Arrived, target: str
) -> Iterator[str]:
    """The codes that are read as something else."""
    found = arrived.by(target, "id")
    for number, row in enumerate(rows):
        item, right = found.get((str(number),), {}), wanted[str(number),]
        for kind, text in right.items():
            got = item.get(kind, {}).get("S")
            if got == text:
                continue
            each = zip(row, got or "", text, strict=False) if len(text) == len(row) == len(got or "") else ()
            yield from (
                f"{code.hex()} in {kind}: {one!a}, not {two!a}" for code, one, two in each if one != two
            )
            if not each:
                yield f"{kind} {number} from {row[0].hex()}: {(got or '')[:9]!a}, not {text[:9]!a}"


def test_every_code_of_every_character_set(server: Server) -> None:
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT character_set_name, maxlen FROM information_schema.character_sets"
            " WHERE character_set_name <> 'binary'"
        )
        charsets = dict(cursor.fetchall())
        assert len(charsets) >= 39
        cursor.execute("SET sql_mode = ''")
        codes = {charset: characters(cursor, charset, size) for charset, size in charsets.items()}
        assert all(len(found) >= 128 for found in codes.values())
        assert sum(map(len, codes.values())) > 250_000
        start = end_of_binlog(server)
        rows = {charset: fill(cursor, charset, found) for charset, found in codes.items()}
        wanted = {charset: converted(cursor, charset) for charset in charsets}
    mapping = Mapping.parse(rows_as_items([f"t_{charset}" for charset in charsets]))
    for arrived in (bulk_road(server, mapping), stream_road(server, start, mapping)):
        wrong = {
            charset: list(differences(rows[charset], wanted[charset], arrived, f"t_{charset}"))
            for charset in charsets
        }
        assert {charset: found[:9] for charset, found in wrong.items() if found} == {}


HALVES = {
    "mysql": {"ucs2": ["d800", "0061dfff0062"]},
    "mariadb": {
        "ucs2": ["d800", "0061dfff0062"],
        "utf32": ["0000d800"],
        "utf8mb4": ["eda080", "61edbfbf62"],
        "utf8mb3": ["eda080"],
    },
}


def test_half_a_surrogate_pair_is_replaced(server: Server) -> None:
    halves = HALVES[server.flavor]
    statements = [
        f"CREATE TABLE h_{charset} (id INT PRIMARY KEY, v VARCHAR(9) CHARACTER SET {charset})"
        for charset in halves
    ]
    for charset, found in halves.items():
        statements += [f"INSERT INTO h_{charset} VALUES ({n}, x'{code}')" for n, code in enumerate(found)]
    start = run(server, *statements, session=["SET sql_mode = ''"])
    mapping = Mapping.parse(rows_as_items([f"h_{charset}" for charset in halves]))
    for arrived in (bulk_road(server, mapping), stream_road(server, start, mapping)):
        for charset, found in halves.items():
            texts = [item["v"]["S"] for _, item in sorted(arrived.by(f"h_{charset}", "id").items())]
            assert texts == ["\ufffd", "a\ufffdb"][: len(found)], charset
