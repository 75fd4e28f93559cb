"""What verify reads at a time, and its reading: a range of a table's rows, a page of a target's items."""

from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, field
from itertools import chain
from typing import Any

from pymysql.err import OperationalError

from ferry import reading
from ferry.lookup import types_of
from ferry.places import PRESENT, Pair, Place, expected, found
from ferry.ranges import Range
from rowferry.errors import Unapplied

LOST = (2006, 2013)
"""MySQL's errors for a connection that ended."""
TRIES = 3


@dataclass(frozen=True, slots=True)
class Chunk:
    """A range of a table's rows; `pair` is its number among all."""

    pair: int
    range: Range


@dataclass(frozen=True, slots=True)
class Page:
    """
    A page of a segment of a target's scan; `pairs` are the numbers of its sources. `start` is the key behind
    which it begins, as DynamoDB gave it; None: at the beginning.
    """

    pairs: tuple[int, ...]
    segment: int
    segments: int
    start: Mapping[str, Any] | None = None


type Piece = Chunk | Page


def noted(piece: Piece) -> str:
    """As the working file has it."""
    return repr((type(piece).__name__, astuple(piece)))


def of_note(text: str) -> Piece:
    """What `noted` has written."""
    kind, fields = literal_eval(text)
    if kind == Page.__name__:
        return Page(*fields)
    pair, range_ = fields
    return Chunk(pair, Range(*range_))


@dataclass(frozen=True, slots=True)
class Counts:
    """What was read."""

    rows: int = 0
    items: int = 0
    members: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.rows + other.rows, self.items + other.items, self.members + other.members)


@dataclass(frozen=True, slots=True)
class Got:
    """A piece's places, what it cost in read units of DynamoDB, and the piece that follows it."""

    places: list[tuple[str, str, str]]
    counts: Counts
    units: float = 0.0
    following: Piece | None = None


@dataclass(slots=True)
class Reader:
    """Reads pieces over one connection. It connects again where that has ended."""

    pairs: Sequence[Pair]
    connect: Callable[[], Any]
    client: Any
    _connection: Any = None
    _types: dict[int, dict[str, str]] = field(default_factory=dict)

    def read(self, piece: Piece) -> Got:
        """One piece. Refused when the table cannot be read."""
        return self._page(piece) if isinstance(piece, Page) else self._rows(piece)

    def _rows(self, piece: Chunk) -> Got:
        for _ in range(TRIES):
            try:
                return self._rows_once(piece)
            except OperationalError as error:
                if error.args[0] not in LOST:
                    raise
                self._connection = None
        raise Unapplied("the connection to the source ends while it is read", "see the server's error log")

    def _rows_once(self, piece: Chunk) -> Got:
        pair = self.pairs[piece.pair]
        if self._connection is None:
            self._connection = self.connect()
        if piece.pair not in self._types:
            self._types[piece.pair] = types_of(self._connection, pair)
        types, where, count = self._types[piece.pair], piece.range.condition, 0
        places: list[tuple[str, str, str]] = []
        for some in reading.rows(self._connection, pair.schema, pair.table, types, where):
            count += len(some)
            places.extend(_plain(expected(pair, types, iter(some))))
        return Got(places, Counts(rows=count))

    def _page(self, piece: Page) -> Got:
        pair, *others = (self.pairs[number] for number in piece.pairs)
        start = {"ExclusiveStartKey": piece.start} if piece.start else {}
        answer = self.client.scan(
            TableName=pair.target,
            Segment=piece.segment,
            TotalSegments=piece.segments,
            ConsistentRead=True,
            ReturnConsumedCapacity="TOTAL",
            **start,
        )
        items = [list(found(pair, item, others)) for item in answer["Items"]]
        places = list(chain.from_iterable(items))
        return Got(
            list(_plain(places)),
            Counts(items=sum(map(bool, items)), members=sum(map(_is_member, places))),
            answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0.0),
            self._next(piece, answer),
        )

    def _next(self, piece: Page, answer: Mapping[str, Any]) -> Page | None:
        start = answer.get("LastEvaluatedKey")
        return Page(piece.pairs, piece.segment, piece.segments, start) if start else None


def _plain(places: Iterable[Place]) -> Iterator[tuple[str, str, str]]:
    """They go to another process, where plain tuples arrive twice as fast."""
    return ((key, member, value) for key, member, value in places)


def _is_member(place: Place) -> bool:
    return place.member != PRESENT
