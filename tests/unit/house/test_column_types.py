"""
Every column type in every reader, with one value: docs/adding-a-column-type.md.

The list of types is the decoder's. A type that one reader has and another has not fails here, by the reader's
name. Values at the limits are in tests/support/matrix_cases.py, with real servers.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bulkload.direct.chunk_keys import key_column
from bulkload.exports import columns as export_columns
from bulkload.exports.columns import ExportColumn, text_converter, value_converter
from bulkload.exports.formats import dms, parquet, rowferry_csv, sql_inserts
from bulkload.exports.values_raw import raw_converter
from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.rows.columns import plan
from capturer.decoder.rows.decoder import RowDecoder
from capturer.decoder.rows.table_schema import TableColumn, TableMap
from capturer.decoder.rows.types import CHARACTER, DECLARED, MARIADB_CHARACTER, ColumnType
from ferry.verify.oracle import values as oracle
from rowferry.errors import RowferryError
from rowferry.mysql import select, type_check
from rowferry.mysql.select import SourceColumn
from rowferry.values import Json, Value, attribute
from tests.support import matrix_cases

BINARY, UTF8MB4 = 63, 255
"""Collations."""


@dataclass(frozen=True, slots=True)
class Sample:
    """
    One value of a type: `definition` as information_schema's COLUMN_TYPE has it, `value` as the core has it,
    `printed` as the server prints it (bytes: as it is). A row event has `code`, `metadata` and `stored`.
    """

    definition: str
    value: Value
    printed: str | bytes
    code: ColumnType
    stored: bytes
    metadata: int = 0
    charset: str | None = None


def integer(name: str, code: ColumnType, size: int) -> dict[str, Sample]:
    return {name: Sample(name, 5, "5", code, (5).to_bytes(size, "little"))}


def text(name: str, definition: str, code: ColumnType, metadata: int, prefix: int) -> dict[str, Sample]:
    stored = (3).to_bytes(prefix, "little") + "aé".encode()
    return {name: Sample(definition, "aé", "aé", code, stored, metadata, "utf8mb4")}


def binary(name: str, definition: str, code: ColumnType, metadata: int, prefix: int) -> dict[str, Sample]:
    stored = (2).to_bytes(prefix, "little") + b"\xff\x01"
    return {name: Sample(definition, b"\xff\x01", b"\xff\x01", code, stored, metadata)}


POINT = struct.pack("<IBIdd", 0, 1, 1, 1.0, 2.0)
MOMENT = datetime(2026, 1, 2, 3, 4, 5)  # noqa: DTZ001 - MySQL has no zone
_DAYS = ((2026 * 13 + 1) << 5 | 2) << 17 | (3 << 12 | 4 << 6 | 5)
ADDRESS = "2001:db8::ff00:42:8329"
UUID = "123e4567-e89b-12d3-a456-426614174000"
SHAPES = (
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon",
    "geomcollection", "geometrycollection",
)  # fmt: skip
SAMPLES: Mapping[str, Sample] = {
    **integer("tinyint", ColumnType.TINY, 1),
    **integer("smallint", ColumnType.SHORT, 2),
    **integer("mediumint", ColumnType.INT24, 3),
    **integer("int", ColumnType.LONG, 4),
    **integer("bigint", ColumnType.LONGLONG, 8),
    "decimal": Sample(
        "decimal(4,2)", Decimal("12.50"), "12.50", ColumnType.NEWDECIMAL, b"\x8c\x32", 4 << 8 | 2
    ),
    "float": Sample("float", 1.5, "1.5", ColumnType.FLOAT, struct.pack("<f", 1.5), 4),
    "double": Sample("double", 1.5, "1.5", ColumnType.DOUBLE, struct.pack("<d", 1.5), 8),
    "bit": Sample("bit(10)", 513, "513", ColumnType.BIT, b"\x02\x01", 1 << 8 | 2),
    "year": Sample("year", 2026, "2026", ColumnType.YEAR, bytes([126])),
    "date": Sample(
        "date", date(2026, 1, 2), "2026-01-02", ColumnType.DATE,
        (2026 << 9 | 1 << 5 | 2).to_bytes(3, "little"),
    ),
    "time": Sample(
        "time", -timedelta(hours=26), "-26:00:00", ColumnType.TIME2, (0x800000 - (26 << 12)).to_bytes(3)
    ),
    "datetime": Sample(
        "datetime", MOMENT, "2026-01-02 03:04:05", ColumnType.DATETIME2, (0x8000000000 + _DAYS).to_bytes(5)
    ),
    "timestamp": Sample(
        "timestamp", MOMENT, "2026-01-02 03:04:05", ColumnType.TIMESTAMP2, (1767323045).to_bytes(4)
    ),
    **text("varchar", "varchar(9)", ColumnType.VARCHAR, 36, 1),
    **text("char", "char(9)", ColumnType.STRING, 36, 1),
    **text("tinytext", "tinytext", ColumnType.BLOB, 1, 1),
    **text("text", "text", ColumnType.BLOB, 2, 2),
    **text("mediumtext", "mediumtext", ColumnType.BLOB, 3, 3),
    **text("longtext", "longtext", ColumnType.BLOB, 4, 4),
    **binary("varbinary", "varbinary(9)", ColumnType.VARCHAR, 9, 1),
    **binary("binary", "binary(2)", ColumnType.STRING, 2, 1),
    **binary("tinyblob", "tinyblob", ColumnType.BLOB, 1, 1),
    **binary("blob", "blob", ColumnType.BLOB, 2, 2),
    **binary("mediumblob", "mediumblob", ColumnType.BLOB, 3, 3),
    **binary("longblob", "longblob", ColumnType.BLOB, 4, 4),
    "enum": Sample("enum('a','b')", "b", "b", ColumnType.ENUM, b"\x02", 1, "utf8mb4"),
    "set": Sample("set('a','b','c')", ("a", "c"), "a,c", ColumnType.SET, b"\x05", 1, "utf8mb4"),
    "json": Sample("json", Json(True), "true", ColumnType.JSON, b"\x02\x00\x00\x00\x04\x01", 4),
    "vector": Sample(
        "vector(1)", struct.pack("<f", 1.5), struct.pack("<f", 1.5), ColumnType.VECTOR,
        (4).to_bytes(4, "little") + struct.pack("<f", 1.5), 4,
    ),
    **{
        name: Sample(name, POINT, POINT, ColumnType.GEOMETRY, len(POINT).to_bytes(4, "little") + POINT, 4)
        for name in SHAPES
    },
    "inet4": Sample("inet4", "192.0.2.1", "192.0.2.1", ColumnType.STRING, b"\x04\xc0\x00\x02\x01", 4),
    "inet6": Sample(
        "inet6", ADDRESS, ADDRESS, ColumnType.STRING,
        b"\x10" + bytes.fromhex("20010db8000000000000ff0000428329"), 16,
    ),
    "uuid": Sample("uuid", UUID, UUID, ColumnType.STRING, b"\x10" + bytes.fromhex(UUID.replace("-", "")), 16),
}  # fmt: skip
"""By information_schema's data_type. INET4, INET6 and UUID are MariaDB's, JSON and VECTOR are MySQL's."""


def exported(name: str) -> ExportColumn:
    return ExportColumn("c", SAMPLES[name].definition, SAMPLES[name].charset)


def by_binlog(name: str) -> Value:
    sample = SAMPLES[name]
    collation = (
        None if sample.code not in CHARACTER | MARIADB_CHARACTER else UTF8MB4 if sample.charset else BINARY
    )
    column = TableColumn(
        sample.code, sample.metadata, True, "c", unsigned=False, collation=collation,
        labels=("a", "b", "c")[: sample.definition.count(",") + 1] if name in ("enum", "set") else None,
        declared=name,
    )  # fmt: skip
    decode = RowDecoder(TableMap("s", "t", (column,)), {"c"}).insert
    data = b"\x00" + sample.stored
    ((_, row),) = decode(data, data.decode("latin-1"), 0, len(data))
    assert row is not None
    return row["c"]


def by_select(name: str) -> Value:
    sample = SAMPLES[name]
    chosen = select.selection([SourceColumn("c", name, sample.charset)])
    fetched = sample.printed if name in ("set", "json") else sample.value
    ((value,),) = chosen.values([[fetched]])
    return value


def by_export_csv(name: str, folder: Path) -> Value:
    column, path = exported(name), folder / "part.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        rowferry_csv.CsvWriter(file, [column]).write([[SAMPLES[name].value]])
    with path.open(newline="", encoding="utf-8") as file:
        ((_, (field,)),) = rowferry_csv.records(file)
    return text_converter(column)(field)


def by_export_parquet(name: str, folder: Path) -> Value:
    path = folder / "part.parquet"
    with parquet.ParquetWriter(path, [exported(name)]) as writer:
        writer.write([[SAMPLES[name].value]])
    ((_, (value,)),) = parquet.reader([exported(name)])(path, "part.parquet")
    return value  # type: ignore[no-any-return]


def raw(name: str) -> bytes:
    """The field's bytes: as they are, a BIT's too."""
    printed = SAMPLES[name].printed
    if name == "bit":
        return b"\x02\x01"
    return printed if isinstance(printed, bytes) else printed.encode()


def by_outfile(name: str) -> Value:
    column = exported(name)
    return raw_converter(column, None if column.family in ("bytes", "bit") else "utf8mb4")(raw(name))


def by_mydumper(name: str) -> Value:
    return sql_inserts._converter(exported(name), "utf8mb4")(raw(name))


def by_dms_csv(name: str) -> Value:
    field = raw(name).hex() if exported(name).family in ("bytes", "bit") else SAMPLES[name].printed
    return dms.converter(exported(name))(field)


def by_foreign_parquet(name: str) -> Value:
    """As DMS and RDS write it: numbers, bytes, and text for all else."""
    sample = SAMPLES[name]
    is_plain = isinstance(sample.value, int | float | Decimal | bytes)
    return value_converter(exported(name))(sample.value if is_plain else sample.printed)


READERS: dict[str, Callable[[str], Value]] = {
    "the binlog": by_binlog,
    "SELECT": by_select,
    "SELECT INTO OUTFILE, mysqldump, Aurora": by_outfile,
    "mydumper": by_mydumper,
    "DMS in CSV": by_dms_csv,
    "Parquet of DMS and RDS": by_foreign_parquet,
}
WRITTEN_AND_READ: dict[str, Callable[[str, Path], Value]] = {
    "ferry export in CSV": by_export_csv,
    "ferry export in Parquet": by_export_parquet,
}
PRINTED_AS_IT_IS = frozenset({
    "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "inet4", "inet6", "uuid",
})  # fmt: skip
"""Of which verify's independent reading takes the text that the server prints, without a rule of its own."""


def test_there_is_a_sample_of_every_type_of_the_decoder() -> None:
    assert SAMPLES.keys() == DECLARED.keys()
    assert all(sample.code in DECLARED[name] for name, sample in SAMPLES.items())
    assert frozenset().union(*DECLARED.values()) == set(ColumnType) - {ColumnType.VAR_STRING}


def test_no_reader_knows_a_type_that_the_decoder_does_not() -> None:
    synonyms = {"integer", "bool", "boolean", "numeric", "dec", "fixed", "real"}
    assert export_columns._FAMILIES.keys() - synonyms == DECLARED.keys()
    assert select._READINGS.keys() | {"set"} == DECLARED.keys()
    with_a_rule = oracle.NUMBERS | oracle.DATES | oracle.CLOCKS | oracle.BINARIES | {"set", "json"}
    assert with_a_rule | PRINTED_AS_IT_IS == DECLARED.keys()
    assert not with_a_rule & PRINTED_AS_IT_IS
    assert type_check._VALUES.keys() | PRINTED_AS_IT_IS == DECLARED.keys()


@pytest.mark.parametrize("name", DECLARED)
def test_every_reader_gives_the_same_value(name: str, tmp_path: Path) -> None:
    found = {reader: outcome(read, name) for reader, read in READERS.items()}
    found |= {reader: outcome(read, name, tmp_path) for reader, read in WRITTEN_AND_READ.items()}
    assert found == dict.fromkeys(found, repr(SAMPLES[name].value))


def outcome(read: Callable[..., Value], *arguments: Any) -> str:
    """The value, or why there is none: so that a failure names the reader."""
    try:
        return repr(read(*arguments))
    except (RowferryError, UnreadableColumn, LookupError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", DECLARED)
def test_verify_works_out_the_same_attribute(name: str) -> None:
    sample = SAMPLES[name]
    assert oracle.content(name, sample.printed) == oracle.found_content(attribute(sample.value))


@pytest.mark.parametrize("code", sorted(set(ColumnType)))
def test_the_decoder_has_a_plan_for_every_code(code: ColumnType) -> None:
    metadata = {sample.code: sample.metadata for sample in SAMPLES.values()}.get(code, 1)
    assert plan(TableColumn(code, metadata, True, "c", unsigned=False, collation=BINARY, labels=("a",)))


@pytest.mark.parametrize("name", DECLARED)
def test_the_load_says_whether_it_cuts_along_it(name: str) -> None:
    column = key_column(SourceColumn("c", name, SAMPLES[name].charset))
    assert column is None or column.expression


def test_every_type_has_cases_with_real_servers() -> None:
    tried = {definition.split("(")[0].split()[0] for columns in tables() for definition in columns}
    assert DECLARED.keys() - {"geomcollection"} <= tried  # MySQL's name of geometrycollection


def tables() -> list[Mapping[str, Any]]:
    return [columns for server in matrix_cases.TABLES.values() for columns in server.values()]
