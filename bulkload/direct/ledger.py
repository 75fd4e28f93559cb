"""
Plan and progress of a load in the control table: its chunks, and which of them are done.

A plan counts once its load# item is written, which is after all its chunk#
items; the leftovers of an interrupted planning are overwritten by the next one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import batched
from typing import Any

from bulkload.direct.chunks import Chunk, bound_text, read_bound
from bulkload.dynamodb.batch_writer import ITEMS_IN_A_REQUEST, Writer
from rowferry.checkpoint import Checkpoint
from rowferry.control_table import (
    FLOORS,
    ConditionFailed,
    ControlTable,
    Plain,
    chunk_key,
    chunk_number,
    chunks_of,
    load_key,
    merge_key,
    wrap,
)
from rowferry.errors import Refused
from rowferry.history import History
from rowferry.position import Position
from rowferry.values import Attribute

LOADING, DONE, OPEN = "loading", "done", "open"
_SHOWN = "shown#"
DIRECT = "direct"
"""The method that reads MySQL."""


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """Counts of a loaded chunk, or table. `unusable` counts rows."""

    rows: int = 0
    items: int = 0
    unusable: int = 0

    def __add__(self, other: "ChunkResult") -> "ChunkResult":
        return ChunkResult(self.rows + other.rows, self.items + other.items, self.unusable + other.unusable)


@dataclass(frozen=True, slots=True)
class Entry:
    """One chunk of the plan, as in the control table."""

    number: int
    chunk: Chunk
    done: bool
    result: ChunkResult


def record_shown(control: ControlTable, source: str, position: Position, history: str, slot: str) -> None:
    """
    Stores what the rows at hand show, before their items are written: the position, and the GTIDs (text) that
    their server had executed. Each reader has a `slot` of its own, with a field for each epoch: on one server
    the next chunk shows all that the last one did.

    Raises Refused where the load is not under way any more. Safe to repeat.
    """
    try:
        control.update(
            load_key(source), set={f"{_SHOWN}{position.epoch}#{slot}": history}, only_if={"state": LOADING}
        )
    except ConditionFailed as error:
        raise Refused(
            f"the plan of {source} is not there any more",
            "run the load again: another one has begun meanwhile",
        ) from error


def shown_by(load: Mapping[str, Any]) -> dict[int, History]:
    """What a load's item says that its rows show, by epoch."""
    found: dict[int, History] = {}
    for name, history in load.items():
        if name.startswith(_SHOWN):
            epoch = int(name.removeprefix(_SHOWN).partition("#")[0])
            found[epoch] = found.get(epoch, History()).union(History.parse(history))
    return found


class Ledger:
    """
    The load of one source table. `now` gives milliseconds since 1970.

    A plan from before the `capture` does not count: it was reset since. Nor does that of an unfinished load
    by another `method`: its items are written again.
    """

    def __init__(
        self,
        control: ControlTable,
        source: str,
        capture: Checkpoint,
        now: Callable[[], int],
        method: str = DIRECT,
    ) -> None:
        self.control = control
        self.source = source
        self.capture = capture
        self.now = now
        self.method = method

    @property
    def _load(self) -> str:
        return load_key(self.source)

    @property
    def _method(self) -> dict[str, Plain]:
        """`road`: read by version 0.1, whose image may still run the load's task."""
        return {"method": self.method, "road": self.method}

    @property
    def state(self) -> str | None:
        """`loading`, `done`, or None before a plan was made in this capture."""
        item = self.control.get(self._load)
        method = item.get("method", item.get("road", DIRECT))  # `road`: written by version 0.1
        # A load that is done counts whichever method did it.
        ours = item.get("state") == DONE or method == self.method
        return item.get("state") if self.capture.has(item.get("epoch")) and ours else None

    @property
    def outdated(self) -> bool:
        """Whether there is a plan, and it is from before the reset of capture."""
        epoch = self.control.get(self._load).get("epoch")
        return epoch is not None and not self.capture.has(epoch)

    def raise_floor(self, position: str) -> None:
        """
        Makes the consumer skip every change up to the position: this load contains them.

        Call it before the first chunk, and only for an empty target: there a waiting change could bring back
        a row that the load does not have. Where items are left, the delete of a row that they still show may
        be waiting, and has to be applied.
        """
        self.control.update(FLOORS, set={self.source: position})

    def start_of(self, target: str) -> str | None:
        """The watermark at the start of the first load that merged into the target in this capture."""
        found: str | None = self.control.get(merge_key(target)).get("watermark")
        return found if found and self.capture.has(Position.parse(found).epoch) else None

    def begin(self, target: str, watermark: str) -> str:
        """
        Stores that watermark for the whole capture; returns the one that is in force, perhaps an earlier one.
        """
        return self.start_of(target) or str(
            self.control.update(merge_key(target), set={"watermark": watermark})["watermark"]
        )

    def forget(self) -> None:
        """Makes the next load begin with a new plan."""
        # The chunk# items stay: they do not count without this one, and the next plan overwrites them.
        self.control.client.delete_item(TableName=self.control.name, Key={"pk": {"S": self._load}})

    def plan(self, chunks: Iterable[Chunk], rows: Callable[[Chunk], int], size: int, writer: Writer) -> int:
        """Writes the plan; returns the number of chunks. Each has `size` rows; `rows` counts the last."""
        count, last = 0, Chunk()
        for part in batched(chunks, ITEMS_IN_A_REQUEST, strict=False):
            items = [self._planned(count + index, chunk) for index, chunk in enumerate(part, 1)]
            for _item, reason in writer.write(items):
                raise ValueError(reason)  # bounds of 400 KB
            count, last = count + len(part), part[-1]
        # An estimate, for the progress: a group is never cut, so a chunk may have more rows than `size`.
        planned = (count - 1) * size + rows(last)
        # Last, because the plan counts from here on.
        self.control.put(
            self._load,
            {
                "state": LOADING,
                "method": self.method,
                "road": self.method,
                "epoch": self.capture.epoch,
                "chunks": count,
                "planned": planned,
                "rows": 0,
                "items": 0,
                "started_ms": self.now(),
            },
        )
        return count

    def plan_whole(self, watermark: str, shown: Mapping[int, History] | None = None) -> None:
        """
        A plan of one chunk, for a method that keeps its progress elsewhere. `watermark` is that of all rows;
        they show nothing that is not in `shown`, by epoch.
        """
        # The chunk before the load, as in `plan`.
        self.control.put(self._chunk(1), {"lower": "", "upper": "", "nulls": False, "state": OPEN})
        self.control.put(
            self._load,
            {"state": LOADING, **self._method, "epoch": self.capture.epoch, "chunks": 1, "planned": 0,
             "rows": 0, "items": 0, "started_ms": self.now(), "watermark": watermark,
             **{f"{_SHOWN}{epoch}#parts": str(history) for epoch, history in (shown or {}).items()}},
        )  # fmt: skip

    @property
    def watermark(self) -> str | None:
        """The watermark of a plan that `plan_whole` made."""
        found: str | None = self.control.get(self._load).get("watermark")
        return found

    def _planned(self, number: int, chunk: Chunk) -> dict[str, Attribute]:
        fields: dict[str, Plain] = {
            "pk": self._chunk(number),
            "lower": bound_text(chunk.lower),
            "upper": bound_text(chunk.upper),
            "nulls": chunk.nulls,
            "state": OPEN,
        }
        return {name: wrap(value) for name, value in fields.items()}

    def _chunk(self, number: int) -> str:
        return chunk_key(self.source, number)

    @property
    def planned(self) -> int:
        """The table's rows when the plan was made, an estimate."""
        return int(self.control.get(self._load).get("planned", 0))

    def entries(self) -> Iterator[Entry]:
        """The plan's chunks, unordered; leftovers of an interrupted planning are omitted."""
        count = self.control.get(self._load)["chunks"]
        for item in self.control.items(chunks_of(self.source)):
            number = chunk_number(item["pk"])
            if number <= count:
                chunk = Chunk(read_bound(item["lower"]), read_bound(item["upper"]), item["nulls"])
                result = ChunkResult(item.get("rows", 0), item.get("items", 0), item.get("unusable", 0))
                yield Entry(number, chunk, item["state"] == DONE, result)

    def done(self, number: int, watermark: str, result: ChunkResult) -> None:
        """Marks a chunk as done. Call it once DynamoDB has accepted all its items but the unusable ones."""
        self.control.update(
            self._chunk(number),
            set={
                "state": DONE,
                "watermark": watermark,
                "rows": result.rows,
                "items": result.items,
                "unusable": result.unusable,
            },
        )

    def finish(self, result: ChunkResult) -> None:
        """Marks the table as loaded: the switch may go ON."""
        self.control.update(
            self._load,
            set={
                "state": DONE,
                "rows": result.rows,
                "items": result.items,
                "unusable": result.unusable,
                "finished_ms": self.now(),
            },
        )
