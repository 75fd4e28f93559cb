"""
Writes items again from their rows, while the consumer runs.

All rows of an item are read again in one snapshot, and the item is written with the snapshot's watermark as
its position, on the condition that it is older. So changes at or below the watermark, which the snapshot
shows, are skipped, and later ones are applied after it, as with the bulk load. An item that the consumer has
brought beyond the watermark meanwhile stays as it is, and is read again.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched, groupby
from operator import itemgetter
from typing import Any

from botocore.exceptions import ClientError
from pymysql.cursors import SSCursor

from bulkload.direct.chunks import CutTable, describe
from bulkload.direct.grouping import Unusable
from bulkload.shuffle.assembly import Assembly, item_of
from bulkload.shuffle.lines import Line, Liner
from ferry.verify.point_reads import AT_ONCE, ItemLookup, Key, RowLookup
from rowferry.control_table import is_condition_failed
from rowferry.mapping import EXPIRES, POSITION, TableMapping
from rowferry.mysql import snapshot
from rowferry.mysql.server import Server, columns
from rowferry.position import Position
from rowferry.values import Attribute

_OLDER = "attribute_not_exists(#p) OR #p < :w"


@dataclass(slots=True)
class Repair:
    """
    The repair of one target. `connection` reads as the load does; `rows` find an item's rows, one for each of
    `tables`; `expires` is a tombstone's time to live, in seconds since 1970.
    """

    connection: Any
    server: Server
    epoch: int
    tables: Sequence[TableMapping]
    rows: Sequence[RowLookup]
    items: ItemLookup
    expires: Callable[[], int]
    written: set[Key] = field(default_factory=set)

    def run(self, keys: Sequence[Key]) -> None:
        """Writes these items. Success does not mean that they are equal now: read them again."""
        described = [
            describe(self.connection, table, columns(self.connection, table)) for table in self.tables
        ]
        for some in batched(keys, AT_ONCE, strict=False):
            refused: list[Unusable] = []
            position, found = self._read(described, some, refused.append)
            # They have rows, so a tombstone would be wrong, but no item that DynamoDB takes.
            never = [list(map(str, row.key.values())) for row in refused]
            for key in some:
                if [content for _, content in json.loads(key)] not in never:
                    self._write(key, found.get(key), position)

    def _read(
        self, described: Sequence[CutTable], keys: Sequence[Key], unusable: Callable[[Unusable], None]
    ) -> tuple[Position, dict[Key, dict[str, Attribute]]]:
        """
        The items as their rows make them, with their position. `unusable` gets rows that cannot be items.
        """
        # One snapshot for all sources: an item of several tables gets one position, which has to be true for
        # all.
        watermark = snapshot.begin_snapshot(self.connection, self.server)
        position = watermark.position(self.epoch)
        lines = [
            line
            for table, rows in zip(described, self.rows, strict=True)
            for line in self._lines(table, rows, keys)
        ]
        self.connection.commit()
        assembly = Assembly(self.tables, position, unusable)
        items = {}
        for key, group in groupby(sorted(lines), itemgetter(0)):
            if made := assembly.item(key, [value for _, value in group]):
                item = item_of(made.text)
                items[self.items.key(item)] = item
        return position, {key: items[key] for key in keys if key in items}

    def _lines(self, table: CutTable, rows: RowLookup, keys: Sequence[Key]) -> Iterator[Line]:
        where = rows.condition(keys)
        sql = f"SELECT {table.selection.listed} FROM {table.name}" + (f" WHERE {where}" if where else "")
        liner = Liner(table.mapping, table.selection.names, lambda _: None)
        with self.connection.cursor(SSCursor) as cursor:
            cursor.execute(sql)
            yield from liner.lines(table.selection.values(cursor.fetchall()))

    def _write(self, key: Key, item: dict[str, Attribute] | None, position: Position) -> None:
        """Writes the item, or a tombstone where it has no rows any more."""
        stamp: dict[str, Attribute] = {POSITION: {"S": str(position)}}
        tombstone = {**self.items.attributes(key), **stamp, EXPIRES: {"N": str(self.expires())}}
        try:
            self.items.client.put_item(
                TableName=self.items.target,
                Item=tombstone if item is None else item,
                ConditionExpression=_OLDER,
                ExpressionAttributeNames={"#p": POSITION},
                ExpressionAttributeValues={":w": stamp[POSITION]},
            )
        except ClientError as error:
            # Else the consumer has written something newer: whether that is right is seen when the item is
            # read again.
            if not is_condition_failed(error):
                raise
            return
        self.written.add(key)
