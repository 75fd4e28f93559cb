"""
Parquet: the files of `ferry export`, and the rows of any Parquet file.

Our own files have temporal values and JSON as text, as MySQL prints them: Parquet can store neither
0000-00-00 nor a TIME of -838 hours.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bulkload.exports.columns import ExportColumn, value_converter
from bulkload.exports.records import BadLine, Numbered, ReadRows
from rowferry.errors import Refused
from rowferry.values import Value, time_text
from rowferry.values.document import written

try:
    import pyarrow as pa
    from pyarrow import parquet as pq
except ImportError as error:
    raise Refused("Parquet needs the package pyarrow", "pip install pyarrow") from error

ROWS_AT_ONCE = 20_000
"""Rows of a row group, which is in memory as a whole."""


def arrow_type(column: ExportColumn) -> Any:
    """How a column is stored."""
    match column.family:
        case "int":
            return pa.uint64() if column.is_unsigned else pa.int64()
        case "bit":
            return pa.uint64()
        case "decimal":
            return pa.decimal256(column.precision, column.scale)  # decimal128 ends at 38 digits
        case "float" | "double":
            return pa.float64()
        case "bytes":
            return pa.large_binary()
        case "set":
            return pa.list_(pa.string())
    return pa.large_string()


_PRINTERS: dict[str, Callable[[Any], Any]] = {
    "time": time_text,
    "json": lambda value: written(value.document),
    "date": str,
    "datetime": str,
    "set": list,
}


class ParquetWriter:
    """Writes rows to one file. A context manager: the file is complete after its end."""

    def __init__(self, path: Path, columns: Sequence[ExportColumn]) -> None:
        self._columns = columns
        self._schema = pa.schema([(column.name, arrow_type(column)) for column in columns])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._waiting: list[Sequence[Value]] = []

    def write(self, rows: Iterable[Sequence[Value]]) -> None:
        self._waiting += rows
        if len(self._waiting) >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        arrays = [
            pa.array(_printed(values, column), type=kind)
            for values, column, kind in zip(
                # Without rows there is nothing in it, which is no error.
                zip(*self._waiting, strict=True),
                self._columns,
                self._schema.types,
                strict=bool(self._waiting),
            )
        ]
        if arrays:
            self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._writer.close()


def _printed(values: Sequence[Any], column: ExportColumn) -> Sequence[Any]:
    printer = _PRINTERS.get(column.family)
    return values if printer is None else [None if value is None else printer(value) for value in values]


def reader(columns: Sequence[ExportColumn]) -> ReadRows:
    """Reads these columns of Parquet files of any program. BadLine has the number of the row."""
    makers = [value_converter(column) for column in columns]
    names = [column.name for column in columns]

    def read(path: Path, _name: str) -> Iterator[Numbered]:
        row = 0
        for batch in _batches(path, names):
            for fields in zip(*(_objects(array) for array in batch), strict=True):
                row += 1
                try:
                    yield (
                        row,
                        [
                            None if field is None else make(field)
                            for field, make in zip(fields, makers, strict=True)
                        ],
                    )
                except (ValueError, ArithmeticError, AttributeError, TypeError):
                    raise BadLine(row, "has a value that its column's type does not allow") from None

    return read


def _batches(path: Path, names: Sequence[str]) -> Iterator[Sequence[Any]]:
    row = 0
    try:
        with pq.ParquetFile(path) as file:
            if missing := [name for name in names if name not in file.schema_arrow.names]:
                raise BadLine(0, f"lacks the columns {', '.join(missing)}")
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=list(names)):
                yield [batch.column(name) for name in names]
                row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise BadLine(row, f"is not a Parquet file, or is damaged ({type(error).__name__})") from error


def _objects(array: Any) -> list[Any]:
    if pa.types.is_timestamp(array.type) or pa.types.is_time(array.type):
        kind = pa.timestamp("us", array.type.tz) if pa.types.is_timestamp(array.type) else pa.time64("us")
        array = array.cast(kind)  # nanoseconds would need another package
    found: list[Any] = array.to_pylist()
    return found
