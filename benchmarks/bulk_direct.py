"""
Rows per second and core of the direct method, from MySQL to requests that a server answers at once, and of
the obvious loop over the same rows: PyMySQL, a dictionary of groups, boto3's batch_writer.

A core's second is a second of this process's processor time; MySQL and the answering server are not counted.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import pymysql
from botocore.config import Config

from benchmarks.capture import MAPPING
from benchmarks.decoder import PURCHASE, Figure
from bulkload.connection import connect
from bulkload.direct import chunks
from bulkload.direct.captured_source import PairedConnection
from bulkload.direct.reader import ChunkReader
from bulkload.dynamodb.batch_writer import RetryPolicy, Writer, batches
from bulkload.dynamodb.client import write_bodies
from lab.database import Server, database
from rowferry.mysql.address import Address
from rowferry.mysql.server import columns, identify

NAME = "bulk_direct"
CHUNK, ROWS_OF_AN_ITEM = 5000, 10


def measure(rows: int, rounds: int) -> Iterator[Figure]:
    """Yields the figure of this benchmark."""
    with TemporaryDirectory() as folder, database(Path(folder)) as server, answering() as endpoint:
        fill(server, rows)
        ours, theirs = [], []
        for _ in range(rounds):  # in turn, so that a slow moment of the machine hits both
            ours.append(seconds(partial(direct, server, endpoint), rows))
            theirs.append(seconds(partial(loop, server, endpoint), rows))
    yield {
        "name": NAME,
        "value": round(rows / min(ours)),
        "unit": "rows/s",
        "baseline": round(rows / min(theirs)),
        "ratio": round(min(theirs) / min(ours), 2),
    }


@contextmanager
def answering() -> Iterator[str]:
    """The endpoint of a server that answers at once, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.instant"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def seconds(work: Callable[[], int], rows: int) -> float:
    """Processor time of `work`. Raises AssertionError unless it returns `rows`."""
    before = time.process_time()
    seen = work()
    used = time.process_time() - before
    assert seen == rows, f"{seen} rows of {rows}"
    return used


def client(endpoint: str) -> Any:
    """boto3's client, without its validation of arguments."""
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="benchmark",
        aws_secret_access_key="benchmark",
        config=Config(parameter_validation=False, proxies={}),
    )


def fill(server: Server, rows: int) -> None:
    """Orders of ten rows, by customer."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS t")
        cursor.execute(f"CREATE TABLE t ({PURCHASE.definition})")
        for some in batched(range(rows), 1000, strict=False):
            values = (
                f"('order-{n // ROWS_OF_AN_ITEM:07}', 'product-{n % 1000:04}',"
                f" 'customer-{n // 200:06}', {n % 100})"
                for n in some
            )
            cursor.execute(f"INSERT INTO t VALUES {','.join(values)}")


def direct(server: Server, endpoint: str) -> int:
    """Rowferry: what one worker's threads do with the chunks of a table."""
    account, table = server.capture, MAPPING.tables[0]
    connecting = partial(connect, Address(server.host, server.port, account.user, account.password))
    with connecting() as connection:
        found = identify(connection)
        described = chunks.describe(connection, table, columns(connection, table))
        planned = list(chunks.plan(connection, described, CHUNK))
    reader = ChunkReader(lambda: PairedConnection(connecting(), found, 1), RetryPolicy())
    ours = client(endpoint)
    write_bodies(ours)
    writer = Writer(ours, table.target, lambda: None)
    rows = 0
    for chunk in planned:
        grouping, seen = reader.read(described, chunk)
        for batch in batches(grouping.items(seen.position)):
            assert writer.write([item for item, _ in batch]) == []
        rows += grouping.rows
    reader.close()
    return rows


def loop(server: Server, endpoint: str) -> int:
    """The baseline."""
    session = boto3.Session("benchmark", "benchmark", region_name="us-east-1")
    target = session.resource("dynamodb", endpoint_url=endpoint, config=Config(proxies={})).Table("purchase")
    rows, items = 0, dict[tuple[str, str], dict[str, Any]]()
    with server.connect() as connection, connection.cursor(pymysql.cursors.SSDictCursor) as cursor:
        cursor.execute("SELECT customerid, orderid, productid, quantity FROM t")
        for row in cursor:
            key = {"customerid": row["customerid"], "orderid": row["orderid"]}
            item = items.setdefault((row["customerid"], row["orderid"]), key)
            item[row["productid"]] = row["quantity"]
            rows += 1
    with target.batch_writer() as batch:
        for item in items.values():
            batch.put_item(Item=item)
    return rows
