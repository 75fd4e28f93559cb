"""
The control table, which holds all state of a move: one item for each subject, with one writer or one atomic
update.

KEYS lists every key; docs/architecture.md has it as a table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rowferry.values import Attribute

LEASE = "lease"
CHECKPOINT = "checkpoint"
FLOORS = "floors"
LOADER = "loader"
THROTTLE = "throttle"
MARKER = "marker"
APPLIED = "applied"
VERIFIED = "verified"
PASSED = "passed"
CUTOVER = "cutover"
FINALIZE = "finalize#"
AUDIT = "audit#"
"""Prefix of every `audit_key`. FINALIZE is an item as well as a prefix."""


def load_key(source: str) -> str:
    """Key of the load of a source table, `schema.table`."""
    return f"load#{source}"


def chunks_of(source: str) -> str:
    """Prefix of the keys of a source table's chunks."""
    return f"chunk#{source}#"


def chunk_key(source: str, number: int) -> str:
    """Key of one chunk, counted from 1."""
    return f"{chunks_of(source)}{number:06d}"


def chunk_number(pk: str) -> int:
    """The number of the chunk whose key that is."""
    return int(pk.rpartition("#")[2])


def merge_key(target: str) -> str:
    """Key of the loads that merge members into a target's items."""
    return f"merge#{target}"


def import_key(target: str) -> str:
    """Key of the ImportTable that creates a target."""
    return f"import#{target}"


def marker_key(marker: str) -> str:
    """Key of the lanes that have applied the marker with that id."""
    return f"{MARKER}#{marker}"


def finalize_key(target: str) -> str:
    """Key of the removal of metadata from a target."""
    return f"{FINALIZE}{target}"


def segment_key(target: str, number: int) -> str:
    """Key of one segment of that removal, counted from 0."""
    return f"{finalize_key(target)}#{number}"


def audit_key(milliseconds: int, action: str) -> str:
    """
    Key of an action, any unique text, at that time since 1970: of fixed width, so that keys sort by time.
    """
    return f"{AUDIT}{milliseconds:014d}#{action}"


@dataclass(frozen=True, slots=True)
class ControlKey:
    """
    An item of the control table, or a family of them: capitals in `pattern` stand for the variable parts.
    """

    pattern: str
    written_by: str
    holds: str


KEYS = (
    ControlKey(LEASE, "capturer", "who captures, with the fencing token"),
    ControlKey(
        CHECKPOINT,
        "capturer",
        "position up to which every change is on the stream, epochs, history, lanes, state, counters",
    ),
    ControlKey(
        load_key("SCHEMA.TABLE"),
        "bulk load",
        "epoch and method, whether it is done, rows, items, the GTIDs that its rows show",
    ),
    ControlKey(f"{chunks_of('SCHEMA.TABLE')}N", "bulk load", "bounds, watermark and result of one chunk"),
    ControlKey(merge_key("TARGET"), "bulk load", "the watermark at the start of a load that merges members"),
    ControlKey(import_key("TARGET"), "bulk load", "the ImportTable that was started, and its files"),
    ControlKey(
        FLOORS, "bulk load", "for each source table, the position up to which its load shows every change"
    ),
    ControlKey(LOADER, "bulk load", "which loader is at work, with its renewals"),
    ControlKey(THROTTLE, "bulk load, ferry", "how fast the load may be, and whether it is paused"),
    ControlKey(PASSED, "ferry", "where capture stopped and may go on after, with the epoch"),
    ControlKey(VERIFIED, "ferry", "the last verify: when, up to which position, what it found"),
    ControlKey(CUTOVER, "ferry, its guard", "phase, fence, grants to give back, the source's end, pause"),
    ControlKey(FINALIZE, "ferry", "that the removal of metadata has begun"),
    ControlKey(finalize_key("TARGET"), "ferry", "the number of its segments in that table"),
    ControlKey(f"{finalize_key('TARGET')}#N", "ferry", "how far one segment is"),
    ControlKey(f"{AUDIT}MS#ID", "ferry", "who did what, and how it ended"),
    ControlKey(MARKER, "ferry, capturer", "the marker to send, and whether it was sent"),
    ControlKey(marker_key("ID"), "consumer", "the lanes that have applied that marker, for a week (TTL)"),
    ControlKey(
        APPLIED, "consumer", "counters (changes = applied + repeats + quarantined), histogram of the lag"
    ),
)
"""Every item that the project writes."""

type Plain = bool | int | str | list["Plain"] | set[int] | dict[str, "Plain"] | None


type Client = Any
"""boto3's low-level DynamoDB client; not imported, the core is standard library only."""


class ConditionFailed(Exception):
    """An item of the control table is not as `only_if` expects it: nothing was written."""


def is_condition_failed(error: Exception) -> bool:
    """
    Whether DynamoDB refused a conditional write because the condition does not hold.

    `error` is what the client raised. False says that the request failed: it may have been carried out.
    """
    # botocore's errors of a connection have a `response`, too: None
    response: Mapping[str, Any] = getattr(error, "response", None) or {}
    return bool(response.get("Error", {}).get("Code") == "ConditionalCheckFailedException")


def wrap(value: Plain) -> Attribute:
    """
    The attribute of a plain value.

    >>> wrap({"lanes": {1, 2}})
    {'M': {'lanes': {'NS': ['1', '2']}}}
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():  # before int: a bool is one
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case set():
            return {"NS": [str(number) for number in sorted(value)]}
        case list():
            return {"L": [wrap(element) for element in value]}
        case dict():
            return {"M": {name: wrap(element) for name, element in value.items()}}


def unwrap(value: Attribute) -> Any:
    """The plain value of an attribute that `wrap` made."""
    ((kind, content),) = value.items()
    match kind:
        case "N":
            return int(Decimal(content))
        case "NULL":
            return None
        case "NS":
            return {int(number) for number in content}
        case "L":
            return [unwrap(element) for element in content]
        case "M":
            return {name: unwrap(element) for name, element in content.items()}
        case _:
            return content


class ControlTable:
    """
    Reads and writes items of the control table as plain dictionaries.

    Used by every part. The client's own errors come through; it retries what the network loses.
    """

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def get(self, pk: str) -> dict[str, Any]:
        """The item, read consistently; empty if there is none."""
        answer = self.client.get_item(TableName=self.name, Key={"pk": {"S": pk}}, ConsistentRead=True)
        return {name: unwrap(value) for name, value in answer.get("Item", {}).items()}

    def put(self, pk: str, fields: Mapping[str, Plain]) -> None:
        """Replaces the whole item, without a condition: only for items with one writer."""
        item = {name: wrap(value) for name, value in fields.items()}
        self.client.put_item(TableName=self.name, Item={**item, "pk": {"S": pk}})

    def update(
        self,
        pk: str,
        *,
        set: Mapping[str, Plain] | None = None,  # noqa: A002 - DynamoDB's word
        add: Mapping[str, int | set[int]] | None = None,
        only_if: Mapping[str, Plain] | None = None,
    ) -> dict[str, Any]:
        """
        Sets fields, adds to counters and number sets; returns the item as it is afterwards.

        `only_if` names fields and the values they must have (None: the field
        must be absent). Raises ConditionFailed if they have not: nothing was written. Any other error leaves
        open whether it was; a repeated `add` of numbers may count twice.
        """
        names: dict[str, str] = {}
        values: dict[str, Attribute] = {}

        def refer(prefix: str, fields: Mapping[str, Any], joint: str) -> list[str]:
            parts = []
            for index, (name, value) in enumerate(fields.items()):
                # Placeholders, because `state` and `offset` are reserved:
                # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
                names[f"#{prefix}{index}"], values[f":{prefix}{index}"] = name, wrap(value)
                parts.append(f"#{prefix}{index}{joint}:{prefix}{index}")
            return parts

        setting, adding = refer("s", set or {}, "="), refer("a", add or {}, " ")
        required = {name: value for name, value in (only_if or {}).items() if value is not None}
        absent = [name for name, value in (only_if or {}).items() if value is None]
        conditions = refer("c", required, "=")
        for index, name in enumerate(absent):
            names[f"#n{index}"] = name
            conditions.append(f"attribute_not_exists(#n{index})")
        expression = " ".join(
            f"{verb} {','.join(parts)}" for verb, parts in (("SET", setting), ("ADD", adding)) if parts
        )
        try:
            answer = self.client.update_item(
                TableName=self.name,
                Key={"pk": {"S": pk}},
                UpdateExpression=expression,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=values,
                ReturnValues="ALL_NEW",
                **({"ConditionExpression": " AND ".join(conditions)} if conditions else {}),
            )
        except Exception as error:  # the core does not know botocore's classes
            if is_condition_failed(error):
                raise ConditionFailed(f"{pk} is not as expected") from error
            raise
        return {name: unwrap(value) for name, value in answer["Attributes"].items()}

    def items(self, prefix: str) -> Iterator[dict[str, Any]]:
        """
        All items whose pk begins with the prefix, in no order. Scans: the table is small.

        Not a snapshot: items that change meanwhile come as they are when their page is read.
        """
        arguments: dict[str, Any] = {
            "TableName": self.name,
            "ConsistentRead": True,
            "FilterExpression": "begins_with(pk, :p)",
            "ExpressionAttributeValues": {":p": {"S": prefix}},
        }
        while True:
            answer = self.client.scan(**arguments)
            for item in answer["Items"]:
                yield {name: unwrap(value) for name, value in item.items()}
            if "LastEvaluatedKey" not in answer:  # a page may be empty and not be the last
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
