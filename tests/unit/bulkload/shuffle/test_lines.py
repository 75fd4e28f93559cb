"""Rows as lines, brought together and made items: the same items as the direct road's."""

import io
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.direct.grouping import CROWDED, TWICE, Grouping, Unusable
from bulkload.dynamodb.batch_writer import ITEM_TOO_LARGE
from bulkload.exports.columns import ExportColumn
from bulkload.shuffle import assembly, lines, shuffle
from bulkload.shuffle.assembly import Assembly, item_of
from bulkload.shuffle.lines import Liner
from rowferry.mapping import Mapping, TableMapping
from rowferry.position import Position
from rowferry.values import Json, Value
from tests.support.export_files import write_export
from tests.support.paths import ROOT

AT = Position(1, 2, 3)
COLUMNS = ("c", "o", "p", "q")
KEY = 'hash_key = { attribute = "c" }\nrange_key = { attribute = "o" }\nmember_name = "p"\n'
GROUPED = {
    "plain": 'layout = "attribute-per-row"\nmember_value = "q"',
    "prefixed": 'layout = "attribute-per-row"\nmember_value = "q"\nprefix = "x_"',
    "null left out": 'layout = "attribute-per-row"\nmember_value = "q"\nnull = "leave-out"',
    "nested": 'layout = "nested-map"\nattribute = "l \\" \\u2028"\nmember_value = "q"',
    "nested, null left out": 'layout = "nested-map"\nattribute = "l"\nmember_value = "q"\nnull = "leave-out"',
    "set": 'layout = "string-set"\nattribute = "s"\nmember_value = "q"',
    "columns": 'layout = "attribute-per-row"\nmember_value = "*"',
    "text": 'layout = "attribute-per-row"\nmember_value = "${q} of ${p}"',
    "filtered": 'layout = "attribute-per-row"\nmember_value = "q"\nwhere = { column = "o", ne = "b" }',
}
WHOLE = (
    '[[table]]\nsource = "test.t"\ntarget = "t"\nlayout = "item-per-row"\n'
    'hash_key = { attribute = "h", template = "${c}#${o}" }\nrange_key = { attribute = "p" }'
)


def mapped(text: str) -> TableMapping:
    return Mapping.parse(f'[[table]]\nsource = "test.t"\ntarget = "t"\n{KEY}{text}').tables[0]


TABLES = {name: mapped(text) for name, text in GROUPED.items()} | {"whole": Mapping.parse(WHOLE).tables[0]}


def assembled(
    tables: Sequence[TableMapping], rows: dict[str, list[Sequence[Value]]], seed: int = 0
) -> tuple[list[dict[str, Any]], list[Unusable]]:
    """By way of lines in any order, as after any sort."""
    unusable: list[Unusable] = []
    found = [
        line for table in tables for line in Liner(table, COLUMNS, unusable.append).lines(rows[table.source])
    ]
    assert not any("\n" in text or "\t" in text or "\u2028" in text for line in found for text in line)
    Random(seed).shuffle(found)
    together: defaultdict[str, list[str]] = defaultdict(list)
    for key, value in found:
        together[key].append(value)
    whole = Assembly(tables, AT, unusable.append)
    items = [item for key, values in together.items() if (item := whole.item(key, values))]
    assert all(json.loads(item.text).keys() == {"Item"} for item in items)
    return [item_of(item.text) for item in items], unusable


def direct(table: TableMapping, rows: list[Sequence[Value]]) -> tuple[list[dict[str, Any]], int]:
    grouping = Grouping(table, COLUMNS)
    grouping.take(rows)
    return [item for item, _ in grouping.items(AT)], len(grouping.unusable)


def in_order(items: list[dict[str, Any]]) -> list[str]:
    return sorted(repr(sorted(item.items())) for item in items)


short = st.text(st.sampled_from('ab"\\\t\n\x01é한😀\u2028\x85:{},'), max_size=3)
names = st.one_of(short, st.integers(-2, 2), st.none(), st.just("_pos"), st.binary(max_size=2))
quantities = st.one_of(
    short,
    st.integers(),
    st.none(),
    st.binary(max_size=3),
    st.sampled_from(
        [Decimal("1.10"), 0.5, 1e300, date(2026, 1, 2), Json({"a": [1, None]}), ("x", "y"), "null"]
    ),
)
some_rows = st.lists(st.tuples(short, st.sampled_from(["a", "b", ""]), names, quantities), max_size=12)


@pytest.mark.parametrize("name", TABLES)
@given(rows=some_rows, seed=st.integers(0, 3))
def test_items_are_those_of_the_direct_road(name: str, rows: list[Sequence[Value]], seed: int) -> None:
    table = TABLES[name]
    places = set()
    distinct = []  # which of two rows with one place stays, is a matter of order
    for row in rows:
        key = tuple(map(repr, row[:3])) if name != "whole" else (f"{row[0]}#{row[1]}", repr(row[2]))
        if key not in places and not (isinstance(row[2], int) and (*key[:2], repr(str(row[2]))) in places):
            places |= {key, (*key[:2], repr(str(row[2])))}
            distinct.append(row)
    items, refused = direct(table, distinct)
    found, unusable = assembled([table], {"test.t": distinct}, seed)
    assert in_order(found) == in_order(items)
    assert sum(row.rows for row in unusable) == refused


@pytest.mark.parametrize("name", TABLES)
def test_two_rows_with_one_place_are_not_silently_one(name: str) -> None:
    rows: list[Sequence[Value]] = [("c", "o", "p", "1"), ("d", "o", "p", "1"), ("c", "o", "p", "2")]
    rows += [("c", "o", "p", None), ("c", "o", "z", "5")]
    found, unusable = assembled([TABLES[name]], {"test.t": rows})
    assert len(found) == (3 if name == "whole" else 2)
    assert {row.reason for row in unusable} == {TWICE} and sum(row.rows for row in unusable) == 2
    assert "p" in unusable[0].key.values()


def test_a_name_that_was_refused_is_refused_again() -> None:
    unusable: list[Unusable] = []
    liner = Liner(TABLES["plain"], COLUMNS, unusable.append)
    blocks = [(("c", "c"), ("o", "o"), ("_pos", f"p{n}"), (1, 2)) for n in range(3)]
    assert [value for _, value in liner.block_lines(blocks)] == [
        f'1 {{"p{n}":{{"N":"2"}}}}' for n in range(3)
    ]
    assert (liner.rows, len(unusable)) == (6, 3)


SHARED = Mapping.parse(
    f"""
    [[table]]
    source = "test.orders"
    target = "t"
    layout = "item-per-row"
    hash_key = {{ attribute = "c" }}
    range_key = {{ attribute = "o" }}
    include = ["q"]
    [[table]]
    source = "test.lines"
    target = "t"
    {KEY}
    layout = "nested-map"
    attribute = "lines"
    member_value = "q"
    null = "leave-out"
    [[table]]
    source = "test.tags"
    target = "t"
    {KEY}
    layout = "string-set"
    attribute = "tags"
    member_value = "q"
    """
).tables


@pytest.mark.parametrize("seed", range(4))
def test_several_tables_make_one_item(seed: int) -> None:
    rows: dict[str, list[Sequence[Value]]] = {
        "test.orders": [("c", "1", "", "paid"), ("c", "2", "", None), ("c", "1", "", "twice")],
        "test.lines": [("c", "1", "p1", 1), ("c", "1", "p2", 2), ("c", "3", "p1", 3), ("c", "4", "p", None)],
        "test.tags": [("c", "1", "x", 1), ("c", "3", "y", 2), ("c", "1", "a", 1)],
    }
    found, unusable = assembled(SHARED, rows, seed)
    key = {"c": {"S": "c"}, "_pos": {"S": str(AT)}}
    lines_1 = {"M": {"p1": {"N": "1"}, "p2": {"N": "2"}}}
    (one, three) = sorted(found, key=lambda item: item["o"]["S"])
    assert one.pop("q")["S"] in ("paid", "twice")
    assert one == {**key, "o": {"S": "1"}, "lines": lines_1, "tags": {"SS": ["a:1", "x:1"]}}
    assert three == {
        **key, "o": {"S": "3"}, "lines": {"M": {"p1": {"N": "3"}}}, "tags": {"SS": ["y:2"]},
    }  # fmt: skip
    assert [row.reason for row in unusable] == [TWICE]


def test_every_byte_in_a_key_makes_an_item_of_its_own() -> None:
    table = Mapping.parse(
        '[[table]]\nsource = "test.t"\ntarget = "t"\nlayout = "item-per-row"\n'
        'hash_key = { attribute = "c", type = "B" }\nrange_key = { attribute = "o" }\ninclude = ["q"]'
    ).tables[0]
    texts = [*(chr(n) for n in range(0x250)), "\u2028", "\u2029", "\ufffd", "\U0010ffff"]
    rows: list[Sequence[Value]] = [(bytes([n]), "o", "", n) for n in range(256)]
    rows += [(b"x", text + "." * (n % 2), "", n) for n, text in enumerate(texts)]
    found, unusable = assembled([table], {"test.t": rows})
    assert not unusable and len(found) == len(rows)
    assert {(item["c"]["B"], item["o"]["S"]) for item in found} == {row[:2] for row in rows}


@pytest.mark.parametrize(("length", "fits"), [(399 * 1024, True), (401 * 1024, False)])
@pytest.mark.parametrize("character", ["x", "한", "\x01"])
def test_items_about_400_kb(length: int, fits: bool, character: str) -> None:
    count = length // 20 // len(character.encode())
    rows: list[Sequence[Value]] = [("c", "o", f"p{n:02d}", character * count) for n in range(20)]
    found, unusable = assembled([TABLES["plain"]], {"test.t": rows})
    assert len(found) == int(fits)
    assert [(row.reason, row.rows, row.key) for row in unusable] == (
        [] if fits else [(ITEM_TOO_LARGE, 20, {"c": "c", "o": "o"})]
    )


def spilled(rows: list[Sequence[Value]], folder: Path, partitions: int, parts: int = 3) -> list[Path]:
    files = [folder / f"{number}" for number in range(parts)]
    for number, file in enumerate(files):
        with file.open("wb") as out:
            liner = Liner(TABLES["plain"], COLUMNS, pytest.fail)
            shuffle.spill(liner.lines(rows[number::parts]), partitions, out)
    return files


@pytest.mark.parametrize("memory", [1 << 30, 5000, 800])
def test_partitions_hold_each_item_once_whatever_fits_into_memory(
    memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shuffle, "IN_MEMORY", memory)
    monkeypatch.setattr(shuffle, "BUFFER", min(memory, 5000))
    rows: list[Sequence[Value]] = [(f"c{n % 300}", "o", f"p{n}", n) for n in range(2000)]
    files = spilled(rows, tmp_path, 4)
    found = [
        (number, key, len(values))
        for number in range(4)
        for key, values in shuffle.groups(shuffle.stored(files, number), tmp_path)
    ]
    assert len({key for _, key, _ in found}) == len(found) == 300
    assert {number for number, _, _ in found} == {0, 1, 2, 3}
    assert sum(count for _, _, count in found) == 2000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]  # what was cut again is gone


@pytest.mark.parametrize("memory", [1 << 30, 10_000])
def test_a_group_of_50_000_rows(memory: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shuffle, "IN_MEMORY", memory)
    rows: list[Sequence[Value]] = [("c", "big", f"product-{n}", n % 10) for n in range(50_000)]
    rows += [("c", "small", "p", 1)]
    files = spilled(rows, tmp_path, 1)
    unusable: list[Unusable] = []
    whole = Assembly([TABLES["plain"]], AT, unusable.append)
    found = [whole.item(key, values) for key, values in shuffle.groups(shuffle.stored(files, 0), tmp_path)]
    assert [item.rows for item in found if item] == [1]
    assert [(row.reason, row.rows, row.key["o"]) for row in unusable] == [(ITEM_TOO_LARGE, 50_000, "big")]
    few: list[Sequence[Value]] = [("c", "big", f"{n}", n % 10) for n in range(50_000)]
    items, none = assembled([TABLES["plain"]], {"test.t": few})  # 50,000 of them fit
    assert not none and len(items[0]) == 50_003


def test_what_no_item_can_hold_is_not_held_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "HOPELESS", 1000)
    monkeypatch.setattr(lines, "HOPELESS", 1000)
    monkeypatch.setattr(assembly, "MOST_MEMBERS", 100)
    held = assembly.Held()
    for _ in range(200):
        held.take("1 " + "x" * 50)
        assert sum(map(len, held.values)) < 1100
    unusable: list[Unusable] = []
    assert (
        Assembly([TABLES["plain"]], AT, unusable.append).item('{"c":{"S":"a"},"o":{"S":"b"}}', held.values)
        is None
    )
    assert [(row.rows, row.reason) for row in unusable] == [(200, CROWDED)]
    ((_, value),) = Liner(TABLES["plain"], COLUMNS, pytest.fail).lines([("c", "o", "p", "x" * 2000)])
    assert value == "1 "


def test_an_empty_part_has_empty_partitions(tmp_path: Path) -> None:
    file = tmp_path / "0"
    with file.open("wb") as out:
        shuffle.spill([], 3, out)
    assert [list(shuffle.groups(shuffle.stored([file], number), tmp_path)) for number in range(3)] == [[]] * 3


def test_unusable_rows_come_back_as_they_were_written() -> None:
    row = Unusable("test.t", {"c": b"\x00", "o": Decimal("1.10")}, "why", 3)
    assert Unusable.parse(row.line()) == row and io.StringIO(row.line()).read().count("\n") == 0


_MEMORY = """
import sys
from pathlib import Path
from bulkload.exports.locations import Folder
from bulkload.from_files.import_files import Files
from bulkload.from_files.inputs import ExportedTable, LoadTarget
from bulkload.from_files.local_runner import group, spill
from bulkload.from_files.steps import FilesWork
from bulkload.exports import open_export
from rowferry.mapping import Mapping
from rowferry.position import Position
folder = Path(sys.argv[1])
table = Mapping.load(folder / "mapping.toml").tables[0]
target = LoadTarget("t", [ExportedTable(table, open_export(folder, table))])
work = FilesWork(target, Position(1, 1, 1), Folder(folder / "work"))
for part in work.target.parts:
    spill(work, *part)
items = sum(group(work, n, Files(Folder(folder / "out"))).items for n in work.partitions)
# not ru_maxrss, which begins with what the process that started this one had
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(items, peak.split()[1])
"""


@pytest.mark.slow
@pytest.mark.parametrize(("count", "length"), [(200_000, 10), (600, 300_000)])
def test_memory_is_bounded_for_many_rows_and_for_long_ones(count: int, length: int, tmp_path: Path) -> None:
    columns = [ExportColumn(name, "varchar(60)", "utf8mb4") for name in ("c", "o", "p")]
    columns.append(ExportColumn("q", "longtext", "utf8mb4"))
    each, text = (3 if length < 100 else 1), "x" * length
    write_export(
        tmp_path,
        [[(f"c{n // each}", f"o{n // each}", f"p{n}", text) for n in range(count)]],
        "test.t",
        columns,
    )
    (tmp_path / "mapping.toml").write_text(
        f'[[table]]\nsource = "test.t"\ntarget = "t"\n{KEY}{GROUPED["plain"]}'
    )
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    items, peak = map(int, done.stdout.split())
    assert items == -(-count // each)
    assert peak < 300 * 1024
