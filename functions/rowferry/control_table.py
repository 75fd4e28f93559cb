"""
The control table: one item a subject, so that each has one writer or one atomic update.

| pk | written by | holds |
| --- | --- | --- |
| lease | capturer | who captures, with the fencing token |
| checkpoint | capturer | the position up to which every change is on the stream, state, counters |
| load#SCHEMA.TABLE | bulk load | the plan, its epoch, and whether it is done |
| merge#TARGET | bulk load | the watermark at the start of a load that merges members into items |
| chunk#SCHEMA.TABLE#N | bulk load | bounds, watermark and result of one chunk |
| throttle | bulk load, ferry | how fast the load may be, and whether it rests |
| floors | bulk load | for each source table, the position up to which changes are in the load |
| verified | ferry | the last verify: when it ended, up to where it compared everything, what it found |
| passed | ferry | the boundary at which capture stopped and that it may pass over, with its epoch |
| marker | ferry | the marker that the capturer has to send next |
| marker#ID | consumer | the lanes in which the marker has been applied |
| applied | consumer | counters of what was applied |

Functions take the low-level DynamoDB client and the table's name.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from rowferry.values import Attribute

LEASE, CHECKPOINT, FLOORS, MARKER, APPLIED = "lease", "checkpoint", "floors", "marker", "applied"
THROTTLE = "throttle"
VERIFIED = "verified"
PASSED = "passed"
CUTOVER = "cutover"
LOADER = "loader"
FINALIZE, AUDIT = "finalize#", "audit#"

type Plain = bool | int | str | list["Plain"] | set[int] | dict[str, "Plain"] | None


type Client = Any
"""boto3's low-level DynamoDB client; not imported, the core is standard library only."""


def wrap(value: Plain) -> Attribute:
    """
    The attribute of a plain value.

    >>> wrap({"lanes": {1, 2}})
    {'M': {'lanes': {'NS': ['1', '2']}}}
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
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
    """Reads and writes items of the control table as plain dictionaries."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name

    def get(self, pk: str) -> dict[str, Any]:
        """The item, read consistently; empty when there is none."""
        answer = self.client.get_item(TableName=self.name, Key={"pk": {"S": pk}}, ConsistentRead=True)
        return {name: unwrap(value) for name, value in answer.get("Item", {}).items()}

    def put(self, pk: str, fields: Mapping[str, Plain]) -> None:
        """Replaces the item."""
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
        must be absent); the client's ConditionalCheckFailedException comes
        through when they have not.
        """
        names: dict[str, str] = {}
        values: dict[str, Attribute] = {}

        def refer(prefix: str, fields: Mapping[str, Any], joint: str) -> list[str]:
            parts = []
            for index, (name, value) in enumerate(fields.items()):
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
        answer = self.client.update_item(
            TableName=self.name,
            Key={"pk": {"S": pk}},
            UpdateExpression=expression,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            **({"ConditionExpression": " AND ".join(conditions)} if conditions else {}),
        )
        return {name: unwrap(value) for name, value in answer["Attributes"].items()}

    def items(self, prefix: str) -> Iterator[dict[str, Any]]:
        """All items whose pk begins with the prefix, in no order. Scans: the table is small."""
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
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
