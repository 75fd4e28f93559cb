"""The text dialects of exports: round trips, and what is bad is named by its line."""

import gzip
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.exports.columns import ExportColumn
from bulkload.exports.export import Export
from bulkload.exports.formats import dms, outfile, rowferry_csv, sql_inserts
from bulkload.exports.locations import Folder
from bulkload.exports.manifest import ExportPart
from bulkload.exports.records import BadLine, ReadRows
from bulkload.exports.text_dialect import Dialect
from rowferry.errors import BadPart, Refused

COLUMNS = (
    ExportColumn("id", "int"),
    ExportColumn("note", "varchar(50)", "utf8mb4"),
    ExportColumn("data", "varbinary(50)"),
)
BLOCKS = [1, 3, 1 << 20]

# CSV of our own


@given(st.lists(st.lists(st.none() | st.text(), min_size=2, max_size=2)))
def test_csv_comes_back(rows: list[list[str | None]]) -> None:
    file = io.StringIO(newline="")
    rowferry_csv.CsvWriter(file, [ExportColumn("a", "text"), ExportColumn("b", "text")]).write(rows)
    written = io.TextIOWrapper(io.BytesIO(file.getvalue().encode()), encoding="utf-8", newline="")
    assert [list(fields) for _, fields in rowferry_csv.records(written)] == rows


@given(st.lists(st.none() | st.text()))
def test_csv_of_one_column_comes_back(values: list[str | None]) -> None:
    file = io.StringIO(newline="")
    rowferry_csv.CsvWriter(file, [ExportColumn("a", "text")]).write([[value] for value in values])
    file.seek(0)
    assert [fields[0] for _, fields in rowferry_csv.records(file)] == values


def test_csv_tells_null_from_empty_and_keeps_newlines() -> None:
    file = io.StringIO(newline="")
    rowferry_csv.CsvWriter(file, COLUMNS).write([[1, None, b""], [2, "", None], [3, 'a\r\n"b"', b"\0\xff"]])
    assert file.getvalue() == '1,,""\n2,"",\n3,"a\r\n""b""","AP8="\n'


# INTO OUTFILE

DIALECTS = [
    Dialect(),
    Dialect.parse(r"FIELDS TERMINATED BY ',' ESCAPED BY '\\' LINES TERMINATED BY '\n'"),  # the article's
    Dialect.parse("""FIELDS TERMINATED BY ',' ENCLOSED BY '"'"""),
    Dialect.parse(r"""FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '"' LINES TERMINATED BY '\r\n'"""),
    Dialect.parse(r"FIELDS TERMINATED BY '||' ESCAPED BY '^' LINES STARTING BY 'xx' TERMINATED BY '#\n'"),
    Dialect(b"\x01", b"", b"\\", b"", b"\x02"),
]
FIELDS = (
    st.none() | st.binary(max_size=20) | st.text(alphabet='\\",|#^x\r\n\0Na0', max_size=8).map(str.encode)
)


def as_outfile(rows: Sequence[Sequence[bytes | None]], dialect: Dialect) -> bytes:
    """As the server writes them: what is escaped is shown by the tests with real servers."""
    escape, quote = dialect.escaped, dialect.enclosed
    special = escape + dialect.ended[:1] + (quote or dialect.terminated[:1])

    def field(value: bytes | None) -> bytes:
        if value is None:
            return escape + b"N"
        text = b"".join(
            escape + b"0" if byte == 0 else escape + bytes([byte]) if byte in special else bytes([byte])
            for byte in value
        )
        return quote + text + quote

    return b"".join(
        dialect.starting + dialect.terminated.join(map(field, row)) + dialect.ended for row in rows
    )


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
@pytest.mark.parametrize("block", BLOCKS)
@given(rows=st.lists(st.lists(FIELDS, min_size=3, max_size=3), max_size=6))
def test_outfile_comes_back(rows: list[list[bytes | None]], dialect: Dialect, block: int) -> None:
    before, outfile.BLOCK = outfile.BLOCK, block
    try:
        found = outfile.records(io.BytesIO(as_outfile(rows, dialect)), dialect)
        assert [list(fields) for _, fields in found] == rows
    finally:
        outfile.BLOCK = before


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"1\ta\tb\n2\ta\n", 2, "has 2 columns where the table has 3"),
        (b"1\ta\tb\tc\n", 1, "has 4 columns"),
        (b"1\ta\\\nb\tc\n2\ta\\x\tb\n", 3, "has a bad escape"),
        (b"1\ta\tb\n2\ta\tb", 2, "truncated"),
        (b"1\ta\tb\n2\ta\tb\\\n", 2, "in the middle of a value"),
        (b"1\ta\tb\nx\ta\tb\n", 2, "column id has a value that is not int"),
        (b"1\t\xff\tb\n", 1, "column note has a value that is not varchar"),
    ],
)
def test_a_bad_line_of_an_outfile_is_named(text: bytes, line: int, reason: str, tmp_path: Path) -> None:
    assert_bad(outfile.reader(COLUMNS, [0, 1, 2], Dialect()), text, line, reason, tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b'"1","a","b"\n"2","a"x,"b"\n', 2, "after a closing quote"),
        (b'"1","a\nb","c"\n"2","a\n', 3, "in the middle of a value"),
        (b'"1","a\\q","b"\n', 1, "bad escape"),
    ],
)
def test_a_bad_line_with_quotes_is_named(text: bytes, line: int, reason: str, tmp_path: Path) -> None:
    assert_bad(outfile.reader(COLUMNS, [0, 1, 2], DIALECTS[2]), text, line, reason, tmp_path)


def assert_bad(read: ReadRows, text: bytes, line: int, reason: str, folder: Path) -> None:
    (folder / "part").write_bytes(text)
    with pytest.raises(BadLine, match=reason) as caught:
        list(read(folder / "part", "part"))
    assert caught.value.line == line
    with pytest.raises(BadPart, match=f"part, line {line}: .*{reason}"):
        next(export_of(read, folder).rows(ExportPart("part")))  # not even the good rows before it


def export_of(read: ReadRows, folder: Path) -> Export:
    return Export(Folder(folder), "test.t", "outfile", COLUMNS, (), read)


@pytest.mark.parametrize(
    "text",
    [
        "FIELDS TERMINATED BY '' LINES TERMINATED BY ''",
        "FIELDS ESCAPED BY ''",
        "FIELDS TERMINATED BY ',' LINES TERMINATED BY ','",
        """FIELDS ENCLOSED BY '"' ESCAPED BY '"'""",
        "FIELDS TERMINATED BY 'n'",
        "FORMAT CSV HEADER",
        "FIELDS TERMINATED",
        "nonsense",
    ],
)
def test_a_dialect_that_loses_something_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="FIELDS TERMINATED BY"):
        Dialect.parse(text)


def test_a_dialect_is_read_as_mysql_reads_it() -> None:
    text = r"""CHARACTER SET utf8mb4 COLUMNS TERMINATED BY 0x7c OPTIONALLY ENCLOSED BY '''' ESCAPED BY '\\'
        LINES STARTING BY 'a"' TERMINATED BY "\r\n" """
    assert Dialect.parse(text) == Dialect(b"|", b"'", b"\\", b'a"', b"\r\n", "utf8mb4")


# INSERT


def rows_of(read: ReadRows, text: bytes, folder: Path) -> list[list[Any]]:
    (folder / "part").write_bytes(text)
    return [values for _, values in read(folder / "part", "part")]


def test_inserts_are_read(tmp_path: Path) -> None:
    read = sql_inserts.reader(COLUMNS, [0, 1, 2], "utf8mb4")
    text = (
        b"/*!40101 SET NAMES utf8mb4*/;\n\n"
        b'INSERT INTO `t` VALUES(1,"a\\"),(\\n",NULL)\n,(2,"",0xFF00),(3,\'it\'\'s\',_binary "\\0\\\\")\n;\n'
        b'INSERT INTO `t` (`id`,`note`,`data`) VALUES (-4,CONVERT("{}" USING UTF8MB4),x);\n'.replace(
            b",x)", b",'')"
        )
    )
    assert rows_of(read, text, tmp_path) == [
        [1, 'a"),(\n', None],
        [2, "", b"\xff\0"],
        [3, "it's", b"\0\\"],
        [-4, "{}", b""],
    ]


INSERTED = (
    st.none() | st.binary(max_size=12) | st.text(alphabet="\\\"'(),;\n\0 1N", max_size=8).map(str.encode)
)


@given(
    rows=st.lists(st.lists(INSERTED, min_size=2, max_size=2), min_size=1, max_size=6),
    quote=st.sampled_from([b'"', b"'"]),
    between=st.sampled_from([b"\n,", b",", b",\n"]),
)
def test_inserts_come_back(rows: list[list[bytes | None]], quote: bytes, between: bytes) -> None:
    marks = {0: b"\\0", 10: b"\\n", 13: b"\\r", 26: b"\\Z", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}

    def literal(value: bytes | None) -> bytes:
        if value is None:
            return b"NULL"
        return quote + b"".join(marks.get(byte, bytes([byte])) for byte in value) + quote

    lines = between.join(b"(" + b",".join(map(literal, row)) + b")" for row in rows)
    text = b"INSERT INTO `t` VALUES" + lines + b"\n;\n"
    found = sql_inserts.records(text.splitlines(keepends=True), ["a", "b"])
    assert [list(fields) for _, fields in found] == rows


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (b"INSERT INTO `t` VALUES (1,'a');\n", 1, "has 2 columns"),
        (b"INSERT INTO `t` VALUES (1,'a','b')\n,(2,'a','b')\n", 2, "truncated"),
        (b"INSERT INTO `t` VALUES (1,'a','b')\n,(2,'a','b", 2, "does not write"),
        (b"INSERT INTO `t` VALUES (1,'a\\x','b');\n", 1, "bad escape"),
        (b"INSERT INTO `t` (`id`,`data`,`note`) VALUES (1,'a','b');\n", 1, "other columns"),
        (b"DELETE FROM `t`;\n", 1, "not a statement of a dump"),
        (b"INSERT INTO `t` VALUES (1,NOW(),'b');\n", 1, "does not write"),
        (
            b"INSERT INTO `t` VALUES (1,'a','b');INSERT INTO `t` VALUES (2,'a','b');\n",
            1,
            "after its statement",
        ),
    ],
)
def test_a_bad_insert_is_named(text: bytes, line: int, reason: str, tmp_path: Path) -> None:
    assert_bad(sql_inserts.reader(COLUMNS, [0, 1, 2], "binary"), text, line, reason, tmp_path)


# DMS


def test_dms_csv_is_read(tmp_path: Path) -> None:
    read = dms.reader(COLUMNS, [0, 1, 2], dms.DmsSettings.parse("NULL '-'"))
    assert rows_of(read, b'id,note,data\nI,1,"a,""\n",00FF\n2,-,-\n3,,\n', tmp_path) == [
        [1, 'a,"\n', b"\0\xff"],
        [2, None, None],
        [3, "", b""],
    ]
    with pytest.raises(Refused, match="CsvNullValue"):
        dms.DmsSettings.parse(None)


# parts as a whole


@pytest.fixture
def good(tmp_path: Path) -> Callable[..., Export]:
    def make(name: str, data: bytes) -> Export:
        (tmp_path / name).write_bytes(data)
        return export_of(outfile.reader(COLUMNS, [0, 1, 2], Dialect()), tmp_path)

    return make


TEXT = b"".join(b"%d\ta\tb\n" % n for n in range(5000))


@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_a_truncated_gzip_gives_no_row(good: Callable[..., Export], keep: float) -> None:
    data = gzip.compress(TEXT)
    export = good("part.gz", data[: int(len(data) * keep)])
    with pytest.raises(BadPart, match=r"part.gz is truncated after line"):
        next(export.rows(ExportPart("part.gz")))
    assert len(list(good("part.gz", data).rows(ExportPart("part.gz")))) == 5000


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (ExportPart("part", sha256="0" * 64), "another checksum"),
        (ExportPart("part", bytes=7), "has 55,890 bytes|bytes, 7 are expected"),
        (ExportPart("part", rows=4999), "has 5,000 rows, 4,999 are expected"),
        (ExportPart("other"), "other is missing"),
    ],
)
def test_a_part_that_is_not_what_was_written_gives_no_row(
    good: Callable[..., Export], part: ExportPart, reason: str
) -> None:
    with pytest.raises(BadPart, match=reason):
        next(good("part", TEXT).rows(part))


def test_damaged_gzip_is_named(good: Callable[..., Export]) -> None:
    data = bytearray(gzip.compress(TEXT))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(BadPart, match=r"part.gz (is damaged|, line|ends)"):
        next(good("part.gz", bytes(data)).rows(ExportPart("part.gz")))
