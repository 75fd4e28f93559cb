"""
The two roads from a server's rows to DynamoDB items, without a cloud: what a table becomes on each.

Both run the project's own code from the server's bytes to the item that is put; only DynamoDB is in memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from apply_changes.applier import Applier
from apply_changes.store import DynamoStore
from bulkload.connection import connect
from bulkload.direct import chunks
from bulkload.direct.reader import ChunkReader
from bulkload.dynamodb.batch_writer import RetryPolicy
from capturer.source.binlog import ReplicationClient
from capturer.source.column_definitions import Definitions
from capturer.source.place import Place as ReadPlace
from capturer.source.reach import StatementReach
from capturer.source.transactions import Transactions
from capturer.source.translation import Translation
from capturer.stream.encoding import encoded
from lab.recording.binlog_dump import dump
from lab.server import Server
from rowferry.change import RowChange, encode_record
from rowferry.errors import UnusableChange
from rowferry.mapping import Mapping, TableMapping
from rowferry.mapping.table import POSITION
from rowferry.mysql import conditions
from rowferry.mysql.address import Address
from rowferry.mysql.server import columns, identify
from rowferry.position import BinlogOffset
from tests.support.dynamo import Dynamo
from tests.support.epochs import first_epoch

type Item = dict[str, dict[str, Any]]
type Place = tuple[str, int]
"""Where in the binlog: file and offset."""

LANES = 256
RECORD = 500  # changes


@dataclass(slots=True)
class Arrived:
    """Items by target, without their position, and the rows that were set aside: their keys and why."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    refused: dict[str, list[tuple[dict[str, Any], str]]] = field(default_factory=dict)

    def put(self, target: str, item: Item) -> None:
        kept = {name: value for name, value in item.items() if name != POSITION}
        self.items.setdefault(target, []).append(kept)

    def refuse(self, source: str, key: dict[str, Any], reason: str) -> None:
        self.refused.setdefault(source, []).append((key, reason))

    def by(self, target: str, *names: str) -> dict[tuple[Any, ...], Item]:
        """The target's items by the contents of some of their attributes."""
        found = {
            tuple(content for name in names for content in item[name].values()): item
            for item in self.items.get(target, [])
        }
        assert len(found) == len(self.items.get(target, []))
        return found


def bulk_road(server: Server, mapping: Mapping, *, rows_per_chunk: int = 400) -> Arrived:
    """What the bulk load makes of the tables as they are now."""
    arrived = Arrived()
    account = server.capture
    address = Address(server.host, server.port, account.user, account.password)
    connection = connect(address)
    server_itself = identify(connection)
    reader = ChunkReader(first_epoch(lambda: connect(address)), RetryPolicy(tries=0))
    try:
        conditions.require(conditions.check(connection, server_itself, mapping))
        for mapped in mapping.tables:
            table = chunks.describe(connection, mapped, columns(connection, mapped))
            for chunk in chunks.plan(connection, table, rows_per_chunk):
                _load(reader, table, chunk, arrived)
    finally:
        reader.close()
        connection.close()
    return arrived


def _load(reader: ChunkReader, table: chunks.CutTable, chunk: chunks.Chunk, arrived: Arrived) -> None:
    grouping, seen = reader.read(table, chunk)
    for item, _ in grouping.items(seen.position):
        arrived.put(table.mapping.target, item)
    for one in grouping.unusable:
        arrived.refuse(one.table, one.key, one.reason)


def stream_road(server: Server, start: Place, mapping: Mapping) -> Arrived:
    """What the stream makes of the changes in the binlog from `start` on."""
    dynamo = Dynamo(**{table.target: tuple(key.attribute for key in table.keys) for table in mapping.tables})
    arrived = Arrived()
    store = DynamoStore(dynamo, lambda: 0.0, 1)
    applier = Applier(mapping, store, _SetAside(mapping, arrived), map, lambda: True)
    result = applier.apply(list(_records(changes(server, start, mapping), mapping)))
    assert result.failed is None, result.errors
    for target, items in dynamo.items.items():
        for item in items.values():
            if "_ttl" not in item:
                arrived.put(target, item)
    return arrived


@dataclass(slots=True)
class _SetAside:
    """The quarantine."""

    mapping: Mapping
    arrived: Arrived

    def add(self, error: UnusableChange, change: RowChange | None, data: bytes, origin: int) -> None:
        assert change is not None, error
        table = self.mapping.find(change.schema, change.table)
        assert table is not None
        self.arrived.refuse(table.source, _key(table, change), str(error))


def _key(table: TableMapping, change: RowChange) -> dict[str, Any]:
    return {name: change.image[name] for name in table.place_columns}


def _records(changes: Iterator[RowChange], mapping: Mapping) -> Iterator[bytes]:
    """Records as the capturer's lanes make them: those of a lane stay in order."""
    lanes: dict[int, list[bytes]] = {}
    for change in changes:
        for lane, content in encoded(change, mapping, LANES):
            lanes.setdefault(lane, []).append(content)
    for lane, contents in lanes.items():
        for first in range(0, len(contents), RECORD):
            yield encode_record(lane, 1, 1, contents[first : first + RECORD])


def changes(server: Server, start: Place, mapping: Mapping) -> Iterator[RowChange]:
    """What the capturer would send, transaction by transaction."""
    boundary, account = BinlogOffset(*start), server.capture
    client = ReplicationClient(server.host, server.port, account.user, account.password, 4714)
    dialect = client.dialect()
    leads = StatementReach(client, mapping)
    transactions = Transactions(mapping, ReadPlace.of(1, boundary), dialect=dialect, leads=leads)
    definitions = Definitions(
        client,
        mapping,
        1,
        at=lambda: transactions.boundary,
        floors=dict,
        dialect=dialect,
    )
    translation = Translation(mapping, boundary, definitions=definitions, dialect=dialect)
    for event in translation.events(dump(server, *start)):
        yield from transactions.feed(event)
