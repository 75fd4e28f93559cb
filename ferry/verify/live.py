"""Verify of a source and target in motion: readings on both sides of a marker, and repair."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from ferry.context import Context
from ferry.markers import drain, source_end
from ferry.verify import one_server
from ferry.verify.diff import Difference
from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.point_reads import ItemLookup, Key, Members, RowLookup, together, types_of
from ferry.verify.recheck import Observation, Recheck
from ferry.verify.repair import Repair
from ferry.verify.summary import Summary
from ferry.verify.tasks import ReadCounts
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import VERIFIED
from rowferry.errors import Refused
from rowferry.mysql import server
from rowferry.position import Position

PASSING = 600.0
"""Seconds that a marker may take through the lanes: the consumer may have a long backlog."""
_LONGEST_REST = 2.0
_TRIES = 3


@dataclass(slots=True)
class ItemReading:
    """
    Reads items of one target: their rows, then waits for a marker through the lanes, then the items, then the
    rows again unless the source stands `still`.
    """

    rows: Sequence[RowLookup]
    items: ItemLookup
    passed: Callable[[], None]
    still: bool = False

    def __call__(self, keys: Sequence[Key]) -> Observation:
        """One reading, as Recheck needs it."""
        # In this order: the marker is for a position after this reading, so the items show at least that
        # much.
        before = self._read(keys)
        self.passed()
        items = self.items.of(keys)
        return Observation(before, items, before if self.still else self._read(keys))

    def _read(self, keys: Sequence[Key]) -> dict[Key, Members]:
        found = together(member for rows in self.rows for member in rows.of(keys))
        return {key: found.get(key, ()) for key in keys}


@dataclass(slots=True)
class Live:
    """
    A source that the application writes, and a consumer that runs.

    `moving` False: both are at rest, and the source may be any server.
    """

    context: Context
    moving: bool = True

    @property
    def server(self) -> str:
        """The server that is captured now; empty where it may be any."""
        return Checkpoint.read(self.context.control).refuse_none().server if self.moving else ""

    def end(self) -> Position:
        """The source's position now."""
        with closing(self.context.connect()) as connection:
            return source_end(self.context.control, connection)

    def rest(self, readings: int) -> None:
        """Waits, longer after many readings: then the item is one that is written often."""
        time.sleep(min(_LONGEST_REST, 0.1 * readings))

    @contextmanager
    def reading(
        self, pairs: Sequence[Pair], passed: Callable[[], None] | None = None
    ) -> Iterator[ItemReading]:
        """
        Context manager: reads a target's items. Where the source stands still, `passed` waits until all of it
        has been applied; else each reading sends a marker, over its own connection.
        """
        context = self.context
        with ExitStack() as stack:
            open_ = partial(source_text.connect, context.source)
            connection = stack.enter_context(closing(one_server.connect(open_, self.server)))
            rows = [RowLookup(pair, types_of(connection, pair), connection) for pair in pairs]
            still = passed is not None
            if passed is None:
                passed = partial(self._passed, stack.enter_context(closing(context.connect())))
            yield ItemReading(rows, ItemLookup(context.dynamodb, pairs), passed, still)

    def _passed(self, connection: Any) -> None:
        drained = drain(self.context.control, connection, PASSING, lambda _: None)
        if not drained.complete:
            raise Refused(
                f"after {PASSING:.0f} s not all lanes have applied the changes of the source",
                "see `ferry status`; run `ferry verify` again when the backlog is small",
            )

    def judge(
        self,
        reading: ItemReading,
        keys: Sequence[Key],
        report: Callable[[Difference], None],
        summary: Summary,
    ) -> None:
        """
        Reads these items until each is equal, differs, or has changed too often; counts them in `summary`.
        """
        recheck = Recheck(reading, self.rest)
        for differing in recheck.differences(keys):
            for difference in differing:
                summary.kinds[difference.kind] += 1
                report(difference)
        summary.read += ReadCounts(items=len(keys))
        summary.unsettled += len(recheck.unsettled)

    def repair(
        self, pairs: Sequence[Pair], reading: ItemReading, differing: list[list[Difference]]
    ) -> tuple[int, int]:
        """
        Writes the items from their rows; returns how many were written and are equal now, and how many
        differences that resolved.

        The second number is negative where the written items are worse: the load's code writes, the oracle
        judges.
        """
        left = {each[0].member.key: len(each) for each in differing}
        total = sum(left.values())
        with closing(self.context.connect()) as connection:
            repair = self._repair(pairs, reading, connection)
            # The application may write an item between its reading and its repair: then it is tried again.
            for _ in range(_TRIES):
                repair.run(list(left))
                recheck = Recheck(reading, self.rest)
                still = {each[0].member.key: len(each) for each in recheck.differences(list(left))}
                left = still | dict.fromkeys(recheck.unsettled, 1)
                if not left:
                    break
        return len(repair.written - left.keys()), total - sum(left.values())

    def _repair(self, pairs: Sequence[Pair], reading: ItemReading, connection: Any) -> Repair:
        context, identified = self.context, server.identify(connection)
        days = int(context.stack.parameters["TombstoneDays"])
        tables = {(table.schema, table.table): table for table in context.mapping.tables}
        return Repair(
            connection,
            identified,
            Checkpoint.read(context.control).position_at(connection, identified).epoch,
            [tables[pair.schema, pair.table] for pair in pairs],
            reading.rows,
            reading.items,
            lambda: int(time.time()) + days * 86_400,
        )

    def keep(self, since: str, found: dict[str, int]) -> None:
        """
        Stores the result: everything was compared, up to this position at least. The cutover requires it.

        Raises Refused where the source failed over since: what was read of which server is not known.
        """
        if self.end().epoch != Position.parse(since).epoch:
            raise Refused("the source failed over meanwhile: nothing is proved", "run `ferry verify` again")
        at = int(time.time() * 1000)
        self.context.control.put(VERIFIED, {**found, "at": at, "position": since})
