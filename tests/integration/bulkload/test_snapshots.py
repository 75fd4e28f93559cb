"""A snapshot shows everything that the binlog has before its watermark, whatever else the server does."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from lab.server import Server
from rowferry.mapping import Mapping
from rowferry.mysql import snapshot
from rowferry.mysql.server import identify, rows
from rowferry.position import Position
from tests.support.matrix_bed import rows_as_items, run, server
from tests.support.move_bed import context_of
from tests.support.rows_to_items import changes
from tests.support.waiting import wait_for

__all__ = ["server"]
pytestmark = pytest.mark.integration

type Shape = Sequence[str]
"""The statements of a transaction, over and over."""

SECONDS, WRITERS = 2.5, 5
XA = ("XA START 'x{n}'", "{insert}", "XA END 'x{n}'", "XA PREPARE 'x{n}'", "XA COMMIT 'x{n}'")
ONE_PHASE = ("XA START 'x{n}'", "{insert}", "XA END 'x{n}'", "XA COMMIT 'x{n}' ONE PHASE")
TRANSACTION = ("BEGIN", "{insert}", "COMMIT")
ASKING = ("SHOW STATUS LIKE 'binlog_snapshot_%'",)


@contextmanager
def busy(server: Server, shapes: Sequence[Shape]) -> Iterator[None]:
    """Connections that do the statements of a shape over and over."""
    stop = threading.Event()
    writers = [
        threading.Thread(target=_repeat, args=(server, shape, number * 1_000_000, stop))
        for number, shape in enumerate(shapes)
    ]
    for writer in writers:
        writer.start()
    try:
        yield
    finally:
        stop.set()
        for writer in writers:
            writer.join()


def _repeat(server: Server, shape: Shape, number: int, stop: threading.Event) -> None:
    with server.connect() as connection, connection.cursor() as cursor:
        while not stop.is_set():
            number += 1
            for statement in shape:
                cursor.execute(statement.format(n=number, insert=f"INSERT INTO t VALUES ({number})"))


def snapshots(server: Server) -> Iterator[tuple[Position, set[int]]]:
    """Watermarks, and the rows that their snapshots show."""
    with server.connect(server.capture) as connection:
        who = identify(connection)
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            watermark = snapshot.begin_snapshot(connection, who).position(1)
            yield watermark, {row["id"] for row in rows(connection, "SELECT id FROM t")}
            connection.rollback()


def count(server: Server) -> int:
    with server.connect() as connection:
        return int(rows(connection, "SELECT COUNT(*) AS n FROM t")[0]["n"])


@pytest.mark.parametrize(
    "shapes",
    [[XA] * WRITERS + [ONE_PHASE], [TRANSACTION] * WRITERS + [ASKING] * 2],
    ids=["xa", "others-ask-for-snapshots"],
)
def test_a_snapshot_shows_what_stands_before_its_watermark(server: Server, shapes: list[Shape]) -> None:
    start = run(server, "CREATE TABLE t (id INT PRIMARY KEY)")
    to_disk = context_of(server, sync_binlog=1, innodb_flush_log_at_trx_commit=1)  # the gap is wider
    with to_disk, busy(server, shapes):
        taken = list(snapshots(server))
        before = count(server)
        wait_for(lambda: count(server) > before)  # behind the last watermark, too
    committed = {
        int(str(change.image["id"])): Position.parse(change.position or "")
        for change in changes(server, start, Mapping.parse(rows_as_items(["t"])))
    }
    assert taken[-1][1] and max(committed.values()) > taken[-1][0]
    missing = [
        (watermark, row)
        for watermark, shown in taken
        for row, place in committed.items()
        if place < watermark and row not in shown
    ]
    assert not missing
