"""Blocks of rows are the rows that are read one by one, and name the same lines."""

from pathlib import Path
from random import Random

import pytest

from bulkload.exports import blocks
from bulkload.exports.columns import ExportColumn
from bulkload.exports.formats import outfile
from bulkload.exports.records import BadLine
from bulkload.exports.text_dialect import Dialect
from rowferry.values import Value

COLUMNS = [
    ExportColumn("c", "varchar(60)", "utf8mb4"),
    ExportColumn("n", "int"),
    ExportColumn("d", "date"),
    ExportColumn("p", "char(9)", "ascii"),
]
PLACES = [3, 0, 1]
FIELDS = [b"a", "한😀".encode(), b"", b"a\\,b", b"x\\\ny", b"\\N", b"\\\\", b"\r", "\u2028".encode()]


def read(path: Path) -> tuple[list[tuple[Value, ...]], list[tuple[Value, ...]]]:
    found = outfile.reader(COLUMNS, PLACES, Dialect(terminated=b","))
    many = blocks.blocks_of(found)
    assert many is not None
    one_by_one = [tuple(values) for _, values in found(path, path.name)]
    return one_by_one, [row for _, columns in many(path, path.name) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize("size", [1 << 20, 50, 7])
@pytest.mark.parametrize("seed", range(10))
def test_blocks_hold_the_same_rows(
    size: int, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", size)
    random = Random(seed)
    fields = FIELDS if seed % 2 else FIELDS[:3]
    path = tmp_path / "t"
    rows = [[random.choice(fields), b"%d" % n, b"2026-01-02", random.choice(fields)] for n in range(40)]
    path.write_bytes(b"".join(b",".join(row) + b"\n" for row in rows))
    one_by_one, many = read(path)
    assert len(many) == 40 and many == one_by_one


@pytest.mark.parametrize("size", [1 << 20, 30])
@pytest.mark.parametrize(
    "bad",
    [
        b"a,1,2026-01-02",
        b"a,x,2026-01-02,p",
        b"a,1,2026-01-02,p,q\nb,1,2026-01-02",
        b"a,1,\\q,p",
        b"\xff,1,2026-01-02,p",
    ],
)
def test_what_is_bad_is_named_by_the_same_line(
    bad: bytes, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", size)
    path = tmp_path / "t"
    good = b"".join(b"a%d,1,2026-01-02,p\n" % n for n in range(20))
    path.write_bytes(good + bad + b"\n" + good)
    found = outfile.reader(COLUMNS, PLACES, Dialect(terminated=b","))
    many = blocks.blocks_of(found)
    assert many is not None
    with pytest.raises(BadLine) as one:
        list(found(path, "t"))
    with pytest.raises(BadLine) as block:
        list(many(path, "t"))
    assert (block.value.line, str(block.value)) == (one.value.line, str(one.value))


def test_a_file_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_bytes(b"a,1,2026-01-02,p\nb,1,2026")
    many = blocks.blocks_of(outfile.reader(COLUMNS, PLACES, Dialect(terminated=b",")))
    assert many is not None
    with pytest.raises(BadLine, match="truncated") as found:
        list(many(path, "t"))
    assert found.value.line == 2
