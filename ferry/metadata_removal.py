"""Removes `_pos` and tombstones from a table while the application writes to it."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from bulkload.throttle.rate import TokenBucket
from rowferry.control_table import ControlTable, Plain, finalize_key, is_condition_failed, segment_key
from rowferry.mapping.table import EXPIRES, POSITION

SEGMENTS = 4


@dataclass(frozen=True, slots=True)
class TargetTable:
    """A table, its key attributes, and whether its items group rows: then one with only its key is dead."""

    name: str
    keys: tuple[str, ...]
    grouped: bool

    def key(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {name: item[name] for name in self.keys}

    def is_dead(self, item: Mapping[str, Any]) -> bool:
        """Whether the item has nothing but its key and Rowferry's attributes."""
        # Where a row is an item, one with its key alone is alive: the row has no other column that is stored.
        return not item.keys() - {*self.keys, POSITION, EXPIRES} and (EXPIRES in item or self.grouped)


@dataclass(slots=True)
class TableLimiter:
    """Limits the WCU a second of all threads together. `clock` in seconds."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _bucket: TokenBucket = field(default_factory=TokenBucket)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Waits until one more unit may be used."""
        while True:
            with self._lock:
                pause = self._bucket.take(1.0, self.rate, self.clock())
            if not pause:
                return
            self.sleep(pause)

    def used(self, units: float) -> None:
        """Corrects for the request's real cost, of which `wait` took one unit."""
        with self._lock:
            self._bucket.correct(units - 1.0)


def finalize(
    control: ControlTable,
    client: Any,
    target: TargetTable,
    limiter: TableLimiter,
    step: Callable[[int, int, str], None],
    segments: int = SEGMENTS,
) -> dict[str, int]:
    """
    Removes the attributes from one table; returns how many items were `stripped`, `deleted`, or `skipped`
    because the application had changed them meanwhile.

    Idempotent: progress is in the control table, one item a segment. The switch has to be OFF.
    """
    pk = finalize_key(target.name)
    # A run that resumes needs the same number: the places that are stored belong to these segments.
    segments = int(control.get(pk).get("segments", segments))
    control.update(pk, set={"segments": segments})
    total = int(
        client.describe_table(TableName=target.name)["Table"]["ItemCount"]
    )  # up to hours old, good enough for a bar
    seen = Counter[int]()

    def work(number: int) -> Counter[str]:
        segment = Segment(control, client, target, limiter, number, segments)
        for looked in segment.run():
            seen[number] = looked
            step(sum(seen.values()), total, f"{target.name}: {sum(seen.values()):,} items")
        return segment.counts

    with ThreadPoolExecutor(segments) as pool:
        counts = sum(pool.map(work, range(segments)), Counter[str]())
    return {name: counts[name] for name in ("stripped", "deleted", "skipped")}


@dataclass(slots=True)
class Segment:
    """One segment of the parallel scan."""

    control: ControlTable
    client: Any
    target: TargetTable
    limiter: TableLimiter
    number: int
    of: int
    counts: Counter[str] = field(default_factory=Counter)
    looked: int = 0

    def run(self) -> Iterator[int]:
        """Resumes where it was interrupted; yields the number of items scanned so far."""
        pk = segment_key(self.target.name, self.number)
        saved = self.control.get(pk)
        self.counts.update(json.loads(saved.get("counts", "{}")))
        self.looked = int(saved.get("looked", 0))
        start = json.loads(saved["after"]) if saved.get("after") else None
        while not saved.get("done"):
            page = self._page(start)
            for item in page["Items"]:
                self.counts[self._treat(item)] += 1
            self.looked += page["ScannedCount"]
            start = page.get("LastEvaluatedKey")
            fields: dict[str, Plain] = {
                "looked": self.looked,
                "counts": json.dumps(self.counts),
                "done": start is None,
            }
            # After the page's items: a run that is killed before this treats them again, which changes
            # nothing.
            saved = self.control.update(pk, set={**fields, "after": json.dumps(start, default=_binary)})
            yield self.looked

    def _page(self, start: Mapping[str, Any] | None) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.scan(
            TableName=self.target.name,
            Segment=self.number,
            TotalSegments=self.of,
            ConsistentRead=True,
            # Items that are read, not those that the filter leaves.
            Limit=500,
            FilterExpression="attribute_exists(#p) OR attribute_exists(#t)",
            ExpressionAttributeNames={"#p": POSITION, "#t": EXPIRES},
            **({"ExclusiveStartKey": _plain(start)} if start else {}),
        )
        return answer

    def _treat(self, item: Mapping[str, Any]) -> str:
        """Handles one item: stripped, deleted, or skipped because the application has changed it."""
        try:
            if self.target.is_dead(item):
                self._delete(item)
                return "deleted"
            self._strip(item)
        except ClientError as error:
            if not is_condition_failed(error):
                raise
            return "skipped"
        return "stripped"

    def _strip(self, item: Mapping[str, Any]) -> None:
        self._call(
            "update_item",
            Key=self.target.key(item),
            UpdateExpression="REMOVE #p, #t" if EXPIRES in item else "REMOVE #p",
            **_as_seen(item),
        )

    def _delete(self, item: Mapping[str, Any]) -> None:
        """
        Deletes an item that is still dead.

        No condition can say "no other attribute": where an UpdateItem of the application came in between, the
        answer has its attributes, which are written back at once, unless it has written them again since.
        """
        old = self._call("delete_item", Key=self.target.key(item), ReturnValues="ALL_OLD", **_as_seen(item))
        held = old.get("Attributes", {})
        written = {name: held[name] for name in held.keys() - {*self.target.keys, POSITION, EXPIRES}}
        if not written:
            return
        self._call(
            "update_item",
            Key=self.target.key(item),
            UpdateExpression="SET " + ",".join(f"#{n}=if_not_exists(#{n},:{n})" for n in range(len(written))),
            ExpressionAttributeNames={f"#{n}": name for n, name in enumerate(written)},
            ExpressionAttributeValues={f":{n}": value for n, value in enumerate(written.values())},
        )

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        self.limiter.wait()
        answer: dict[str, Any] = getattr(self.client, method)(
            TableName=self.target.name, ReturnConsumedCapacity="TOTAL", **arguments
        )
        with suppress(KeyError):
            self.limiter.used(float(answer["ConsumedCapacity"]["CapacityUnits"]))
        return answer


def _as_seen(item: Mapping[str, Any]) -> dict[str, Any]:
    """
    The condition that our attributes are as they were read: an item that the application has replaced has
    none.
    """
    own = {"#p": POSITION, "#t": EXPIRES}
    held = {short: name for short, name in own.items() if name in item}
    absent = own.keys() - held.keys() if EXPIRES in item else set[str]()
    parts = [f"{short}=:{short[1]}" for short in held]
    return {
        "ConditionExpression": " AND ".join([*parts, *(f"attribute_not_exists({name})" for name in absent)]),
        "ExpressionAttributeNames": own if len(held) + len(absent) == len(own) else held,
        "ExpressionAttributeValues": {f":{short[1]}": item[name] for short, name in held.items()},
    }


def _binary(value: bytes) -> str:
    return "hex:" + value.hex()


def _plain(key: Mapping[str, Any]) -> dict[str, Any]:
    """A saved key as the client takes it; bytes were saved as hexadecimal."""
    return {
        name: {kind: bytes.fromhex(text[4:]) if kind == "B" and isinstance(text, str) else text}
        for name, value in key.items()
        for kind, text in value.items()
    }
