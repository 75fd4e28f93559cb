"""Writes items into a table that exists, by BatchWriteItem without a condition."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import batched
from typing import Any

from bulkload.direct.grouping import Unusable, refused
from bulkload.dynamodb.batch_writer import ITEMS_IN_A_REQUEST, Writer
from bulkload.from_files.steps import Refusals
from bulkload.shuffle.assembly import Assembled, batches, item_of
from rowferry.mapping import TableMapping

_AT_ONCE = 16 << 20
"""Characters of items in memory at a time: Python needs several times as many bytes for them."""


@dataclass(frozen=True, slots=True)
class Put:
    """
    A sink: the target's table. Without conditions, because the switch is OFF, so that nothing else writes
    there, and nothing in it was newer when the load began (bulkload.preconditions.refuse_newer).
    """

    writer: Writer
    table: TableMapping
    requests: int = 16

    @property
    def place(self) -> str:
        return f"table {self.table.target}"

    def take(self, partition: int, items: Iterable[Assembled], refusals: Refusals) -> dict[str, Any]:
        """Writes the partition's items. Raises Unapplied when retries are used up: run the load again."""
        del partition
        with ThreadPoolExecutor(self.requests) as senders:
            for some in batches(items, ITEMS_IN_A_REQUEST * self.requests * 4, _AT_ONCE):
                for unusable in senders.map(self._send, batched(some, ITEMS_IN_A_REQUEST, strict=False)):
                    for row in unusable:
                        refusals.refuse(row)
        return {}

    def _send(self, batch: Sequence[Assembled]) -> list[Unusable]:
        items = [item_of(item.text) for item in batch]
        rows = {id(item): assembled.rows for item, assembled in zip(items, batch, strict=True)}
        return [
            refused(self.table, item, reason, rows[id(item)]) for item, reason in self.writer.write(items)
        ]
