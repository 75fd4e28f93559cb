"""A table's columns when its rows were written, and what information_schema adds to the table map."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.rows.types import DECLARED, ColumnType

_ADDRESS_SIZES = (4, 16)
_BINARY = 63  # the collation id of `binary`
_LABEL = re.compile(r"'((?:[^']|'')*)'")


@dataclass(frozen=True, slots=True)
class TableColumn:
    """
    One column. `metadata` is the type's own (VARCHAR: most bytes; DECIMAL: precision << 8 | scale; ...).

    `name`, `unsigned`, `collation`, `labels` and `charset` are None if the event does not have them.
    `charset` is a name that wins over the collation id; `declared` is information_schema's data_type, which
    alone distinguishes MariaDB's INET6 from BINARY(16). A column that SQL cannot see is `hidden`.
    """

    type: ColumnType
    metadata: int
    nullable: bool
    name: str | None = None
    unsigned: bool | None = None
    collation: int | None = None
    labels: tuple[bytes, ...] | tuple[str, ...] | None = None
    visible: bool = True
    geometry: int | None = None
    dimensions: int | None = None
    charset: str | None = None
    declared: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """
    A column as information_schema has it; `charset` is None unless it is text.

    `declared` is its column_type; `computed` is the source of values that the application does not write: the
    expression of a generated column, or `auto_increment`.
    """

    name: str
    data_type: str
    unsigned: bool = False
    charset: str | None = None
    labels: tuple[str, ...] = ()
    declared: str = ""
    nullable: bool = True
    computed: str = ""


class RowsNotNeeded(Exception):
    """Raised by definitions if the table's rows need not be read up to its next DDL."""


@dataclass(frozen=True, slots=True)
class TableMap:
    """
    A table as it was when the rows were written.

    `primary_key` holds column numbers, with the number of characters that count (0: all).
    """

    schema: str
    table: str
    columns: tuple[TableColumn, ...]
    primary_key: tuple[tuple[int, int], ...] = ()


def labels(column_type: str) -> tuple[str, ...]:
    """
    The labels in information_schema's column_type; none of other types than ENUM and SET.

    >>> labels("enum('a','it''s')")
    ('a', "it's")
    """
    if not column_type.lower().startswith(("enum(", "set(")):
        return ()
    return tuple(label.replace("''", "'") for label in _LABEL.findall(column_type))


def described(table: TableMap, definitions: Sequence[Definition]) -> TableMap:
    """
    The table map, completed from the definitions.

    These are of now, and the rows may be from before an ALTER TABLE: names in the event win; if it has none,
    the definitions must fit in number and type. Raises UnreadableColumn if they do not. That they fit does
    not prove that they are right: `source.column_definitions` does.
    """
    if all(column.name is not None for column in table.columns):
        by_name = {definition.name: definition for definition in definitions}
        columns = [_described(column, by_name.get(column.name or "")) for column in table.columns]
        return replace(table, columns=tuple(columns))
    if len(definitions) != len(table.columns) or not all(map(_fits, table.columns, definitions)):
        raise UnreadableColumn(
            f"{table.schema}.{table.table} has other columns than when its rows were written",
            "SET GLOBAL binlog_row_metadata=FULL",
        )
    return replace(table, columns=tuple(map(_described, table.columns, definitions)))


def _fits(column: TableColumn, definition: Definition) -> bool:
    return column.type in DECLARED.get(definition.data_type.lower(), ())


def _described(column: TableColumn, definition: Definition | None) -> TableColumn:
    if definition is None or not _fits(column, definition):  # gone, or another one has its name
        return column
    return replace(
        column,
        name=definition.name,
        unsigned=definition.unsigned if column.unsigned is None else column.unsigned,
        # None, not (): no labels at all would pass for known ones.
        labels=definition.labels or None if column.labels is None else column.labels,
        # The event's, if it has one, is of when the rows were written.
        charset=(definition.charset or "binary") if column.collation is None else None,
        declared=definition.data_type.lower(),
    )


def is_incomplete(table: TableMap, wanted: Container[str], *, mariadb: bool) -> bool:
    """Whether definitions are needed to read its rows."""
    if any(column.name is None for column in table.columns):
        return True
    return mariadb and any(column.name in wanted and _looks_alike(column) for column in table.columns)


def _looks_alike(column: TableColumn) -> bool:
    """Whether it may be BINARY as well as INET4, INET6 or UUID."""
    alike = column.type is ColumnType.STRING and column.metadata in _ADDRESS_SIZES
    return alike and column.collation in (_BINARY, None) and not column.declared


def refuse_lookalikes(table: TableMap, wanted: Container[str]) -> None:
    """
    Raises UnreadableColumn for a wanted column of MariaDB that may be BINARY as well as INET4, INET6 or UUID.

    Events do not distinguish them; a SELECT returns bytes for BINARY and text for the others.
    """
    for column in table.columns:
        if column.name in wanted and _looks_alike(column):
            raise UnreadableColumn(
                f"column {column.name} of {table.schema}.{table.table} may be BINARY, INET or UUID,"
                " and is not in the table any more",
                "leave it out of the mapping, or add it to the table again",
            )
