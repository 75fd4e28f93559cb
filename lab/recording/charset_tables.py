"""
Writes capturer/decoder/values/charset_tables.py: how the servers themselves convert each character set.

    python -m lab.recording.charset_tables
"""

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pymysql

from capturer.decoder.values.charset_rules import MULTI_BYTE, private_use
from lab.database import Server, database

TARGET = Path(__file__).resolve().parents[2] / "capturer/decoder/values/charset_tables.py"
UNICODE = {"binary", "utf8mb3", "utf8mb4", "ucs2", "utf16", "utf16le", "utf32"}
HEAD = '''"""Character sets as MySQL and MariaDB read them. Written by lab/recording/charset_tables.py."""
# ruff: noqa: E501
'''
ASCII = "".join(map(chr, range(128)))
type Cursor = "pymysql.cursors.Cursor"


def text(cursor: Cursor, charset: str, codes: Iterable[bytes]) -> Iterator[tuple[bytes, str]]:
    """Every code that is one character in the character set, with the character; `?` if Unicode has none."""
    cursor.execute("DROP TEMPORARY TABLE IF EXISTS codes")
    cursor.execute("CREATE TEMPORARY TABLE codes (code VARBINARY(4))")
    for some in itertools.batched(codes, 4096, strict=False):
        cursor.execute("INSERT INTO codes VALUES " + ",".join(f"(x'{code.hex()}')" for code in some))
    # MySQL converts a code that is not well-formed to NULL. MariaDB does not, but its tables are the same.
    cursor.execute(
        f"SELECT code, HEX(CONVERT(CONVERT(code USING {charset}) USING utf8mb4)) FROM codes"
        f" WHERE CHAR_LENGTH(CONVERT(code USING {charset})) = 1"
    )
    for code, converted in cursor.fetchall():
        if converted is not None:
            yield code, bytes.fromhex(converted).decode()


def single_byte(cursor: Cursor, charset: str) -> str:
    """The characters of 0x00 to 0xFF."""
    found = dict(text(cursor, charset, (bytes([code]) for code in range(256))))
    return "".join(found.get(bytes([code]), "?") for code in range(256))


def exceptions(cursor: Cursor, charset: str) -> dict[bytes, str]:
    """The codes that Python decodes differently."""
    codec = MULTI_BYTE[charset].codec
    codes = [bytes(pair) for pair in itertools.product(range(0x80, 256), range(256))]
    if codec == "euc_jp":
        codes += [bytes((0x8F, *pair)) for pair in itertools.product(range(0xA1, 256), repeat=2)]
    if codec == "gb18030":
        codes += [chr(code).encode(codec) for code in (0x1E3F, 0xE7C7, 0xE5E5, 0xFFFF, 0x10FFFF)]
    found = {}
    for code, character in text(cursor, charset, codes):
        try:
            read = code.decode(codec)
        except UnicodeDecodeError:
            read = private_use(code) if codec == "euc_jp" else "?"
        if read != character:
            found[code] = character
    return found


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as text: `1-3 7`."""
    runs = []
    for _, run in itertools.groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        runs.append(f"{members[0]}-{members[-1]}" if len(members) > 1 else str(members[0]))
    return " ".join(runs)


def collations(servers: Iterable[Server]) -> dict[str, str]:
    """
    Character set to its collation ids on all servers. Raises AssertionError if these contradict each other.
    """
    found: dict[int, str] = {}
    for server in servers:
        table = {
            "mysql": "collations",
            "mariadb": "collation_character_set_applicability",
        }[server.flavor]
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT id, character_set_name FROM information_schema.{table} WHERE id > 0")
            for number, charset in cursor.fetchall():
                assert found.setdefault(number, charset) == charset
    return {
        charset: ranges(number for number, name in found.items() if name == charset)
        for charset in sorted(set(found.values()))
    }


def written(tables: Mapping[str, Any]) -> str:
    """The module's text."""
    body = "".join(f"{name} = {value!r}\n" for name, value in tables.items())
    return f"{HEAD}\n{body}"


def main() -> int:
    """Query both servers and write the module."""
    with tempfile.TemporaryDirectory() as folder:
        mysql, mariadb = Path(folder, "mysql"), Path(folder, "mariadb")
        with database(mysql) as server, database(mariadb, "mariadb") as other:
            assert server.flavor == "mysql", "MariaDB alone does not know gb18030"
            with server.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT character_set_name FROM information_schema.character_sets")
                sets = sorted({name for (name,) in cursor.fetchall()} - UNICODE)
                tables = {
                    "COLLATIONS": collations([server, other]),
                    "SINGLE_BYTE": {
                        name: single_byte(cursor, name).removeprefix(ASCII)
                        for name in sets
                        if name not in MULTI_BYTE
                    },
                    "EXCEPTIONS": {name: exceptions(cursor, name) for name in sets if name in MULTI_BYTE},
                }
    TARGET.write_text(written(tables))
    return subprocess.run([sys.executable, "-m", "ruff", "format", "--quiet", TARGET], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
