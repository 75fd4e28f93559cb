"""The load's steps as Spark's tasks run them, and what they follow; without Spark."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from bulkload.direct.grouping import Grouping
from bulkload.exports.detect import open_export
from bulkload.exports.locations import Folder
from bulkload.from_files.inputs import targets
from bulkload.from_files.local_runner import StepProgress
from bulkload.from_files.steps import Done, FilesWork, Refusals
from bulkload.shuffle.assembly import Assembled, item_of
from bulkload.spark import cluster, errors
from bulkload.spark.cluster import MOST_LINES, Cluster
from bulkload.spark.executor import Follower
from bulkload.spark.runner import SparkRunner
from bulkload.spark.tasks import Partitions, TaskParts
from ferry.spark.package import package
from rowferry.errors import BadPart, LeaseLost, Refused, RowferryError
from rowferry.mapping import Mapping
from rowferry.position import Position
from tests.support.export_files import write_export
from tests.support.mappings import PURCHASE

MAPPING = Mapping.parse(PURCHASE)
AT = Position(1, 1, 100)
ROWS = [(f"c{n // 50}", f"o{n // 10}", f"p{n % 10}", n) for n in range(2000)]


class Taken:
    """A sink that keeps what it is given."""

    place = "memory"

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.calls = 0

    def take(self, partition: int, items: Iterable[Assembled], refusals: Refusals) -> dict[str, Any]:
        self.calls += 1
        self.items += [item_of(item.text) for item in items]
        return {"partition": partition}


@pytest.fixture
def work(tmp_path: Path) -> FilesWork:
    mixed = Random(1).sample(ROWS, len(ROWS))
    write_export(tmp_path / "export/test.purchase", [mixed[number::3] for number in range(3)])
    export = open_export(tmp_path / "export", MAPPING.tables[0])
    (target,) = targets(MAPPING, [export])
    return FilesWork.begin(target, AT, PURCHASE.encode(), Folder(tmp_path / "work"))


def parts(*numbers: int) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_arrays([pa.array(numbers, pa.int64())], names=["id"])


def shuffled(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """As Spark brings lines together."""
    lines = sorted(tuple(row.values()) for batch in batches for row in batch.to_pylist())
    for start in range(0, len(lines), 100):
        columns = zip(*lines[start : start + 100], strict=True)
        yield pa.RecordBatch.from_arrays(
            list(map(pa.array, columns)), names=["partition", "hash", "key", "value"]
        )


def run(work: FilesWork, sink: Taken, done: frozenset[int] = frozenset()) -> list[int]:
    lines = TaskParts(work, done)(parts(0, 1, 2))
    return [
        row["partition"] for batch in Partitions(work, sink)(shuffled(lines)) for row in batch.to_pylist()
    ]


def in_order(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def expected() -> list[dict[str, Any]]:
    grouping = Grouping(MAPPING.tables[0], ["customerid", "orderid", "productid", "quantity"])
    grouping.take(ROWS)
    return in_order(item for item, _ in grouping.items(AT))


def test_lines_become_the_items_of_any_load(work: FilesWork) -> None:
    sink = Taken()
    assert set(run(work, sink)) == set(work.partitions)
    assert in_order(sink.items) == expected()
    assert [done.rows for done in work.read()] == [2000]
    assert sum((done for done in work.grouped(sink)), Done()).items == 200


def test_a_task_that_is_done_again_writes_nothing_twice(work: FilesWork) -> None:
    sink = Taken()
    first, calls = run(work, sink), sink.calls
    assert run(work, sink) == first
    assert sink.calls == calls
    assert run(work, sink, done=frozenset(work.partitions)) == []  # nor are lines made


def test_batches_are_small(work: FilesWork) -> None:
    batches = list(TaskParts(work, frozenset())(parts(0, 1, 2)))
    assert max(batch.num_rows for batch in batches) == MOST_LINES
    assert len(batches) < 12


def test_a_bad_part_is_raised_as_it_was(work: FilesWork, tmp_path: Path) -> None:
    (tmp_path / "export/test.purchase/000001.csv").write_bytes(b"short")
    with pytest.raises(BadPart, match=r"000001\.csv"):
        list(TaskParts(work, frozenset())(parts(1)))
    raised = errors.found(work.place)
    assert type(raised) is BadPart and "000001.csv" in str(raised)
    errors.forget(work.place)
    assert errors.found(work.place) is None


def test_values_in_an_error_of_another_kind_go_nowhere(tmp_path: Path) -> None:
    place = Folder(tmp_path)
    with (
        pytest.raises(RowferryError, match=r"a task failed \(ValueError in test_runner\.py") as raised,
        errors.kept(place),
    ):
        raise ValueError("a customer's name")
    assert raised.value.__suppress_context__
    (kept,) = tmp_path.iterdir()
    assert "customer" not in kept.read_text()


@pytest.mark.parametrize("first", [BadPart("000001.csv is damaged", "export again"), ValueError()])
def test_what_tasks_fall_over_that_are_broken_off_does_not_hide_the_reason(
    tmp_path: Path, first: Exception
) -> None:
    """Their input ends in the middle of a batch: an error of Arrow's, before or after the reason is kept."""
    place = Folder(tmp_path)
    second = ValueError() if isinstance(first, BadPart) else BadPart("000001.csv is damaged", "export again")
    for error in (first, second):
        with pytest.raises(RowferryError), errors.kept(place):
            raise error
    assert type(errors.found(place)) is BadPart


class Lock:
    """The control table's item of the lock."""

    def __init__(self) -> None:
        self.item = {"owner": "driver", "renewals": 1, "released": False}

    def get(self, _: str) -> dict[str, Any]:
        return dict(self.item)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def follower() -> tuple[Follower, Lock, Clock]:
    lock, clock = Lock(), Clock()
    control: Any = lock
    return Follower(control, "driver", 10.0, clock), lock, clock


def test_who_has_seen_no_renewal_does_not_know_that_the_driver_lives() -> None:
    followed, lock, clock = follower()
    followed.look()
    assert not followed.alive  # a dead driver's lock looks the same
    clock.now += 1
    lock.item["renewals"] += 1
    followed.look()
    assert followed.alive
    followed.check()


def test_a_renewal_counts_from_the_look_before_the_one_that_shows_it() -> None:
    followed, lock, clock = follower()
    followed.look()
    clock.now = 104.0
    lock.item["renewals"] += 1
    followed.look()
    clock.now = 104.9
    followed.check()
    clock.now = 105.1
    with pytest.raises(LeaseLost):
        followed.check()


@pytest.mark.parametrize("change", [{"owner": "another"}, {"released": True}])
def test_who_sees_the_lock_go_writes_no_more(change: dict[str, Any]) -> None:
    followed, lock, clock = follower()
    followed.look()
    clock.now += 1
    lock.item["renewals"] += 1
    followed.look()
    lock.item.update(change)
    followed.look()
    with pytest.raises(LeaseLost, match="driver has ended"):
        followed.check()


class Settings(dict[str, str]):
    """pyspark's context, and its own settings."""

    master = "yarn"
    defaultParallelism = 2  # noqa: N815 - likewise

    def getConf(self) -> "Settings":  # noqa: N802 - pyspark's name
        return self


@pytest.mark.parametrize(
    ("settings", "tasks"),
    [
        ({}, 0),
        ({"spark.executor.instances": "3"}, 3),
        ({"spark.executor.instances": "3", "spark.executor.cores": "4"}, 12),
        ({"spark.executor.instances": "3", "spark.executor.cores": "4", "spark.task.cpus": "2"}, 6),
        ({"spark.dynamicAllocation.enabled": "true", "spark.executor.instances": "3"}, 0),
        ({"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.maxExecutors": "9"}, 9),
        ({"spark.dynamicAllocation.enabled": "true", "spark.dynamicAllocation.maxExecutors": "infinity"}, 0),
    ],
)
def test_how_many_tasks_may_run(settings: dict[str, str], tasks: int) -> None:
    assert cluster._tasks(Settings(settings)) == tasks


def test_other_machines_do_not_have_this_ones_folders(work: FilesWork) -> None:
    lock: Any = None
    runner = SparkRunner(Cluster(session=None, local=False, tasks=1), lock)
    with pytest.raises(Refused, match="folder of this machine alone: use s3://"):
        runner.run(work, Taken(), lambda: None, lambda step: None)


def test_nothing_is_asked_of_spark_when_all_is_done(work: FilesWork) -> None:
    sink, lock, steps = Taken(), None, list[StepProgress]()
    run(work, sink)
    runner: Any = SparkRunner(Cluster(session=None, local=True, tasks=1), lock)  # type: ignore[arg-type]
    runner.run(work, sink, lambda: None, steps.append)
    assert steps == []


def test_java_is_asked_for_before_spark_fails_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="Spark needs Java 17 or later"):
        cluster._here(None)


def test_the_package_runs_without_a_checkout(tmp_path: Path) -> None:
    archive = package(tmp_path / "package")
    names = zipfile.ZipFile(archive).namelist()
    assert "functions/purchase.toml" in names and "rowferry/position.py" in names
    program = (
        "import sys, bulkload.spark.tasks, ferry.cli, ferry.context as s\n"
        "assert 'pyspark' not in sys.modules\n"
        "assert (s.FUNCTIONS / 'purchase.toml').read_text()\n"
        "assert all('rowferry.zip' in m.__file__ for m in (s, bulkload.spark.tasks))"
    )
    command = [sys.executable, "-c", program]
    subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(archive)}, check=True)


def test_the_job_is_the_load(tmp_path: Path) -> None:
    archive = package(tmp_path)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "job.py"), "--help"],
        cwd=tmp_path, env={"PYTHONPATH": str(archive)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("usage: ferry load")
