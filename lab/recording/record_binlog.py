"""
Writes tests/unit/capturer/decoder/binlog/{mysql,mariadb}{,-types}.hex: real events, one in each line, for
tests without a server.

    python -m lab.recording.record_binlog
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab.database import Server, database
from lab.recording.binlog_dump import dump, end_of_binlog

FOLDER = Path(__file__).resolve().parents[2] / "tests/unit/capturer/decoder/binlog"
COLUMNS = (
    "id BIGINT UNSIGNED PRIMARY KEY, a TINYINT, m MEDIUMINT, f FLOAT, d DECIMAL(12,3), y YEAR,"
    " b BIT(9), dt DATETIME(3), ts TIMESTAMP NULL, tm TIME(6), day DATE, c CHAR(9),"
    " l VARCHAR(9) CHARACTER SET latin1, v VARCHAR(300), bi BINARY(3), t TEXT,"
    " e ENUM('x','한'), s SET('p','q'), g POINT"
)
ROW = (
    "1, -1, -2, 1.1, -12345.678, 2026, 257, '2026-11-23 12:34:56.789', '2026-11-23 12:34:56', '-26:00:00.5',"
    " '2026-11-23', '한글', 'é', 'text', x'01', 'long', '한', 'p,q', ST_GeomFromText('POINT(1 2)')"
)
COMMON = [
    "SET time_zone = '+00:00', sql_mode = ''",
    f"CREATE TABLE t ({COLUMNS})",
    f"INSERT INTO t VALUES ({ROW})",
    "INSERT INTO t (id) VALUES (18446744073709551615)",
    "UPDATE t SET v = 'other', day = '2026-00-00', a = NULL WHERE id = 1",
    "DELETE FROM t",
    "CREATE TABLE j (id INT PRIMARY KEY, j JSON)",
    """INSERT INTO j VALUES (1, '{"a": [1, 2.5, null, true, "한"], "b": {"c": -70000, "pad": "xxxxxxxxxxxxxxxxxxxxxx"}}')""",  # noqa: E501
    "XA START 'x'",
    "INSERT INTO j VALUES (2, NULL)",
    "XA END 'x'",
    "XA PREPARE 'x'",
    "XA COMMIT 'x'",
]
OWN = {
    "mysql": [
        "UPDATE j SET j = JSON_SET(j, '$.d', JSON_ARRAY(DATE '2026-11-23', -1.10, x'ff')) WHERE id = 1",
        "SET binlog_row_value_options = PARTIAL_JSON",
        "UPDATE j SET j = JSON_SET(j, '$.a[1]', 'y') WHERE id = 1",
        "SET gtid_next = 'AUTOMATIC:tag'",
        "SET binlog_transaction_compression = ON",
        "INSERT INTO j VALUES (3, '[]')",
    ],
    "mariadb": [
        "SET GLOBAL log_bin_compress = ON",
        "SET GLOBAL log_bin_compress_min_len = 10",
        f"INSERT INTO j VALUES (3, '\"{'x' * 90}\"')",
        "UPDATE j SET j = '[]' WHERE id = 3",
        "DELETE FROM j WHERE id = 3",
        "CREATE TABLE z (a VARCHAR(300) COMPRESSED)",
        "INSERT INTO z VALUES (REPEAT('y', 300))",
    ],
}


TYPES = (
    "id INT PRIMARY KEY, i1 TINYINT UNSIGNED, i2 SMALLINT, i4 INT UNSIGNED, i8 BIGINT, big DECIMAL(65,30),"
    " d DOUBLE, b64 BIT(64), t0 TIME, t2 TIME(2), d0 DATETIME, d6 DATETIME(6), s6 TIMESTAMP(6) NULL,"
    " c3 CHAR(255), u16 VARCHAR(9) CHARACTER SET utf16, u32 CHAR(5) CHARACTER SET utf32,"
    " u2 VARCHAR(9) CHARACTER SET ucs2, sj VARCHAR(9) CHARACTER SET sjis, gb TEXT CHARACTER SET gbk,"
    " ej VARCHAR(300) CHARACTER SET eucjpms, s7 VARCHAR(9) CHARACTER SET swe7, vb VARBINARY(300),"
    " lb LONGBLOB, s9 SET('a','b','c','d','e','f','g','h','i'), ge GEOMETRY"
)
VALUES = (
    "1, 255, -2, 3, -4, -12345678901234567890.5, -1.5, 7, '-838:59:59', '-1:2:3.45', '2026-02-31 01:02:03',"
    " '2026-11-23 12:34:56.000001', '1970-01-01 00:00:01.5', '한', '한😀', '한 ', '한', '日', '中', '日',"
    " '{', x'00ff', x'ff', 'a,i', ST_GeomFromText('LINESTRING(0 0,1 1)')"
)
EVERY_TYPE = [
    "SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'",
    f"CREATE TABLE a ({TYPES})",
    f"INSERT INTO a VALUES ({VALUES})",
    "UPDATE a SET i8 = NULL, t0 = NULL, c3 = NULL, s9 = 'b'",
]
OWN_TYPES = {
    "mysql": [
        "CREATE TABLE o (id INT PRIMARY KEY, j JSON, v VECTOR(3), g VARCHAR(9) CHARACTER SET gb18030)",
        (
            "INSERT INTO o VALUES (1, JSON_OBJECT('t', TIME '-26:0:0.5', 'd', TIMESTAMP '2026-11-23 12:34:56'"
            ", 'p', ST_GeomFromText('POINT(1 2)'), 'n', 1e65, 'i', -70000, 'u', 18446744073709551615,"
            " 'l', JSON_ARRAY(REPEAT('x', 99), true, 70000, 1.5, '[]'), 'e', JSON_OBJECT()),"
            " x'0000803f', '中')"
        ),
    ],
    "mariadb": [
        "CREATE TABLE o (id INT PRIMARY KEY, c VARCHAR(99) COMPRESSED, t TEXT COMPRESSED, b BLOB COMPRESSED)",
        "INSERT INTO o VALUES (1, REPEAT('한', 40), REPEAT('x', 400), REPEAT(x'00', 400))",
    ],
}


def recorded(server: Server, statements: Sequence[str]) -> str:
    """Run the statements; return the events that they write to the binlog."""
    file, start = end_of_binlog(server)
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    return "".join(f"{packet[1:].hex()}\n" for packet in dump(server, file, start))


def main() -> None:
    """Record from both servers."""
    for flavor, own in OWN.items():
        with tempfile.TemporaryDirectory() as folder, database(Path(folder), flavor) as server:
            FOLDER.mkdir(parents=True, exist_ok=True)
            types = recorded(server, EVERY_TYPE + OWN_TYPES[flavor])
            (FOLDER / f"{flavor}-types.hex").write_text(types)
            (FOLDER / f"{flavor}.hex").write_text(recorded(server, COMMON + own))


if __name__ == "__main__":
    main()
