"""
The items that a row change touches, computed from the row's images by the oracle's own reading.

The verify after the fence compares the items that the binlog changed, and no others. So these keys must not
come from the code that applied the changes: what that code loses would then be compared nowhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferry.verify.oracle import hooks
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.mapping_words import Row
from ferry.verify.oracle.members import key_text
from rowferry.errors import Refused

type Image = Mapping[str, Any]
"""A row as the binlog has it before or after a change: plain values by column, as a hook sees them."""


@dataclass(frozen=True, slots=True)
class ImageKeys:
    """Computes the keys of one pair's items from images of its rows."""

    pair: Pair
    _hook: hooks.Hook | None = field(init=False)
    _columns: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        entry = self.pair.entry
        object.__setattr__(self, "_hook", hooks.load(entry["hook"]) if "hook" in entry else None)
        object.__setattr__(self, "_columns", tuple(dict.fromkeys(self.pair.key_columns())))

    def of(self, before: Image | None, after: Image | None) -> Iterator[str]:
        """
        The keys, as in Member, of all items that the change can have touched; one may come twice.

        Both images count, also rows that `where` does not select: a row that enters or leaves the filter
        changes its item, and comparing an item too many does no harm. No key where a row cannot have an item:
        it is in the quarantine, and counted there. Raises Refused for a column that an image lacks.
        """
        rows = [row for image in (before, after) if image is not None for row in self._rows(image)]
        if len(rows) == 2 and rows[0] == rows[1]:
            del rows[0]  # nearly every update leaves the key as it is
        for row in rows:
            if key := key_text(self.pair, row):
                yield key

    def _rows(self, image: Image) -> Iterator[Row]:
        if self._hook is None:
            yield self._row(image, self._columns)
            return
        for made in hooks.rows(self._hook, self._row(image, tuple(image))):
            if made is not None and made.cells.keys() >= set(self._columns):
                yield made

    def _row(self, image: Image, columns: tuple[str, ...]) -> Row:
        """These columns of an image as if MySQL had printed them."""
        cells, types = {}, {}
        for column in columns:
            if column not in image:
                raise Refused(
                    f"a row change of {self.pair.schema}.{self.pair.table} lacks the column {column}",
                    "SET GLOBAL binlog_row_image=FULL, reconnect the writers, then run `ferry verify` again",
                )
            try:
                types[column], cells[column] = hooks.cell_of(image[column])
            except ValueError as error:
                raise Refused(
                    f"{self.pair.schema}.{self.pair.table}.{column} holds what is no text",
                    "run `ferry verify`, which reads it from the source",
                ) from error
        return Row(cells, types)
