"""The plan of an export: its chunks, written before its first part."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Self

from bulkload.direct.chunks import Chunk, bound_text, read_bound
from bulkload.exports.columns import ExportColumn
from bulkload.exports.manifest import ExportPart
from rowferry.errors import Refused

NAME = "plan.json"
DONE = "done/"


@dataclass(frozen=True, slots=True)
class Form:
    """How parts are written: `format` csv or parquet, `compression` (of CSV) none, gzip or zstd."""

    format: str = "csv"
    compression: str = "none"

    @property
    def suffix(self) -> str:
        """The ending of the parts' names."""
        ending = {"none": "", "gzip": ".gz", "zstd": ".zst"}[self.compression]
        return ".parquet" if self.format == "parquet" else f".csv{ending}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The chunks of one table, with the server and epoch in which it was made. `rows`: at that time."""

    table: str
    columns: tuple[ExportColumn, ...]
    form: Form
    server: str
    epoch: int
    chunks: tuple[Chunk, ...]
    rows: int

    def part_name(self, number: int) -> str:
        """The file of the chunk with that number, from 0."""
        return f"part-{number + 1:06d}{self.form.suffix}"

    def text(self) -> bytes:
        fields = asdict(self)
        fields["chunks"] = [
            [bound_text(chunk.lower), bound_text(chunk.upper), chunk.nulls] for chunk in self.chunks
        ]
        return json.dumps(fields, ensure_ascii=False).encode()

    @classmethod
    def parse(cls, data: bytes, where: str) -> Self:
        """Reads what `text` wrote. Raises Refused, naming `where`, for any other text."""
        try:
            fields: dict[str, Any] = json.loads(data)
            chunks = tuple(
                Chunk(read_bound(lower), read_bound(upper), nulls)
                for lower, upper, nulls in fields.pop("chunks")
            )
            columns = tuple(ExportColumn(**column) for column in fields.pop("columns"))
            return cls(chunks=chunks, columns=columns, form=Form(**fields.pop("form")), **fields)
        except (ValueError, KeyError, TypeError) as error:
            raise Refused(f"{where} is not a plan of `ferry export`", "export again, with --again") from error


def marker_name(part: str) -> str:
    """The name of the small file that marks a part as complete."""
    return f"{DONE}{part}.json"


def marker_text(part: ExportPart) -> bytes:
    return json.dumps(asdict(part)).encode()


def read_marker(data: bytes) -> ExportPart:
    return ExportPart(**json.loads(data))
