"""
A row change, and the stream record that carries the changes of one lane.

A record is JSON, compressed with zlib when that is smaller; the first byte says which. Inside, each change is
the event as the binlog reader gave it plus its position. A single event without Rowferry's own fields is a
record as well: that is what people replay by hand.
"""

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple

from rowferry.errors import MalformedRecord, OversizedChange
from rowferry.values import Row, tag, untag

_POSITION = re.compile(r"[0-9a-f]{4}\.[0-9a-f]{8}\.[0-9a-f]{16}\.[0-9a-f]{8}")
_UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
    zlib.error,
)
_COMPRESS_FROM = 256  # bytes; below this, deflate rarely wins


class Kind(StrEnum):
    """Kind of a row change, named like mysql-replication's events, because records are replayed by hand."""

    INSERT = "WriteRowsEvent"
    UPDATE = "UpdateRowsEvent"
    DELETE = "DeleteRowsEvent"
    OVERSIZED = "OversizedChange"
    """Carries only the key columns, as the before image: the change itself does not fit into a record."""


class RowChange(NamedTuple):
    """
    One row of one binlog row event. `position` is Position's text; None for an event replayed by hand.

    `before` is None for an insert, `after` for a delete. `lanes` is the number of lanes if the row has items
    in several of them: then the whole change is sent in each of these lanes, and in each the consumer applies
    only the effects on the items of that lane.
    """

    schema: str
    table: str
    kind: Kind
    before: Row | None
    after: Row | None
    position: str | None = None
    lanes: int | None = None

    @property
    def image(self) -> Row:
        """The row after the change; for a delete, the row before it."""
        image = self.after if self.after is not None else self.before
        assert image is not None  # every kind has one of the two
        return image


@dataclass(frozen=True, slots=True)
class Marker:
    """
    Sent in every lane; once all lanes have applied it, everything captured before it has been applied.

    `position` is the text of the boundary it was sent at. A marker seen in one lane proves nothing of the
    others.
    """

    id: str
    position: str


@dataclass(frozen=True, slots=True)
class Record:
    """
    The changes of one lane, in order, from one sender.

    `sender` is the capturer's fencing token (0: replayed by hand), `committed`
    the commit time of the oldest change in milliseconds since 1970.
    """

    lane: int
    sender: int
    committed: int
    changes: Sequence[RowChange] = ()
    marker: Marker | None = None


def encode_change(change: RowChange) -> bytes:
    """The JSON of one change, UTF-8."""
    row: dict[str, Row | None]
    if change.kind is Kind.UPDATE:
        row = {"before_values": change.before, "after_values": change.after}
    else:
        row = {"values": change.image}
    position = "" if change.position is None else f',"pos":"{change.position}"'
    lanes = "" if change.lanes is None else f',"lanes":{change.lanes}'
    return f"{_head(change.schema, change.table, change.kind)}{_text(row)}{position}{lanes}}}".encode()


@lru_cache(4096)
def _head(schema: str, table: str, kind: Kind) -> str:
    """What a change of this kind begins with, up to its row."""
    return _text({"schema": schema, "table": table, "type": kind})[:-1] + ',"row":'


def encode_record(lane: int, sender: int, committed: int, changes: Sequence[bytes]) -> bytes:
    """A record of changes that `encode_change` wrote: each is encoded once, when its size is needed."""
    head = _dumps({"lane": lane, "sender": sender, "committed": committed})
    return _deflated(head[:-1] + b',"changes":[' + b",".join(changes) + b"]}")


def encode_marker(lane: int, sender: int, committed: int, marker: Marker) -> bytes:
    """A record that holds a marker and nothing else."""
    body = {"id": marker.id, "pos": marker.position}
    return _dumps({"lane": lane, "sender": sender, "committed": committed, "marker": body})


def decode_record(data: bytes) -> Record:
    """
    The record in a Kinesis record's data. Raises MalformedRecord if it is not one.

    Success does not mean that the changes can be applied: the mapping is not consulted.
    """
    try:
        # `{` is 0x7b, and zlib's first byte is 0x78.
        plain = data if data[:1] == b"{" else zlib.decompress(data)
        body = json.loads(plain)
        if b"\\ud" in plain or b"\\uD" in plain:
            json.dumps(body, ensure_ascii=False).encode()  # refuses half a surrogate pair: no text
        if "type" in body:
            # committed=0: it does not count in the lag (applier._finish).
            return Record(lane=0, sender=0, committed=0, changes=(decode_change(body),))
        marker = body.get("marker")
        return Record(
            lane=int(body["lane"]),
            sender=int(body["sender"]),
            committed=int(body["committed"]),
            changes=tuple(map(decode_change, body.get("changes", ()))),
            marker=Marker(marker["id"], marker["pos"]) if marker else None,
        )
    except _UNREADABLE as error:
        no_json = isinstance(error, zlib.error | json.JSONDecodeError | UnicodeDecodeError)
        reason = "neither JSON nor deflated JSON" if no_json else type(error).__name__
        raise MalformedRecord(
            f"a stream record cannot be read ({reason})",
            "see the quarantined bytes; only a Rowferry capturer may write to this stream",
        ) from error


def decode_change(event: dict[str, Any]) -> RowChange:
    """The change in a decoded event. Raises KeyError, ValueError or TypeError if it is not one."""
    kind, row = Kind(event["type"]), event["row"]
    before = after = None
    if kind is Kind.UPDATE:
        before, after = _row(row["before_values"]), _row(row["after_values"])
    elif kind is Kind.INSERT:
        after = _row(row["values"])
    else:
        before = _row(row["values"])
    position = event.get("pos")
    if position is not None and not _POSITION.fullmatch(position):
        raise ValueError(
            "not a position"
        )  # stored, it may sort after every later change, which would be lost
    lanes = event.get("lanes")
    if lanes is not None and (type(lanes) is not int or lanes < 1):
        raise ValueError("not a number of lanes")
    return RowChange(str(event["schema"]), str(event["table"]), kind, before, after, position, lanes)


def refuse_oversized(change: RowChange) -> None:
    """Raises OversizedChange if the change was sent without its values."""
    if change.kind is Kind.OVERSIZED:
        raise OversizedChange(
            f"a change of {change.schema}.{change.table} is larger than a stream record",
            "read the row again from MySQL by its key",
        )


def _row(values: dict[str, Any]) -> Row:
    return {name: untag(value) for name, value in values.items()}


# json.JSONEncoder creates this encoder again for each text, which takes as long as encoding a row.
# Not documented: a new version of Python may give it other arguments.
_pieces = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None, tag, json.encoder.encode_basestring, None, ":", ",", False, False, True
)


def _text(value: object) -> str:
    return "".join(_pieces(value, 0))


def _dumps(value: object) -> bytes:
    return _text(value).encode()


def _deflated(plain: bytes) -> bytes:
    if len(plain) < _COMPRESS_FROM:
        return plain
    packed = zlib.compress(plain, 1)  # the fastest level: it costs the capturer's time for every record
    return packed if len(packed) < len(plain) else plain
