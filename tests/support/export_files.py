"""Exports as `ferry export` writes them, for tests that need no server."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from bulkload.exports.columns import ExportColumn
from bulkload.exports.formats.rowferry_csv import DIALECT, CsvWriter
from bulkload.exports.manifest import NAME, ExportPart, Manifest
from rowferry.position import Position
from rowferry.values import Value

COLUMNS = (
    ExportColumn("customerid", "varchar(60)", "utf8mb4"),
    ExportColumn("orderid", "varchar(60)", "utf8mb4"),
    ExportColumn("productid", "varchar(60)", "utf8mb4"),
    ExportColumn("quantity", "int"),
)
type Rows = Sequence[Sequence[Value]]


def write_export(
    folder: Path,
    parts: Sequence[Rows],
    table: str = "test.purchase",
    columns: Sequence[ExportColumn] = COLUMNS,
    server: str = "server",
    first: int = 100,
) -> Manifest:
    """Writes an export whose part number n has the watermark 1:1:`first` + n."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, rows in enumerate(parts):
        path = folder / f"{number:06d}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            CsvWriter(file, columns).write(rows)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        at = str(Position(1, 1, first + number))
        made.append(ExportPart(path.name, len(rows), len(data), digest, at))
    manifest = Manifest(table, tuple(columns), "csv", "none", DIALECT, server, 1, tuple(made))
    (folder / NAME).write_bytes(manifest.text())
    return manifest
