"""The Lambda handler: wiring only. The work is in applier, the core in rowferry."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.data_classes import KinesisStreamEvent, event_source
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.config import Config

from apply_changes.applier import Applier, ApplyResult
from apply_changes.metrics import METRICS, NAMESPACE, counters, metric_values
from apply_changes.quarantine import SqsQuarantine
from apply_changes.store import DynamoStore
from rowferry.control_table import APPLIED, FLOORS, ControlTable, marker_key
from rowferry.mapping import EXPIRES, Mapping

WORKERS = 32
"""Items written at the same time; each mostly waits for the network."""
ATTEMPTS, CONNECT, READ = 5, 1, 3
"""Attempts of a request, and the seconds that each has to connect and to be answered."""
LONGEST_REQUEST = ATTEMPTS * (CONNECT + READ) + 2 ** (ATTEMPTS - 1) - 1
"""Seconds, with botocore's pauses between attempts: up to 1, 2, 4, ... (retry mode `standard`)."""
MARGIN = 2 * LONGEST_REQUEST * 1000
"""
Milliseconds before the timeout at which no further write is begun: one that succeeds at the last attempt, and
the update of the counters after it, still end in time. Otherwise the whole batch would be delivered again.
"""

MARKER_SECONDS = 7 * 86_400
"""How long a marker is kept in the control table after a lane has applied it; no command waits that long."""

logger = Logger(service="apply_changes")
metrics = Metrics(namespace=NAMESPACE, service="apply_changes")


class _Wiring:
    """What lives as long as the runtime: clients, pool, mapping. Created at the first batch."""

    def __init__(self) -> None:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=WORKERS,  # botocore's default of 10 would let workers wait for one
            connect_timeout=CONNECT,
            read_timeout=READ,
            tcp_keepalive=True,
        )
        dynamodb = boto3.client("dynamodb", config=config)
        self.control = ControlTable(dynamodb, os.environ["CONTROL_TABLE"])
        self.milliseconds_left: Callable[[], int] = lambda: 0  # set for each invocation
        self.quarantine = SqsQuarantine(boto3.client("sqs", config=config), os.environ["QUARANTINE_URL"])
        self.applier = Applier(
            Mapping.load(Path(__file__).parent.parent / os.environ["MAPPING_FILE"]),
            DynamoStore(dynamodb, time.time, int(os.environ["TOMBSTONE_DAYS"]) * 86_400),
            self.quarantine,
            ThreadPoolExecutor(WORKERS).map,
            lambda: self.milliseconds_left() > MARGIN,
        )


_wiring = cache(_Wiring)


@event_source(data_class=KinesisStreamEvent)
@metrics.log_metrics
def handler(event: KinesisStreamEvent, context: LambdaContext) -> dict[str, list[dict[str, str]]]:
    """
    Applies a batch; returns the sequence number of the first record that is not completely applied.

    Lambda delivers that record and all after it again
    (https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-batchfailurereporting.html), so records
    after it may be applied already: repeats change nothing. Raises if the counters cannot be written.
    """
    wiring = _wiring()
    wiring.milliseconds_left = context.get_remaining_time_in_millis
    # `origin` is an index into this list: it has to stay parallel to `batch`.
    records = wiring.quarantine.records = list(event.records)
    batch = [record.kinesis.data_as_bytes() for record in records]
    # The floors are read for each batch: a load may raise them while the function stays warm.
    result = wiring.applier.apply(batch, wiring.control.get(FLOORS))
    _account(wiring.control, result, len(batch) if result.failed is None else result.failed)
    if result.failed is None:
        return {"batchItemFailures": []}
    return {"batchItemFailures": [{"itemIdentifier": records[result.failed].kinesis.sequence_number}]}


def _account(control: ControlTable, result: ApplyResult, records: int) -> None:
    """
    Writes log line, metrics, counters and markers: after the changes, because a marker proves that they are
    applied.

    `records` is the number of records that will not be delivered again.
    """
    now = int(time.time() * 1000)
    for name, value in metric_values(result, now).items():
        metrics.add_metric(name=name, unit=MetricUnit(METRICS[name][0]), value=value)
    logger.info(
        "batch",
        records=records,
        changes=result.received,
        applied=result.applied,
        repeats=result.repeats,
        quarantined=result.quarantined,
        unapplied=result.unapplied,
        requests=result.requests,
        errors=dict(result.errors),
    )
    oldest = {"committed_ms": min(result.committed)} if result.committed else None
    # Before the markers: when a marker has been seen in all lanes, the counters include what precedes it.
    control.update(APPLIED, set=oldest, add=counters(result, records, now))
    for marker, lanes in result.markers.items():
        control.update(
            marker_key(marker.id),
            # TTL counts in seconds.
            set={"position": marker.position, "updated_ms": now, EXPIRES: now // 1000 + MARKER_SECONDS},
            add={"applied": lanes},  # a set: a batch that is delivered again adds nothing
        )
