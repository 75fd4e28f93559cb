"""
Applies a batch of stream records: decode, group by item, fold, write.

Items are independent of each other and are written in parallel; the changes of one item keep their order. A
change that can never be applied is quarantined and the others continue; for one that may succeed later its
record is reported, and the stream delivers again from there. Repeats change nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from types import MappingProxyType as Fixed
from typing import Protocol

from apply_changes.store import WriteOutcome
from rowferry.change import Marker, Record, RowChange, decode_record
from rowferry.errors import MalformedRecord, Unapplied, UnusableChange
from rowferry.items.effects import ItemKey, effects
from rowferry.items.folding import FoldStep, Write, writes
from rowferry.mapping import Mapping
from rowferry.mapping.source_name import source_of


class Store(Protocol):
    """Where items are written. May be called by several threads at a time."""

    def write(self, write: Write) -> tuple[WriteOutcome, int]:
        """
        The outcome of the write, and the number of requests it took. Raises UnusableChange or Unapplied.
        """


class Quarantine(Protocol):
    """Where a change goes that can never be applied. May be called by several threads at a time."""

    def add(self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int) -> None:
        """
        Stores the change, or the whole record `data` if it cannot be decoded (`change` is None).

        `origin` is the record's index in the batch. Raises Unapplied if it cannot be stored now. The same
        change may be stored twice, because the stream delivers at least once.
        """


NO_FLOORS: Dict[str, str] = Fixed({})

type Each = Callable[[Callable[["_Item"], None], Iterable["_Item"]], Iterable[None]]
"""`map`, or the `map` method of a thread pool."""


@dataclass(slots=True)
class ApplyResult:
    """
    Outcome of a batch, in changes: received = applied + repeats + quarantined + unapplied.

    `requests` counts the writes' requests to DynamoDB. `failed` is the index of the first record that is not
    completely applied, `markers` are those before it, with the lanes in which they arrived.
    """

    received: int = 0
    applied: int = 0
    repeats: int = 0
    quarantined: int = 0
    unapplied: int = 0
    requests: int = 0
    failed: int | None = None
    errors: Counter[str] = field(default_factory=Counter)
    markers: dict[Marker, set[int]] = field(default_factory=dict)
    committed: Counter[int] = field(default_factory=Counter)
    """Number of changes by commit time (milliseconds since 1970), of the records before `failed`."""


@dataclass(slots=True)
class _Item:
    """One item's part of the batch; only one worker uses it."""

    key: ItemKey
    steps: list[tuple[FoldStep, RowChange]] = field(default_factory=list)
    result: ApplyResult = field(default_factory=ApplyResult)


class Applier:
    """Applies batches. Everything it needs from outside is an argument, so that tests can use fakes."""

    def __init__(
        self, mapping: Mapping, store: Store, quarantine: Quarantine, each: Each, in_time: Callable[[], bool]
    ) -> None:
        """`each` is `map` or a pool's; `in_time` says whether there is time for another write."""
        self._mapping = mapping
        self._store = store
        self._quarantine = quarantine
        self._each = each
        self._in_time = in_time

    def apply(self, batch: Sequence[bytes], floors: Dict[str, str] = NO_FLOORS) -> ApplyResult:
        """
        Applies the data of the records, given in stream order.

        `floors` has by `schema.table` the position up to which the bulk load has everything: changes at or
        below it are repeats. Success does not mean that everything is applied: see `failed` of the result.
        Raises no error for a single change.
        """
        result = ApplyResult()
        items: dict[ItemKey, _Item] = {}
        records: dict[int, Record] = {}
        for origin, data in enumerate(batch):
            try:
                records[origin] = decode_record(data)
            except MalformedRecord as error:
                self._refuse(error, None, data, origin, result)
                continue
            self._collect(records[origin], floors, origin, items, result)
        # Consumed, although there is no result: a pool raises a worker's error only here.
        for _ in self._each(self._apply_item, items.values()):
            pass
        for item in items.values():
            _add(result, item.result)
        for origin, record in records.items():
            # A marker says that everything before it is applied, so none after the first failure counts.
            if result.failed is None or origin < result.failed:
                _finish(result, record)
        return result

    def _collect(
        self,
        record: Record,
        floors: Dict[str, str],
        origin: int,
        items: dict[ItemKey, _Item],
        result: ApplyResult,
    ) -> None:
        for change in record.changes:
            if _is_loaded(change, floors):
                result.received += 1
                result.repeats += 1
                continue
            try:
                found = effects(change, self._mapping, record.lane)
            except UnusableChange as error:
                self._refuse(error, change, b"", origin, result)
                continue
            for effect in found:  # none: the row is filtered out, which counts as nothing received
                item = items.setdefault(effect.key, _Item(effect.key))
                item.steps.append((FoldStep(effect, change.position, record.sender, origin), change))

    def _apply_item(self, item: _Item) -> None:
        changes = {id(step): change for step, change in item.steps}  # by identity: steps may be equal
        pending = writes(step for step, _ in item.steps)
        try:
            for write in pending:
                self._write(write, changes, item.result)
        except _Halted as halted:
            # All the rest of the item waits: a later change must not be applied before the one that failed.
            item.result.unapplied = len(item.steps) - item.result.received
            item.result.received = len(item.steps)
            item.result.failed = halted.origin
            item.result.errors[halted.reason] += 1

    def _write(self, write: Write, changes: dict[int, RowChange], result: ApplyResult) -> None:
        """
        One write; if a fold holds something unusable, its steps one by one, so that only that is quarantined.
        """
        try:
            outcome, requests = self._attempt(write)
        except UnusableChange as error:
            result.requests += 1
            if len(write.steps) > 1:
                for step in write.steps:
                    for single in writes([step]):
                        self._write(single, changes, result)
                return
            step = write.steps[0]
            try:
                self._send_to_quarantine(error, changes[id(step)], b"", step.origin, result)
            except Unapplied as unkept:  # a later write would make the redelivered change a repeat: lost
                raise _Halted(step.origin, unkept.found) from unkept
            return
        result.requests += requests
        result.received += len(write.steps)
        if outcome is WriteOutcome.APPLIED:
            result.applied += len(write.steps)
        else:
            result.repeats += len(write.steps)

    def _attempt(self, write: Write) -> tuple[WriteOutcome, int]:
        origin = write.steps[0].origin  # the whole fold is delivered again, from its first record on
        if not self._in_time():
            raise _Halted(origin, "OutOfTime")
        try:
            return self._store.write(write)
        except Unapplied as error:
            raise _Halted(origin, error.found) from error

    def _refuse(
        self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int, result: ApplyResult
    ) -> None:
        """
        Quarantines what belongs to no item. If that fails, it is refused again when it is delivered again.
        """
        try:
            self._send_to_quarantine(error, change, data, origin, result)
        except Unapplied as unkept:
            result.errors[unkept.found] += 1
            result.received += 1
            result.unapplied += 1
            result.failed = _lower(result.failed, origin)

    def _send_to_quarantine(
        self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int, result: ApplyResult
    ) -> None:
        self._quarantine.add(error, change, data, origin)
        result.received += 1
        result.quarantined += 1
        result.errors[type(error).__name__] += 1


class _Halted(Exception):
    """The item's remaining writes wait for the next delivery."""

    def __init__(self, origin: int, reason: str) -> None:
        self.origin = origin
        self.reason = reason


def _is_loaded(change: RowChange, floors: Dict[str, str]) -> bool:
    """
    The load was planned after this change was visible.

    The item's own position cannot decide this: the load has no item for a row that is deleted.
    """
    floor = floors.get(source_of(change.schema, change.table))
    # Texts of fixed width compare as their positions do.
    return floor is not None and change.position is not None and change.position <= floor


def _finish(result: ApplyResult, record: Record) -> None:
    if record.marker:
        result.markers.setdefault(record.marker, set()).add(record.lane)
    if record.committed and record.changes:
        result.committed[record.committed] += len(record.changes)


def _lower(one: int | None, other: int | None) -> int | None:
    return min((index for index in (one, other) if index is not None), default=None)


def _add(total: ApplyResult, part: ApplyResult) -> None:
    total.received += part.received
    total.applied += part.applied
    total.repeats += part.repeats
    total.quarantined += part.quarantined
    total.unapplied += part.unapplied
    total.requests += part.requests
    total.failed = _lower(total.failed, part.failed)
    total.errors += part.errors
