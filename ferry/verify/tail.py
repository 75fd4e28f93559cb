"""Verify of what changed since the last verify: in rounds before the fence, and of the rest behind it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ferry.context import Context
from ferry.verify import changed
from ferry.verify.live import Live
from ferry.verify.oracle.mapping_entry import Pair, read_pairs
from ferry.verify.summary import Summary
from rowferry.control_table import CHECKPOINT
from rowferry.errors import Refused
from rowferry.items.effects import ItemKey
from rowferry.position import BinlogOffset, Position

ENOUGH = 0.5  # seconds that a round may take: the tail behind the fence is shorter still
FEW = 100  # items of a round: behind the fence they take less than the connections do
MOST_ROUNDS = 5


@dataclass(slots=True)
class Tail:
    """
    The items that the source's binlog changed from `since` on.

    All but the first round look once: what is not equal then is on its way or differs, and is looked at again
    with the next. So a round takes one marker's time, and the last one, behind the fence, has little left.
    """

    context: Context
    since: Position
    _carried: set[ItemKey] = field(default_factory=set)

    def rounds(self, tell: Callable[[str], None]) -> None:
        """Until little is left for the time behind the fence. Refused when something differs."""
        for number in range(1, MOST_ROUNDS + 1):
            began = time.monotonic()
            count = self._first() if number == 1 else self._further()
            tell(f"verified what changed, round {number}: {count:,} items, up to {self.since}")
            if count <= FEW or time.monotonic() - began < ENOUGH:
                return

    def _further(self) -> int:
        end = Live(self.context).end()
        keys = self._changed()
        self._carried, self.since = changed.unequal(Live(self.context), self._pairs, keys), end
        return len(keys)

    def _first(self) -> int:
        end = Live(self.context).end()
        keys = self._changed()
        found = changed.compare(Live(self.context), self._pairs, keys)
        if count := found.left + found.unsettled:
            raise Refused(
                f"{count} differences in what changed since the last verify",
                "run `ferry verify --repair`; nothing was fenced",
            )
        self.since = end
        return len(keys)

    def behind_fence(self, passed: Callable[[], None]) -> Summary:
        """The rest. `passed` returns when all that is in the source has been applied."""
        keys = self._changed()
        found = changed.compare(Live(self.context), self._pairs, keys, passed)
        passed()  # also where nothing has changed
        return found

    def _changed(self) -> set[ItemKey]:
        """Up to the present end; and what the last round left."""
        context, checkpoint = self.context, self.context.control.get(CHECKPOINT)
        start = BinlogOffset.of(self.since, checkpoint["file"])
        keys = changed.changed_items(context.source, context.mapping, checkpoint["epoch"], start)
        return keys | self._carried

    @property
    def _pairs(self) -> list[Pair]:
        return read_pairs(self.context.mapping_file)
