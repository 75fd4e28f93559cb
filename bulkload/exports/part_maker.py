"""Makes the parts of an export: a process of its own that reads chunks over its own connection."""

import gzip
import hashlib
import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from backports import zstd

from bulkload.connection import Connect
from bulkload.direct import chunks
from bulkload.direct.captured_source import CapturedSource
from bulkload.direct.chunks import CutTable
from bulkload.direct.patience import TRIED_AGAIN, Patience
from bulkload.direct.reader import ChunkReader
from bulkload.dynamodb.batch_writer import RetryPolicy
from bulkload.exports import plan
from bulkload.exports.columns import ExportColumn, source_columns
from bulkload.exports.formats.rowferry_csv import CsvWriter
from bulkload.exports.locations import Location, write
from bulkload.exports.manifest import ExportPart
from bulkload.exports.plan import Form, Plan
from rowferry.checkpoint import Checkpoint
from rowferry.errors import Refused
from rowferry.mapping import TableMapping
from rowferry.mysql import server as mysql_server
from rowferry.mysql.server import Connection
from rowferry.values import Value

_COMMAND = "ferry export"
COMPRESSION_LEVEL = {"gzip": 1, "zstd": 3}  # gzip's default level takes five times as long to save a tenth


class RowWriter(Protocol):
    """Writes rows to one file."""

    def write(self, rows: Iterable[Sequence[Value]]) -> None: ...


class PartSink:
    """Writes a chunk's rows to the file at `path`, from its beginning. The file is complete after `close`."""

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
        some = list(rows)
        self.rows += len(some)
        self._writer.write(some)

    def close(self) -> None:
        self._open.close()


def _compressing(path: Path, compression: str) -> Any:
    if compression == "gzip":
        return gzip.open(path, "wb", compresslevel=COMPRESSION_LEVEL["gzip"])
    if compression == "zstd":
        return zstd.open(path, "wb", level=COMPRESSION_LEVEL["zstd"])
    return path.open("wb")


@dataclass(frozen=True, slots=True)
class PartJob:
    """
    What a process needs, pickled; `connect` and `place` open the source and the location there, `checkpoint`
    reads the capturer's checkpoint.
    """

    connect: Connect
    checkpoint: Callable[[], Checkpoint]
    place: Callable[[], Location]
    mapping: TableMapping
    plan: Plan


class PartMaker:
    """Makes parts, one after the other. Raises Refused where the table has other columns than the plan."""

    def __init__(self, job: PartJob, retry: RetryPolicy | None = None) -> None:
        self._job = job
        self._place = job.place()
        retry = retry or RetryPolicy()
        self._table = self._cut_table(retry)
        source = CapturedSource(job.connect, job.checkpoint)
        self._reader = ChunkReader(source, retry, command=_COMMAND)

    def _cut_table(self, retry: RetryPolicy) -> CutTable:
        patience, job = Patience(retry, command=_COMMAND), self._job
        while True:
            try:
                with closing(job.connect()) as connection:
                    found = mysql_server.columns(connection, job.mapping)
                    _refuse_altered(columns_of(connection, job.mapping), job.plan)
                    return chunks.describe(connection, job.mapping, found)
            except TRIED_AGAIN as error:
                patience.wait(error)

    def make(self, number: int) -> ExportPart:
        """Makes the part of the chunk with that number, then the marker that it is complete."""
        part_plan = self._job.plan
        name = part_plan.part_name(number)
        with self._place.making(name) as path:
            part = self._read(number, name, path)
        # After the part has its name: the marker is what makes it count.
        write(self._place, plan.marker_name(name), plan.marker_text(part))
        return part

    def _read(self, number: int, name: str, path: Path) -> ExportPart:
        made = self._job.plan
        sinks: list[PartSink] = []

        def begin() -> PartSink:
            # `begin` is called again for each retry: the file of the try that failed is closed, then written
            # again from its beginning.
            _close(sinks)
            sinks.append(PartSink(path, made.columns, made.form))
            return sinks[-1]

        try:
            sink, seen = self._reader.read_into(self._table, made.chunks[number], begin)
        finally:
            _close(sinks)
        return replace(
            _described(path, name),
            rows=sink.rows,
            watermark=str(seen.position),
            server=seen.server,
            history=seen.history,
        )


def columns_of(connection: Connection, table: TableMapping) -> tuple[ExportColumn, ...]:
    """The columns of the source table that an export has."""
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


_job: PartJob | None = None


def begin(job: PartJob) -> None:
    """Sets what this process makes."""
    global _job  # noqa: PLW0603
    _job = job


@cache
def _maker() -> PartMaker:
    """Made with the first part, not in `begin`: so that an error reaches the parent."""
    assert _job is not None
    return PartMaker(_job)


def make(number: int) -> ExportPart:
    """Makes one part, in a process that `begin` initialized."""
    return _maker().make(number)
