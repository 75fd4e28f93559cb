"""
A load from exported files, by one of two roads.

files    groups, then BatchWriteItem into the table that exists
import   groups, then import files, then ImportTable into a new table

The control table has it as any other load: over an empty target the floor of each source stands before an
item is written, and the load is done when every item is in the table. Progress is in the place of work, so
that a run that was killed goes on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bulkload import preconditions
from bulkload.direct.grouping import Unusable
from bulkload.direct.ledger import DONE, ChunkResult, Ledger
from bulkload.direct.loader import LoadOutcome, emptied
from bulkload.exports import watermark_of
from bulkload.exports.locations import Location
from bulkload.from_files.destinations import Arrival, Arrived
from bulkload.from_files.inputs import LoadTarget
from bulkload.from_files.local_runner import Passes, StepProgress
from bulkload.from_files.steps import Done, FilesWork, ItemSink
from bulkload.lock import LoaderLock
from bulkload.throttle.controller import EVERY, Governor
from bulkload.throttle.limits import Limits
from bulkload.throttle.shared_counters import Board
from rowferry.control_table import APPLIED, CHECKPOINT, ControlTable
from rowferry.errors import Refused
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset, Position


@dataclass(slots=True)
class FileLoad:
    """
    Loads a mapping's targets from exports. `place` holds the work, one folder for each target, and `passes`
    runs it, as fast as the `limits` and what the table takes allow.

    `mapping_text` and what the exports say tell this load from others. `given`: the watermark of exports that
    have none of their own.
    """

    targets: Sequence[LoadTarget]
    mapping: Mapping
    mapping_text: bytes
    control: ControlTable
    arrival: Arrival
    place: Location
    passes: Passes
    lock: LoaderLock
    board: Board
    limits: Limits
    tell: Callable[[str], None]
    progress: Callable[[StepProgress], None]
    unusable: Callable[[Unusable], None]
    given: BinlogOffset | None = None
    accept_unusable: bool = False
    again: bool = False
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def run(self, switch_is_on: bool) -> list[LoadOutcome]:
        """
        Loads what is open.

        Raises Refused before anything is written, BadPart where a file cannot be read, Unapplied or LeaseLost
        when it cannot go on: then another run does.
        """
        epoch = int(self.control.get(CHECKPOINT).get("epoch", 0))
        ledgers = self._ledgers(epoch)
        if not self.again and all(ledger.state == DONE for ledger in ledgers.values()):
            return self._as_it_was(ledgers, epoch)
        if switch_is_on:
            raise Refused(
                "the switch is ON: a load would overwrite newer items",
                "run `ferry verify`; to load again: `ferry switch off`, then `ferry load --again`",
            )
        checkpoint = preconditions.captured(self.control, ledgers)
        positions = {target.name: self._position(target, checkpoint) for target in self.targets}
        with self.lock.held(self.tell):
            self.limits.write(self.control)
            waiting = [(target, mine) for target, mine in self._with(ledgers) if self._open(mine)]
            for target, mine in waiting:
                anew, position = self._anew(mine, positions[target.name]), positions[target.name]
                if anew:
                    preconditions.refuse_below_floor(
                        self.control, [ledger.source for ledger in mine], position
                    )
                    self.arrival.forget(target)
                self.arrival.check(target)
                if anew:
                    self._refuse_older(target, position, mine)
            with Governor(self.board, 1, self.control) as governor:
                for target, mine in waiting:
                    self._load(target, positions[target.name], mine, partial(self._before, governor))
            return [self._outcome(name, ledger) for name, ledger in ledgers.items()]

    def _with(self, ledgers: dict[str, Ledger]) -> Iterator[tuple[LoadTarget, list[Ledger]]]:
        for target in self.targets:
            yield target, [ledgers[source.table.source] for source in target.sources]

    def _open(self, ledgers: Sequence[Ledger]) -> bool:
        return self.again or any(ledger.state != DONE for ledger in ledgers)

    def _anew(self, ledgers: Sequence[Ledger], position: Position) -> bool:
        return any(self._unplanned(ledger, position) for ledger in ledgers)

    def _unplanned(self, ledger: Ledger, position: Position) -> bool:
        """Another export makes another load: what was checked for one says nothing of the other."""
        return self.again or ledger.state is None or ledger.watermark != str(position)

    def _ledgers(self, epoch: int) -> dict[str, Ledger]:
        return {
            table.source: Ledger(
                self.control, table.source, epoch, lambda: int(self.now() * 1000), self.arrival.road
            )
            for table in self.mapping.tables
        }

    def _position(self, target: LoadTarget, checkpoint: dict[str, Any]) -> Position:
        """
        The lowest watermark of all that the target's rows were read from: its items' position, and the
        floor.
        """
        found = []
        for export in (source.export for source in target.sources):
            for part in export.parts:
                at = watermark_of(export, part, checkpoint["epoch"], checkpoint["server"], self.given)
                if part.watermark is None:
                    preconditions.refuse_before_capture(checkpoint, at)
                found.append(at)
        if not found:
            raise Refused(f"the exports for {target.name} have no files", "export again")
        return min(found)

    def _load(
        self, target: LoadTarget, position: Position, ledgers: Sequence[Ledger], before: Callable[[], None]
    ) -> None:
        work = FilesWork.begin(target, position, self.mapping_text, self.place.below(target.name))
        self.lock.check()
        if self._anew(ledgers, position):
            work.forget_partitions()  # another load may have written meanwhile, or the table was emptied
            self._plan(target, position, ledgers)
        sink = self.arrival.sink(target)
        self.passes.run(work, sink, before, self.progress)
        arrived = self.arrival.finish(work)
        for row in (*work.unusable(sink), *arrived.refused):
            self.unusable(row)
        self._finish(ledgers, work, sink, arrived)

    def _before(self, governor: Governor) -> None:
        said = None
        while reason := governor.held:
            if reason != said:
                self.tell(f"nothing new is begun: {reason}")
            said = reason
            self.sleep(EVERY)
            self.lock.check()
        self.lock.check()

    def _refuse_older(self, target: LoadTarget, position: Position, ledgers: Sequence[Ledger]) -> None:
        """Refused where the exports may lack changes that do not come again."""
        live = self.arrival.holds_items(target, position.epoch)
        self.arrival.refuse_newer(target, position)
        done = any(ledger.state == DONE for ledger in ledgers)
        if done and not live and self.control.get(APPLIED).get("changes"):
            raise Refused(
                f"{target.name} has no items any more, and changes were applied that the exports may lack",
                "run `ferry load --again` without --from: it reads MySQL as it is now",
            )

    def _plan(self, target: LoadTarget, position: Position, ledgers: Sequence[Ledger]) -> None:
        """
        The floors rise only over an empty target: an item that is there and that the exports do not have is
        removed by a change that still waits.
        """
        if self.arrival.holds_items(target, position.epoch):
            self.tell(f"{target.name} has items already: the load goes over them")
        else:
            for ledger in ledgers:
                ledger.raise_floor(str(position))
        for ledger in ledgers:
            if self._unplanned(ledger, position):
                ledger.plan_whole(str(position))

    def _finish(self, ledgers: Sequence[Ledger], work: FilesWork, sink: ItemSink, arrived: Arrived) -> None:
        """Items, and rows of which nobody can say whose they were, count with the target's first source."""
        grouped = sum(work.grouped(sink), Done())
        more = sum(row.rows for row in arrived.refused)
        for number, (ledger, read) in enumerate(zip(ledgers, work.read(), strict=True)):
            first = number == 0
            result = ChunkResult(
                read.rows,
                grouped.items - len(arrived.refused) if first else 0,
                read.unusable + (grouped.unusable + more if first else 0),
            )
            if arrived.complete:
                ledger.done(1, str(work.position), result)
                if not result.unusable or self.accept_unusable:
                    ledger.finish(result)
        if all(ledger.state == DONE for ledger in ledgers):
            work.place.clear()

    def _as_it_was(self, ledgers: dict[str, Ledger], epoch: int) -> list[LoadOutcome]:
        outcomes = [self._outcome(name, ledger, nothing=True) for name, ledger in ledgers.items()]
        full = {target.name for target in self.targets if self.arrival.holds_items(target, epoch)}
        for outcome in outcomes:
            if outcome.result.items and outcome.target not in full:
                self.tell(emptied(outcome))
        return outcomes

    def _outcome(self, source: str, ledger: Ledger, *, nothing: bool = False) -> LoadOutcome:
        entries = list(ledger.entries())
        result = sum((entry.result for entry in entries), ChunkResult())
        table = next(table for table in self.mapping.tables if table.source == source)
        return LoadOutcome(source, table.target, str(ledger.state), len(entries), result, nothing)
