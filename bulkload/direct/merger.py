"""Members into items that others write too: UpdateItem, one item after another."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from bulkload.dynamodb.batch_writer import TOO_LARGE, Item, Writer, error_code, refusal
from rowferry.control_table import is_condition_failed
from rowferry.errors import Refused
from rowferry.items.effects import ItemKey
from rowferry.items.folding import Write
from rowferry.items.members import Members
from rowferry.items.requests import missing_maps
from rowferry.items.update_item import LoadMerge, load_writes
from rowferry.mapping import POSITION
from rowferry.mapping.table import Target


@dataclass(frozen=True, slots=True)
class Merger:
    """
    Merges members into items of one table. The loader is the only writer, with several threads.
    A merge may be repeated: an item that is newer than `seen` is refused, not overwritten.

    `start` is the watermark at the start of the load, which new items get as
    their position; `seen` the watermark of the rows at hand.
    """

    writer: Writer
    target: Target
    start: str
    seen: str

    def merge(self, key: ItemKey, members: Members) -> str | None:
        """
        Merges into one item; returns DynamoDB's reason where it refuses it, None where it is done.

        Raises Unapplied when retries are used up, Refused when the item is newer than `seen`.
        """
        for write in load_writes(key, members, self.target):
            if reason := self._write(write):
                return reason
        return None

    def _write(self, write: Write) -> str | None:
        pauses, missing = self.writer.retry.pauses(), frozenset[str]()
        while True:
            try:
                held = self._try(LoadMerge(write, missing, self.start, self.seen).arguments(), pauses)
            except ClientError as error:
                if error_code(error) not in TOO_LARGE:
                    raise
                return refusal(error)
            if held is None:
                return None
            # The condition also fails where a map is missing, or has come meanwhile: that is tried again, not
            # refused.
            if (wanted := missing_maps(write, held)) == missing and _newer(held, self.seen):
                raise Refused(
                    f"an item of {write.key.table} is newer than the rows that were read",
                    "the consumer has been applying changes: `ferry switch off`, then run the load again",
                )
            missing = wanted

    def _try(self, arguments: dict[str, Any], pauses: Iterator[float]) -> Item | None:
        """None when it is done, else the item as it is (its condition failed)."""
        call = partial(self.writer.client.update_item, **arguments)
        try:
            while self.writer.answer(call, 1) is None:
                self.writer.pause(pauses)
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            response: dict[str, Any] = {**error.response}
            return dict(response.get("Item", {}))
        return None


def _newer(held: Item, seen: str) -> bool:
    return POSITION in held and held[POSITION]["S"] > seen
