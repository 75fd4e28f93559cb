"""
Rows per second of the binlog decoder and of capture, and of mysql-replication, with the same recorded
packets.

Both start from the packets as the socket returned them, so framing and table maps count, and make a mapping
of each row. Rowferry's decoder also checks every checksum, which the library does not. The library is set to
row events only and no logging, but not to a frozen schema, with which it would misread rows after an ALTER
TABLE.
"""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pymysql.protocol import MysqlPacket
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import DeleteRowsEvent, UpdateRowsEvent, WriteRowsEvent

from benchmarks.capture import captured, in_json
from capturer.decoder.events import RowsEvent
from capturer.decoder.rows.decoder import EVERY_COLUMN
from capturer.decoder.stream import EventStream
from lab.database import Server, database
from lab.recording.binlog_dump import dump, end_of_binlog

type Figure = dict[str, Any]
_EOF = b"\xfe\0\0\2\0"
_TRANSACTION = 1000
_SINGLE_SHARE = 5


class Workload(NamedTuple):
    """A table: its columns, and the values of row number n, as SQL."""

    definition: str
    row: Callable[[int], str]


def _purchase(n: int) -> str:
    return f"('order-{n:07}', 'product-{n % 1000:04}', 'customer-{n % 9973:05}', {n % 100})"


def _wide(n: int) -> str:
    text = "NULL" if n % 3 else f"'wide café {n}'"
    day = f"2026-{n % 12 + 1:02}-{n % 28 + 1:02}"
    return (
        f"({n}, {n % 2}, {n * 7}, {n % 10_000}.{n % 100:02}, {n}.5, '{day}', '{day} 12:34:56.{n % 1000:03}',"
        f" '{day} 01:02:03', 'name {n}', {text}, 'b', x'{n:08x}', {'NULL' if n % 2 else n})"
    )


PURCHASE = Workload(
    "orderid VARCHAR(40) NOT NULL, productid VARCHAR(40) NOT NULL, customerid VARCHAR(40) NOT NULL,"
    " quantity INT NOT NULL, PRIMARY KEY (customerid, orderid, productid)",
    _purchase,
)
WIDE = Workload(
    "id BIGINT UNSIGNED PRIMARY KEY, flag TINYINT NOT NULL, amount INT, price DECIMAL(12,2), ratio DOUBLE,"
    " born DATE, changed DATETIME(3), seen TIMESTAMP NULL, name VARCHAR(80) NOT NULL,"
    " remark VARCHAR(300), kind ENUM('a','b','c'), code VARBINARY(20), parent BIGINT",
    _wide,
)


class Benchmark(NamedTuple):
    """Rows in transactions of `size`; `ours` and `theirs` return the number of rows they have read."""

    workload: Workload
    size: int
    ours: Callable[[Sequence[bytes]], int]
    theirs: Callable[[Any], int]


def recorded(server: Server, workload: Workload, count: int, size: int) -> list[bytes]:
    """The packets of `count` inserted rows in transactions of `size` rows."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(f"CREATE TABLE t ({workload.definition})")
        start = end_of_binlog(server)
        for first in range(0, count, size):
            values = ",".join(map(workload.row, range(first, first + size)))
            cursor.execute(f"INSERT INTO t VALUES {values}")
    return list(dump(server, *start))


def timed(work: Callable[[], int], count: int) -> float:
    """Seconds that `work` takes. Raises AssertionError unless it returns `count`."""
    gc.collect()
    started = time.perf_counter()
    seen = work()
    elapsed = time.perf_counter() - started
    assert seen == count, f"{seen} rows of {count}"
    return elapsed


def decoded(packets: Sequence[bytes]) -> int:
    """Rowferry: the number of rows decoded."""
    stream = EventStream(lambda _schema, _table: EVERY_COLUMN)
    rows = 0
    for packet in packets:
        for event in stream.feed(packet, 1):
            if type(event) is RowsEvent:
                rows += len(event.images)
    return rows


class Replay:
    """Takes the place of the library's connection; returns the recorded packets, then the end."""

    def __init__(self, packets: Sequence[bytes]) -> None:
        self._packets = iter([*packets, _EOF])

    def _read_packet(self) -> MysqlPacket:
        return MysqlPacket(next(self._packets), "utf8")

    def close(self) -> None:
        pass


def library(server: Server, packets: Sequence[bytes]) -> Any:
    """mysql-replication, connected to a server as it must be, and then given the recorded packets."""
    reader = BinLogStreamReader(
        connection_settings={
            "host": server.host,
            "port": server.port,
            "user": server.admin.user,
            "password": server.admin.password,
        },
        server_id=4_294_967_294,
        only_events=[WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent],
        enable_logging=False,
    )
    reader._BinLogStreamReader__connect_to_stream()
    reader._stream_connection.close()
    reader._stream_connection = Replay(packets)
    return reader


def counted(reader: Any) -> int:
    """The baseline."""
    return sum(len(event.rows) for event in reader)


BENCHMARKS = {
    "decoder_multi": Benchmark(PURCHASE, _TRANSACTION, decoded, counted),
    "decoder_single": Benchmark(PURCHASE, 1, decoded, counted),
    "decoder_wide_multi": Benchmark(WIDE, _TRANSACTION, decoded, counted),
    "decoder_wide_single": Benchmark(WIDE, 1, decoded, counted),
    "capture_multi": Benchmark(PURCHASE, _TRANSACTION, captured, in_json),
    "capture_single": Benchmark(PURCHASE, 1, captured, in_json),
}


def measure(names: Sequence[str], rows: int, rounds: int) -> Iterator[Figure]:
    """Yield a figure for each benchmark."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as server:
        for name in names:
            workload, size, our_work, their_work = BENCHMARKS[name]
            count = rows if size > 1 else rows // _SINGLE_SHARE
            packets = recorded(server, workload, count, size)
            ours, theirs = [], []
            for _ in range(rounds):  # in turn, so that a slow moment of the machine hits both
                ours.append(timed(partial(our_work, packets), count))
                theirs.append(timed(partial(their_work, library(server, packets)), count))
            yield {
                "name": name,
                "value": round(count / min(ours)),
                "unit": "rows/s",
                "baseline": round(count / min(theirs)),
                "ratio": round(min(theirs) / min(ours), 2),
            }
