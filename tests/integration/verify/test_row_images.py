"""Every column type as a key: the images in the binlog give the keys that the oracle expects of the rows."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import zip_longest
from typing import Any

import pytest

from capturer.replay import Replay
from ferry.verify.oracle import source_text
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.members import expected, has_item
from ferry.verify.oracle.row_images import ImageKeys
from lab.server import Server
from rowferry.change import RowChange
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address
from rowferry.position import BinlogOffset
from tests.support import matrix_cases as cases
from tests.support.matrix_bed import rows_as_items, run, server

__all__ = ["server"]
pytestmark = pytest.mark.integration

MADE: list[tuple[str, str]] = [("S", "{}"), ("S", "a${{{}}}|"), ("N", "{}"), ("B", "{}"), ("B", "${{{}}}")]
"""The key's type, and what it is made of."""
ELSEWHERE = 1000
"""Rows are inserted under an id that is as much higher, and moved from there."""


def statements(table: str, columns: cases.Columns) -> Iterator[str]:
    """A column of each type, and a row for the next value of each."""
    named = "".join(f", c{number} {definition}" for number, definition in enumerate(columns))
    yield f"CREATE TABLE {table} (id INT PRIMARY KEY{named})"
    for number, row in enumerate(zip_longest(*columns.values(), fillvalue="NULL")):
        yield f"INSERT INTO {table} VALUES ({number + ELSEWHERE}, {', '.join(row)})"
    yield f"UPDATE {table} SET id = id - {ELSEWHERE}"


def pairs(table: str, columns: cases.Columns) -> Iterator[Pair]:
    """Each column as a hash key of every kind; the id as the range key tells which row it is."""
    for number in range(len(columns)):
        for kind, made in MADE:
            keys = (("hash", kind, made.format(f"c{number}")), ("range", "N", "id"))
            yield Pair("test", table, table, keys, "id", "id")


def selected(connection: Any, pair: Pair) -> set[str]:
    """From what the server prints, of the rows that can have an item."""
    every = source_text.types(connection, pair.schema, pair.table)
    types = {name: every[name] for name in pair.columns(list(every))}
    rows = source_text.rows(connection, pair.schema, pair.table, types)
    members = (member for some in rows for member in expected(pair, types, iter(some)))
    return {member.key for member in members if has_item(member.key)}


def imaged(changes: Sequence[RowChange], pair: Pair, *, before: bool) -> set[str]:
    keys = ImageKeys(pair)
    return {
        key
        for change in changes
        if change.table == pair.table
        for key in (keys.of(change.before, None) if before else keys.of(None, change.after))
    }


def moved(key: str) -> str:
    """The key of a row before its id was changed."""
    head, _, last = key.rpartition('","')
    return f'{head}","{int(last.removesuffix('"]]')) + ELSEWHERE}"]]'


def test_keys_from_row_images_are_those_of_the_rows(server: Server) -> None:
    tables = cases.TABLES[server.flavor]
    start = run(server, *(each for name, columns in tables.items() for each in statements(name, columns)))
    account = server.capture
    address = Address(server.host, server.port, account.user, account.password)
    every = [pair for name, columns in tables.items() for pair in pairs(name, columns)]
    with closing(source_text.connect(address)) as connection:
        want = [selected(connection, pair) for pair in every]
    run(server, *(f"DELETE FROM {name}" for name in tables))
    mapping = Mapping.parse(rows_as_items(list(tables)))
    changes = list(Replay(address).row_changes(mapping, 1, BinlogOffset(*start)))
    inserts, updates, deletes = (
        [change for change in changes if (change.before is None, change.after is None) == what]
        for what in [(True, False), (False, False), (False, True)]
    )
    assert len(inserts) == len(updates) == len(deletes) > 0
    usable = 0
    for pair, keys in zip(every, want, strict=True):
        usable += len(keys)
        earlier = set(map(moved, keys))
        named = pair.keys[0]
        assert imaged(inserts, pair, before=False) == earlier, named
        assert imaged(updates, pair, before=True) == earlier, named
        assert imaged(updates, pair, before=False) == keys, named
        assert imaged(deletes, pair, before=True) == keys, named
    assert usable > 1_000
