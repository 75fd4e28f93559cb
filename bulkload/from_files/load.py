"""
A load from exported files, by one of two methods.

files    groups, then BatchWriteItem into the table that exists
import   groups, then import files, then ImportTable into a new table

In the control table it looks like any other load: for an empty target the floor of each source is raised
before an item is written, and the load is done when every item is in the table. Progress is in the work
folder, so that the next run resumes one that was killed.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from bulkload import preconditions
from bulkload.direct.grouping import Unusable
from bulkload.direct.ledger import DONE, ChunkResult, Ledger
from bulkload.direct.loader import LoadOutcome, emptied
from bulkload.exports import Export, shown_by_parts, watermark_of
from bulkload.exports.locations import Location
from bulkload.from_files.destinations import Arrived, Destination
from bulkload.from_files.inputs import LoadTarget
from bulkload.from_files.local_runner import StepProgress, StepRunner
from bulkload.from_files.steps import Done, FilesWork, ItemSink
from bulkload.lock import LoaderLock
from bulkload.throttle.controller import EVERY, RateController
from bulkload.throttle.limits import Limits
from bulkload.throttle.shared_counters import SharedCounters
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import APPLIED, ControlTable
from rowferry.errors import Refused
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset, Position


@dataclass(slots=True)
class FileLoad:
    """
    Loads a mapping's targets from exports. Called by `ferry load --from`.

    `place` is the work folder, with one folder for each target; `runner` runs the steps, within the `limits`
    and at the rate that the table takes. `mapping_text` and the exports' manifests identify this load.
    `given`: the watermark of exports that have none of their own.
    """

    targets: Sequence[LoadTarget]
    mapping: Mapping
    mapping_text: bytes
    control: ControlTable
    destination: Destination
    place: Location
    runner: StepRunner
    lock: LoaderLock
    counters: SharedCounters
    limits: Limits
    report: Callable[[str], None]
    progress: Callable[[StepProgress], None]
    unusable: Callable[[Unusable], None]
    given: BinlogOffset | None = None
    accept_unusable: bool = False
    again: bool = False
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def run(self, switch_is_on: bool) -> list[LoadOutcome]:
        """
        Loads the targets that are not done.

        Raises Refused before anything is written, BadPart where a file cannot be read, Unapplied or LeaseLost
        when it cannot go on: run it again, and it resumes.
        """
        ledgers = self._ledgers(Checkpoint.read(self.control))
        if not self.again and all(ledger.state == DONE for ledger in ledgers.values()):
            return self._as_it_was(ledgers)
        if switch_is_on:
            raise Refused(
                "the switch is ON: a load would overwrite newer items",
                "run `ferry verify`; to load again: `ferry switch off`, then `ferry load --again`",
            )
        checkpoint = preconditions.captured(self.control, ledgers)
        ledgers = self._ledgers(checkpoint)
        positions = {target.name: self._position(target, checkpoint) for target in self.targets}
        for target in self.targets:
            shown = shown_by_parts(_exports_of(target), checkpoint)
            preconditions.refuse_lost(checkpoint, shown, f"the export for {target.name}", "export again")
        with self.lock.held(self.report):
            self.limits.write(self.control)
            waiting = [(target, mine) for target, mine in self._with(ledgers) if self._open(mine)]
            for target, mine in waiting:
                fresh, position = self._is_new(mine, positions[target.name]), positions[target.name]
                if fresh:
                    preconditions.refuse_below_floor(
                        self.control, [ledger.source for ledger in mine], position
                    )
                    # Before `check`, which lets a table pass that a remembered import has made.
                    self.destination.forget(target)
                self.destination.check(target)
                if fresh:
                    self._refuse_older(target, position, mine)
            # From here on items are written: every target has been checked.
            with RateController(self.counters, 1, self.control) as controller:
                for target, mine in waiting:
                    self._load(target, positions[target.name], mine, partial(self._before, controller))
            return [self._outcome(name, ledger) for name, ledger in ledgers.items()]

    def _with(self, ledgers: dict[str, Ledger]) -> Iterator[tuple[LoadTarget, list[Ledger]]]:
        for target in self.targets:
            yield target, [ledgers[source.table.source] for source in target.sources]

    def _open(self, ledgers: Sequence[Ledger]) -> bool:
        return self.again or any(ledger.state != DONE for ledger in ledgers)

    def _is_new(self, ledgers: Sequence[Ledger], position: Position) -> bool:
        return any(self._unplanned(ledger, position) for ledger in ledgers)

    def _unplanned(self, ledger: Ledger, position: Position) -> bool:
        """Another export is another load, which has to be checked again."""
        return self.again or ledger.state is None or ledger.watermark != str(position)

    def _ledgers(self, capture: Checkpoint) -> dict[str, Ledger]:
        return {
            table.source: Ledger(
                self.control, table.source, capture, lambda: int(self.now() * 1000), self.destination.method
            )
            for table in self.mapping.tables
        }

    def _position(self, target: LoadTarget, checkpoint: Checkpoint) -> Position:
        """
        The low watermark of all parts of the target: the position of its items, and the floor.
        """
        found = []
        for export in _exports_of(target):
            for part in export.parts:
                at = watermark_of(export, part, checkpoint, self.given)
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
        if self._is_new(ledgers, position):
            # The lines of the parts stay: they depend on the export and the mapping alone.
            work.forget_partitions()  # since then another load may have written, or the table was emptied
            self._plan(target, position, ledgers)
        sink = self.destination.sink(target)
        self.runner.run(work, sink, before, self.progress)
        arrived = self.destination.finish(work)
        for row in (*work.unusable(sink), *arrived.refused):
            self.unusable(row)
        self._finish(ledgers, work, sink, arrived)

    def _before(self, controller: RateController) -> None:
        said = None
        while reason := controller.held:
            if reason != said:
                self.report(f"waiting: {reason}")
            said = reason
            # A load that is paused must not miss that its lock is lost.
            self.sleep(EVERY)
            self.lock.check()
        self.lock.check()

    def _refuse_older(self, target: LoadTarget, position: Position, ledgers: Sequence[Ledger]) -> None:
        """Raises Refused where the exports may lack changes that the stream will not deliver again."""
        live = self._holds_items(target, ledgers)
        self.destination.refuse_newer(target, position)
        done = any(ledger.state == DONE for ledger in ledgers)
        if done and not live and self.control.get(APPLIED).get("changes"):
            raise Refused(
                f"{target.name} is empty again, and changes were applied that the exports may lack",
                "run `ferry load --again` without --from: it reads MySQL as it is now",
            )

    def _holds_items(self, target: LoadTarget, ledgers: Sequence[Ledger]) -> bool:
        return self.destination.holds_items(target, ledgers[0].capture.first_epoch)

    def _plan(self, target: LoadTarget, position: Position, ledgers: Sequence[Ledger]) -> None:
        """
        Raises the floors only for an empty target: an item that exists and that the exports do not have is
        removed by a change that is still waiting.
        """
        if self._holds_items(target, ledgers):
            self.report(f"{target.name} has items already: the load overwrites them")
        else:
            for ledger in ledgers:
                # Before the plan: a run that is killed in between finds no plan, and does both again.
                ledger.raise_floor(str(position))
        for ledger in ledgers:
            if self._unplanned(ledger, position):
                ledger.plan_whole(str(position), shown_by_parts(_exports_of(target), ledger.capture))

    def _finish(self, ledgers: Sequence[Ledger], work: FilesWork, sink: ItemSink, arrived: Arrived) -> None:
        """Items, and rows whose source is not known, are counted with the target's first source."""
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

    def _as_it_was(self, ledgers: dict[str, Ledger]) -> list[LoadOutcome]:
        outcomes = [self._outcome(name, ledger, nothing=True) for name, ledger in ledgers.items()]
        full = {target.name for target, mine in self._with(ledgers) if self._holds_items(target, mine)}
        for outcome in outcomes:
            if outcome.result.items and outcome.target not in full:
                self.report(emptied(outcome))
        return outcomes

    def _outcome(self, source: str, ledger: Ledger, *, nothing: bool = False) -> LoadOutcome:
        entries = list(ledger.entries())
        result = sum((entry.result for entry in entries), ChunkResult())
        table = next(table for table in self.mapping.tables if table.source == source)
        return LoadOutcome(source, table.target, str(ledger.state), len(entries), result, nothing)


def _exports_of(target: LoadTarget) -> list[Export]:
    return [source.export for source in target.sources]
