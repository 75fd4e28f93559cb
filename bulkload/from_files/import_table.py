"""
ImportTable: a new DynamoDB table from import files in S3.

ImportTable makes the table itself, and refuses one that exists. The token and ARN of an import are stored in
the control table (import#TARGET), so that another run finds it.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from botocore.exceptions import ClientError

from bulkload import preconditions
from bulkload.direct.grouping import Unusable
from bulkload.dynamodb.batch_writer import ITEM_TOO_LARGE, error_code
from bulkload.exports.locations import S3Prefix
from bulkload.exports.records import opened
from bulkload.shuffle.assembly import item_of, key_of_item
from rowferry.control_table import ControlTable, import_key
from rowferry.errors import Refused
from rowferry.mapping import EXPIRES, TableMapping

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Seconds between two polls; each pause is 1.5 times the last."""
_LOG_GROUP = "/aws-dynamodb/imports"
_COMPRESSIONS = {"gzip": "GZIP", "zstd": "ZSTD"}
_MOST_NAMED = 1000
_OTHER = "DynamoDB refuses one of its values or its key: repair the row, or leave the column out"


@dataclass(frozen=True, slots=True)
class ImportCounts:
    """The counts of an import: items read, items in the table, items refused."""

    processed: int
    imported: int
    errors: int


@dataclass(slots=True)
class TableImport:
    """
    One target's import. `tables` are all its sources; `files` the bucket and prefix that hold nothing else.

    `dynamodb` and `logs` are boto3 clients; `sleep` waits between two polls, in seconds.
    """

    dynamodb: Any
    logs: Any
    control: ControlTable
    tables: Sequence[TableMapping]
    files: S3Prefix
    compression: str
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        return self.tables[0].target

    @property
    def _record(self) -> str:
        return import_key(self.name)

    def refuse_existing(self) -> None:
        """Raises Refused where the table exists and this import has not made it."""
        if self.control.get(self._record).get("location") == str(self.files):
            return
        if self._description() is not None:
            raise Refused(
                f"DynamoDB table {self.name} exists, and ImportTable makes only new tables",
                "map the target to a new name and deploy with TargetTable=IMPORTED, delete an empty one, or"
                " load into this one with --method files",
            )

    def holds_items(self, first_epoch: int) -> bool:
        """Whether the table exists and has live items. Refused when they are from before this capture."""
        return self._description() is not None and preconditions.holds_items(
            self.dynamodb, self.name, first_epoch
        )

    def start(self) -> str:
        """Starts the import, or finds the one that an earlier run started; returns its ARN. Idempotent."""
        record = self.control.get(self._record)
        if record.get("location") != str(self.files):
            record = {"location": str(self.files), "token": uuid.uuid4().hex}
            # Before the request: an import whose answer was lost is found by its token.
            self.control.put(self._record, record)
        if "arn" not in record:
            record["arn"] = self._started(record["token"]) or self._import(record["token"])
            self.control.put(self._record, record)
        return str(record["arn"])

    def _started(self, token: str) -> str | None:
        """The import with this token, where the answer to its start was lost."""
        found = self._description()
        if found is None:
            return None
        for page in self.dynamodb.list_imports(TableArn=found["TableArn"])["ImportSummaryList"]:
            description = self.dynamodb.describe_import(ImportArn=page["ImportArn"])["ImportTableDescription"]
            if description.get("ClientToken") == token:
                return str(page["ImportArn"])
        raise Refused(
            f"DynamoDB table {self.name} was not made by this load", "delete it, then run the load again"
        )

    def _import(self, token: str) -> str:
        # With the slash: S3 compares texts, so `import` alone would take the files in `import2` as well.
        prefix = f"{self.files.prefix}/" if self.files.prefix else ""
        answer = self.dynamodb.import_table(
            ClientToken=token,
            S3BucketSource={"S3Bucket": self.files.bucket, "S3KeyPrefix": prefix},
            InputFormat="DYNAMODB_JSON",
            InputCompressionType=_COMPRESSIONS[self.compression],
            TableCreationParameters={"TableName": self.name, **self._parameters()},
        )
        return str(answer["ImportTableDescription"]["ImportArn"])

    def create_empty(self) -> None:
        """Creates the table without an import, for a source without rows."""
        if self._description() is None:
            # Before the table exists: the next run has to know that this import has made it.
            self.control.put(self._record, {"location": str(self.files)})
            self.dynamodb.create_table(TableName=self.name, **self._parameters())

    def _parameters(self) -> dict[str, Any]:
        keys = self.tables[0].keys
        return {
            "AttributeDefinitions": [
                {"AttributeName": key.attribute, "AttributeType": key.type} for key in keys
            ],
            "KeySchema": [
                {"AttributeName": key.attribute, "KeyType": role}
                for key, role in zip(keys, ("HASH", "RANGE"), strict=False)
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }

    def wait(self, arn: str, progress: Callable[[ImportCounts], None]) -> ImportCounts:
        """
        Waits for the import's end. Raises Refused when it failed as a whole.

        A return does not mean that all items are in the table: `errors` counts those that DynamoDB refused.
        """
        for pause in _pauses():
            found = self.dynamodb.describe_import(ImportArn=arn)["ImportTableDescription"]
            counts = ImportCounts(
                found.get("ProcessedItemCount", 0),
                found.get("ImportedItemCount", 0),
                found.get("ErrorCount", 0),
            )
            progress(counts)
            status = found["ImportStatus"]
            # One item that DynamoDB refuses makes the whole import FAILED, and the others stay in the table
            # (DynamoDB developer guide, S3DataImport).
            if status == "COMPLETED" or (
                status == "FAILED" and found.get("FailureCode") == "ItemValidationError"
            ):
                return counts
            if status in ("FAILED", "CANCELLED"):
                self.forget()
                raise Refused(
                    f"the import of {self.name} {status.lower()} ({found.get('FailureCode', 'no code')})",
                    f"repair what log group {_LOG_GROUP} shows, delete table {self.name}, then load again",
                )
            self.sleep(pause)
        raise AssertionError("pauses never end")

    def forget(self) -> None:
        """Makes the next run start another import."""
        self.control.client.delete_item(TableName=self.control.name, Key={"pk": {"S": self._record}})

    def refused(self, arn: str) -> Iterator[Unusable]:
        """The items that the import refused, by their keys: the first 1,000."""
        for number, (name, index, reason) in enumerate(self._errors(arn)):
            if number == _MOST_NAMED:
                return
            yield Unusable(", ".join(table.source for table in self.tables), self._key(name, index), reason)

    def _errors(self, arn: str) -> Iterator[tuple[str, int, str]]:
        stream = f"{arn.rpartition('/')[2]}/error"
        try:
            pages = list(
                self.logs.get_paginator("filter_log_events").paginate(
                    logGroupName=_LOG_GROUP, logStreamNames=[stream]
                )
            )
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return
        for page in pages:
            for event in page["events"]:
                entry = json.loads(event["message"])
                pointer = entry["itemS3Pointer"]
                said = " ".join(entry["errorMessages"]).lower()  # not shown: it may quote values
                yield pointer["key"], int(pointer["itemIndex"]), ITEM_TOO_LARGE if "size" in said else _OTHER

    def _key(self, name: str, index: int) -> dict[str, Any]:
        with (
            self.files.fetched(name.removeprefix(f"{self.files.prefix}/")) as path,
            opened(path, name) as lines,
        ):
            for number, line in enumerate(lines):
                if number == index:
                    return key_of_item(item_of(line.decode().rstrip("\n")), self.tables[0])
        return {"file": name, "item": index}

    def settle(self) -> None:
        """
        Sets what the template sets for its tables: point-in-time recovery, and the tombstones' time to live.
        """
        for pause in _pauses():
            if (found := self._description()) and found["TableStatus"] == "ACTIVE":
                break
            self.sleep(pause)
        self.dynamodb.update_continuous_backups(
            TableName=self.name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        if any(table.ttl for table in self.tables):
            # a table has one TTL attribute: here the user's, turned on after the cutover (docs/mapping.md)
            return
        said = self.dynamodb.describe_time_to_live(TableName=self.name)["TimeToLiveDescription"]
        if said.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
            self.dynamodb.update_time_to_live(
                TableName=self.name, TimeToLiveSpecification={"Enabled": True, "AttributeName": EXPIRES}
            )

    def _description(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.dynamodb.describe_table(TableName=self.name)["Table"]
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return None
        return found


def _pauses() -> Iterator[float]:
    return (min(LONGEST_PAUSE, FIRST_PAUSE * 1.5 ** min(number, 20)) for number in count())
