"""Takes `_pos` and tombstones out of a table while the application writes to it."""

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
    """A table, its key attributes, and whether its items group rows: one of its key alone is dead there."""

    name: str
    keys: tuple[str, ...]
    grouped: bool

    def key(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The item's key."""
        return {name: item[name] for name in self.keys}

    def is_dead(self, item: Mapping[str, Any]) -> bool:
        """Nothing but the key and what is ours."""
        return not item.keys() - {*self.keys, POSITION, EXPIRES} and (EXPIRES in item or self.grouped)


@dataclass(slots=True)
class Pace:
    """WCU a second over all threads. `clock` in seconds."""

    rate: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _bucket: TokenBucket = field(default_factory=TokenBucket)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait(self) -> None:
        """Until one more unit may be used."""
        while True:
            with self._lock:
                pause = self._bucket.take(1.0, self.rate, self.clock())
            if not pause:
                return
            self.sleep(pause)

    def used(self, units: float) -> None:
        """What the request cost, of which one unit was taken."""
        with self._lock:
            self._bucket.correct(units - 1.0)


def finalize(
    control: ControlTable,
    client: Any,
    target: TargetTable,
    pace: Pace,
    step: Callable[[int, int, str], None],
    segments: int = SEGMENTS,
) -> dict[str, int]:
    """
    Strips one table; returns how many items lost `_pos`, were deleted, or had been changed meanwhile.

    Its progress is in the control table, an item a segment. A table that is done is done.
    """
    pk = finalize_key(target.name)
    segments = int(control.get(pk).get("segments", segments))
    control.update(pk, set={"segments": segments})
    total = int(
        client.describe_table(TableName=target.name)["Table"]["ItemCount"]
    )  # hours old, good for a bar
    seen = Counter[int]()

    def work(number: int) -> Counter[str]:
        segment = Segment(control, client, target, pace, number, segments)
        for looked in segment.run():
            seen[number] = looked
            step(sum(seen.values()), total, f"{target.name}: {sum(seen.values()):,} items")
        return segment.counts

    with ThreadPoolExecutor(segments) as pool:
        counts = sum(pool.map(work, range(segments)), Counter[str]())
    return {name: counts[name] for name in ("stripped", "deleted", "skipped")}


@dataclass(slots=True)
class Segment:
    """One part of the parallel scan."""

    control: ControlTable
    client: Any
    target: TargetTable
    pace: Pace
    number: int
    of: int
    counts: Counter[str] = field(default_factory=Counter)
    looked: int = 0

    def run(self) -> Iterator[int]:
        """Goes on where it was left; yields how many items have been looked at."""
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
            saved = self.control.update(pk, set={**fields, "after": json.dumps(start, default=_binary)})
            yield self.looked

    def _page(self, start: Mapping[str, Any] | None) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.scan(
            TableName=self.target.name,
            Segment=self.number,
            TotalSegments=self.of,
            ConsistentRead=True,
            Limit=500,
            FilterExpression="attribute_exists(#p) OR attribute_exists(#t)",
            ExpressionAttributeNames={"#p": POSITION, "#t": EXPIRES},
            **({"ExclusiveStartKey": _plain(start)} if start else {}),
        )
        return answer

    def _treat(self, item: Mapping[str, Any]) -> str:
        """One item: stripped, deleted, or skipped because it is another by now."""
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
        Deletes what is still dead.

        No condition can say "no other attribute": where an UpdateItem of the application has come in between,
        the answer has what it wrote, which is written back at once, under what it has written since.
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
        self.pace.wait()
        answer: dict[str, Any] = getattr(self.client, method)(
            TableName=self.target.name, ReturnConsumedCapacity="TOTAL", **arguments
        )
        with suppress(KeyError):
            self.pace.used(float(answer["ConsumedCapacity"]["CapacityUnits"]))
        return answer


def _as_seen(item: Mapping[str, Any]) -> dict[str, Any]:
    """That what is ours is as it was read: an item that the application has put anew has none of it."""
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
    """A saved key; bytes were kept as hexadecimal."""
    return {
        name: {kind: bytes.fromhex(text[4:]) if kind == "B" and isinstance(text, str) else text}
        for name, value in key.items()
        for kind, text in value.items()
    }
