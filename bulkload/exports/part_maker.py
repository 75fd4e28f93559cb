"""A process that makes parts: it reads chunks over a connection of its own."""

import gzip
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from backports import zstd

from bulkload.connection import Connect
from bulkload.direct import chunks
from bulkload.direct.reader import ChunkReader
from bulkload.dynamodb.batch_writer import Patience
from bulkload.exports import plan
from bulkload.exports.columns import ExportColumn, source_columns
from bulkload.exports.formats.rowferry_csv import CsvWriter
from bulkload.exports.locations import Location, write
from bulkload.exports.manifest import ExportPart
from bulkload.exports.plan import Form, Plan
from rowferry.errors import Refused
from rowferry.mapping import TableMapping
from rowferry.mysql import server as mysql_server
from rowferry.mysql.server import Connection, identify
from rowferry.values import Value

COMPRESSION_LEVEL = {"gzip": 1, "zstd": 3}  # gzip's default takes five times as long for a tenth less


class RowWriter(Protocol):
    """Writes rows to one file."""

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        """Writes some."""


class PartSink:
    """Takes a chunk's rows into the file at `path`, from its beginning; `close` it before it is used."""

    def __init__(self, path: Path, columns: tuple[ExportColumn, ...], form: Form) -> None:
        self.rows = 0
        self._open = ExitStack()
        self._writer = self._begun(path, columns, form)

    def _begun(self, path: Path, columns: tuple[ExportColumn, ...], form: Form) -> RowWriter:
        if form.format == "parquet":
            from bulkload.exports.formats.parquet import ParquetWriter

            return self._open.enter_context(ParquetWriter(path, columns))
        binary = self._open.enter_context(_compressing(path, form.compression))
        text = self._open.enter_context(io.TextIOWrapper(binary, encoding="utf-8", newline=""))
        return CsvWriter(text, columns)

    def take(self, rows: Iterable[Sequence[Value]]) -> None:
        """Writes some rows."""
        some = list(rows)
        self.rows += len(some)
        self._writer.write(some)

    def close(self) -> None:
        """Writes what is left."""
        self._open.close()


def _compressing(path: Path, compression: str) -> Any:
    if compression == "gzip":
        return gzip.open(path, "wb", compresslevel=COMPRESSION_LEVEL["gzip"])
    if compression == "zstd":
        return zstd.open(path, "wb", level=COMPRESSION_LEVEL["zstd"])
    return path.open("wb")


@dataclass(frozen=True, slots=True)
class Making:
    """What a process needs; `connect` and `place` open the source and the location there."""

    connect: Connect
    place: Callable[[], Location]
    mapping: TableMapping
    plan: Plan


class Maker:
    """Makes one part after the other."""

    def __init__(self, making: Making, patience: Patience | None = None) -> None:
        self._making = making
        self._place = making.place()
        connection = making.connect()
        server = identify(connection)
        found = mysql_server.columns(connection, making.mapping)
        _refuse_altered(columns_of(connection, making.mapping), making.plan)
        self._table = chunks.describe(connection, making.mapping, found)
        connection.close()
        self._reader = ChunkReader(making.connect, server, patience or Patience())

    def make(self, number: int) -> ExportPart:
        """Makes the part of the chunk with that number, then the file that says that it is whole."""
        part_plan = self._making.plan
        name = part_plan.part_name(number)
        with self._place.making(name) as path:
            part = self._read(number, name, path)
        write(self._place, plan.marker_name(name), plan.marker_text(part))
        return part

    def _read(self, number: int, name: str, path: Path) -> ExportPart:
        made = self._making.plan
        sinks: list[PartSink] = []

        def begin() -> PartSink:
            _close(sinks)
            sinks.append(PartSink(path, made.columns, made.form))
            return sinks[-1]

        try:
            sink, watermark = self._reader.read_into(self._table, made.chunks[number], begin)
        finally:
            _close(sinks)
        return replace(_described(path, name), rows=sink.rows, watermark=str(watermark.position(made.epoch)))


def columns_of(connection: Connection, table: TableMapping) -> tuple[ExportColumn, ...]:
    """Those of the source table that an export has."""
    return tuple(column for column in source_columns(connection, table) if table.travels(column.name))


def _refuse_altered(now: tuple[ExportColumn, ...], made: Plan) -> None:
    if now != made.columns:
        raise Refused(f"{made.table} got other columns during the export", "replace the export with --again")


def _close(sinks: list[PartSink]) -> None:
    while sinks:
        sinks.pop().close()


def _described(path: Path, name: str) -> ExportPart:
    with path.open("rb") as file:
        return ExportPart(
            name, bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest()
        )


_making: Making | None = None


def begin(making: Making) -> None:
    """What the process makes from now on."""
    global _making  # noqa: PLW0603
    _making = making


@cache
def _maker() -> Maker:
    """Made for the first part: what goes wrong here reaches the parent."""
    assert _making is not None
    return Maker(_making)


def make(number: int) -> ExportPart:
    """Makes one part in a process that has begun."""
    return _maker().make(number)
