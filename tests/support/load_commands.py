"""
Every method by which a bulk load brings rows into items, as the commands that an operator runs.

A method more is a function more: it takes a bed (filled tables in the source, a stack without targets in the
cloud), a mapping and a folder, and returns what it made of every table. The folder is that of all methods:
what one has exported, the next takes as it is.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bulkload.direct.grouping import Unusable
from bulkload.dynamodb.json_text import loads
from rowferry.mapping import Mapping, TableMapping
from tests.support.move_bed import Bed
from tests.support.spark import PYTHON

BUCKET = "methods"
NOT_DONE = 1
"""The exit status where rows are unusable."""

type Item = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The items by DynamoDB table, as its low-level client gives them, and what is named as unusable."""

    items: dict[str, list[Item]]
    unusable: list[Unusable]


type Method = Callable[[Bed, Path, Path], Loaded]


def direct(bed: Bed, mapping: Path, folder: Path) -> Loaded:
    """`ferry load`, with chunks that are smaller than the largest groups."""
    make_targets(bed, mapping)
    return _load(bed, mapping, folder / "direct", "--processes", "1", "--chunk-rows", "30000")


def files(bed: Bed, mapping: Path, folder: Path) -> Loaded:
    """`ferry export` in CSV, then `ferry load --from`."""
    make_targets(bed, mapping)
    return _load(bed, mapping, folder / "files", *_from(_exported(bed, mapping, folder, "csv")))


def parquet(bed: Bed, mapping: Path, folder: Path) -> Loaded:
    """The same by way of Parquet."""
    make_targets(bed, mapping)
    return _load(bed, mapping, folder / "parquet", *_from(_exported(bed, mapping, folder, "parquet")))


def spark(bed: Bed, mapping: Path, folder: Path) -> Loaded:
    """`ferry export` in Parquet, then `ferry load --from --spark`."""
    make_targets(bed, mapping)
    how = (*_from(_exported(bed, mapping, folder, "parquet")), "--spark")
    return _load(bed, mapping, folder / "spark", *how, python=PYTHON)


def imported(bed: Bed, mapping: Path, folder: Path) -> Loaded:
    """`ferry export`, import files in S3, ImportTable."""
    bed.cloud.client("s3").create_bucket(Bucket=BUCKET)
    export = _exported(bed, mapping, folder, "csv")
    to = ("--method", "import", "--to", f"s3://{BUCKET}/a")
    return _load(bed, mapping, folder / "import", *_from(export), *to)


def filters(bed: Bed, mapping: Path, folder: Path) -> Loaded:
    """`ferry export`, then mapper | sort | reducer for each table."""
    export, unusable = _exported(bed, mapping, folder, "csv"), folder / "filters-unusable"
    items = {
        table.target: [
            loads(json.dumps(json.loads(line)["Item"]))
            for line in _filtered(bed, mapping, export / table.source, table, unusable)
        ]
        for table in Mapping.load(mapping).tables
    }
    return Loaded(items, _named(unusable))


METHODS: dict[str, Method] = {
    "direct": direct,
    "files": files,
    "parquet": parquet,
    "import": imported,
    "spark": spark,
    "filters": filters,
}


def make_targets(bed: Bed, mapping: Path) -> None:
    """The mapping's DynamoDB tables."""
    for table in Mapping.load(mapping).tables:
        bed.table(table.target, **{key.attribute: key.type for key in table.keys})


def ferry(
    bed: Bed,
    mapping: Path,
    *arguments: str,
    status: tuple[int, ...] = (0,),
    python: str = sys.executable,
) -> str:
    """The command's standard output."""
    command = [python, "-m", "ferry.cli", *arguments, "--mapping", str(mapping)]
    done = subprocess.run(command, env=bed.environment, capture_output=True, text=True, check=False)
    assert done.returncode in status, done.stderr
    return done.stdout


def _exported(bed: Bed, mapping: Path, folder: Path, form: str) -> Path:
    ferry(bed, mapping, "export", "--to", str(folder / form), "--format", form)
    return folder / form


def _from(export: Path) -> tuple[str, str]:
    return "--from", str(export)


def _load(bed: Bed, mapping: Path, folder: Path, *how: str, python: str = sys.executable) -> Loaded:
    work, file = folder / "work", folder / "unusable"
    work.mkdir(parents=True)
    where = ("--work", str(work), "--unusable-file", str(file))
    ferry(bed, mapping, "load", *where, *how, status=(0, NOT_DONE), python=python)
    targets = [table.target for table in Mapping.load(mapping).tables]
    return Loaded({target: _scanned(bed, target) for target in targets}, _named(file))


def _scanned(bed: Bed, target: str) -> list[Item]:
    pages = bed.dynamodb.get_paginator("scan").paginate(TableName=target)
    return [item for page in pages for item in page["Items"]]


def _named(file: Path) -> list[Unusable]:
    return [Unusable.parse(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []


def _filtered(bed: Bed, mapping: Path, export: Path, table: TableMapping, unusable: Path) -> list[str]:
    """The lines that the reducer writes."""
    manifest = json.loads((export / "manifest.json").read_text())
    python = f"'{sys.executable}' -m bulkload.shuffle"
    both = f"--mapping '{mapping}' --unusable-file '{unusable}'"
    parts = " ".join(f"'{export}/{part['name']}'" for part in manifest["parts"])
    command = (
        f"set -o pipefail; cat {parts} | {python}.mapper {both} --table {table.source} --export '{export}'"
        f" | LC_ALL=C sort"
        f" | {python}.reducer {both} --target {table.target} --position {manifest['watermark']}"
    )
    done = subprocess.run(["bash", "-c", command], env=bed.environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().split("\n")[:-1]
