"""The manifest of an export: its parts, and the binlog position that they show."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from bulkload.exports.columns import ExportColumn
from rowferry.errors import Refused
from rowferry.position import Position

NAME = "manifest.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class ExportPart:
    """
    One file of an export: `name`, relative to the export's location; its number of `rows`; size in `bytes`
    and `sha256` of the stored (compressed) file; `watermark`, the position (as text) up to which its rows
    show every change; `server`, whose position that is; `history`, the GTID set beyond which they show
    nothing. None where the program that wrote it did not record it.
    """

    name: str
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    watermark: str | None = None
    server: str | None = None
    history: str | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """
    One exported table. `format` is csv or parquet, `compression` gzip, zstd or none (of CSV), `dialect`
    describes how values are written, `server` and `epoch` are those in which the export began.
    """

    table: str
    columns: tuple[ExportColumn, ...]
    format: str
    compression: str
    dialect: dict[str, str]
    server: str
    epoch: int
    parts: tuple[ExportPart, ...]

    @property
    def watermark(self) -> str:
        """The lowest of all parts."""
        # As texts: positions have a fixed width.
        return min(part.watermark or "" for part in self.parts)

    @property
    def rows(self) -> int:
        return sum(part.rows or 0 for part in self.parts)

    def text(self) -> bytes:
        head = {"rowferry_export": VERSION, "watermark": self.watermark, "rows": self.rows}
        return (json.dumps({**head, **asdict(self)}, ensure_ascii=False, indent=1) + "\n").encode()

    @classmethod
    def parse(cls, data: bytes, where: str) -> Self:
        """Reads what `text` wrote. Raises Refused, naming `where`, for any other text."""
        try:
            fields: dict[str, Any] = json.loads(data)
            if fields.pop("rowferry_export") != VERSION:
                raise ValueError("another version")
            watermark, rows = fields.pop("watermark"), fields.pop("rows")
            columns = tuple(ExportColumn(**column) for column in fields.pop("columns"))
            parts = tuple(ExportPart(**part) for part in fields.pop("parts"))
            found = cls(columns=columns, parts=parts, **fields)
            for part in parts:
                Position.parse(str(part.watermark))
            if (found.watermark, found.rows) != (watermark, rows):
                raise ValueError("its parts are not those that it was written with")
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"{where} is not a manifest of `ferry export` ({error})", "export again") from error
        return found
