"""What must hold before a row is copied."""

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError

from rowferry.control import CHECKPOINT, ControlTable
from rowferry.errors import Refused
from rowferry.mapping import TableMapping
from rowferry.position import Position, file_number
from rowferry.source import Connection, Server, current_offset


def captured_epoch(
    control: ControlTable, connection: Connection, server: Server, sources: Iterable[str]
) -> int:
    """
    The epoch that the load's watermarks belong to.

    Refused unless a capturer of all these source tables has a checkpoint on
    this very server, at or before the end of its binlog: changes during the
    load would be lost.
    """
    checkpoint = control.get(CHECKPOINT)
    if not checkpoint:
        raise Refused(
            "no capturer has run yet, so changes made during the load would be lost",
            "start the capturer (CapturerCount=1) and wait until `ferry status` shows a position",
        )
    if checkpoint["server"] != server.identity:
        raise Refused(
            f"the source is server {server.identity}, but {checkpoint['server']} is being captured",
            "name in --source the server that the capturer reads (its parameter SourceHost)",
        )
    end = current_offset(connection, server).position(checkpoint["epoch"])
    reached = Position(checkpoint["epoch"], file_number(checkpoint["file"]), checkpoint["offset"])
    if end < reached:
        raise Refused(
            f"the source's binlog ends at {end}, before the checkpoint {reached}",
            "the server was restored or reset: set CapturerAnew (or --anew) to a new word before the load",
        )
    if missing := sorted(set(sources) - set(checkpoint.get("tables", ()))):
        raise Refused(
            f"the capturer does not capture {', '.join(missing)}",
            "deploy the capturer with this mapping first, and wait until it captures",
        )
    return int(checkpoint["epoch"])


def refuse_other_keys(client: Any, table: TableMapping) -> None:
    """Refused unless the target table exists, is active and has the mapping's key."""
    try:
        found = client.describe_table(TableName=table.target)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        raise Refused(
            f"there is no DynamoDB table {table.target}, the target of {table.source}",
            f"create it with the key {expected_key(table)}, or correct `target` in the mapping",
        ) from error
    actual = _actual_key(found)
    if actual != expected_key(table):
        raise Refused(
            f"DynamoDB table {table.target} has the key {actual}, the mapping says {expected_key(table)}",
            "correct hash_key and range_key in the mapping, or create another table",
        )
    if found["TableStatus"] not in ("ACTIVE", "UPDATING"):
        raise Refused(f"DynamoDB table {table.target} is {found['TableStatus']}", "wait until it is ACTIVE")


def refuse_expiry(client: Any, table: TableMapping) -> None:
    """
    Refused while DynamoDB removes items by the user's own TTL.

    With an item goes its position, which keeps late repeats of older changes out: one with a later time would
    bring the item back for good.
    """
    if table.ttl is None:
        return
    found = client.describe_time_to_live(TableName=table.target)["TimeToLiveDescription"]
    if (
        found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
        and found["AttributeName"] == table.ttl.attribute
    ):
        raise Refused(
            f"DynamoDB removes items of {table.target} by {table.ttl.attribute} already",
            "turn time to live off (aws dynamodb update-time-to-live) and on again after the cut-over",
        )


def is_empty(client: Any, target: str) -> bool:
    """Whether the table has no item, and no tombstone."""
    arguments: dict[str, Any] = {"TableName": target, "ConsistentRead": True, "Limit": 1}
    while True:
        page = client.scan(**arguments)
        if page["Items"] or "LastEvaluatedKey" not in page:
            return not page["Items"]
        arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def expected_key(table: TableMapping) -> str:
    """The key in words: `customerid (S, hash), orderid (S, range)`."""
    roles = ("hash", "range")
    return ", ".join(
        f"{key.attribute} ({key.type}, {role})" for key, role in zip(table.keys, roles, strict=False)
    )


def _actual_key(description: dict[str, Any]) -> str:
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in description["AttributeDefinitions"]}
    names = sorted(description["KeySchema"], key=lambda entry: str(entry["KeyType"]))  # HASH before RANGE
    return ", ".join(
        f"{entry['AttributeName']} ({types[entry['AttributeName']]}, {entry['KeyType'].lower()})"
        for entry in names
    )
