"""Manifests, plans, schemas and places of exports."""

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bulkload.direct.chunks import Chunk
from bulkload.exports import open_export, parse_watermark, shown_by_parts, watermark_of
from bulkload.exports.columns import ExportColumn, read_decimal, text_converter
from bulkload.exports.export import Export
from bulkload.exports.formats import create_table, rowferry
from bulkload.exports.formats.mydumper import metadata
from bulkload.exports.locations import Folder, S3Prefix, folder_of, location, remove_leftovers
from bulkload.exports.manifest import ExportPart, Manifest
from bulkload.exports.part_maker import PartSink
from bulkload.exports.plan import Form, Plan
from rowferry.errors import BadPart, Refused
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset, Position
from tests.support.epochs import capture
from tests.support.paths import FUNCTIONS, ROOT, SCENARIOS

COLUMNS = (ExportColumn("id", "int"), ExportColumn("note", "enum('a,)','b''')", "utf8mb4"))
MANIFEST = Manifest(
    table="test.t",
    columns=COLUMNS,
    format="csv",
    compression="none",
    dialect={},
    server="s",
    epoch=3,
    parts=(
        ExportPart("part-000001.csv", 2, 10, "0" * 64, str(Position(3, 12, 500))),
        ExportPart("part-000002.csv", 3, 10, "0" * 64, str(Position(3, 12, 400))),
    ),
)
TABLE = Mapping.parse("""
    [[table]]
    source = "test.t"
    target = "t"
    layout = "item-per-row"
    hash_key = { attribute = "id", type = "N" }
""").tables[0]


def test_a_manifest_comes_back_with_the_lowest_watermark() -> None:
    assert Manifest.parse(MANIFEST.text(), "here") == MANIFEST
    assert (MANIFEST.watermark, MANIFEST.rows) == (str(Position(3, 12, 400)), 5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"rowferry_export": 1', b'"rowferry_export": 2'),
        (b'"rows": 5', b'"rows": 6'),
        (b'"rows": 3', b'"rows": 4'),
        (b'"watermark": "0003.', b'"watermark": "0002.'),
        (b'"epoch": 3', b'"epochs": 3'),
        (b"}", b""),
    ],
)
def test_a_manifest_that_was_changed_is_refused(old: bytes, new: bytes) -> None:
    text = MANIFEST.text()
    assert old in text
    with pytest.raises(Refused, match="here is not a manifest"):
        Manifest.parse(text.replace(old, new, 1), "here")


def test_a_plan_comes_back() -> None:
    chunks = (Chunk(nulls=True), Chunk(None, (1, "a")), Chunk((1, "a"), None))
    plan = Plan("test.t", COLUMNS, Form("csv", "zstd"), "s", 1, chunks, 7)
    assert Plan.parse(plan.text(), "here") == plan
    assert plan.part_name(2) == "part-000003.csv.zst"
    with pytest.raises(Refused, match="here is not a plan"):
        Plan.parse(plan.text()[:-1], "here")


def test_an_unfinished_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / rowferry.PLAN).touch()
    with pytest.raises(Refused, match="not finished: run `ferry export` again"):
        open_export(tmp_path, TABLE)


def test_no_export_of_the_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"has no export of test.t"):
        open_export(tmp_path, TABLE)
    (tmp_path / "manifest.json").write_bytes(replace(MANIFEST, table="test.other").text())
    with pytest.raises(Refused, match=r"has no export of test.t"):
        open_export(tmp_path, TABLE)


def test_columns_that_the_mapping_names_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(replace(MANIFEST, columns=COLUMNS[1:]).text())
    with pytest.raises(Refused, match="lacks columns that the mapping names: id"):
        open_export(tmp_path, TABLE)


def test_only_columns_that_travel_are_read(tmp_path: Path) -> None:
    mapping = Mapping.parse("""
        [[table]]
        source = "test.t"
        target = "t"
        layout = "item-per-row"
        hash_key = { attribute = "id", type = "N" }
        exclude = ["note"]
    """)
    part = replace(MANIFEST.parts[0], rows=1, bytes=None, sha256=None)
    (tmp_path / "manifest.json").write_bytes(replace(MANIFEST, parts=(part,)).text())
    (tmp_path / part.name).write_text('7,"b\'"\n')
    export = open_export(tmp_path, mapping.tables[0])
    assert [list(export.rows(part)), export.columns] == [[[7]], COLUMNS[:1]]
    assert list(open_export(tmp_path, TABLE).rows(part)) == [[7, "b'"]]


def stated(**fields: object) -> Export:
    base = Export(Folder(Path("x")), "test.t", "dms", COLUMNS, (), lambda *_: iter(()))
    return replace(base, **fields)  # type: ignore[arg-type]


def test_the_watermark_of_others_must_be_stated() -> None:
    with pytest.raises(Refused, match="give it: --watermark FILE:OFFSET"):
        watermark_of(stated(), ExportPart("p"), capture("s", first=3), None)
    given = parse_watermark("mysql-bin.000012:4567")
    assert given == BinlogOffset("mysql-bin.000012", 4567)
    dumped = stated(stated=BinlogOffset("b.000011", 4))
    assert watermark_of(dumped, ExportPart("p"), capture("s", first=3), None) == Position(3, 11, 4)
    assert watermark_of(dumped, ExportPart("p"), capture("s", first=3), given) == Position(3, 12, 4567)
    own_part = ExportPart("p", watermark=str(Position(3, 12, 5)))
    own = stated(epoch=3, server="s")
    assert watermark_of(own, own_part, capture("s", first=3), given) == Position(3, 12, 5)
    for other in (capture("s", first=4), capture("t", first=3), capture("s", "t", first=2)):
        with pytest.raises(Refused, match="export again"):
            watermark_of(own, own_part, other, None)


def test_an_export_from_before_a_failover_keeps_its_watermarks() -> None:
    own, failed_over = stated(epoch=3, server="s"), capture("r", "s", "t", "s", first=2)
    parts = {
        ExportPart("a", watermark=str(Position(3, 12, 5))): True,
        ExportPart("b", watermark=str(Position(4, 2, 5)), server="t"): True,
        ExportPart("c", watermark=str(Position(4, 2, 5)), server="s"): False,
        ExportPart("d", watermark=str(Position(2, 2, 5))): False,
        ExportPart("e", watermark=str(Position(6, 2, 5)), server="t"): False,
    }
    for part, loadable in parts.items():
        if loadable:
            assert str(watermark_of(own, part, failed_over, None)) == part.watermark
        else:
            with pytest.raises(Refused, match="export again"):
                watermark_of(own, part, failed_over, None)


def test_a_stated_watermark_has_to_name_the_server_once_the_source_has_failed_over() -> None:
    """Of the new server's binlog and read as the old one's, it would be too low; the other way, too high."""
    given, part = parse_watermark("binlog.000012:4567"), ExportPart("p")
    for files in ((), ("other.000007", "other.000001"), ("binlog.000007", "other.000001")):
        with pytest.raises(Refused, match=r"may be of any of its servers \(s, t\)"):
            watermark_of(stated(), part, capture("s", "t", files=files), given)
    named = capture("s", "t", files=("other.000007", "binlog.000001"))
    assert watermark_of(stated(), part, named, given) == Position(2, 12, 4567)


def test_parts_say_what_their_rows_show() -> None:
    uuid, failed_over = "aaaaaaaa-0000-0000-0000-000000000000", capture("s", "t", first=3)
    first, second = str(Position(3, 12, 5)), str(Position(4, 2, 5))
    parts = (
        ExportPart("a", watermark=first, history=f"{uuid}:1-5"),
        ExportPart("b", watermark=first, history=f"{uuid}:1-4:7"),
        ExportPart("c", watermark=second, history=f"{uuid}:1-9"),
    )
    found = shown_by_parts([stated(parts=parts[:1]), stated(parts=parts[1:])], failed_over)
    assert {epoch: str(history) for epoch, history in found.items()} == {3: f"{uuid}:1-5:7", 4: f"{uuid}:1-9"}
    old = [stated(parts=(ExportPart("a", watermark=first),))]
    assert shown_by_parts(old, capture("s", first=3)) == {}
    with pytest.raises(Refused, match="does not say what transactions it shows: export again"):
        shown_by_parts(old, failed_over)


@pytest.mark.parametrize("text", ["", "12", "binlog:5", "binlog.000012", "binlog.000012:", "binlog.000012:x"])
def test_what_is_no_watermark_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="FILE:OFFSET"):
        parse_watermark(text)


CREATE = """/*!50503 SET character_set_client = utf8mb4 */;
CREATE TABLE `odd ``name` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT COMMENT 'CHARACTER SET latin1, the `first`',
  `name` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT NULL,
  `kind` enum('a','it''s (b)',' NOT NULL') NOT NULL DEFAULT 'a',
  `price` decimal(10,2) DEFAULT '0.00',
  `next` bigint GENERATED ALWAYS AS ((`id` + 1)) VIRTUAL,
  `at` timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  PRIMARY KEY (`id`),
  KEY `name` (`name`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb3 COMMENT='a) DEFAULT CHARSET=sjis';
"""


def test_the_columns_of_a_create_table() -> None:
    found = create_table.parse(CREATE, "t.sql")
    assert found.table == "odd `name"
    assert found.columns == (
        ExportColumn("id", "bigint unsigned"),
        ExportColumn("name", "varchar(20)", "latin1"),
        ExportColumn("kind", "enum('a','it''s (b)',' NOT NULL')", "utf8mb3"),
        ExportColumn("price", "decimal(10,2)"),
        ExportColumn("at", "timestamp(6)"),
    )
    with pytest.raises(Refused, match=r"t.sql has no CREATE TABLE"):
        create_table.parse("SELECT 1", "t.sql")


OLD = """Started dump at: 2011-05-05 13:57:17
SHOW MASTER STATUS:
\tLog: laptop-bin.000001
\tPos: 106

SHOW SLAVE STATUS:
\tLog: other.000009
\tPos: 9

Finished dump at: 2011-05-05 13:57:17
"""
NEW = """# Started dump at: 2023-06-09 11:47:18
[master]
# Channel_Name = '' # It can be use to setup replication FOR CHANNEL
File = mydumper1-bin.000017
Position = 241149225

[`test`.`t`]
Rows = 2

[`test`.`u`]
Rows = 3
"""


def test_the_metadata_of_mydumper() -> None:
    assert metadata(OLD, TABLE) == (BinlogOffset("laptop-bin.000001", 106), None)
    assert metadata(NEW, TABLE) == (BinlogOffset("mydumper1-bin.000017", 241149225), 2)
    assert metadata(NEW.replace("[master]", "[source]").replace("File =", "# "), TABLE) == (None, 2)
    assert metadata("", TABLE) == (None, None)


def test_a_location_is_a_folder_or_in_s3(tmp_path: Path) -> None:
    assert location(tmp_path) == Folder(tmp_path)
    assert location("s3://bucket/a/b/", "client") == S3Prefix("client", "bucket", "a/b")
    assert str(location("s3://bucket/a/b/", "client").below("c")) == "s3://bucket/a/b/c"
    for text in ("gs://bucket/a", "s3:///a", "https://bucket/a"):
        with pytest.raises(Refused, match="s3://bucket/prefix"):
            location(text, "client")


def test_a_file_appears_as_a_whole_or_never(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    with pytest.raises(KeyError), place.making("part") as path:
        path.write_text("half")
        raise KeyError
    assert [*tmp_path.iterdir()] == []
    with place.making("part") as path:
        path.write_text("whole")
        assert place.names() == []
    (tmp_path / ".part-in-the-making-x").touch()
    remove_leftovers(place)
    assert [entry.name for entry in tmp_path.iterdir()] == ["part"]


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        ("int", "1.5"),
        ("decimal(5,2)", "1.234"),
        ("decimal(5,2)", "x"),
        ("date", "2026-1-1"),
        ("date", "yesterday"),
        ("datetime", "2026-02-30 25"),
        ("time", "1:2"),
        ("json", "{"),
        ("blob", "a"),
        ("double", ""),
    ],
)
def test_text_that_the_type_cannot_hold_is_an_error(definition: str, text: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        text_converter(ExportColumn("c", definition))(text)


def test_a_decimal_gets_the_scale_of_its_column() -> None:
    read = read_decimal(ExportColumn("c", "decimal(10,3) unsigned"))
    assert [str(read(text)) for text in ("1", "1.5", "1.500", "1.5000")] == [
        "1.000",
        "1.500",
        "1.500",
        "1.500",
    ]


def test_a_column_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(Refused, match="column c is tuple: leave it out"):
        _ = ExportColumn("c", "tuple(3)").family


MAPPINGS = sorted(SCENARIOS.glob("*/mapping.toml"))


def test_errors_come_back_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(BadPart("found", "fix")))
    assert (type(error), str(error), error.fix) == (BadPart, "found: fix", "fix")


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: path.parent.name)
def test_mappings_go_to_another_process(path: Path) -> None:
    for table in Mapping.load(path).tables:
        assert pickle.loads(pickle.dumps(table)).source == table.source


def test_an_empty_part_is_read_in_every_form(tmp_path: Path) -> None:
    for form in (Form(), Form(compression="gzip"), Form(compression="zstd"), Form("parquet")):
        part = ExportPart(f"part-000001{form.suffix}", 0, watermark=str(Position(3, 1, 4)))
        PartSink(tmp_path / part.name, COLUMNS, form).close()
        found = replace(MANIFEST, format=form.format, compression=form.compression, parts=(part,))
        (tmp_path / "manifest.json").write_bytes(found.text())
        assert list(open_export(tmp_path, TABLE).rows(part)) == []


def test_parquet_is_only_loaded_where_it_is_used() -> None:
    code = "import sys, ferry.cli, bulkload.exports; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    shipped = [*FUNCTIONS.rglob("*.txt"), *(ROOT / "capturer").rglob("*.txt")]
    assert shipped and not any("pyarrow" in path.read_text() for path in shipped)


def test_without_pyarrow_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from rowferry.errors import Refused\n"
        "try:\n    import bulkload.exports.formats.parquet\n"
        "except Refused as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "Parquet needs the package pyarrow: pip install pyarrow\n"


def test_mysqldump_of_several_databases_is_distinguished(tmp_path: Path) -> None:
    for folder, value in (("other", 1), ("another", 3)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.sql").write_text(
            "CREATE TABLE `t` (\n  `id` int NOT NULL\n) ENGINE=InnoDB;\n"
        )
        (tmp_path / folder / "t.txt").write_text(f"{value}\n")
    with pytest.raises(Refused, match=r"contains another/t.sql and other/t.sql: name the folder"):
        open_export(tmp_path, TABLE)
    (tmp_path / "other").rename(tmp_path / "test")
    export = open_export(tmp_path, TABLE)
    assert [list(export.rows(part)) for part in export.parts] == [[[1]]]
    (tmp_path / "test/t.txt").unlink()
    with pytest.raises(Refused, match="has no export"):
        open_export(tmp_path / "test", TABLE)


@pytest.mark.parametrize("second", ["new/test/t/LOAD00000001.csv", "old/test/t/LOAD00000001.csv.gz"])
def test_two_full_loads_of_dms_are_distinguished(tmp_path: Path, second: str) -> None:
    for name in ("old/test/t/LOAD00000001.csv", "old/test/t/LOAD00000002.csv", second):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1,a\n")
    with pytest.raises(Refused, match=f"contains old/test/t/LOAD00000001.csv and {second}|{second} and old/"):
        open_export(tmp_path, TABLE, format="dms", columns=COLUMNS, dialect="NULL 'NULL'")


def test_two_exported_snapshots_are_distinguished(tmp_path: Path) -> None:
    for export in ("new", "old"):
        folder = tmp_path / export / "test/test.t/1"
        folder.mkdir(parents=True)
        (folder / "part-00000.parquet").touch()
        (folder / "_success").touch()
    with pytest.raises(Refused, match=r"contains several exports of test\.t"):
        open_export(tmp_path, TABLE, format="rds-snapshot", columns=COLUMNS)


def test_data_of_mydumper_without_its_statement_is_not_left_out(tmp_path: Path) -> None:
    load = "LOAD DATA LOCAL INFILE '{}' REPLACE INTO TABLE `t` FIELDS TERMINATED BY ',' (`id`,`note`);\n"
    (tmp_path / "test.t-schema.sql").write_text(
        "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `note` varchar(9)\n) DEFAULT CHARSET=utf8mb4;\n"
    )
    (tmp_path / "metadata").write_text("")
    for number in range(2):
        (tmp_path / f"test.t.0000{number}.sql").write_text(load.format(f"test.t.0000{number}.dat"))
        (tmp_path / f"test.t.0000{number}.dat").write_text(f"{number},a\n")
    assert len(open_export(tmp_path, TABLE).parts) == 2
    (tmp_path / "test.t.00001.sql").unlink()
    with pytest.raises(BadPart, match=r"test.t.00001.dat, which no statement loads"):
        open_export(tmp_path, TABLE)


def test_a_table_has_one_folder_in_its_place_whatever_its_name(tmp_path: Path) -> None:
    names = [
        "shop.purchase",
        "shop.../x",
        "../x.y",
        "a.b/c",
        "a.b%2Fc",
        "a.ลูก ค้า",
        "é" * 64 + "." + "é" * 64,
        "é" * 64 + ".ê",
    ]
    folders = list(map(folder_of, names))
    assert folders[0] == names[0] and len(set(folders)) == len(names)
    for folder in folders:
        (tmp_path / folder).mkdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(folders)
