"""The methods of a bulk load: the commands that make each, and the stages at which it can be killed."""

import json
import sys
from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bulkload.exports import manifest, plan
from bulkload.exports.locations import Location, S3Prefix
from bulkload.from_files.import_table import TableImport
from lab.rehearsal import Rehearsal
from rowferry.control_table import chunks_of, import_key, load_key
from rowferry.mapping import Mapping
from tests.support.spark import PYTHON

SOURCE, TARGET = "test.purchase", "purchase"
BUCKET = "methods"


class Move(Protocol):
    """What a stage looks at."""

    folder: Path
    mapping: Path
    rehearsal: Rehearsal
    orders: int
    """Items that the first rows make."""

    def place(self, text: str) -> Location:
        """A folder or s3:// address as it stands in a command."""


@dataclass(frozen=True, slots=True)
class Stage:
    """
    A stretch of a command's work. `share` of it, 0 to 1, is done for good: it never goes down.

    A kill comes at a share between `first` and `last`, up to `pause` seconds later; below 0 as soon as the
    command is at work.
    """

    name: str
    share: Callable[[Move], float]
    first: float = 0.0
    last: float = 0.8
    pause: float = 0.05


FERRY = (sys.executable, "-m", "ferry.cli")


@dataclass(frozen=True, slots=True)
class Step:
    """
    A command of `program`. `small`: options that cut few rows into many pieces, to be killed in mid-work.

    {folder} and {mapping} in its words are the move's.
    """

    command: tuple[str, ...]
    stages: tuple[Stage, ...]
    small: tuple[str, ...] = ()
    program: tuple[str, ...] = FERRY

    @property
    def ferry(self) -> bool:
        """A command of ferry's, which takes the loader's lock where it loads."""
        return self.program[1:] == FERRY[1:]


@dataclass(frozen=True, slots=True)
class Method:
    """
    Steps, one after the other. `parameters` are the deployment's.

    `arrive`: what brings into the table what the steps leave behind; then no load is known to ferry.
    """

    name: str
    steps: tuple[Step, ...]
    parameters: Dict[str, str] = field(default_factory=dict)
    arrive: Callable[[Move], None] | None = None


def chunks_loaded(move: Move) -> float:
    """Of the direct load's plan."""
    control = move.rehearsal.control
    planned = control.get(load_key(SOURCE)).get("chunks")
    done = sum(item["state"] == "done" for item in control.items(chunks_of(SOURCE)))
    return done / planned if planned else 0.0


def parts_made(where: str) -> Callable[[Move], float]:
    """Of an export's plan."""

    def share(move: Move) -> float:
        place = move.place(where).below(SOURCE)
        names = place.names()
        if plan.NAME not in names:
            return 0.0
        planned = len(json.loads(place.read(plan.NAME))["chunks"])
        return sum(name.startswith(plan.DONE) for name in names) / planned

    return share


def parts_read(where: str) -> Callable[[Move], float]:
    """Of an export's parts, by the load from it."""

    def share(move: Move) -> float:
        parts = json.loads(move.place(where).below(SOURCE).read(manifest.NAME))["parts"]
        names = move.place(WORK).below(TARGET).below("spill").names()
        return sum(name.endswith(".json") for name in names) / len(parts)

    return share


def items_written(move: Move) -> float:
    """Of the items that the first rows make."""
    table = move.rehearsal.aws.client("dynamodb").describe_table(TableName=TARGET)["Table"]
    return float(table["ItemCount"] / move.orders)


def import_started(move: Move) -> float:
    """All or nothing: from just before it is asked for."""
    return float(bool(move.rehearsal.control.get(import_key(TARGET))))


def export(where: str, rows: int = 20) -> Step:
    """What the methods from files begin with; in parts of so many `rows` where it is to be killed."""
    command = ("export", "--to", where, "--workers", "2")
    stage = Stage("making parts", parts_made(where), last=0.7, pause=0.02)
    return Step(command, (stage,), ("--chunk-rows", str(rows)))


WORK, LOCAL, BUCKETED = "{folder}/work", "{folder}/export", f"s3://{BUCKET}/export"
_FROM_FOLDER = ("load", "--from", LOCAL, "--work", WORK)
_FROM_BUCKET = ("load", "--from", BUCKETED, "--work", WORK)

DIRECT = Method(
    "direct",
    (
        Step(
            ("load", "--processes", "2"),
            (Stage("loading chunks", chunks_loaded, -0.1),),
            ("--chunk-rows", "20", "--max-rows", "2000"),
        ),
    ),
)
FILES = Method(
    "files",
    (
        export(LOCAL),
        Step(
            (*_FROM_FOLDER, "--method", "files"),
            (
                Stage("reading parts", parts_read(LOCAL), -0.1),
                Stage("writing items", items_written, 0.01, 0.6, 0.02),
            ),
            ("--requests", "1"),
        ),
    ),
)
SPARK = Method(
    "spark",
    (
        export(LOCAL, rows=100),  # a part is a task
        Step(
            (*_FROM_FOLDER, "--method", "files", "--spark"),
            (
                Stage("reading parts", parts_read(LOCAL), -0.1, pause=1.0),
                Stage("writing items", items_written, 0.01, 0.6, 0.02),
            ),
            ("--requests", "1"),
            (PYTHON, *FERRY[1:]),
        ),
    ),
)
IMPORTED = {"TargetTable": "IMPORTED"}
IMPORT = Method(
    "import",
    (
        export(BUCKETED),
        Step(
            (*_FROM_BUCKET, "--method", "import", "--to", f"s3://{BUCKET}/import"),
            (
                Stage("reading parts", parts_read(BUCKETED), -0.1),
                Stage("grouping", parts_read(BUCKETED), 1.0, 1.0, 0.2),
                Stage("ImportTable", import_started, 1.0, 1.0, 0.5),
            ),
        ),
    ),
    IMPORTED,
)


PIPE = f"""
export=$0/export/{SOURCE} mapping=$1
program='import json, sys; print(json.load(sys.stdin)["watermark"])'
watermark=$({sys.executable} -c "$program" < $export/manifest.json)
cat $export/part-* |
  {sys.executable} -m bulkload.shuffle.mapper --mapping $mapping --export $export | LC_ALL=C sort |
  {sys.executable} -m bulkload.shuffle.reducer --mapping $mapping --position $watermark | gzip > $0/items
"""


def import_items(move: Move) -> None:
    """The file that the reducer has made, by ImportTable."""
    client = move.rehearsal.aws.client
    bucket = S3Prefix(client("s3"), BUCKET, "items")
    with bucket.making("items.json.gz") as path:
        path.write_bytes((move.folder / "items").read_bytes())
    tables = Mapping.load(move.mapping).tables
    table = TableImport(client("dynamodb"), client("logs"), move.rehearsal.control, tables, bucket, "gzip")
    counts = table.wait(table.start(), lambda _: None)
    assert counts.errors == 0 < counts.imported
    table.settle()


FILTERS = Method(
    "filters",
    (
        export(LOCAL),
        Step(
            (PIPE, "{folder}", "{mapping}"),
            (Stage("mapping, sorting, reducing", lambda _: 0.0, -1.0, -1.0, 0.4),),
            program=("bash", "-euo", "pipefail", "-c"),
        ),
    ),
    IMPORTED,
    import_items,
)
METHODS = (DIRECT, FILES, SPARK, IMPORT, FILTERS)
