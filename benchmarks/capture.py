"""
Rows per second of capture, from recorded packets to stream records, and of the usual method with the same
packets: mysql-replication and a JSON text of each row, without order, position or compression.

Rowferry's figure has all that the reader's and the senders' threads do, except for the network: events,
transactions, lanes, JSON of each change, records.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Any

from capturer.source.place import Place
from capturer.source.transactions import Transactions
from capturer.source.translation import Translation
from capturer.stream.encoding import encoded
from capturer.stream.lanes import Lanes
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset

MAPPING = Mapping.parse("""
[[table]]
source = "test.t"
target = "purchase"
layout = "attribute-per-row"
hash_key = { attribute = "customerid" }
range_key = { attribute = "orderid" }
member_name = "productid"
member_value = "quantity"
""")
_LANES, _AT_ONCE = 256, 500


def captured(packets: Sequence[bytes]) -> int:
    """Rowferry: the number of rows captured."""
    start = BinlogOffset("binlog.000001", 4)
    transactions, lanes, clock = (
        Transactions(MAPPING, Place.of(1, start)),
        Lanes(_LANES, random=lambda: 0.5),
        count(),
    )
    rows = waiting = 0
    for event in Translation(MAPPING, start).events(packets):
        for change in transactions.feed(event):
            for lane, content in encoded(change, MAPPING, _LANES):
                lanes.add(lane, content, transactions.committed, transactions.number, next(clock))
                waiting += 1
        if waiting > 20 * _AT_ONCE:
            rows += _sent(lanes, next(clock))
            waiting = 0
    return rows + _sent(lanes, next(clock))


def _sent(lanes: Lanes, now: float) -> int:
    rows = 0
    while parcels := lanes.take(now + 1, max_records=_AT_ONCE):
        for parcel in parcels:
            parcel.encode(1)
            rows += len(parcel.contents)
            lanes.accepted(parcel.lane, now - 1)
    return rows


def in_json(reader: Iterable[Any]) -> int:
    """The baseline: the library's events, each row as JSON."""
    rows = 0
    for event in reader:
        for row in event.rows:
            json.dumps({"schema": event.schema, "table": event.table, "row": row}, default=str)
            rows += 1
    return rows
