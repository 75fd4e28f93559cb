"""An exported table as the load reads it, whichever program wrote it."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backports import zstd

from bulkload.exports.blocks import Columns, blocks_of, columns_of
from bulkload.exports.columns import ExportColumn
from bulkload.exports.locations import Location
from bulkload.exports.manifest import ExportPart
from bulkload.exports.records import BadLine, ReadRows
from rowferry.checkpoint import Checkpoint
from rowferry.errors import BadPart, Refused
from rowferry.history import History
from rowferry.mapping import TableMapping
from rowferry.position import BinlogOffset, Position, base_name
from rowferry.values import Value

_DAMAGED = (EOFError, OSError, zlib.error, zstd.ZstdError, UnicodeDecodeError)
_FIX = "export or copy this file again, then run the same command: it resumes"


@dataclass(frozen=True, slots=True)
class Export:
    """
    One exported table.

    `columns`: those of each row, in this order. `epoch` and `server`: in which the export began, None for
    files of other programs, which may have a `stated` watermark. `expected_rows`: of all parts together,
    where the program recorded it. `notes`: warnings for the operator.
    """

    location: Location
    table: str
    format: str
    columns: tuple[ExportColumn, ...]
    parts: tuple[ExportPart, ...]
    read: ReadRows = field(repr=False)
    epoch: int | None = None
    server: str | None = None
    stated: BinlogOffset | None = None
    expected_rows: int | None = None
    notes: tuple[str, ...] = ()

    def rows(self, part: ExportPart) -> Iterator[list[Value]]:
        """
        The part's rows, once the whole part has been checked.

        Checked by its checksum or, where it has none, by reading it twice. Raises BadPart, which names the
        file and the line, before the first row.
        """
        with self._fetched(part) as path:
            # Without a checksum only a first reading shows that no later line is bad.
            if part.sha256 is None:
                for _ in self._counted(path, part):
                    pass
            yield from self._counted(path, part)

    def stream(self, part: ExportPart) -> Iterator[list[Value]]:
        """As `rows`, but BadPart may come after some rows: for callers that discard a part that fails."""
        with self._fetched(part) as path:
            yield from self._counted(path, part)

    def blocks(self, part: ExportPart) -> Iterator[Columns]:
        """As `stream`, in blocks of rows, column by column."""
        read = blocks_of(self.read)
        if read is None:
            yield from columns_of(self.stream(part))
            return
        with self._fetched(part) as path:
            count = 0
            for _line, columns in self._guarded(read(path, part.name), part):
                count += len(columns[0])
                yield columns
            self._require(count, part)

    @contextmanager
    def _fetched(self, part: ExportPart) -> Iterator[Path]:
        try:
            with self.location.fetched(part.name) as path:
                _verify(path, part, self._where(part))
                yield path
        except FileNotFoundError as error:
            raise BadPart(f"{self._where(part)} is missing", _FIX) from error

    def _where(self, part: ExportPart) -> str:
        return f"{self.location}/{part.name}"

    def _counted(self, path: Path, part: ExportPart) -> Iterator[list[Value]]:
        count = 0
        for _line, values in self._guarded(self.read(path, part.name), part):
            count += 1
            yield values
        self._require(count, part)

    def _require(self, count: int, part: ExportPart) -> None:
        if part.rows not in (None, count):
            raise BadPart(f"{self._where(part)} has {count:,} rows, {part.rows:,} are expected", _FIX)

    def _guarded[T](self, read: Iterator[tuple[int, T]], part: ExportPart) -> Iterator[tuple[int, T]]:
        line = 0
        try:
            for line, found in read:
                yield line, found
        except BadLine as error:
            raise BadPart(f"{self._where(part)}, line {error.line}: {error}", _FIX) from error
        except _DAMAGED as error:
            reason = "is truncated" if isinstance(error, EOFError) else "is damaged"
            raise BadPart(
                f"{self._where(part)} {reason} after line {line} ({type(error).__name__})", _FIX
            ) from error


def _verify(path: Path, part: ExportPart, where: str) -> None:
    size = path.stat().st_size
    if part.bytes not in (None, size):
        raise BadPart(f"{where} has {size:,} bytes, {part.bytes:,} are expected", _FIX)
    if part.sha256 is not None:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != part.sha256:
            raise BadPart(f"{where} has another checksum (SHA-256) than in its manifest", _FIX)


def parse_watermark(text: str) -> BinlogOffset:
    """The watermark `binlog.000012:4567`, as in --watermark. Raises Refused for any other text."""
    try:
        return BinlogOffset.parse(text)
    except ValueError as error:
        raise Refused(f"{text} is not a watermark", "write FILE:OFFSET, as in binlog.000012:4567") from error


def shown_by_parts(exports: Iterable[Export], checkpoint: Checkpoint) -> dict[int, History]:
    """
    What the rows of `ferry export`'s parts show, by the epoch of their watermarks.

    Raises Refused where a part of before a failover does not say it.
    """
    found: dict[int, History] = {}
    for export in exports:
        for part in export.parts:
            epoch = Position.parse(part.watermark).epoch if part.watermark else checkpoint.epoch
            if part.history is not None:
                found[epoch] = found.get(epoch, History()).union(History.parse(part.history))
            elif epoch != checkpoint.epoch:
                raise Refused(
                    f"the source failed over since {export.location} was exported, which does not say what"
                    " transactions it shows",
                    "export again",
                )
    return found


def watermark_of(
    export: Export, part: ExportPart, checkpoint: Checkpoint, given: BinlogOffset | None
) -> Position:
    """
    The watermark of a part's items, in the epoch of the server that it was read from.

    Raises Refused where that is not of this capture, where there is no watermark, or where one that another
    program has recorded may be from before a failover.
    """
    if part.watermark is not None:
        return _recorded(export, part, checkpoint)
    stated = given or export.stated
    if stated is None:
        raise Refused(
            f"{export.location} has no watermark: up to where in the binlog it shows {export.table}",
            "give it: --watermark FILE:OFFSET, the binlog's end as it was before the first row was read",
        )
    _refuse_former(stated, checkpoint)
    return stated.position(checkpoint.epoch)


def _recorded(export: Export, part: ExportPart, checkpoint: Checkpoint) -> Position:
    watermark = Position.parse(str(part.watermark))
    server = part.server or export.server
    if not checkpoint.has(watermark.epoch) or checkpoint.server_of(watermark.epoch) != server:
        raise Refused(
            f"{export.location} was exported from server {server} in epoch {watermark.epoch},"
            f" captured is {checkpoint.server} in epoch {checkpoint.epoch}",
            "export again: the changes since then are not on the stream",
        )
    return watermark


def _refuse_former(stated: BinlogOffset, checkpoint: Checkpoint) -> None:
    """
    Raises Refused where a watermark that names no server may be of one before a failover: as a position of
    the present one it may be far too high.
    """
    *former, present = checkpoint.epochs
    base = base_name(stated.file)
    if former and (base != present.base or any(base == epoch.base for epoch in former)):
        servers = ", ".join(epoch.server for epoch in checkpoint.epochs)
        raise Refused(
            f"the source has failed over, and {stated} may be of any of its servers ({servers})",
            "export with `ferry export`, whose files say that, and load these",
        )


def carried(columns: Sequence[ExportColumn], table: TableMapping, where: object) -> list[int]:
    """
    The indexes of the columns that the mapping carries. Raises Refused when one that it names is missing.
    """
    names = [column.name for column in columns]
    if missing := [name for name in table.columns if name not in names]:
        raise Refused(
            f"{where} lacks columns that the mapping names: {', '.join(missing)}",
            "export again with them, or correct the mapping",
        )
    return [place for place, name in enumerate(names) if table.travels(name)]
