"""The values of fields that contain the server's bytes without a conversion."""

from collections.abc import Callable

from bulkload.exports.columns import (
    Convert,
    ExportColumn,
    read_date,
    read_datetime,
    read_decimal,
    read_document,
    read_labels,
    read_single,
)
from rowferry.errors import Refused
from rowferry.mysql.select import without_halves
from rowferry.values import parse_time

# latin1 is cp1252 in MySQL, but has a character for each of the 256 codes
_LATIN1 = {
    code: bytes([code]).decode("cp1252")
    for code in range(0x80, 0xA0)
    if code not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)
}
_READERS: dict[str, Convert] = {
    "date": read_date,
    "datetime": read_datetime,
    "time": parse_time,
    "set": read_labels,
    "json": read_document,
}


def raw_converter(column: ExportColumn, charset: str | None) -> Convert:
    """
    The converter of a field's bytes.

    `charset` is that of the file; binary: each column in its own; None: unknown. Raises Refused where that
    does not determine the column's values.
    """
    match column.family:
        case "int":
            return int
        case "double":
            return float
        case "float":
            return read_single
        case "bytes" | "bit":
            return _bytes_converter(column, charset)
    decode = _decoder(column, charset)
    match column.family:
        case "text" if column.type == "char":
            return lambda data: decode(data).rstrip(" ")
        case "text":
            return decode
        case "decimal":
            make: Convert = read_decimal(column)
        case family:
            make = _READERS[family]
    return lambda data: make(decode(data))


def _bytes_converter(column: ExportColumn, charset: str | None) -> Convert:
    if charset not in (None, "binary"):
        raise Refused(
            f"column {column.name} is {column.type}, which CHARACTER SET {charset} destroys",
            "write the files without CHARACTER SET, or leave the column out of the mapping",
        )
    if column.family == "bit":
        return int.from_bytes
    return (lambda data: data.ljust(column.length, b"\0")) if column.type == "binary" else bytes


def _utf8(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:  # servers store unpaired surrogates
        return without_halves(data.decode("utf-8", "surrogatepass"))


def _decoder(column: ExportColumn, charset: str | None) -> Callable[[bytes], str]:
    if charset == "utf8mb4" or (charset in (None, "binary") and column.is_utf8):
        return _utf8
    if charset == "binary" and column.charset == "latin1":
        return lambda data: data.decode("latin-1").translate(_LATIN1)
    if charset is None:
        raise Refused(
            f"column {column.name} is text in {column.charset}, and the character set of the file is unknown",
            "give it in the dialect: CHARACTER SET utf8mb4, or CHARACTER SET binary where none was given",
        )
    raise Refused(
        f"column {column.name} was written in {column.charset if charset == 'binary' else charset}",
        "write the files with CHARACTER SET utf8mb4, or leave the column out of the mapping",
    )
