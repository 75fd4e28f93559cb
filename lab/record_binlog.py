"""
Writes tests/unit/binlog/{mysql,mariadb}.hex: real events, one a line, for tests that need no server.

    python -m lab.record_binlog
"""

import tempfile
from pathlib import Path

from lab.binlog_dump import dump, end_of_binlog
from lab.database import Server, database

FOLDER = Path(__file__).parent.parent / "tests/unit/binlog"
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


def record(server: Server) -> None:
    """Run the statements and write the events that they leave."""
    file, start = end_of_binlog(server)
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        for statement in COMMON + OWN[server.flavor]:
            cursor.execute(statement)
    lines = [packet[1:].hex() for packet in dump(server, file, start)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{server.flavor}.hex").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Record from both servers."""
    for flavor in OWN:
        with tempfile.TemporaryDirectory() as folder, database(Path(folder), flavor) as server:
            record(server)


if __name__ == "__main__":
    main()
