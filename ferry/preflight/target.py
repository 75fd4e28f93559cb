"""Conditions of target tables, stream and stack."""

from collections.abc import Iterator, Sequence
from typing import Any

from botocore.exceptions import ClientError

from bulkload.dynamodb.batch_writer import error_code
from ferry.context import Stack
from ferry.status.state import queued
from rowferry.mapping import TableMapping
from rowferry.mysql.conditions import Condition

SHARD_BYTES = 1_000_000
"""Bytes a second into one shard (Kinesis Data Streams quotas)."""
ON_DEMAND_SHARDS = 4  # a new on-demand stream takes 4 MB/s (Kinesis Data Streams developer guide)


def conditions(
    client: Any, stack: Stack, tables: Sequence[TableMapping], hours: float, rate: float
) -> Iterator[Condition]:
    """
    `client` makes AWS clients by service. `hours`: the load's expected time; `rate`: bytes of binlog a
    second.
    """
    imported = stack.parameters.get("TargetTable") == "IMPORTED"
    for target in {table.target: table for table in tables}.values():
        yield from _table(client("dynamodb"), target, imported=imported)
    yield from _stream(client("kinesis"), stack.output("StreamName"), hours, rate)
    yield Condition(
        "switch",
        stack.output("SwitchState"),
        not stack.switch_is_on,
        "`ferry switch off`: waiting changes must not be applied before the load is done",
    )
    yield _quarantine(client("sqs"), stack.output("QuarantineUrl"))


def _table(client: Any, target: TableMapping, *, imported: bool) -> Iterator[Condition]:
    found = _described(client, target.target)
    name = f"table {target.target}"
    if imported or found is None:
        there = "missing" if found is None else "there"
        fix = (
            "delete it: ImportTable makes it"
            if imported
            else "create it, with the mapping's key; or deploy it"
        )
        # ImportTable makes the table and refuses one that exists; for everything else it has to exist.
        yield Condition(name, there, imported == (found is None), fix)
        return
    yield Condition(name, found["TableStatus"], found["TableStatus"] == "ACTIVE", "wait until it is ACTIVE")
    yield _keys(found, target)
    yield _capacity(found, target)
    backups = client.describe_continuous_backups(TableName=target.target)["ContinuousBackupsDescription"]
    state = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus", "DISABLED")
    yield Condition(
        f"point-in-time recovery of {target.target}",
        state,
        state == "ENABLED",
        "turn it on: after the cutover only DynamoDB has the newest data",
        needed=False,
    )


def _described(client: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error_code(error) != "ResourceNotFoundException":
            raise
        return None
    return found


def _keys(found: dict[str, Any], target: TableMapping) -> Condition:
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in found["AttributeDefinitions"]}
    parts = {part["KeyType"]: part["AttributeName"] for part in found["KeySchema"]}
    there = [(name, types[name]) for role in ("HASH", "RANGE") if (name := parts.get(role))]
    wanted = [(key.attribute, key.type) for key in target.keys]
    shown = ", ".join(f"{name} {kind}" for name, kind in there)
    return Condition(
        f"key of {target.target}",
        shown,
        there == wanted,
        f"the mapping has {', '.join(f'{name} {kind}' for name, kind in wanted)}: correct one of them",
    )


def _capacity(found: dict[str, Any], target: TableMapping) -> Condition:
    demand = found.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
    units = found.get("ProvisionedThroughput", {}).get("WriteCapacityUnits", 0)
    return Condition(
        f"capacity of {target.target}",
        "on demand" if demand else f"{units} write units a second",
        demand,
        "on-demand capacity adapts to the load; else `ferry load --plan` shows the hours that this takes",
        needed=False,
    )


def _stream(client: Any, name: str, hours: float, rate: float) -> Iterator[Condition]:
    found = client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]
    kept, wanted = int(found["RetentionPeriodHours"]), max(24.0, 2 * hours)
    yield Condition(
        "stream retention",
        f"{kept} hours",
        kept >= wanted,
        f"at least {wanted:.0f} hours, twice the load: parameter StreamRetentionHours",
    )
    demand = found.get("StreamModeDetails", {}).get("StreamMode") == "ON_DEMAND"
    shards = max(int(found["OpenShardCount"]), ON_DEMAND_SHARDS if demand else 0)
    yield Condition(
        "stream shards",
        f"{shards} for {rate / SHARD_BYTES:.2f} MB/s of binlog now",
        shards * SHARD_BYTES >= rate,
        f"at least {-(-int(rate) // SHARD_BYTES)}: parameter ShardCount, or StreamMode=ON_DEMAND",
    )


def _quarantine(client: Any, url: str) -> Condition:
    found = queued(client, url)
    return Condition(
        "quarantine",
        f"{int(found):,} messages",
        int(found) == 0,
        "they are from an earlier move: empty the queue",
    )
