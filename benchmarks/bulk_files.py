"""
Rows per second and core from the CSV of SELECT ... INTO OUTFILE, and of the article's mapper | sort | reducer
with the same CSV.

bulk_files          import files, compared with the article's scripts as they are: a request for each item,
which a
                    server answers at once
bulk_files_written  import files, compared with the same scripts if the reducer writes lines and sends nothing

A core's second is a second of processor time of all processes together, without the answering server. The CSV
is in the order of the primary key, as MySQL writes it, in several parts.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.bulk_direct import answering
from benchmarks.decoder import Figure
from bulkload.exports import ExportColumn, open_export
from bulkload.exports.locations import Folder
from bulkload.from_files.import_files import Files
from bulkload.from_files.inputs import ExportedTable, LoadTarget
from bulkload.from_files.local_runner import group, spill
from bulkload.from_files.steps import FilesWork
from rowferry.mapping import Mapping
from rowferry.position import Position

NAME, WRITTEN = "bulk_files", "bulk_files_written"
PARTS, ROWS_OF_AN_ITEM = 4, 10
SHARE = 5
"""Factor for the rows of the other benchmarks: with as many, the start of the processes does not count."""
MAPPING = """
    [[table]]
    source = "test.purchase"
    target = "purchase"
    layout = "attribute-per-row"
    hash_key = { attribute = "customerid" }
    range_key = { attribute = "orderid" }
    member_name = "productid"
    member_value = "quantity"
"""
COLUMNS = [
    *(ExportColumn(name, "varchar(40)", "utf8mb4") for name in ("customerid", "orderid", "productid")),
    ExportColumn("quantity", "int"),
]
_SCRIPTS = Path(__file__).parent
_PIPE = (
    'cat "$1"/*.csv | "$PYTHON" "$2"/article_mapper.py | LC_ALL=C sort'
    ' | "$PYTHON" "$2"/article_reducer.py $4 > "$3"'
)


def measure(rows: int, rounds: int) -> Iterator[Figure]:
    """Yields both figures."""
    with tempfile.TemporaryDirectory() as name, answering() as endpoint:
        folder = Path(name)
        write_csv(folder / "csv", rows)
        ours, written = [], []
        for number in range(rounds):  # in turn, so that a slow moment of the machine hits all
            ours.append(seconds(partial(import_files, folder, folder / f"{number}")))
            written.append(seconds(partial(article, folder / "csv", folder / "items")))
        # It takes so long that a slow moment of the machine hardly counts: once is enough.
        put = [seconds(partial(article, folder / "csv", folder / "nothing", endpoint))]
        with (folder / "items").open() as lines:
            items = sum(1 for _ in lines)
        assert items == rows // ROWS_OF_AN_ITEM, f"{items} items"
    for figure, theirs in ((NAME, put), (WRITTEN, written)):
        yield {
            "name": figure,
            "value": round(rows / min(ours)),
            "unit": "rows/s",
            "baseline": round(rows / min(theirs)),
            "ratio": round(min(theirs) / min(ours), 2),
        }


def write_csv(folder: Path, rows: int) -> None:
    """Orders of ten rows, by customer."""
    folder.mkdir()
    part = -(-rows // PARTS)
    for number in range(PARTS):
        with (folder / f"{number}.csv").open("w") as file:
            for n in range(number * part, min(rows, (number + 1) * part)):
                order = n // ROWS_OF_AN_ITEM
                file.write(f"customer-{order // 20:06},order-{order:07},product-{n % 1000:04},{n % 100}\n")


def import_files(folder: Path, work: Path) -> None:
    """All of `ferry load --method import`, up to the files."""
    table = Mapping.parse(MAPPING).tables[0]
    export = open_export(
        folder / "csv", table, format="outfile", columns=COLUMNS, dialect="FIELDS TERMINATED BY ','"
    )
    job = FilesWork(LoadTarget("purchase", [ExportedTable(table, export)]), Position(1, 1, 4), Folder(work))
    for part in job.target.parts:
        spill(job, *part)
    sink = Files(Folder(work / "out"))
    items = sum(group(job, partition, sink).items for partition in job.partitions)
    rows = sum(done.rows for part in job.target.parts if (done := job.part_done(*part)))
    assert items == rows // ROWS_OF_AN_ITEM, f"{items} items of {rows} rows"


def article(csv: Path, items: Path, *endpoint: str) -> None:
    """mapper | sort | reducer as processes; with an endpoint, the items are put there."""
    subprocess.run(
        ["bash", "-o", "pipefail", "-c", _PIPE, "pipe", str(csv), str(_SCRIPTS), str(items), *endpoint],
        env={**os.environ, "PYTHON": sys.executable},
        check=True,
    )


def seconds(work: Callable[[], None]) -> float:
    """Processor time of `work`, its child processes included."""
    before = time.process_time() + _children()
    work()
    return time.process_time() + _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
