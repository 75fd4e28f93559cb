"""Loads from exported files whose steps Spark runs: real Spark, real files, the emulated cloud."""

import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ferry.spark.package import package
from lab.cloud import Cloud
from rowferry.control_table import LOADER
from tests.integration.bulkload.test_import import (
    BUCKET,
    NEW,
    ROWS,
    Bed,
    expected,
    shuffled,
)
from tests.support.spark import NEEDED, PYTHON, SHORT_LIVED, SPARK
from tests.support.waiting import wait_for

KILLS = int(os.environ.get("ROWFERRY_KILLS", "1"))
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    *NEEDED,
]


class SparkBed(Bed):
    def command(self, *arguments: str) -> list[str]:
        (_, *rest) = super().command(*arguments)
        return [PYTHON, *rest, "--spark"]


@pytest.fixture
def bed(fresh_cloud: Cloud, tmp_path: Path) -> Bed:
    return SparkBed(fresh_cloud, tmp_path)


def test_into_the_table_that_exists(bed: Bed) -> None:
    bed.export(*shuffled(ROWS))
    (outcome,), said = bed.load("--max-wcu", "5000")
    assert (outcome["state"], outcome["rows"], outcome["items"]) == ("done", 3000, 300)
    assert bed.items("purchase") == expected(ROWS)
    assert not (bed.folder / "work/purchase").exists()
    (java, *ours) = said.splitlines()
    assert java.startswith("WARNING: Using incubator modules")  # nothing else of Spark's
    assert all(line.startswith("load: ") for line in ours), said


STRINGS = NEW.replace("attribute-per-row", "string-set").replace(
    'member_value = "quantity"', 'member_value = "quantity"\n    attribute = "lines"'
)


def test_string_sets_by_import_into_a_new_table(bed: Bed) -> None:
    bed.map(STRINGS)
    bed.export(*shuffled([*ROWS, ("", "o", "p", 1)]))
    arguments = ("--method", "import", "--to", f"s3://{BUCKET}/a", "--accept-unusable")
    (outcome,), said = bed.load(*arguments)
    assert (outcome["state"], outcome["items"], outcome["unusable"]) == ("done", 300, 1), said
    assert bed.items("imported") == expected(ROWS, STRINGS)


def test_a_damaged_part_is_named_and_nothing_is_written(bed: Bed) -> None:
    bed.export(*shuffled(ROWS))
    part = bed.folder / "export/test.purchase/000001.csv"
    whole = part.read_bytes()
    part.write_bytes(whole[:-5] + b'"\n"x')
    (*_, last) = bed.load(status=2)[1].splitlines()
    assert last.startswith("error: ") and "000001.csv" in last and "Traceback" not in last
    assert not bed.items("purchase")
    part.write_bytes(whole)
    assert bed.load()[0][0]["state"] == "done"
    assert bed.items("purchase") == expected(ROWS)


def test_the_limit_holds_over_all_tasks(bed: Bed) -> None:
    """300 items of 1 WCU at 50 a second take 6 s, of which the first is free."""
    bed.export(*shuffled(ROWS))
    process = subprocess.Popen(
        bed.command("--max-wcu", "50"),
        env=bed.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    began = time.monotonic()
    try:
        assert process.wait() == 0
    finally:
        process.kill()
    assert time.monotonic() - began > 4
    assert bed.items("purchase") == expected(ROWS)


def test_killed_at_random_moments_nothing_is_lost_and_no_task_goes_on(bed: Bed) -> None:
    """ROWFERRY_KILLS=20 kills so often. Spark's processes end with the driver's, also when it is killed."""
    rows = [(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(20_000)]
    bed.export(*shuffled(rows, 12))
    random = Random(1)
    for _ in range(KILLS):
        process = subprocess.Popen(
            bed.command(), env=bed.environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            wait_for(partial(at_work, bed, written(bed)))
            time.sleep(random.uniform(0, 2))
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        wait_for(partial(is_gone, process.pid))
        if bed.control.get(LOADER):
            bed.control.update(LOADER, set={"released": True})  # the next would watch it for 15 s
    (outcome,), _ = bed.load()
    assert (outcome["state"], outcome["rows"], outcome["items"]) == ("done", 20_000, 2000)
    assert bed.items("purchase") == expected(rows)


def written(bed: Bed) -> tuple[int, bool]:
    """What shows that a run is at work."""
    names = list((bed.folder / "work").rglob("*")) if (bed.folder / "work").exists() else []
    return len(names), bool(bed.items("purchase"))


def at_work(bed: Bed, before: tuple[int, bool]) -> bool:
    return written(bed) != before


def is_gone(group: int) -> bool:
    """No process of the group runs."""
    found = (state(path) for path in Path("/proc").glob("[0-9]*/stat"))
    return not any(fields[2:3] == [str(group)] and fields[0] != "Z" for fields in found)


def state(path: Path) -> list[str]:
    """State, parent, group, ...; none where the process has ended meanwhile."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


class ClusterBed(Bed):
    """A driver by spark-submit and two executors, each a process of its own; the code comes as an archive."""

    def command(self, *arguments: str) -> list[str]:
        archive = package(self.folder / "package")
        return [
            str(SPARK / "bin/spark-submit"),
            *("--master", "local-cluster[2,1,1024]", "--py-files", str(archive)),
            *("--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.executor.instances=2"),
            *("--conf", "spark.ui.enabled=false"),
            *("--conf", f"spark.executor.extraJavaOptions={SHORT_LIVED}"),
            str(archive.with_name("job.py")),
            *("--json", "--mapping", str(self.mapping), "--from", f"s3://{BUCKET}/export"),
            *("--work", f"s3://{BUCKET}/work", *arguments),
        ]

    @property
    def environment(self) -> dict[str, str]:
        python = {"PYSPARK_PYTHON": PYTHON, "SPARK_LOCAL_IP": "127.0.0.1"}
        return {**super().environment, **python, "SPARK_HOME": str(next(SPARK.glob("lib/*/*/pyspark")))}

    def load(self, *arguments: str, status: int = 0) -> tuple[list[dict[str, Any]], str]:
        """spark-submit has one output for the driver's two."""
        done = subprocess.run(
            self.command(*arguments), env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        (*said, last) = done.stdout.splitlines()
        return json.loads(last), "\n".join(said)


def test_on_a_cluster(fresh_cloud: Cloud, tmp_path: Path) -> None:
    bed = ClusterBed(fresh_cloud, tmp_path)
    folder = bed.export(*shuffled(ROWS))
    for file in filter(Path.is_file, folder.rglob("*")):
        name = f"export/{file.relative_to(folder).as_posix()}"
        fresh_cloud.client("s3").upload_file(str(file), BUCKET, name)
    (outcome,), _ = bed.load()
    assert (outcome["state"], outcome["rows"], outcome["items"]) == ("done", 3000, 300)
    assert bed.items("purchase") == expected(ROWS)
    assert not bed.files("work/")


def test_a_cluster_refuses_a_folder_of_this_machine(fresh_cloud: Cloud, tmp_path: Path) -> None:
    bed = ClusterBed(fresh_cloud, tmp_path)
    bed.export(ROWS[:10])
    command = [word.replace(f"s3://{BUCKET}/export", str(tmp_path / "export")) for word in bed.command()]
    done = subprocess.run(command, env=bed.environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "is a folder of this machine alone" in done.stdout + done.stderr
    assert not bed.items("purchase")
