"""Conditions of a load, checked before a row is copied. Each raises Refused with the fix."""

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

from botocore.exceptions import ClientError

from rowferry.checkpoint import Checkpoint
from rowferry.control_table import FLOORS, ControlTable
from rowferry.errors import Refused
from rowferry.history import History
from rowferry.mapping import EXPIRES, POSITION, TableMapping
from rowferry.mysql.server import Connection, Server
from rowferry.position import Position


def capture_at(
    control: ControlTable, connection: Connection, server: Server, sources: Iterable[str]
) -> Checkpoint:
    """
    The checkpoint of a capturer of all these source tables on this server, to which the connection leads.

    Its epoch is that of the watermarks which are read over this connection. Raises Refused where there is
    none, or it is after the end of the server's binlog: else changes during the load would be lost. It does
    not check that the capturer is running.
    """
    checkpoint = captured(control, sources)
    checkpoint.position_at(connection, server)
    return checkpoint


def captured(control: ControlTable, sources: Iterable[str]) -> Checkpoint:
    """The capturer's checkpoint. Raises Refused unless it covers all these source tables."""
    checkpoint = Checkpoint.read(control)
    if not checkpoint:
        raise Refused(
            "no capturer has run yet, so changes made during the load would be lost",
            "start the capturer (CapturerCount=1) and wait until `ferry status` shows a position",
        )
    if missing := sorted(set(sources) - checkpoint.tables):
        raise Refused(
            f"the capturer does not capture {', '.join(missing)}",
            "deploy the capturer with this mapping first, and wait until it captures",
        )
    return checkpoint


def refuse_before_capture(checkpoint: Checkpoint, watermark: Position) -> None:
    """
    Raises Refused where the capturer began after the watermark, or skipped something that is newer than it:
    changes between the two would be lost.
    """
    since = checkpoint.since or checkpoint.position
    if watermark < since:
        raise Refused(
            f"the watermark {watermark} is before {since}, where the changes on the stream begin",
            "export again: changes between the two are not on the stream",
        )


def refuse_lost(
    checkpoint: Checkpoint,
    shown: Mapping[int, History],
    what: str,
    fix: str,
    executed: Callable[[], History] | None = None,
) -> None:
    """
    Raises Refused where rows of `what` that were read before a failover show transactions that are not
    captured: those that the old server alone had stay in the target for good.

    `shown`: what the rows show, by epoch. `executed`: asks the source for what it has, to tell these from
    transactions that capture has not reached yet; None: it cannot be asked. `fix` gets rid of them.
    """
    older = (history for epoch, history in shown.items() if epoch < checkpoint.epoch)
    missing = reduce(History.union, older, History()).minus(History.parse(checkpoint.history))
    if not missing:
        return
    found = f"{what} shows transactions of before the failover that"
    wait = "wait until `ferry status` shows no lag"
    if executed is None:
        raise Refused(
            f"{found} are not captured: {missing.listing()}", f"{wait}; if they still are not then, {fix}"
        )
    if lost := missing.minus(executed()):
        raise Refused(f"{found} the source has lost: {lost.listing()}", fix)
    raise Refused(f"{found} capture has not reached: {missing.listing()}", f"{wait}, then try again")


def refuse_other_keys(client: Any, table: TableMapping) -> None:
    """Raises Refused unless the target table exists, is active and has the mapping's key."""
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
    # UPDATING takes writes as well, for example while its capacity is changed.
    if found["TableStatus"] not in ("ACTIVE", "UPDATING"):
        raise Refused(f"DynamoDB table {table.target} is {found['TableStatus']}", "wait until it is ACTIVE")


def refuse_expiry(client: Any, table: TableMapping) -> None:
    """
    Raises Refused while DynamoDB removes items by the user's own TTL.

    An item's position is removed with it, but is needed to skip late duplicates of older changes: one with a
    later time to live would bring the item back for good.
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
            "turn time to live off (aws dynamodb update-time-to-live) and on again after the cutover",
        )


def holds_items(client: Any, target: str, first_epoch: int) -> bool:
    """
    Whether the target has live items, of any source. Scans up to the first one.

    Raises Refused when that one is from before the capture's first epoch: the changes that would remove some
    of them are lost, so they would stay for good.
    """
    pages = client.get_paginator("scan").paginate(
        TableName=target,
        ConsistentRead=True,
        FilterExpression="attribute_exists(#p) AND attribute_not_exists(#t)",
        ProjectionExpression="#p",
        ExpressionAttributeNames={"#p": POSITION, "#t": EXPIRES},
    )
    # A page may be empty although later ones are not: Scan filters after it has read
    # (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html).
    found = next((item for page in pages for item in page["Items"]), None)
    # Positions have a fixed width: their texts compare as they do.
    if found and found[POSITION]["S"] < str(Position(first_epoch, 0, 0)):
        raise Refused(
            f"{target} contains items from before the reset of capture",
            "empty it, or delete and create it, then run `ferry load` again",
        )
    return found is not None


def refuse_newer(client: Any, target: str, position: Position) -> None:
    """
    Raises Refused where the target has an item or a tombstone newer than the position: a put without a
    condition would undo changes that the stream does not deliver again. Scans the whole table.
    """
    pages = client.get_paginator("scan").paginate(
        TableName=target,
        ConsistentRead=True,
        FilterExpression="#p > :p",
        ProjectionExpression="#p",
        ExpressionAttributeNames={"#p": POSITION},
        ExpressionAttributeValues={":p": {"S": str(position)}},
    )
    # All pages: one that is empty is not the last.
    if any(page["Items"] for page in pages):
        raise Refused(
            f"{target} contains items that are newer than the exports, which are of {position}",
            "export again and load that, or run `ferry load --again` without --from: it reads MySQL",
        )


def refuse_below_floor(control: ControlTable, sources: Iterable[str], position: Position) -> None:
    """Raises Refused where an earlier load's floor is higher: the consumer skips the changes in between."""
    floors = control.get(FLOORS)
    for source in sources:
        # An equal floor is this load's own, from a run that was killed before it had stored its plan.
        if floors.get(source, "") > str(position):
            raise Refused(
                f"{source} was loaded up to {floors[source]} before, the exports are of {position}",
                "export again: changes between the two are skipped",
            )


def expected_key(table: TableMapping) -> str:
    """The key in words: `customerid (S, hash), orderid (S, range)`."""
    roles = ("hash", "range")
    return ", ".join(
        f"{key.attribute} ({key.type}, {role})" for key, role in zip(table.keys, roles, strict=False)
    )


def _actual_key(description: dict[str, Any]) -> str:
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in description["AttributeDefinitions"]}
    names = sorted(
        description["KeySchema"], key=lambda entry: str(entry["KeyType"])
    )  # HASH sorts before RANGE
    return ", ".join(
        f"{entry['AttributeName']} ({types[entry['AttributeName']]}, {entry['KeyType'].lower()})"
        for entry in names
    )
