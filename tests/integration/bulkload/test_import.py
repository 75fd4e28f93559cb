"""
Loads from exported files: into the table, and by ImportTable into a new one. No source server is needed.
"""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from backports import zstd

from bulkload.direct.grouping import Grouping
from bulkload.dynamodb.batch_writer import ITEM_TOO_LARGE
from bulkload.dynamodb.json_text import loads
from bulkload.exports.columns import ExportColumn
from bulkload.exports.locations import S3Prefix
from bulkload.from_files.import_table import TableImport
from lab.cloud import Cloud
from rowferry.control_table import APPLIED, CHECKPOINT, FLOORS, LOADER, ControlTable, import_key, load_key
from rowferry.errors import Refused
from rowferry.mapping import Mapping
from rowferry.position import Position
from tests.support.export_files import COLUMNS, Rows, write_export
from tests.support.mappings import PURCHASE
from tests.support.move_bed import make_stack
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
KILLS = int(os.environ.get("ROWFERRY_KILLS", "3"))
BUCKET = "imports"
FIRST = Position(1, 1, 100)
NAMES = [column.name for column in COLUMNS]
ROWS = [(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(3000)]


class Bed:
    """A stack, an export and the command."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.control: ControlTable = make_stack(cloud)
        self.mapping = folder / "mapping.toml"
        self.map(PURCHASE)
        self.capture()
        cloud.client("s3").create_bucket(Bucket=BUCKET)

    def map(self, text: str) -> None:
        self.mapping.write_text(text)

    def capture(self, **changes: Any) -> None:
        fields: dict[str, Any] = {
            "epoch": 1,
            "file": "binlog.000001",
            "offset": 90,
            "server": "server",
            "lanes": 4,
        }
        tables = [table.source for table in Mapping.load(self.mapping).tables]
        self.control.put(CHECKPOINT, {**fields, "tables": tables, "state": "capturing", **changes})

    def export(self, *parts: Rows, **how: Any) -> Path:
        write_export(self.folder / "export" / how.get("table", "test.purchase"), parts, **how)
        return self.folder / "export"

    def command(self, *arguments: str) -> list[str]:
        found = [sys.executable, "-m", "ferry.cli", "load", "--mapping", str(self.mapping), "--json"]
        return [
            *found,
            "--from",
            str(self.folder / "export"),
            "--work",
            str(self.folder / "work"),
            *arguments,
        ]

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ROWFERRY_"))
        }
        return {**kept, **self.cloud.environment}

    def load(self, *arguments: str, status: int = 0) -> tuple[list[dict[str, Any]], str]:
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        return json.loads(done.stdout or "[]"), done.stderr

    def ferry(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ferry.cli", *arguments, "--mapping", str(self.mapping)],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def items(self, table: str) -> list[dict[str, Any]]:
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table)
        return in_order(item for page in pages for item in page["Items"])

    def lose(self, table: str, order: str = "o1") -> None:
        """One item goes."""
        key = {"customerid": {"S": "c0"}, "orderid": {"S": order}}
        self.cloud.client("dynamodb").delete_item(TableName=table, Key=key)

    def files(self, prefix: str = "") -> list[str]:
        answer = self.cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [entry["Key"] for entry in answer.get("Contents", ())]


def in_order(items: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: repr(sorted(item.items())))


def expected(rows: Sequence[Sequence[Any]], text: str = PURCHASE) -> list[dict[str, Any]]:
    grouping = Grouping(Mapping.parse(text).tables[0], NAMES)
    grouping.take(rows)
    return in_order(item for item, _ in grouping.items(FIRST))


@pytest.fixture
def bed(fresh_cloud: Cloud, tmp_path: Path) -> Bed:
    return Bed(fresh_cloud, tmp_path)


def shuffled(rows: Sequence[Any], parts: int = 4) -> list[list[Any]]:
    mixed = list(rows)
    Random(1).shuffle(mixed)
    return [mixed[number::parts] for number in range(parts)]


KEYS: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [
        {"AttributeName": "customerid", "KeyType": "HASH"},
        {"AttributeName": "orderid", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "customerid", "AttributeType": "S"},
        {"AttributeName": "orderid", "AttributeType": "S"},
    ],
}
NEW = PURCHASE.replace('target = "purchase"', 'target = "imported"')


@pytest.mark.parametrize("method", ["files", "import"])
def test_items_carry_the_lowest_watermark_and_the_load_is_done(bed: Bed, method: str) -> None:
    to_new = method == "import"
    target = "imported" if to_new else "purchase"
    bed.map(NEW if to_new else PURCHASE)
    bed.export(*shuffled(ROWS))
    arguments = ["--method", method, *(["--to", f"s3://{BUCKET}/a"] if to_new else [])]
    (outcome,), _ = bed.load(*arguments)
    assert (outcome["state"], outcome["rows"], outcome["items"]) == ("done", 3000, 300)
    assert bed.items(target) == expected(ROWS)
    assert bed.control.get(FLOORS)["test.purchase"] == str(FIRST)
    assert not (bed.folder / "work" / target).exists()
    before = bed.items(target)
    assert bed.load(*arguments)[0][0]["nothing_to_do"]
    assert bed.items(target) == before
    assert bed.ferry("switch", "on").returncode == 0
    said = bed.ferry("status", "--json").stdout
    (bulk,) = json.loads(said)["bulk"]
    assert (bulk["state"], bulk["done"], bulk["rows"], bulk["items"]) == ("done", 1, 3000, 300)


@pytest.mark.parametrize("more", [["--max-rows", "9"], ["--method", "import", "--max-wcu", "9"]])
def test_limits_that_a_road_does_not_have_are_refused(bed: Bed, more: list[str]) -> None:
    bed.export(ROWS[:50])
    assert "leave out the other limits" in bed.load(*more, status=2)[1]
    assert not bed.items("purchase")


def test_limits_hold_and_a_pause_lets_nothing_new_begin(bed: Bed) -> None:
    """Each table's 100 items are 1 WCU each; the tables come one after the other."""
    bed.map(PURCHASE + PURCHASE.replace("purchase", "other"))
    bed.capture()
    bed.cloud.client("dynamodb").create_table(TableName="other", **KEYS)
    for table in ("purchase", "other"):
        bed.export(*shuffled(ROWS[:1000]), table=f"test.{table}")
    slow = bed.command("--max-wcu", "1")  # 100 s: a busy machine has paused it long before
    with subprocess.Popen(
        slow, env=bed.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            wait_for(lambda: bed.items("purchase"))
            assert bed.ferry("throttle", "--pause", "--max-wcu", "50").returncode == 0
            wait_for(lambda: len(bed.items("purchase")) == 100)
            time.sleep(1.5)
            assert process.poll() is None and not bed.items("other")
            resumed = time.monotonic()
            assert bed.ferry("throttle", "--resume", "--max-wcu", "20").returncode == 0
            _, said = process.communicate()
            assert time.monotonic() - resumed > 2  # of 5 s, the first of which is free, as is the last batch
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert b"paused by `ferry throttle --pause`" in said
    assert bed.items("other") == bed.items("purchase") == expected(ROWS[:1000])


def test_the_new_table_is_as_the_template_makes_it(bed: Bed) -> None:
    bed.map(NEW)
    bed.export(ROWS[:50])
    bed.load("--method", "import", "--to", f"s3://{BUCKET}")
    dynamodb = bed.cloud.client("dynamodb")
    assert (
        dynamodb.describe_table(TableName="imported")["Table"]["BillingModeSummary"]["BillingMode"]
        == "PAY_PER_REQUEST"
    )
    backups = dynamodb.describe_continuous_backups(TableName="imported")["ContinuousBackupsDescription"]
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    said = dynamodb.describe_time_to_live(TableName="imported")["TimeToLiveDescription"]
    assert (said["TimeToLiveStatus"], said["AttributeName"]) == ("ENABLED", "_ttl")


def test_an_existing_table_is_refused_with_the_fix(bed: Bed) -> None:
    bed.export(ROWS[:50])
    _, said = bed.load("--method", "import", "--to", f"s3://{BUCKET}", status=2)
    assert "exists" in said and "--method files" in said
    assert not bed.files() and not bed.control.get(load_key("test.purchase"))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_folder_gets_every_item_once_over_all_files(bed: Bed, compression: str) -> None:
    bed.export(*shuffled(ROWS))
    (outcome,), said = bed.load(
        "--method", "import", "--to", str(bed.folder / "out"), "--compression", compression, status=1
    )
    assert outcome["state"] == "loading" and "S3" in said
    opened = gzip.decompress if compression == "gzip" else zstd.decompress
    files = sorted((bed.folder / "out/purchase").iterdir())
    lines = [line for file in files for line in opened(file.read_bytes()).decode().split("\n")[:-1]]
    items = [loads(line[len('{"Item":') : -1]) for line in lines]
    assert in_order(iter(items)) == expected(ROWS)
    orders = [int(item["orderid"]["S"][1:]) for item in items]
    neighbours = sum(abs(one - other) == 1 for one, other in pairwise(orders))
    assert neighbours < 30  # of 299, had they stayed in the key's order


@pytest.mark.parametrize("rows", [[], ROWS[:1]])
@pytest.mark.parametrize("method", ["files", "import"])
def test_a_table_of_no_row_and_of_one(bed: Bed, method: str, rows: Rows) -> None:
    bed.map(NEW if method == "import" else PURCHASE)
    bed.export(rows)
    (outcome,), _ = bed.load("--method", method, "--to", f"s3://{BUCKET}/x")
    assert (outcome["state"], outcome["rows"]) == ("done", len(rows))
    assert bed.items(outcome["target"]) == expected(rows)


def test_rows_that_no_item_can_hold_are_named_by_every_method(bed: Bed) -> None:
    rows: list[Any] = [("c", "o", "p", 1), ("", "o", "p", 1)]
    rows += [("c", "fits", f"{n}".ljust(39_900, "l"), 1) for n in range(10)]
    rows += [("c", "large", f"{n}".ljust(41_100, "l"), 1) for n in range(10)]
    bed.export(rows[:15], rows[15:])
    (outcome,), said = bed.load("--unusable-file", str(bed.folder / "unusable"), status=1)
    assert (outcome["state"], outcome["items"], outcome["unusable"]) == ("loading", 2, 11)
    named = [json.loads(line) for line in (bed.folder / "unusable").read_text().splitlines()]
    assert [(row["key"].get("orderid"), row["rows"]) for row in named] == [("o", 1), ("large", 10)]
    assert "400 KB" in named[1]["reason"] and "--accept-unusable" in said
    assert [item["orderid"]["S"] for item in bed.items("purchase")] == ["fits", "o"]
    assert bed.load("--accept-unusable")[0][0]["state"] == "done"


def importer(bed: Bed, prefix: str) -> TableImport:
    client = bed.cloud.client
    return TableImport(
        client("dynamodb"),
        client("logs"),
        bed.control,
        Mapping.parse(NEW).tables,
        S3Prefix(client("s3"), BUCKET, prefix),
        "gzip",
    )


def test_items_that_the_import_refuses_are_named(bed: Bed) -> None:
    good = {"customerid": {"S": "c"}, "orderid": {"S": "o"}, "p": {"N": "1"}}
    bad = [{**good, "orderid": {"S": f"o{n}"}, "p": {"N": "no number"}} for n in range(3)]
    large = {**good, "orderid": {"S": "large"}, "p": {"S": "x" * 410_000}}
    lines = "".join(json.dumps({"Item": item}) + "\n" for item in [bad[0], good, *bad[1:], large])
    bed.cloud.client("s3").put_object(
        Bucket=BUCKET, Key="bad/items.json.gz", Body=gzip.compress(lines.encode())
    )
    found = importer(bed, "bad")
    arn = found.start()
    counts = found.wait(arn, lambda _: None)
    assert (counts.processed, counts.imported, counts.errors) == (5, 1, 4)
    refused = list(found.refused(arn))
    assert [row.key["orderid"] for row in refused] == ["o0", "o1", "o2", "large"]
    assert {row.key["customerid"] for row in refused} == {"c"}
    assert refused[3].reason == ITEM_TOO_LARGE != refused[0].reason


def test_an_import_whose_answer_was_lost_is_found_again(bed: Bed) -> None:
    line = b'{"Item":{"customerid":{"S":"c"},"orderid":{"S":"o"}}}\n'
    bed.cloud.client("s3").put_object(Bucket=BUCKET, Key="a/i.json.gz", Body=gzip.compress(line))
    arn = importer(bed, "a").start()
    bed.control.put(
        import_key("imported"),
        {k: v for k, v in bed.control.get(import_key("imported")).items() if k not in ("pk", "arn")},
    )
    importer(bed, "a").refuse_existing()
    assert importer(bed, "a").start() == arn
    with pytest.raises(Refused, match="exists"):
        importer(bed, "b").refuse_existing()


def test_strange_files_below_the_prefix_are_refused(bed: Bed) -> None:
    bed.map(NEW)
    bed.export(ROWS[:100])
    bed.cloud.client("s3").put_object(Bucket=BUCKET, Key="a/imported/old.json.gz", Body=b"")
    _, said = bed.load("--method", "import", "--to", f"s3://{BUCKET}/a", status=2)
    assert "old.json.gz" in said
    bed.cloud.client("s3").delete_object(Bucket=BUCKET, Key="a/imported/old.json.gz")
    assert bed.load("--method", "import", "--to", f"s3://{BUCKET}/a")[0][0]["state"] == "done"


def test_what_is_not_on_the_stream_is_refused(bed: Bed) -> None:
    bed.export(ROWS[:10])
    bed.capture(epoch=2)
    assert "epoch 1" in bed.load(status=2)[1]
    bed.capture(server="another")
    assert "exported from server server" in bed.load(status=2)[1]
    bed.capture(tables=[])
    assert "does not capture" in bed.load(status=2)[1]
    assert not bed.items("purchase") and not bed.control.get(FLOORS)


def test_another_export_does_not_go_on_with_the_work(bed: Bed) -> None:
    bed.export(ROWS[:100])
    bed.load("--method", "import", "--to", str(bed.folder / "out"), status=1)
    bed.export(ROWS[:200])
    assert "another export" in bed.load(status=2)[1]


def test_a_damaged_part_is_named_and_the_rest_resumes(bed: Bed) -> None:
    bed.export(ROWS[:1000], ROWS[1000:2000], ROWS[2000:])
    part = bed.folder / "export/test.purchase/000001.csv"
    whole = part.read_bytes()
    part.write_bytes(whole[:-5] + b'"\n"x')
    assert "000001.csv" in bed.load(status=2)[1]
    assert not bed.items("purchase")
    part.write_bytes(whole)
    (bed.folder / "export/test.purchase/000000.csv").write_bytes(b"is not read again")
    assert bed.load()[0][0]["state"] == "done"
    assert bed.items("purchase") == expected(ROWS)


@pytest.mark.parametrize("method", ["files", "import"])
def test_again_means_everything_again(bed: Bed, method: str) -> None:
    arguments = ["--method", method, "--to", f"s3://{BUCKET}/again", "--again"]
    bed.map(NEW if method == "import" else PURCHASE)
    bed.export(ROWS[:200])
    target = bed.load(*arguments[:-1])[0][0]["target"]
    bed.lose(target)
    if method == "import":
        assert "exists" in bed.load(*arguments, status=2)[1]
        bed.cloud.client("dynamodb").delete_table(TableName=target)
    assert bed.load(*arguments)[0][0]["state"] == "done"
    assert bed.items(target) == expected(ROWS[:200])


def put(bed: Bed, order: str, position: Position, **more: Any) -> dict[str, Any]:
    item = {"customerid": {"S": "c0"}, "orderid": {"S": order}, "_pos": {"S": str(position)}, **more}
    bed.cloud.client("dynamodb").put_item(TableName="purchase", Item=item)
    return item


@pytest.mark.parametrize("more", [{"p0": {"N": "1"}}, {"_ttl": {"N": "1"}}], ids=["item", "tombstone"])
def test_what_is_newer_than_the_export_is_not_overwritten(bed: Bed, more: dict[str, Any]) -> None:
    bed.export(ROWS[:20])
    newer = put(bed, "o1", Position(1, 1, 101), **more)
    assert "newer" in bed.load(status=2)[1]
    assert bed.items("purchase") == [newer]
    assert not bed.control.get(load_key("test.purchase")) and not bed.control.get(FLOORS)


def test_a_floor_rises_only_over_an_empty_target(bed: Bed) -> None:
    """The delete of an order that the export no longer has still waits on the stream."""
    bed.export(ROWS[:20])
    left = put(bed, "gone", Position(1, 1, 95), p0={"N": "1"})
    (outcome,), said = bed.load()
    assert outcome["state"] == "done" and "overwrites them" in said
    assert bed.items("purchase") == in_order(iter([*expected(ROWS[:20]), left]))
    assert not bed.control.get(FLOORS)


def test_changes_between_the_export_and_a_floor_are_not_left_out(bed: Bed) -> None:
    bed.export(ROWS[:20])
    bed.control.update(FLOORS, set={"test.purchase": str(Position(1, 1, 101))})
    assert "are skipped" in bed.load(status=2)[1]
    assert not bed.items("purchase")


def test_items_of_an_earlier_epoch_are_refused(bed: Bed) -> None:
    bed.export(ROWS[:20])
    put(bed, "o1", Position(0, 9, 9))
    assert "reset of capture" in bed.load(status=2)[1]
    assert not bed.control.get(load_key("test.purchase")) and not bed.control.get(FLOORS)


def test_a_finished_load_says_that_its_target_was_emptied(bed: Bed) -> None:
    bed.export(ROWS[:5])
    bed.load()
    assert "warning" not in bed.load()[1]
    bed.lose("purchase", "o0")
    (outcome,), said = bed.load()
    assert outcome["nothing_to_do"] and "purchase is empty" in said


def test_an_emptied_target_lacks_what_was_applied(bed: Bed) -> None:
    bed.export(ROWS[:5])
    bed.load()
    bed.control.update(APPLIED, set={"changes": 1})
    assert bed.load("--again")[0][0]["state"] == "done"
    bed.lose("purchase", "o0")
    assert "without --from" in bed.load("--again", status=2)[1]


@pytest.mark.parametrize("method", ["files", "import"])
def test_another_export_is_another_load(bed: Bed, method: str) -> None:
    """Not done, because of a row, then an older export with a new folder of work."""
    bed.map(NEW if method == "import" else PURCHASE)
    arguments = ["--method", method, "--to", f"s3://{BUCKET}/x"]
    bed.export([*ROWS[:20], ("", "o", "p", 1)])
    (outcome,), _ = bed.load(*arguments, status=1)
    bed.export([*ROWS[:20], ("", "o", "p", 1)], first=50)
    _, said = bed.load(*arguments, "--work", str(bed.folder / "other"), status=2)
    assert "are skipped" in said
    assert bed.items(outcome["target"]) == expected(ROWS[:20])
    assert bed.control.get(FLOORS)["test.purchase"] == str(FIRST)


def test_what_was_put_counts_no_more_when_another_method_has_begun(bed: Bed) -> None:
    bed.export([*ROWS[:200], ("", "o", "p", 1)])  # not done: one row is unusable
    bed.load(status=1)
    bed.control.update(load_key("test.purchase"), set={"method": "direct"})
    bed.lose("purchase")
    bed.load("--accept-unusable")
    assert bed.items("purchase") == expected(ROWS[:200])


TWO = (
    PURCHASE
    + """
    [[table]]
    source = "test.orders"
    target = "purchase"
    layout = "item-per-row"
    hash_key = { attribute = "customerid" }
    range_key = { attribute = "orderid" }
    include = ["status"]
"""
)


def test_several_tables_of_one_item_are_grouped_over_all_exports(bed: Bed) -> None:
    bed.map(TWO.replace('member_name = "productid"', 'member_name = "productid"\n    prefix = "line_"'))
    bed.capture()
    bed.export(*shuffled(ROWS[:500]))
    assert "no export of test.orders" in bed.load(status=2)[1]
    columns = (*COLUMNS[:2], ExportColumn("status", "varchar(20)", "utf8mb4"))
    orders = [(f"c{n // 5}", f"o{n}", "paid") for n in range(0, 60, 2)]
    bed.export(orders, table="test.orders", columns=columns, first=50)
    outcomes, _ = bed.load()
    assert [(one["state"], one["rows"]) for one in outcomes] == [("done", 500), ("done", 30)]
    items = {(item["customerid"]["S"], item["orderid"]["S"]): item for item in bed.items("purchase")}
    assert len(items) == 55
    assert {item["_pos"]["S"] for item in items.values()} == {str(Position(1, 1, 50))}
    assert items["c0", "o0"]["status"] == {"S": "paid"} and items["c0", "o0"]["line_p3"] == {"N": "3"}
    assert "status" not in items["c0", "o1"] and items["c11", "o58"].keys() == {
        "customerid", "orderid", "_pos", "status"
    }  # fmt: skip


@pytest.mark.parametrize("method", ["files", "import"])
def test_killed_at_random_moments_nothing_is_lost(bed: Bed, method: str) -> None:
    """ROWFERRY_KILLS=50 kills so often."""
    bed.map(NEW if method == "import" else PURCHASE)
    rows = [(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(20_000)]
    bed.export(*shuffled(rows, 12))
    arguments = ["--method", method, *(["--to", f"s3://{BUCKET}/k"] if method == "import" else [])]
    random, ended = Random(method), 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            bed.command(*arguments), env=bed.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            process.wait(random.uniform(0.8, 4.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        ended += process.returncode == 0
        assert process.returncode in (0, -signal.SIGKILL), said
        if bed.control.get(LOADER):
            bed.control.update(LOADER, set={"released": True})  # the next would watch it for 15 s
    (outcome,), _ = bed.load(*arguments)
    assert (outcome["state"], outcome["rows"], outcome["items"]) == ("done", 20_000, 2000)
    assert bed.items(outcome["target"]) == expected(rows)
