"""
The data-integrity cases and the roads that have to agree on them.

A case is a directory. `changes.jsonl` is the story, a line at a time:

    {"type": "WriteRowsEvent", "row": {"values": {...}}, "pos": [1, 4, 100, 1]}
        A change; table purchase unless named. `sender` and `batch` stay as they were until a line
        changes them, changes with the same `record` travel together, pos is written short.
    {"marker": "m1", "lane": 3}, {"raw": "not a record"}
        Other records.
    {"bulk": [1, 4, 100, 0], "rows": [...]}
        A chunk loaded with that watermark, before the next batch.
    {"bulk": [1, 4, 100, 0], "rows": [...], "of": 1, "seen": [1, 4, 200, 0]}
        A chunk loaded with that watermark, before the next batch; of the mapping's second table, merged with
        that watermark of the load's start, from a snapshot with the watermark `seen`.
    {"again": 1}
        Batch 1 is delivered once more.
    {"fail": 2}, {"lose": 2}, {"crash": 2}, {"quarantine": 1}
        The second write of the next batch fails for now, happens without an answer, or the function dies
        before it; or the first change does not get into the quarantine. The stream delivers again.

`items.json` has the items as they must be, with plain values where JSON has them; `tombstones`,
`quarantined` (errors in any order) and `markers` where there are some. `rows.json` has the rows that MySQL
holds at the end, for the cases in which a bulk load must give the same items. `mapping.toml`, or DMS's
`mapping.json`, stands where it is not the purchase one.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from apply_changes.applier import Applier, ApplyResult
from apply_changes.store import DynamoStore
from bulkload.direct.grouping import Grouping
from bulkload.direct.merger import Merger
from bulkload.dynamodb.batch_writer import RetryPolicy, Writer
from capturer.stream.encoding import encoded
from rowferry.change import Marker, RowChange, decode_change, encode_change, encode_marker, encode_record
from rowferry.errors import Unapplied, UnusableChange
from rowferry.mapping import Mapping, TableMapping
from rowferry.position import Position
from rowferry.values import untag
from tests.support.mappings import PURCHASE_FILE
from tests.support.paths import SCENARIOS

LANES = 256
COMMITTED = 1_700_000_000_000
DAY = 86_400

type Item = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """One directory."""

    folder: Path
    mapping: Mapping
    lines: list[dict[str, Any]]
    expected: dict[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]] | None:
        """The rows that MySQL holds at the end, with the table's name as `table` where it is not purchase."""
        path = self.folder / "rows.json"
        found = json.loads(path.read_text()) if path.exists() else None
        return found if isinstance(found, list) else None

    @property
    def sources(self) -> dict[str, list[dict[str, Any]]]:
        """The rows that MySQL holds at the end by table, where there are several."""
        path = self.folder / "rows.json"
        found = json.loads(path.read_text()) if path.exists() else None
        return found if isinstance(found, dict) else {}

    def items(self, what: str) -> list[Item]:
        """The expected items, or tombstones, as DynamoDB gives them."""
        return [{name: _typed(value) for name, value in item.items()} for item in self.expected.get(what, [])]


def cases() -> dict[str, Case]:
    return {path.parent.name: read(path.parent) for path in sorted(SCENARIOS.glob("*/changes.jsonl"))}


def read(folder: Path) -> Case:
    own = next(folder.glob("mapping.*"), PURCHASE_FILE)
    lines = [json.loads(line) for line in (folder / "changes.jsonl").read_text().splitlines()]
    expected = json.loads((folder / "items.json").read_text())
    return Case(folder, Mapping.load(own), lines, expected)


def _typed(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {kind: untag(content) if kind == "B" else content for kind, content in value.items()}
    if value is None:
        return {"NULL": True}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}


def event(line: dict[str, Any]) -> RowChange:
    """The change in a line."""
    position = str(Position(*line["pos"])) if "pos" in line else None
    return decode_change(
        {
            "schema": line.get("schema", "test"),
            "table": line.get("table", "purchase"),
            "type": line["type"],
            "row": line["row"],
            **({"pos": position} if position else {}),
        }
    )


@dataclass(slots=True)
class Played:
    """What a road did: what it told and what it set aside."""

    quarantined: Counter[str] = field(default_factory=Counter)
    markers: dict[str, set[int]] = field(default_factory=dict)
    deliveries: list[ApplyResult] = field(default_factory=list)


class Trouble(Exception):
    """The function dies."""


class Faulty:
    """A DynamoDB client whose writes go wrong where the case says so."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.planned: dict[int, str] = {}
        self._count = 0

    def plan(self, faults: dict[int, str]) -> None:
        self.planned, self._count = faults, 0

    def get_item(self, **arguments: Any) -> Any:
        return self._client.get_item(**arguments)

    def put_item(self, **arguments: Any) -> Any:
        return self._write(self._client.put_item, arguments)

    def update_item(self, **arguments: Any) -> Any:
        return self._write(self._client.update_item, arguments)

    def _write(self, call: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        self._count += 1
        fault = self.planned.pop(self._count, None)
        if fault == "crash":
            raise Trouble
        answer = None if fault == "fail" else call(**arguments)
        if fault:
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": fault}}, "Write")
        return answer


class Kept:
    """A quarantine in memory, which may be away."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.away: set[int] = set()
        self._count = 0

    def plan(self, away: set[int]) -> None:
        self.away, self._count = away, 0

    def add(self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int) -> None:
        self._count += 1
        if self._count in self.away:
            self.away.discard(self._count)
            raise Unapplied("the quarantine is away", "wait")
        self.errors.append(type(error).__name__)


def records(case: Case, lines: list[dict[str, Any]], split: bool) -> list[bytes]:
    """A batch's records. With `split`, moves travel in two lanes as the capturer sends them."""
    return [record for _, part in groupby(lines, _record_of) for record in _encoded(case, list(part), split)]


def _record_of(line: dict[str, Any]) -> Any:
    return (line.get("record", id(line)), line["sender"])


def _encoded(case: Case, lines: list[dict[str, Any]], split: bool) -> Iterator[bytes]:
    first = lines[0]
    if "raw" in first:
        yield first["raw"].encode()
    elif "marker" in first:
        marker = Marker(first["marker"], "binlog.000004:1")
        yield encode_marker(first["lane"], first["sender"], COMMITTED, marker)
    elif "pos" not in first:
        yield encode_change(event(first))
    else:
        yield from _by_lane(case, lines, split)


def _by_lane(case: Case, lines: list[dict[str, Any]], split: bool) -> Iterator[bytes]:
    lanes: dict[int, list[bytes]] = {}
    for change in map(event, lines):
        whole = [(0, encode_change(change))]
        for lane, content in encoded(change, case.mapping, LANES) if split else whole:
            lanes.setdefault(lane, []).append(content)
    for lane, changes in lanes.items():
        yield encode_record(lane, lines[0]["sender"], COMMITTED, changes)


def deliver(case: Case, client: Any, *, split: bool = True, now: float | None = None) -> Played:
    """The stream's road: the real applier on a DynamoDB client, delivered to as Lambda would."""
    played, faulty, kept = Played(), Faulty(client), Kept()
    clock = (lambda: now) if now is not None else time.time
    applier = Applier(case.mapping, DynamoStore(faulty, clock, 30 * DAY), kept, map, lambda: True)
    sent: dict[int, list[bytes]] = {}
    for step in story(case):
        if "bulk" in step:
            mapped, seen = case.mapping.tables[step.get("of", 0)], step.get("seen", step["bulk"])
            load(mapped, step["rows"], Position(*seen), client, Position(*step["bulk"]))
            continue
        batch = sent[step["again"]] if "again" in step else records(case, step["lines"], split)
        sent[step.get("batch", 0)] = batch
        faulty.plan(step.get("faults", {}))
        kept.plan(step.get("away", set()))
        _until_done(applier, batch, played)
        assert not faulty.planned, f"{case.folder.name}: fault {faulty.planned} never came"
    played.quarantined = Counter(kept.errors)
    return played


def _until_done(applier: Applier, batch: list[bytes], played: Played) -> None:
    for _ in range(10):
        try:
            result = applier.apply(batch)
        except Trouble:
            continue
        played.deliveries.append(result)
        for marker, lanes in result.markers.items():
            played.markers.setdefault(marker.id, set()).update(lanes)
        assert result.received == result.applied + result.repeats + result.quarantined + result.unapplied
        if result.failed is None:
            return
        batch = batch[result.failed :]
    raise AssertionError("it never gets done")


def story(case: Case) -> Iterator[dict[str, Any]]:
    """Bulk chunks, repeats, and batches with the faults that they meet."""
    sender, batch = 1, 1
    pending: list[dict[str, Any]] = []
    faults: dict[str, Any] = {}

    def flush() -> Iterator[dict[str, Any]]:
        if pending:
            yield {"batch": batch, "lines": list(pending), **faults}
            pending.clear()
            faults.clear()

    for line in case.lines:
        sender = line.get("sender", sender)
        if line.get("batch", batch) != batch or "again" in line or "bulk" in line:
            yield from flush()
        batch = line.get("batch", batch)
        if fault := [name for name in ("fail", "lose", "crash") if name in line]:
            faults.setdefault("faults", {})[line[fault[0]]] = fault[0]
        elif "quarantine" in line:
            faults.setdefault("away", set()).add(line["quarantine"])
        elif "again" in line:
            yield {**line, **faults}
            faults.clear()
        elif "bulk" in line:
            yield line
        else:
            pending.append({**line, "sender": sender})
    yield from flush()


def load(
    mapped: TableMapping, rows: list[dict[str, Any]], watermark: Position, client: Any, start: Position | None
) -> None:
    """The bulk load's road, from rows at hand: what bulkload does, without a server."""
    if not rows:
        return
    grouping = Grouping(mapped, list(rows[0]))
    grouping.take([untag(value) for value in row.values()] for row in rows)
    if not mapped.load_merges:
        for item, _ in grouping.items(watermark):
            client.put_item(TableName=mapped.target, Item=item)
        return
    writer = Writer(client, mapped.target, lambda: None, RetryPolicy(sleep=lambda _: None))
    merger = Merger(writer, mapped.into, str(start or watermark), str(watermark))
    for key, members, _ in grouping.members():
        assert merger.merge(key, members) is None
