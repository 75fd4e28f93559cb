"""
Verify of the items that changed since the last verify: in rounds before the fence, and of the rest after it.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from capturer.replay import Replay
from ferry.context import Context
from ferry.verify import changed
from ferry.verify.live import Live
from ferry.verify.oracle.mapping_entry import Pair, read_pairs
from ferry.verify.point_reads import Key
from ferry.verify.summary import Summary
from rowferry.checkpoint import Checkpoint
from rowferry.errors import Refused
from rowferry.position import BinlogOffset, Position

ENOUGH = 0.5  # seconds that a round may take: the rest after the fence is even shorter
FEW = 100  # items of a round: after the fence they take less time than the connections do
MOST_ROUNDS = 5


@dataclass(slots=True)
class Tail:
    """
    The items that the source's binlog changed from `since` on.

    All but the first round read once: an item that is not equal then is on its way or differs, and is read
    again in the next round. So a round takes one marker's time, and the last one, after the fence, has few
    items.
    """

    context: Context
    since: Position
    _carried: dict[str, set[Key]] = field(default_factory=dict)

    def rounds(self, report: Callable[[str], None]) -> None:
        """Verifies until few items are left for after the fence. Raises Refused when something differs."""
        for number in range(1, MOST_ROUNDS + 1):
            began = time.monotonic()
            count = self._first() if number == 1 else self._further()
            report(f"verified what changed, round {number}: {count:,} items, up to {self.since}")
            if count <= FEW or time.monotonic() - began < ENOUGH:
                return

    def _further(self) -> int:
        # Before the changes are read: what comes in between is read twice. After them it would be missed.
        end = Live(self.context).end()
        keys = self._changed()
        self._carried, self.since = changed.unequal(Live(self.context), self._pairs, keys), end
        return changed.count(keys)

    def _first(self) -> int:
        # As in `_further`.
        end = Live(self.context).end()
        keys = self._changed()
        found = changed.compare(Live(self.context), self._pairs, keys)
        if count := found.left + found.unsettled:
            raise Refused(
                f"{count} differences in what changed since the last verify",
                "run `ferry verify --repair`; nothing was fenced",
            )
        self.since = end
        return changed.count(keys)

    def behind_fence(self, passed: Callable[[], None]) -> Summary:
        """Verifies the rest. `passed` returns when all changes in the source have been applied."""
        keys = self._changed()
        found = changed.compare(Live(self.context), self._pairs, keys, passed)
        passed()  # also where no item has changed
        return found

    def _changed(self) -> dict[str, set[Key]]:
        """
        Keys of items changed up to the present end, and of those that the last round did not find equal.
        """
        context, pairs = self.context, self._pairs
        _refuse_unread([f"{pair.schema}.{pair.table}" for pair in pairs if not _is_read(context, pair)])
        checkpoint = Checkpoint.read(context.control)
        if checkpoint.epoch != self.since.epoch:
            raise Refused("the source has failed over since the last verify", "run `ferry verify` again")
        start = BinlogOffset.of(self.since, checkpoint.reached.file)
        changes = Replay(context.source).row_changes(context.mapping, checkpoint.epoch, start)
        found = defaultdict(set, changed.changed_keys(changes, pairs))
        for target, keys in self._carried.items():
            found[target] |= keys
        return found

    @property
    def _pairs(self) -> list[Pair]:
        return read_pairs(self.context.mapping_file)


def _is_read(context: Context, pair: Pair) -> bool:
    """The binlog is read with the mapping that the load has: every table of the oracle's must be in it."""
    return context.mapping.find(pair.schema, pair.table) is not None


def _refuse_unread(tables: list[str]) -> None:
    if tables:
        raise Refused(
            f"the changes of {', '.join(tables)} are not read, though the mapping file has them",
            "this is a fault of Rowferry: keep the application on MySQL",
        )
