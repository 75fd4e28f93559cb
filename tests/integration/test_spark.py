"""Loads from exported files whose steps Spark runs: real Spark, real files, the emulated cloud."""

import shutil
from pathlib import Path

import pytest

from bulkload.spark.package import package
from lab.cloud import ROOT, Cloud
from tests.integration.test_import import BUCKET, ROWS, Bed, expected, shuffled

SPARK = ROOT / "build/tools/spark"
pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java 17: install default-jre-headless"),
    pytest.mark.skipif(not (SPARK / "bin/python").exists(), reason="Spark is not installed: make spark"),
]


class SparkBed(Bed):
    def command(self, *arguments: str) -> list[str]:
        (_, *rest) = super().command(*arguments)
        return [str(SPARK / "bin/python"), *rest, "--spark"]


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


class ClusterBed(Bed):
    """A driver by spark-submit and two executors, each a process of its own; the code comes as an archive."""

    def command(self, *arguments: str) -> list[str]:
        archive = package(self.folder / "package")
        return [
            str(SPARK / "bin/spark-submit"),
            *("--master", "local-cluster[2,1,1024]", "--py-files", str(archive)),
            *("--conf", "spark.driver.host=127.0.0.1", "--conf", "spark.executor.instances=2"),
            *("--conf", "spark.ui.enabled=false"),
            str(archive.with_name("job.py")),
            *("--json", "--mapping", str(self.mapping), "--from", f"s3://{BUCKET}/export"),
            *("--work", f"s3://{BUCKET}/work", *arguments),
        ]

    @property
    def environment(self) -> dict[str, str]:
        python = {"PYSPARK_PYTHON": str(SPARK / "bin/python"), "SPARK_LOCAL_IP": "127.0.0.1"}
        return {**super().environment, **python, "SPARK_HOME": str(next(SPARK.glob("lib/*/*/pyspark")))}


def test_on_a_cluster(fresh_cloud: Cloud, tmp_path: Path) -> None:
    bed = ClusterBed(fresh_cloud, tmp_path)
    folder = bed.export(*shuffled(ROWS))
    for file in filter(Path.is_file, folder.rglob("*")):
        fresh_cloud.client("s3").upload_file(
            str(file), BUCKET, f"export/{file.relative_to(folder).as_posix()}"
        )
    (outcome,), said = bed.load()
    print(said)
    assert (outcome["state"], outcome["rows"], outcome["items"]) == ("done", 3000, 300)
    assert bed.items("purchase") == expected(ROWS)
    assert not bed.files("work/")
