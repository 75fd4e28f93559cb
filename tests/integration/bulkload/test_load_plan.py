"""`ferry load --plan` against a real MySQL: its numbers next to those of the load itself."""

import json
import subprocess
import sys
from typing import Any

import pytest

from bulkload.dynamodb.item_size import item_bytes
from lab.cloud import Cloud
from lab.database import Server
from rowferry.control_table import load_key
from tests.support.mappings import PURCHASE
from tests.support.move_bed import Bed, make_bed

pytestmark = pytest.mark.integration


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud) -> Bed:
    return make_bed(mysql, fresh_cloud)


def planned(bed: Bed, tmp_path: Any, *more: str) -> Any:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(PURCHASE)
    done = subprocess.run(
        [sys.executable, "-m", "ferry.cli", "load", "--plan", "--mapping", str(mapping), *more],
        env=bed.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.parametrize("count", [0, 3000, 30_000])
def test_the_plan_is_near_what_the_load_makes(bed: Bed, tmp_path: Any, count: int) -> None:
    if count:
        bed.fill([(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(count)])
    bed.sql("ANALYZE TABLE purchase")
    (target,) = json.loads(planned(bed, tmp_path, "--json"))["targets"]
    within = pytest.approx(count, rel=0.5)  # InnoDB's estimate was seen a fifth off
    assert target["rows"] == (within if count > 5000 else count)
    assert target["items"] == pytest.approx(target["rows"] / 10, rel=0.05)
    methods = {method["name"]: method for method in target["methods"]}
    assert target["roads"] == target["methods"]  # the name before 0.2.0
    assert (
        methods["direct"]["write_units"] == methods["files"]["write_units"] == target["items"]
    )  # under 1 KB each
    assert methods["direct"]["dollars"] == pytest.approx(target["items"] * 0.625e-6, abs=1e-4)
    assert methods["direct"]["hours"] == pytest.approx(target["items"] / 4000 / 3600, abs=1e-3)
    assert methods["import"]["dollars"] == pytest.approx(target["import_bytes"] * 0.15e-9, abs=1e-4)
    assert target["cheapest"] == "import" or not count
    assert not bed.items() and not bed.control.get(load_key("test.purchase"))  # nothing is written
    if count == 3000:
        bed.load()
        assert target["bytes"] == sum(
            item_bytes({**item, "customerid": {"S": key[0]}, "orderid": {"S": key[1]}})
            for key, item in bed.items().items()
        )
        (later,) = json.loads(planned(bed, tmp_path, "--json"))["targets"]
        assert later["cheapest"] is None and "has items" in later["advice"]
        assert "us-east-1" in planned(bed, tmp_path)
