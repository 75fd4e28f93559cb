"""Layouts that the load merges, and what verify and `ferry mapping` say of them, on real servers."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bulkload.direct.ledger import Ledger
from ferry.verify.diff import Difference
from lab.cloud import Cloud
from lab.database import Server
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import merge_key
from rowferry.errors import Refused, SourceNotReady
from rowferry.mapping import Mapping as RowMapping
from rowferry.mysql import conditions, server
from rowferry.position import Position
from tests.support.epochs import capture
from tests.support.mappings import PURCHASE
from tests.support.move_bed import Bed, make_bed
from tests.support.verified import verified

pytestmark = pytest.mark.integration

KEYS = """
    hash_key = { attribute = "customerid" }
    range_key = { attribute = "orderid" }
"""
LINES = f"""
    [[table]]
    source = "test.purchase"
    target = "purchase"
    layout = "nested-map"
    attribute = "lines"
    member_name = "productid"
    member_value = "quantity"
    {KEYS}
"""
ORDERS = f"""
    [[table]]
    source = "test.orders"
    target = "purchase"
    layout = "item-per-row"
    include = ["status", "placed"]
    ttl = {{ attribute = "expires_at", column = "placed", days = 30 }}
    {KEYS}
"""
SET = LINES.replace("nested-map", "string-set").replace("[[table]]", '[[table]]\n    prefix = "p_"')
TEMPLATE = """
    [[table]]
    source = "test.purchase"
    target = "joined"
    layout = "attribute-per-row"
    hash_key = { attribute = "pk", template = "${customerid}|${orderid}" }
    member_name = "${productid}"
    member_value = "${quantity} pieces"
"""
HOOK = """
    [[table]]
    source = "test.product"
    target = "tags"
    layout = "attribute-per-row"
    hash_key = { attribute = "tag" }
    member_name = "id"
    member_value = "*"
    exclude = ["tag"]
    hook = "hooks.example:one_row_a_tag"
"""


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud) -> Bed:
    bed = make_bed(mysql, fresh_cloud)
    bed.sql(
        "CREATE TABLE orders (customerid VARCHAR(60), orderid VARCHAR(60), status VARCHAR(9),"
        " placed DATETIME, PRIMARY KEY (customerid, orderid))",
        "CREATE TABLE product (id INT PRIMARY KEY, tags VARCHAR(60), name VARCHAR(60), price DECIMAL(9,2))",
    )
    bed.table("joined", pk="S")
    bed.table("tags", tag="S")
    bed.fill([(f"c{n % 3}", f"o{n % 40}", f"p{n % 7}", n) for n in range(280)])
    bed.fill(
        [(f"c{n % 3}", f"o{n}", f"s{n}", None if n % 5 else "2026-01-02 03:04:05") for n in range(60)],
        "orders",
    )
    bed.fill(
        [(n, ",".join(f"t{n % k}" for k in (2, 3, 5)), f"n{n}", f"{n}.50") for n in range(50)], "product"
    )
    bed.fill([("a|", "b", "p1", 1), ("a", "|b", "p2", 2)])
    bed.capture()
    return bed


def differences(bed: Bed, mapping: str, folder: Path) -> list[Difference]:
    (folder / "mapping.toml").write_text(mapping)
    return verified(folder / "mapping.toml", bed.address, bed.dynamodb)[1]


@pytest.mark.parametrize(
    "mapping", [ORDERS + LINES, ORDERS + SET, LINES, SET, TEMPLATE, HOOK], ids=lambda text: text.split('"')[5]
)
def test_a_load_of_small_chunks_gives_what_verify_expects(bed: Bed, mapping: str, tmp_path: Path) -> None:
    bed.loader(mapping, chunk_rows=7, workers=3).run(False)
    assert not bed.unusable
    assert differences(bed, mapping, tmp_path) == []
    bed.sql(
        "UPDATE purchase SET quantity = quantity + 1000 WHERE productid = 'p3'",
        "UPDATE product SET name = 'changed' WHERE id < 10",
        "UPDATE orders SET status = 'x' WHERE orderid < 'o2'",
    )
    assert differences(bed, mapping, tmp_path)
    bed.loader(mapping, chunk_rows=9, again=True).run(False)
    # a set that is merged into holds the older strings as well, until the stream has applied the changes
    merged_set = mapping == ORDERS + SET
    left = differences(bed, mapping, tmp_path)
    assert bool(left) is merged_set and all(one.member.member.endswith("p3]") for one in left)


def test_parts_of_a_key_that_make_one_text_lie_in_one_item(bed: Bed) -> None:
    bed.loader(TEMPLATE, chunk_rows=1, workers=3).run(False)
    item = bed.items("joined")[("a||b",)]
    assert (item["p1"], item["p2"]) == ({"S": "1 pieces"}, {"S": "2 pieces"})


def test_items_that_are_shared_stand_at_the_start_of_the_load(bed: Bed) -> None:
    bed.loader(ORDERS + LINES, chunk_rows=7, workers=2).run(False)
    start = bed.control.get(merge_key("purchase"))["watermark"]
    assert {item["_pos"]["S"] for item in bed.items().values()} == {start}
    bed.sql("INSERT INTO purchase VALUES ('new', 'order', 'p1', 1)")
    bed.loader(ORDERS + LINES, chunk_rows=7, again=True).run(False)
    assert {item["_pos"]["S"] for item in bed.items().values()} == {start}


def test_each_epoch_has_a_start_of_its_own(bed: Bed) -> None:
    first, second = (
        Ledger(bed.control, "test.orders", capture("s", first=epoch), lambda: 0) for epoch in (1, 2)
    )
    early, late, anew = (str(Position(*place)) for place in ((1, 1, 1), (1, 1, 2), (2, 1, 1)))
    assert (first.begin("purchase", early), first.begin("purchase", late)) == (early, early)
    assert second.start_of("purchase") is None
    assert second.begin("purchase", anew) == second.start_of("purchase") == anew


def test_a_source_that_was_loaded_alone_has_to_be_loaded_again(bed: Bed) -> None:
    alone = PURCHASE.replace("[[table]]", '[[table]]\n    prefix = "p_"')
    bed.load(alone)
    with pytest.raises(Refused, match="--again"):
        bed.loader(ORDERS + alone).run(False)
    assert [outcome.state for outcome in bed.loader(ORDERS + alone, again=True).run(False)] == [
        "done",
        "done",
    ]


def test_an_item_that_the_consumer_has_raised_is_not_merged_into(bed: Bed) -> None:
    bed.dynamodb.put_item(
        TableName="purchase",
        Item={"customerid": {"S": "c0"}, "orderid": {"S": "o0"}, "_pos": {"S": "0009" + "0" * 35}},
    )
    with pytest.raises(Refused, match="switch off"):
        bed.loader(ORDERS + LINES).run(False)


def test_a_target_that_removes_its_items_already_is_refused(bed: Bed) -> None:
    bed.dynamodb.update_time_to_live(
        TableName="purchase", TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )
    with pytest.raises(Refused, match="time to live off"):
        bed.loader(ORDERS + LINES).run(False)


def test_what_fits_no_row_is_reported_and_refused_by_the_load_and_stops_no_capturer(
    bed: Bed, tmp_path: Path
) -> None:
    unfit = LINES + "    where = { column = 'productid', eq = 03:04:05 }\n"
    (tmp_path / "m.toml").write_text(unfit)
    bed.sql("TRUNCATE purchase")
    said = check(bed, tmp_path / "m.toml")
    assert "problem of every row: column 'productid' is compared with a constant of another" in said.stdout
    assert said.returncode == 1
    with bed.server.connect(bed.server.capture) as connection:
        conditions.require(conditions.check(connection, server.identify(connection), RowMapping.parse(unfit)))
    with pytest.raises(SourceNotReady, match=r"mapping of test.purchase is such that .*: correct `where`"):
        bed.loader(unfit).run(False)


def test_a_load_again_that_ends_early_leaves_no_source_that_counts_as_done(bed: Bed) -> None:
    bed.loader(ORDERS + LINES).run(False)
    bed.dynamodb.delete_table(TableName="purchase")
    bed.table("purchase", customerid="S", orderid="S")
    key = {"customerid": {"S": "of"}, "orderid": {"S": "before"}}
    bed.dynamodb.put_item(TableName="purchase", Item={**key, "_pos": {"S": str(Position(0, 1, 1))}})
    with pytest.raises(Refused, match="before the reset of capture"):
        bed.loader(ORDERS + LINES, again=True).run(False)
    found = Checkpoint.read(bed.control)
    ledgers = [Ledger(bed.control, name, found, lambda: 0) for name in ("test.orders", "test.purchase")]
    assert [ledger.state for ledger in ledgers] == [None, None]


def test_mapping_check_shows_items_and_problems(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text(ORDERS + LINES + HOOK.replace('"tag" }', '"name" }'))
    bed.sql("UPDATE product SET name = '' WHERE id = 0")
    said = check(bed, tmp_path / "m.toml", "--json", "--sample", "2")
    orders, lines, product = json.loads(said.stdout)
    assert not product["notes"]
    assert said.returncode == 1
    assert orders["writes"] == "UpdateItem" and orders["load"] == "merges members into items"
    row, item = orders["rows"][0]["row"], orders["rows"][0]["items"][0]
    assert item["key"] == {"customerid": {"S": row["customerid"]}, "orderid": {"S": row["orderid"]}}
    assert item["members"]["status"] == {"S": row["status"]}
    assert len(lines["rows"]) == 2 and "lines" in lines["rows"][0]["items"][0]["members"]
    assert "empty or NULL" in product["rows"][0]["problem"] and not product["rows"][1]["problem"]
    assert bed.items() == {}
    assert "problem: " in check(bed, tmp_path / "m.toml").stdout
    (tmp_path / "m.toml").write_text(LINES.replace('"quantity"', '"*"\n    exclude = ["quantty"]'))
    assert "note: exclude names quantty, which is not a column" in check(bed, tmp_path / "m.toml").stdout


KINDS = """
    [[table]]
    source = "test.kinds"
    target = "kinds"
    layout = "item-per-row"
    hash_key = { attribute = "id", type = "N" }
    columns.d = { type = "string" }
"""


def test_mapping_check_shows_every_type_and_notes_long_decimals(bed: Bed, tmp_path: Path) -> None:
    bed.sql(
        "CREATE TABLE kinds (id BIT(8) PRIMARY KEY, n DECIMAL(65,0), d DOUBLE, s SET('a','b'), f FLOAT)",
        f"INSERT INTO kinds VALUES (1, {'9' * 65}, 1e300, 'b,a', 1.1)",
    )
    (tmp_path / "m.toml").write_text(KINDS)
    (kinds,) = json.loads(check(bed, tmp_path / "m.toml", "--json").stdout)
    assert kinds["notes"] == ["n has 65 digits: with more than 38 it becomes text (S)"]
    (item,) = kinds["rows"][0]["items"]
    assert item["key"] == {"id": {"N": "1"}}
    assert item["members"] == {
        "n": {"S": "9" * 65},
        "d": {"S": "1E+300"},
        "s": {"L": [{"S": "a"}, {"S": "b"}]},
        "f": {"N": "1.1"},
    }
    assert "note: n has 65 digits" in check(bed, tmp_path / "m.toml").stdout


def check(bed: Bed, mapping: Path, *arguments: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", "ferry.cli", "mapping", "check", "--mapping", str(mapping), *arguments],
        env={**bed.environment, "PYTHONPATH": "functions:."},
        capture_output=True,
        text=True,
        check=False,
    )
