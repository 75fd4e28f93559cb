"""Export files of a real server: what was written is what a SELECT gives, for every column type."""
# ruff: noqa: DTZ001  values of MySQL have no time zone

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from bulkload.connection import connect
from bulkload.exports import ExportColumn, open_export, source_columns, watermark_of
from bulkload.exports.exporter import Exported, Exporter, ExportSettings
from bulkload.exports.locations import Folder
from bulkload.exports.part_maker import PartJob, PartMaker
from bulkload.exports.plan import NAME, Form, Plan
from ferry import cli
from ferry.commands.export import open_below
from lab.cloud import Cloud
from lab.server import Server
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import CHECKPOINT
from rowferry.errors import BadPart, Refused, Unapplied
from rowferry.mapping import Mapping, TableMapping
from rowferry.mysql import snapshot
from rowferry.mysql.address import Address
from rowferry.mysql.server import identify
from rowferry.position import BinlogOffset
from rowferry.values import time_text
from tests.integration.values.test_select import (
    COMMON,
    MAPPED,
    MARIADB,
    MYSQL,
    SESSION,
    Cases,
    execute,
    table_of,
)
from tests.integration.values.test_select import differences as differences_of
from tests.integration.values.test_select import server as server  # noqa: PLC0414  a fixture
from tests.support.epochs import capture
from tests.support.mappings import PURCHASE
from tests.support.move_bed import Bed, make_bed
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

TABLE = Mapping.parse(MAPPED.format(schema="test", table="t", key="id")).tables[0]


@pytest.fixture
def cases(server: Server) -> Cases:
    return COMMON + (MYSQL if server.flavor == "mysql" else MARIADB)


def exporter(server: Server, **settings: Any) -> Exporter:
    account = server.capture
    open_source = partial(connect, Address(server.host, server.port, account.user, account.password))
    with open_source() as connection:
        identity = identify(connection)
        end = snapshot.current_offset(connection, identity)
    found, asked = capture(identity.identity, file=end.file, offset=end.offset), ExportSettings(**settings)
    return Exporter(open_source, partial(_itself, found), found, asked, lambda _: None, lambda _: None)


def _itself(found: Checkpoint) -> Checkpoint:
    return found


def export_into(folder: Path, server: Server, table: TableMapping = TABLE, **settings: Any) -> Exported:
    return exporter(server, **settings).run(table, partial(open_below, str(folder), table.source))


def rows_in(folder: Path, table: TableMapping = TABLE, **options: Any) -> list[dict[str, Any]]:
    """All rows of the export, in the order of the column `id`."""
    export = open_export(folder, table, **options)
    names = [column.name for column in export.columns]
    found = [dict(zip(names, values, strict=True)) for part in export.parts for values in export.rows(part)]
    return sorted(found, key=lambda row: row["id"])


@pytest.mark.parametrize(
    "form", [Form(), Form(compression="gzip"), Form(compression="zstd"), Form("parquet")], ids=str
)
def test_every_type_comes_back(server: Server, cases: Cases, form: Form, tmp_path: Path) -> None:
    statements, expected = table_of(cases)
    execute(server, [*SESSION, *statements])
    result = export_into(tmp_path, server, form=form, workers=2, chunk_rows=4)
    assert result.manifest.rows == len(expected) and len(result.manifest.parts) > 1
    assert differences_of(cases, rows_in(tmp_path), expected) == []


# what others write

OPTIONS = [
    "",
    r"FIELDS TERMINATED BY ',' ESCAPED BY '\\' LINES TERMINATED BY '\n'",  # the article's
    """FIELDS TERMINATED BY ',' ENCLOSED BY '"'""",
    r"""FIELDS TERMINATED BY ';' OPTIONALLY ENCLOSED BY '"' LINES TERMINATED BY '\r\n'""",
    r"FIELDS TERMINATED BY '||' ESCAPED BY '^' LINES STARTING BY 'row:' TERMINATED BY '\n'",
]


def is_written_alike(column: str) -> bool:
    """Its bytes in a file without CHARACTER SET can be read."""
    return not any(name in column for name in ("utf16", "utf32", "ucs2", "swe7", "sjis", "euckr", "cp1251"))


@pytest.fixture
def alike(cases: Cases) -> Cases:
    others = ("tis620", "gb18030")
    return [case for case in cases if is_written_alike(case[0]) and not any(o in case[0] for o in others)]


def source_columns_of(server: Server, table: TableMapping = TABLE) -> tuple[ExportColumn, ...]:
    with server.connect() as connection:
        return source_columns(connection, table)


def into_outfile(
    server: Server, folder: Path, name: str, options: str, select: str = "SELECT * FROM t"
) -> Path:
    """The server writes a file where it may, from where it is moved into the folder."""
    written = server.folder / "files" / f"{folder.name}-{name}"
    execute(server, ["SET time_zone = '+00:00'"])
    connection: Any
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"{select} INTO OUTFILE '{written}' {options}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(written.read_bytes())
    written.unlink()
    return folder / name


@pytest.mark.parametrize("options", OPTIONS)
def test_every_type_comes_back_from_an_outfile(
    server: Server, alike: Cases, options: str, tmp_path: Path
) -> None:
    statements, expected = table_of(alike)
    execute(server, [*SESSION, *statements])
    into_outfile(server, tmp_path, "1.csv", options, "SELECT * FROM t WHERE id < 3")
    into_outfile(server, tmp_path, "2.csv", options, "SELECT * FROM t WHERE id >= 3")
    dialect = f"CHARACTER SET binary {options}"
    columns = source_columns_of(server)
    found = rows_in(tmp_path, format="outfile", columns=columns, dialect=dialect)
    assert differences_of(alike, found, expected) == []


def test_text_comes_back_from_an_outfile_in_utf8mb4(server: Server, cases: Cases, tmp_path: Path) -> None:
    texts = [case for case in cases if "character set" in case[0] and "enum" not in case[0]]
    statements, expected = table_of([case for case in texts if "ucs2" not in case[0]])
    execute(server, [*SESSION, *statements])
    into_outfile(server, tmp_path, "1.csv", "CHARACTER SET utf8mb4")
    columns = source_columns_of(server)
    options: dict[str, Any] = {"format": "outfile", "columns": columns}
    assert rows_in(tmp_path, **options, dialect="CHARACTER SET utf8mb4") == expected
    with pytest.raises(Refused, match="the character set of the file is unknown"):
        rows_in(tmp_path, **options)
    with pytest.raises(Refused, match="CHARACTER SET utf8mb4"):
        rows_in(tmp_path, **options, dialect="CHARACTER SET binary")


def test_bytes_that_a_character_set_destroys_are_refused(mysql: Server, tmp_path: Path) -> None:
    execute(mysql, ["CREATE TABLE t (id INT PRIMARY KEY, data BLOB)", "INSERT INTO t VALUES (1, x'FF00FE')"])
    path = into_outfile(mysql, tmp_path, "1.csv", "CHARACTER SET utf8mb4")
    assert b"\xff" not in path.read_bytes()  # the server warns, and writes something else
    with pytest.raises(Refused, match="data is blob, which CHARACTER SET utf8mb4 destroys"):
        open_export(
            tmp_path,
            TABLE,
            format="outfile",
            columns=source_columns_of(mysql),
            dialect="CHARACTER SET utf8mb4",
        )


def create_statement(server: Server) -> str:
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("SHOW CREATE TABLE t")
        found: Any = cursor.fetchone()
        return f"/*!40101 SET NAMES utf8mb4 */;\nDROP TABLE IF EXISTS `t`;\n{found[1]};\n"


def test_every_type_comes_back_from_mysqldump_tab(server: Server, alike: Cases, tmp_path: Path) -> None:
    statements, expected = table_of(alike)
    execute(server, [*SESSION, *statements])
    execute(server, ["ALTER TABLE t ADD made INT GENERATED ALWAYS AS (id + 1)"])
    names = [*expected[0]]
    into_outfile(server, tmp_path, "t.txt", "", f"SELECT {', '.join(names)} FROM t")
    (tmp_path / "t.sql").write_text(create_statement(server))
    found = rows_in(tmp_path, dialect="CHARACTER SET binary")
    assert differences_of(alike, found, expected) == []
    assert open_export(tmp_path, TABLE, dialect="CHARACTER SET binary").format == "mysqldump-tab"
    with pytest.raises(Refused, match="lacks the columns made"):
        rows_in(tmp_path, dialect="CHARACTER SET binary", columns=source_columns_of(server))


def test_every_type_comes_back_from_aurora(server: Server, alike: Cases, tmp_path: Path) -> None:
    statements, expected = table_of(alike)
    execute(server, [*SESSION, *statements])
    for number, condition in enumerate(("id < 2", "id >= 2")):
        into_outfile(server, tmp_path, f"t.part_{number:05}", "", f"SELECT * FROM t WHERE {condition}")
    entries = [{"url": f"s3-us-west-2://bucket/export/t.part_{number:05}"} for number in range(2)]
    (tmp_path / "t.manifest").write_text(json.dumps({"entries": entries}))
    options: dict[str, Any] = {"columns": source_columns_of(server), "dialect": "CHARACTER SET binary"}
    assert differences_of(alike, rows_in(tmp_path, **options), expected) == []
    (tmp_path / "t.part_00001").unlink()
    with pytest.raises(BadPart, match="part_00001 is missing"):
        rows_in(tmp_path, **options)
    (tmp_path / "t.part_00001").touch()
    (tmp_path / "t.part_00000").unlink()
    (tmp_path / "t.manifest").unlink()
    with pytest.raises(BadPart, match="file number 0 is missing"):
        rows_in(tmp_path, **options)


# mydumper: what it gets from the server, written as its documentation says


def dumped(server: Server, names: list[str]) -> list[list[bytes | None]]:
    """The rows as a client gets them after SET NAMES binary."""
    with (
        server.connect(charset="utf8mb4", conv={}, use_unicode=False) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SET NAMES binary")
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(f"SELECT {', '.join(names)} FROM t")
        return [
            [value if value is None or isinstance(value, bytes) else str(value).encode() for value in row]
            for row in cursor.fetchall()
        ]


def escaped(value: bytes) -> bytes:
    """As mysql_real_escape_string does it."""
    marks = {0: b"\\0", 10: b"\\n", 13: b"\\r", 26: b"\\Z", 34: b'\\"', 39: b"\\'", 92: b"\\\\"}
    return b"".join(marks.get(byte, bytes([byte])) for byte in value)


METADATA = """# Started dump at: 2026-11-24 11:47:18
[source]
# Channel_Name = ''
File = {file}
Position = {offset}
Executed_Gtid_Set = 7b166a41-65a2-11ed-9de3-0800275ff74d:1-147115

[`test`.`t`]
Rows = {rows}
"""


def dump(server: Server, folder: Path, cases: Cases) -> tuple[list[list[bytes | None]], list[dict[str, Any]]]:
    statements, expected = table_of(cases)
    execute(server, [*SESSION, *statements])
    (folder / "test.t-schema.sql").write_text(create_statement(server))
    text = METADATA.format(file="binlog.000017", offset=241149225, rows=len(expected))
    (folder / "metadata").write_text(text)
    return dumped(server, [*expected[0]]), expected


def test_every_type_comes_back_from_mydumper(server: Server, alike: Cases, tmp_path: Path) -> None:
    rows, expected = dump(server, tmp_path, alike)
    for number, part in enumerate((rows[:2], rows[2:])):
        lines = [
            b"(" + b",".join(b"NULL" if v is None else b'"' + escaped(v) + b'"' for v in row) + b")"
            for row in part
        ]
        text = b"/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES" + b"\n,".join(lines) + b";\n"
        with gzip.open(tmp_path / f"test.t.{number:05}.sql.gz", "wb") as file:
            file.write(text)
    assert differences_of(alike, rows_in(tmp_path), expected) == []
    export = open_export(tmp_path, TABLE)
    assert (export.format, export.expected_rows) == ("mydumper", len(expected))
    assert export.stated == BinlogOffset("binlog.000017", 241149225)
    (tmp_path / "metadata").rename(tmp_path / "metadata.partial")
    with pytest.raises(BadPart, match="not finished"):
        open_export(tmp_path, TABLE)


def test_every_type_comes_back_from_mydumper_with_load_data(
    server: Server, alike: Cases, tmp_path: Path
) -> None:
    rows, expected = dump(server, tmp_path, alike)
    fields = b"".join(
        b"\t".join(b"\\N" if v is None else b'"' + escaped(v) + b'"' for v in row) + b"\n" for row in rows
    )
    (tmp_path / "test.t.00000.dat").write_bytes(fields)
    (tmp_path / "test.t.00000.sql").write_text(
        "LOAD DATA LOCAL INFILE 'test.t.00000.dat' REPLACE INTO TABLE `t` CHARACTER SET binary FIELDS"
        r" TERMINATED BY '\t' ENCLOSED BY '\"' ESCAPED BY '\\' LINES STARTING BY '' TERMINATED BY '\n' "
        f"({','.join(f'`{name}`' for name in expected[0])});\n"
    )
    assert differences_of(alike, rows_in(tmp_path), expected) == []


# Parquet and CSV of AWS, from values and types of their documentation

PLAIN: Cases = [
    case
    for case in COMMON
    if case[0]
    in ("bigint", "bigint unsigned", "decimal(10,2)", "double", "varchar(20)", "longblob", "time(6)")
]


def test_an_rds_snapshot_is_read(mysql: Server, tmp_path: Path) -> None:
    statements, expected = table_of(
        [*PLAIN, ("date", COMMON[14][1]), ("set('x','z')", [("'z,x'", ("x", "z"))])]
    )
    execute(mysql, [*SESSION, *statements])
    folder = tmp_path / "export-1/test/test.t/1"
    folder.mkdir(parents=True)
    columns = source_columns_of(mysql)
    kinds = {"int": pa.int64(), "decimal": pa.decimal128(10, 2), "double": pa.float64(), "bytes": pa.binary()}
    schema = pa.schema(
        [
            (c.name, pa.decimal128(20, 0) if "unsigned" in c.definition else kinds.get(c.family, pa.string()))
            for c in columns
        ]
    )
    printed = [{name: rds_value(value) for name, value in row.items()} for row in expected]
    pq.write_table(pa.Table.from_pylist(printed, schema), folder / "part-00000-7b166a41.gz.parquet")
    with pytest.raises(BadPart, match="has no _success"):
        rows_in(tmp_path, columns=columns)
    (folder / "_success").touch()
    assert rows_in(tmp_path, columns=columns) == expected
    assert open_export(tmp_path, TABLE, columns=columns).format == "rds-snapshot"


def rds_value(value: Any) -> Any:
    """Temporal values and SET are text there."""
    match value:
        case timedelta():
            return time_text(value)
        case date():
            return str(value)
        case tuple():
            return ",".join(value)
    return value


def test_a_dms_full_load_is_read(mysql: Server, tmp_path: Path) -> None:
    execute(
        mysql, ["CREATE TABLE t (id INT PRIMARY KEY, at DATETIME(3), note TEXT, data BLOB, n DECIMAL(9,2))"]
    )
    columns = source_columns_of(mysql)
    folder = tmp_path / "test/t"
    folder.mkdir(parents=True)
    rows = [
        {
            "id": 1,
            "at": datetime(2026, 11, 24, 1, 2, 3, 4000),
            "note": 'a,"\n',
            "data": b"\0\xff",
            "n": Decimal("1.10"),
        },
        {"id": 2, "at": None, "note": None, "data": None, "n": None},
    ]
    (folder / "LOAD00000001.csv").write_text('1,2026-11-24 01:02:03.004,"a,""\n",00FF,1.1\n', newline="")
    (folder / "LOAD00000002.csv").write_text("2,-,-,-,-\n")
    (folder / "20261124-1134010000.csv").write_text("U,2,-,-,-,-\n")
    assert rows_in(tmp_path, columns=columns, dialect="NULL '-'") == rows
    (folder / "LOAD00000001.csv").rename(folder / "LOAD00000003.csv")
    with pytest.raises(BadPart, match="number 1 is missing"):
        rows_in(tmp_path, columns=columns, dialect="NULL '-'")
    for file in folder.iterdir():
        file.unlink()
    kinds = {
        "id": pa.int32(),
        "at": pa.timestamp("ns"),
        "note": pa.string(),
        "data": pa.binary(),
        "n": pa.decimal128(9, 2),
    }
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([*kinds.items()])), folder / "LOAD00000001.parquet")
    assert rows_in(tmp_path, columns=columns) == rows
    data = (folder / "LOAD00000001.parquet").read_bytes()
    (folder / "LOAD00000001.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadPart, match="not a Parquet file, or is damaged"):
        rows_in(tmp_path, columns=columns)


# the command


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Bed:
    made = make_bed(mysql, fresh_cloud)
    for name in [name for name in os.environ if name.startswith(("AWS_", "ROWFERRY_"))]:
        monkeypatch.delenv(name)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE")
    return made


def rows(count: int) -> list[tuple[str, str, str, int]]:
    return [(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(count)]


def purchases(place: str | Path, client: Any = None) -> set[tuple[Any, ...]]:
    export = open_export(place, PURCHASES, client=client)
    found = [tuple(values) for part in export.parts for values in export.rows(part)]
    assert len(found) == len(set(found)) == export.expected_rows
    return set(found)


PURCHASES = Mapping.parse(PURCHASE).tables[0]


def test_export_says_what_it_did_and_that_there_is_nothing_more_to_do(
    bed: Bed, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bed.fill(rows(1000))
    with bed.server.connect() as connection:
        identity = identify(connection)
        start = snapshot.current_offset(connection, identity).position(1)
    arguments = [
        "export",
        "--to",
        str(tmp_path),
        "--chunk-rows",
        "300",
        "--workers",
        "2",
        "--compression",
        "zstd",
    ]
    assert cli.main(arguments) == 0
    out, err = capfd.readouterr()
    assert out.startswith("test.purchase: 1,000 rows in 4 parts, ") and out.endswith("; done\n")
    assert "4 parts, about 1,000 rows" in err
    assert purchases(tmp_path) == set(rows(1000))
    export = open_export(tmp_path, PURCHASES)
    assert (export.epoch, export.server) == (1, identity.identity)
    assert {watermark_of(export, part, capture(identity.identity), None) for part in export.parts} == {start}
    with pytest.raises(Refused, match="in epoch 2"):
        watermark_of(export, export.parts[0], capture(identity.identity, first=2), None)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert cli.main([*arguments, "--json"]) == 0
    (told,) = json.loads(capfd.readouterr()[0])
    assert (told["rows"], told["parts"], told["nothing_to_do"]) == (1000, 4, True)
    assert told["watermark"] == str(start)
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_lost_part_is_made_again_and_a_changed_one_refused(bed: Bed, tmp_path: Path) -> None:
    bed.fill(rows(500))
    arguments = ["export", "--to", str(tmp_path), "--chunk-rows", "200"]
    assert cli.main(arguments) == 0
    before = (tmp_path / "test.purchase/manifest.json").read_bytes()
    part = tmp_path / "test.purchase/part-000002.csv"
    text = part.read_bytes()
    part.write_bytes(text.replace(b'"c', b'"d', 1))
    with pytest.raises(BadPart, match=r"part-000002.csv has another checksum"):
        purchases(tmp_path)
    part.unlink()
    with pytest.raises(BadPart, match=r"part-000002.csv is missing"):
        purchases(tmp_path)
    bed.sql("UPDATE purchase SET quantity = quantity + 1000")
    assert cli.main(arguments) == 0
    found = purchases(tmp_path)
    assert {(*key, quantity % 1000) for *key, quantity in found} == set(rows(500))
    assert len([quantity for *_, quantity in found if quantity >= 1000]) == 200  # this part's
    watermarks = [str(part.watermark) for part in open_export(tmp_path, PURCHASES).parts]
    assert watermarks[1] > watermarks[0] == watermarks[2]
    (tmp_path / "test.purchase/manifest.json").write_bytes(before)  # killed before the new manifest
    with pytest.raises(BadPart, match=r"part-000002.csv has"):
        purchases(tmp_path)
    assert cli.main(arguments) == 0
    assert purchases(tmp_path) == found


def test_a_killed_process_is_named(bed: Bed, tmp_path: Path) -> None:
    bed.fill(rows(100))
    account = bed.address
    with pytest.raises(Unapplied, match="was killed: run the command again"):
        replace(exporter(bed.server), connect=partial(connect_or_die, account)).run(
            PURCHASES, partial(open_below, str(tmp_path), "x")
        )


def connect_or_die(address: Address) -> Any:
    if multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return connect(address)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--format", "parquet"], "was begun with another --format"),
        (["--compression", "gzip"], "was begun with another --format"),
        (["--table", "test.other"], "test.other is not mapped"),
    ],
)
def test_an_export_of_other_options_is_refused_then_replaced(
    bed: Bed, capfd: pytest.CaptureFixture[str], tmp_path: Path, more: list[str], reason: str
) -> None:
    bed.fill(rows(100))
    assert cli.main(["export", "--to", str(tmp_path)]) == 0
    assert cli.main(["export", "--to", str(tmp_path), *more]) == 2
    assert reason in capfd.readouterr()[1]
    if "--table" not in more:
        assert cli.main(["export", "--to", str(tmp_path), *more, "--again"]) == 0
        assert purchases(tmp_path) == set(rows(100))
        assert len(list(tmp_path.glob("test.purchase/part-*"))) == 1


def test_an_export_of_another_epoch_or_table_is_refused(
    bed: Bed, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bed.fill(rows(100))
    assert cli.main(["export", "--to", str(tmp_path)]) == 0
    bed.sql("ALTER TABLE purchase MODIFY quantity BIGINT")
    assert cli.main(["export", "--to", str(tmp_path)]) == 2
    assert "of other columns" in capfd.readouterr()[1]
    bed.sql("ALTER TABLE purchase MODIFY quantity INT")
    bed.capture(epoch=2)
    assert cli.main(["export", "--to", str(tmp_path)]) == 2
    assert "before capture was reset" in capfd.readouterr()[1]
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange/test.purchase").mkdir()
    (tmp_path / "strange/test.purchase/file").touch()
    assert cli.main(["export", "--to", str(tmp_path / "strange")]) == 2
    assert "contains other files" in capfd.readouterr()[1]


def test_without_a_capturer_nothing_is_exported(
    bed: Bed, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bed.dynamodb.delete_item(TableName=bed.control.name, Key={"pk": {"S": CHECKPOINT}})
    assert cli.main(["export", "--to", str(tmp_path)]) == 2
    assert "no capturer has run yet" in capfd.readouterr()[1]
    assert not list(tmp_path.iterdir())


def test_export_into_s3(bed: Bed, capfd: pytest.CaptureFixture[str]) -> None:
    s3 = bed.cloud.client("s3")
    s3.create_bucket(Bucket="exports")
    bed.fill(rows(1000))
    arguments = ["export", "--to", "s3://exports/a b/c", "--chunk-rows", "400", "--compression", "gzip"]
    assert cli.main(arguments) == 0, capfd.readouterr()[1]
    assert purchases("s3://exports/a b/c", s3) == set(rows(1000))
    s3.delete_object(Bucket="exports", Key="a b/c/test.purchase/part-000001.csv.gz")
    with pytest.raises(BadPart, match=r"s3://exports/a b/c/test.purchase/part-000001.csv.gz is missing"):
        purchases("s3://exports/a b/c", s3)
    assert cli.main(arguments) == 0
    assert purchases("s3://exports/a b/c", s3) == set(rows(1000))


def test_killed_at_random_moments_it_goes_on(bed: Bed, tmp_path: Path) -> None:
    bed.fill(rows(6_000))
    command = [sys.executable, "-m", "ferry.cli", "export", "--to", str(tmp_path), "--chunk-rows", "150"]
    folder = tmp_path / "test.purchase"
    made: dict[str, int] = {}
    for pause in (0.0, 0.1, 0.3):
        made = killed_after(pause, command, folder, made)
    assert len(made) > 0
    assert cli.main(command[3:]) == 0
    assert purchases(tmp_path) == set(rows(6_000))
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("done/part-*")}.items() >= made.items()
    assert not list(folder.rglob(".*"))


def killed_after(pause: float, command: list[str], folder: Path, made: dict[str, int]) -> dict[str, int]:
    """What is whole after an export was killed some time after its first new part."""
    process = subprocess.Popen(
        [*command, "--workers", "2"],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(lambda: len(list(folder.glob("done/part-*"))) > len(made) or process.poll() is not None)
    assert process.poll() in (None, 0)  # it may have nothing left to do
    time.sleep(pause)
    process.kill()  # the parent alone: its children end with it
    process.wait()
    wait_for(lambda: not members(process.pid))
    now = {path.name: path.stat().st_mtime_ns for path in folder.glob("done/part-*")}
    assert made.items() <= now.items()  # what is done is not done again
    return now


def members(session: int) -> list[str]:
    """Living processes of a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(path.parent.name)
    return found


def test_columns_that_change_places_behind_the_plan_are_not_mixed_up(server: Server, tmp_path: Path) -> None:
    """The process that makes the parts begins after the plan was made."""
    execute(server, ["DROP TABLE IF EXISTS t", "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)"])
    export_into(tmp_path, server)
    place = Folder(tmp_path / TABLE.source)
    planned = Plan.parse(place.read(NAME), "plan")
    execute(server, ["ALTER TABLE t MODIFY a INT AFTER b"])
    ours = exporter(server)
    with pytest.raises(Refused, match="got other columns during the export"):
        PartMaker(PartJob(ours.connect, ours.checkpoint, lambda: place, TABLE, planned))
