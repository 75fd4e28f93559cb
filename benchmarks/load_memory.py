"""
The memory of the load's processes while they load a large table, from a real MySQL to a server that answers
at once: the highest sum of their resident sets, with shared pages counted in each.

    python -m benchmarks.load_memory --rows 10000000
"""

import argparse
import multiprocessing
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bulk_direct import answering, client
from benchmarks.capture import MAPPING
from bulkload.connection import connect
from bulkload.direct.chunks import Chunk, describe, plan
from bulkload.direct.pool import Pool
from bulkload.direct.worker import Loaded, Task, WorkerParts
from bulkload.dynamodb.client import write_bodies
from bulkload.throttle.shared_counters import SharedCounters
from lab.database import Server, database
from rowferry.control_table import wrap
from rowferry.mysql.address import Address
from rowferry.mysql.server import columns, identify
from rowferry.mysql.snapshot import current_offset

CHUNK = 5000
PROCESSES = 2
_DOUBLED = 1000


class Measured(NamedTuple):
    """Rows, seconds, and the highest sum of all processes' resident sets in MiB."""

    rows: int
    seconds: float
    mebibytes: float


@dataclass(frozen=True)
class ClientAt:
    """
    Creates the load's client for the server at an endpoint; can be pickled to the workers. The control table
    has this checkpoint.
    """

    endpoint: str
    checkpoint: dict[str, Any]

    def __call__(self) -> Any:
        made = client(self.endpoint)
        write_bodies(made)
        made.get_item = lambda **_: {"Item": self.checkpoint}
        made.update_item = lambda **_: {"Attributes": {}}
        return made


def measure(rows: int) -> Measured:
    """Loads a table of at least `rows` rows with the load's own workers."""
    with tempfile.TemporaryDirectory() as folder, database(Path(folder)) as server, answering() as endpoint:
        count = fill(server, rows)
        started = time.monotonic()
        loaded, highest = load(server, endpoint)
        assert loaded == count, f"{loaded} rows of {count}"
        return Measured(count, time.monotonic() - started, highest)


def fill(server: Server, rows: int) -> int:
    """Creates a table and doubles it with INSERT ... SELECT; returns its number of rows."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET cte_max_recursion_depth = 100000, sql_log_bin = 0")
        cursor.execute(
            "CREATE TABLE t (orderid VARCHAR(40) NOT NULL, productid VARCHAR(40) NOT NULL,"
            " customerid VARCHAR(40) NOT NULL, quantity INT NOT NULL,"
            " PRIMARY KEY (customerid, orderid, productid))"
        )
        cursor.execute(
            "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < %s)"
            " SELECT CONCAT('order-', i DIV 10), CONCAT('product-', i MOD 10), 'customer-0', i FROM n",
            (_DOUBLED - 1,),
        )
        count, step = _DOUBLED, 1
        while count < rows:
            cursor.execute(
                "INSERT INTO t SELECT orderid, productid,"
                " CONCAT('customer-', SUBSTRING(customerid, 10) + %s), quantity FROM t",
                (step,),
            )
            count, step = 2 * count, 2 * step
    return count


def load(server: Server, endpoint: str) -> tuple[int, float]:
    """Loads the table; returns the rows, and the highest memory in MiB."""
    account = server.capture
    connecting = partial(connect, Address(server.host, server.port, account.user, account.password))
    with connecting() as connection:
        server_itself = identify(connection)
        end = current_offset(connection, server_itself)
        table = describe(connection, MAPPING.tables[0], columns(connection, MAPPING.tables[0]))
        cuts: list[Chunk] = list(plan(connection, table, CHUNK))
    captured = {"epoch": 1, "server": server_itself.identity, "file": end.file, "offset": end.offset}
    making = ClientAt(endpoint, {name: wrap(value) for name, value in captured.items()})
    parts = WorkerParts(connecting, making, (table,), "control", readers=2, requests=8, ttl=15.0)
    counters, results = SharedCounters(PROCESSES), list[int]()

    def beat() -> bool:
        counters.renewed = time.monotonic()
        return True

    def done(loaded: Loaded) -> None:
        results.append(loaded.result.rows)

    with watched() as highest:
        pool = Pool(parts, counters, PROCESSES, beat, print)
        pool.run([Task(number, 0, chunk) for number, chunk in enumerate(cuts)], done)
    return sum(results), max(highest)


@contextmanager
def watched() -> Any:
    """Yields a list to which the memory of this process and its workers, in MiB, is appended."""
    found, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.1):
            pids = ["self", *(str(child.pid) for child in multiprocessing.active_children())]
            found.append(sum(map(resident, pids)))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


def resident(pid: str) -> float:
    """Resident set of a process in MiB; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    found = measure(parser.parse_args(arguments).rows)
    print(
        f"{found.rows:,} rows in {found.seconds:,.0f} s, {found.rows / found.seconds:,.0f} rows/s with"
        f" {PROCESSES} processes, {found.mebibytes:,.0f} MiB at most"
    )


if __name__ == "__main__":
    main()
