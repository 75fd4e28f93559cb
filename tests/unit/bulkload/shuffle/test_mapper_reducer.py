"""mapper | sort | reducer, as processes and with the real `sort`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from bulkload.direct.grouping import TWICE, Grouping
from bulkload.shuffle.assembly import item_of
from rowferry.mapping import Mapping
from rowferry.position import Position
from tests.support.export_files import COLUMNS, write_export
from tests.support.paths import ROOT

AT = Position(1, 1, 100)
NAMES = [column.name for column in COLUMNS]
HEAD = (
    '[[table]]\nsource = "test.purchase"\ntarget = "purchase"\n'
    'hash_key = { attribute = "customerid" }\nrange_key = { attribute = "orderid" }\n'
)
LAYOUTS = {
    "article": 'layout = "attribute-per-row"\nmember_name = "productid"\nmember_value = "quantity"',
    "brickhouse": 'layout = "string-set"\nattribute = "products"\nmember_name = "productid"\n'
    'member_value = "quantity"',
    "map": 'layout = "nested-map"\nattribute = "products"\nmember_name = "productid"\nmember_value = "*"',
}
ROWS = [
    (f"c{n % 7}", f"o{n % 50}", name, n)
    for n, name in enumerate(
        f"{word}{n}" for n in range(40) for word in ("p\t", "\nq", '"', "한😀", "\u2028", "|")
    )
]


def piped(folder: Path, mapping: Path, locale: str, parts: list[str]) -> list[str]:
    shell = (
        'for part in $PARTS; do "$PYTHON" -m bulkload.shuffle.mapper --mapping "$MAPPING" --export "$EXPORT"'
        ' --unusable-file "$EXPORT/unusable" < "$EXPORT/$part" || exit 9; done'
        ' | sort | "$PYTHON" -m bulkload.shuffle.reducer --mapping "$MAPPING" --position "$AT"'
        ' --unusable-file "$EXPORT/unusable"'
    )
    given = {"PYTHON": sys.executable, "MAPPING": str(mapping), "EXPORT": str(folder), "AT": str(AT)}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", shell],
        env={**os.environ, **given, "PARTS": " ".join(parts), "LC_ALL": locale, "PYTHONPATH": "functions:."},
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().split("\n")[:-1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_pipe_gives_the_direct_roads_items(layout: str, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(HEAD + LAYOUTS[layout])
    rows = list(ROWS)
    Random(1).shuffle(rows)
    export = write_export(tmp_path / "export", [rows[:100], rows[100:]])
    grouping = Grouping(Mapping.load(mapping).tables[0], NAMES)
    grouping.take(ROWS)
    lines = piped(tmp_path / "export", mapping, "C", [part.name for part in export.parts])
    found = [item_of(line) for line in lines]
    assert sorted(map(repr, map(sorted, (item.items() for item in found)))) == sorted(
        repr(sorted(item.items())) for item, _ in grouping.items(AT)
    )
    assert len({(item["customerid"]["S"], item["orderid"]["S"]) for item in found}) == len(found)


def test_what_cannot_be_an_item_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(HEAD + LAYOUTS["article"])
    rows = [
        ("c", "o", "p", 1),
        ("", "o", "p", 2),
        ("c", "o", "p", 3),
        ("c", "o", None, 4),
        ("d", "o", "p", 5),
    ]
    export = write_export(tmp_path / "export", [rows])
    lines = piped(tmp_path / "export", mapping, "C", [export.parts[0].name])
    assert [json.loads(line)["Item"]["customerid"]["S"] for line in lines] == ["c", "d"]
    unusable = [json.loads(line) for line in (tmp_path / "export/unusable").read_text().splitlines()]
    assert [row["key"]["customerid"] for row in unusable] == ["", "c", "c"]  # the last by the reducer
    assert unusable[-1]["reason"] == TWICE and unusable[-1]["key"]["member"] == "p"


def test_a_line_that_is_no_row_is_named_and_fails(tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(HEAD + LAYOUTS["article"])
    write_export(tmp_path, [[]])
    done = subprocess.run(
        [sys.executable, "-m", "bulkload.shuffle.mapper", "--mapping", mapping, "--export", tmp_path],
        input=b'"c","o","p",1\n"c","secret"\n', capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and b"line 2" in done.stderr and b"secret" not in done.stderr
