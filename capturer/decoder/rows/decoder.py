"""Row decoders, compiled for each table and each kind of event when it first occurs."""

from collections.abc import Callable, Container, Iterable
from functools import cached_property
from typing import Any

from capturer.decoder.errors import UnreadableColumn
from capturer.decoder.events import Image
from capturer.decoder.rows.codegen import RowCode
from capturer.decoder.rows.columns import plan
from capturer.decoder.rows.table_schema import TableMap
from capturer.decoder.values.jsondiff import applied
from capturer.decoder.wire import damaged, packed_int
from rowferry.values import Json

type Images = list[tuple[Image, Image]]
type Decode = Callable[[bytes, str, int, int], Images]
"""
(an event, the same as Latin-1 text, where its rows start, where they must end) to before and after images.

Raises any of stream's _DAMAGE if the rows are damaged; either all rows are returned or none.
"""

_BEFORE, _AFTER = "b", "a"


class _EveryColumn:
    def __contains__(self, name: object) -> bool:
        return True


EVERY_COLUMN: Container[str] = _EveryColumn()


class RowDecoder:
    """
    Reads the rows of one table.

    `wanted` has the columns that images have, in the table's order; others are skipped. Raises
    UnreadableColumn if a wanted column cannot be read, a required one is missing or names are not known.
    """

    def __init__(self, table: TableMap, wanted: Container[str], required: Iterable[str] = ()) -> None:
        if any(column.name is None for column in table.columns):
            raise UnreadableColumn(
                f"the columns of {table.schema}.{table.table} have no names",
                "SET GLOBAL binlog_row_metadata=FULL, then reconnect the writers",
            )
        if missing := set(required) - {column.name for column in table.columns}:
            raise UnreadableColumn(
                f"{table.schema}.{table.table} has no column {min(missing)}",
                "correct the mapping, or the table",
            )
        self.table = table
        # Hidden columns are the server's own: no SELECT shows them.
        chosen = [column.name in wanted and not column.hidden for column in table.columns]
        plans = [
            plan(column, wanted=is_wanted) for column, is_wanted in zip(table.columns, chosen, strict=True)
        ]
        self._code = RowCode(table, plans, chosen)

    @cached_property
    def insert(self) -> Decode:
        """Decodes WRITE_ROWS."""
        code = self._code
        return self._compiled(code.image(_AFTER), [f"append((None, {code.mapping(_AFTER)}))"])

    @cached_property
    def delete(self) -> Decode:
        """Decodes DELETE_ROWS."""
        code = self._code
        return self._compiled(code.image(_BEFORE), [f"append(({code.mapping(_BEFORE)}, None))"])

    @cached_property
    def update(self) -> Decode:
        """Decodes UPDATE_ROWS."""
        code = self._code
        return self._compiled(code.image(_BEFORE), code.image(_AFTER), self._both())

    @cached_property
    def partial_update(self) -> Decode:
        """Decodes PARTIAL_UPDATE_ROWS, in which a JSON document may be sent as its changes."""
        code = self._code
        after = code.image(_AFTER, partial=True)
        return self._compiled(code.image(_BEFORE), code.partial_bits(), after, self._both())

    def _both(self) -> list[str]:
        return [f"append(({self._code.mapping(_BEFORE)}, {self._code.mapping(_AFTER)}))"]

    def _compiled(self, *body: Iterable[str]) -> Decode:
        source = "\n".join(
            [
                "def decode(data, text, pos, end):",
                "    images = []",
                "    append = images.append",
                "    while pos < end:",
                *(f"        {line}" for lines in body for line in lines),
                "    if pos != end:",
                "        damaged('rows of another length')",
                "    return images",
            ]
        )
        names: dict[str, Any] = {
            "damaged": damaged,
            "from_bytes": int.from_bytes,
            "packed_int": packed_int,
            "patched": _patched,
            **self._code.names,
        }
        # Of what the server sends, only column names are in the source, as literals: no code can be injected.
        exec(compile(source, f"<rows of {self.table.schema}.{self.table.table}>", "exec"), names)  # noqa: S102
        return names["decode"]  # type: ignore[no-any-return]


def _patched(before: Json | None, changes: bytes) -> Json:
    if before is None:
        damaged("changes to a JSON document that is NULL")
    return Json(applied(before.document, changes))
