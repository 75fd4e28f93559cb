"""
Polls the emulator's Kinesis shards for its event source mappings; kinesis_poller.py decides what is due.

Runs inside ministack, reads its streams and mappings in place, and runs functions on its pool of processes:
each serves one invocation at a time, so a second shard gets a second process. Discarded records are reported
through the emulator's public endpoint, in Lambda's format. (Uses private names of ministack:
cloud_launcher.py pins the version.)
"""

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab.emulator import kinesis_poller
from lab.emulator.kinesis_poller import Answer, Batch, Discard, Settings, Shard

IDLE = 0.05  # seconds between two looks at the shards, unless something wakes the poller earlier

log = logging.getLogger("lab.kinesis")


def arrival(record: Mapping[str, Any]) -> float:
    """Return when a record arrived, in seconds since 1970."""
    return float(record["ApproximateArrivalTimestamp"])


@dataclass(frozen=True, slots=True)
class Source:
    """One shard as one mapping sees it, with the function that gets its records."""

    mapping: dict[str, Any]
    function: dict[str, Any]
    shard_id: str
    records: list[Any]
    account: str
    region: str

    @property
    def key(self) -> tuple[str, str]:
        return self.mapping["UUID"], self.shard_id

    @property
    def is_enabled(self) -> bool:
        return kinesis_poller.is_true(self.mapping["Enabled"])


@dataclass(slots=True)
class Poller:
    """
    Delivers every shard of every Kinesis mapping independently, so that a failing one does not block others.
    """

    shards: dict[tuple[str, str], Shard] = field(default_factory=dict)
    busy: set[tuple[str, str]] = field(default_factory=set)
    wake: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Replace ministack's own poller."""
        from ministack.services import lambda_svc

        lambda_svc._poll_kinesis = lambda: False
        threading.Thread(target=self.run, name="kinesis-poller", daemon=True).start()

    def run(self) -> None:
        """Look for due batches, without end."""
        while True:
            self.wake.clear()
            try:
                self.look()
            except Exception:  # the emulator continues to serve, and the log says why nothing is delivered
                log.exception("the Kinesis poller failed, and retries")
            self.wake.wait(IDLE)

    def look(self) -> None:
        """Start what is due, on a thread of its own for each shard."""
        sources = {source.key: source for source in kinesis_sources()}
        for gone in self.shards.keys() - sources.keys() - self.busy:
            del self.shards[gone]
        for key, source in sources.items():
            # Also while disabled: LATEST is the moment at which the mapping was created.
            if key not in self.shards:
                self.shards[key] = kinesis_poller.starting(source.mapping, source.records)
            if source.is_enabled and key not in self.busy:
                self._start_due(source, self.shards[key])

    def _start_due(self, source: Source, shard: Shard) -> None:
        batch = shard.next_batch(source.records, Settings.of(source.mapping), time.time())
        if batch:
            self.busy.add(source.key)
            threading.Thread(target=self._deliver, args=(source, shard, batch), daemon=True).start()

    def _deliver(self, source: Source, shard: Shard, batch: Batch) -> None:
        from ministack.core.responses import request_scope

        try:
            with request_scope(source.account, source.region):
                deliver(source, shard, batch)
        except Exception:  # whatever the error, the records are delivered again
            log.exception("delivery from %s failed in the emulator", source.shard_id)
            shard.settle(batch, Answer(0, throttled=True), Settings.of(source.mapping), time.time())
        finally:
            self.busy.discard(source.key)
            self.wake.set()


def kinesis_sources() -> Iterator[Source]:
    """Yield every shard of every Kinesis mapping whose stream and function exist."""
    from ministack.core.responses import request_scope
    from ministack.services import lambda_svc

    for account, region, mapping in lambda_svc._iter_all_esms():
        with request_scope(account, region):
            name, qualifier = mapping["FunctionName"], mapping.get("Qualifier")
            function = lambda_svc._get_func_record_for_qualifier(name, qualifier)[0]
        for shard_id, shard in shards_of(mapping.get("EventSourceArn", "")):
            if function is not None:
                yield Source(mapping, function, shard_id, shard["records"], account, region)


def shards_of(arn: str) -> list[tuple[str, Any]]:
    """Return the shards of the active stream with this ARN: the id, and the emulator's data of each."""
    from ministack.services import kinesis

    service, region, account, resource = (arn.split(":", 5) + [""] * 6)[2:6]
    if service != "kinesis":
        return []
    stream = kinesis._streams.get_scoped(account, region, resource.removeprefix("stream/"))
    return list(stream["shards"].items()) if stream and stream["StreamStatus"] == "ACTIVE" else []


def deliver(source: Source, shard: Shard, batch: Batch) -> None:
    """Invoke the function with one batch, and act on its answer."""
    settings = Settings.of(source.mapping)
    batch, expired = shard.expire(batch, settings, time.time())
    if expired:
        report(source, expired)
    if not batch.records:
        return
    answer = invoke(source, batch, settings)
    discard = shard.settle(batch, answer, settings, time.time())
    if discard:
        report(source, discard)


def invoke(source: Source, batch: Batch, settings: Settings) -> Answer:
    """Run the function once and read its answer. Records that the mapping's filter drops count as done."""
    from ministack.services import lambda_svc

    records = lambda_svc._apply_filter_criteria(event_of(source, batch)["Records"], source.mapping)
    if not records:
        return Answer(len(batch.records))
    result = lambda_svc._execute_function(source.function, {"Records": records})
    if result.get("throttle"):
        return Answer(0, throttled=True)
    note(source, batch, bool(result.get("error")))
    if result.get("error"):
        return Answer(0, error=True)
    return kinesis_poller.read_answer(result.get("body"), batch, settings)


def note(source: Source, batch: Batch, failed: bool) -> None:
    """Record what Lambda records: the mapping's last result, and the age of the last record."""
    from ministack.services import cloudwatch

    name = source.mapping["FunctionName"]
    age = max(0.0, time.time() - arrival(batch.records[-1])) * 1000
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", age, "Milliseconds", {"FunctionName": name})
    source.mapping["LastProcessingResult"] = "PROBLEM: Function call failed" if failed else "OK"
    if failed:
        log.warning("%s failed on %d records of %s", name, len(batch.records), source.shard_id)


def event_of(source: Source, batch: Batch) -> dict[str, Any]:
    """Return the event with which the function is invoked."""
    from ministack.services import kinesis

    role = (source.function.get("config") or {}).get("Role", "")
    arn = source.mapping["EventSourceArn"]

    def one(record: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": record["PartitionKey"],
                "sequenceNumber": record["SequenceNumber"],
                "data": kinesis._ensure_base64(record["Data"]),
                "approximateArrivalTimestamp": record["ApproximateArrivalTimestamp"],
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{source.shard_id}:{record['SequenceNumber']}",
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": role,
            "awsRegion": source.region,
            "eventSourceARN": arn,
        }

    return {"Records": [one(record) for record in batch.records]}


def report(source: Source, discard: Discard) -> None:
    """Report discarded records to the mapping's on-failure destination, if it has one."""
    log.warning(
        "%d records of %s given up: %s", len(discard.batch.records), source.shard_id, discard.condition
    )
    target = ((source.mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    if target:
        try_to_send(target, source, discard)


def try_to_send(target: str, source: Source, discard: Discard) -> None:
    """Send the report; if that fails the records are lost, as on AWS: the metric and the log show it."""
    from botocore.exceptions import BotoCoreError, ClientError
    from ministack.services import cloudwatch

    name = {"FunctionName": source.mapping["FunctionName"]}
    try:
        send(target, invocation_record(source, discard), source, discard)
    except (BotoCoreError, ClientError) as error:
        log.error("records of %s are lost, %s did not take the report: %s", source.shard_id, target, error)
        cloudwatch.record_metric("AWS/Lambda", "DestinationDeliveryFailures", 1, "Count", name)


def send(target: str, message: dict[str, Any], source: Source, discard: Discard) -> None:
    """Send the metadata to a queue or topic, to a bucket also the whole event; nothing else is emulated."""
    service, _, account, name = target.split(":", 5)[2:]
    if service == "sqs":
        url = f"{endpoint()}/{account}/{name}"
        client("sqs", source).send_message(QueueUrl=url, MessageBody=json.dumps(message))
    elif service == "sns":
        client("sns", source).publish(TopicArn=target, Message=json.dumps(message))
    elif service == "s3":
        whole = {**message, "payload": json.dumps(event_of(source, discard.batch))}
        client("s3", source).put_object(Bucket=name, Key=object_key(source), Body=json.dumps(whole).encode())
    else:
        log.error("cannot send to %s: only queues, topics and buckets are emulated", target)


def object_key(source: Source) -> str:
    """Return a new key of the form that Lambda documents."""
    now = datetime.now(UTC)
    return (
        f"aws/lambda/{source.mapping['UUID']}/{source.shard_id}"
        f"/{now:%Y/%m/%d}/{now:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    )


def invocation_record(source: Source, discard: Discard) -> dict[str, Any]:
    """
    Return the message for the destination.

    It has a functionError only after one (not after a partial failure), a response only if there was one.
    """
    batch = discard.batch
    answered = {"statusCode": 200, "executedVersion": source.mapping.get("Qualifier") or "$LATEST"}
    if discard.error:
        answered["functionError"] = "Unhandled"
    return {
        "requestContext": {
            "requestId": str(uuid.uuid4()),
            "functionArn": source.mapping["FunctionArn"],
            "condition": discard.condition,
            "approximateInvokeCount": batch.invocations,
        },
        **({"responseContext": answered} if batch.invocations else {}),
        "version": "1.0",
        "timestamp": iso(time.time()),
        "KinesisBatchInfo": {
            "shardId": source.shard_id,
            "startSequenceNumber": batch.records[0]["SequenceNumber"],
            "endSequenceNumber": batch.records[-1]["SequenceNumber"],
            "approximateArrivalOfFirstRecord": iso(arrival(batch.records[0])),
            "approximateArrivalOfLastRecord": iso(arrival(batch.records[-1])),
            "batchSize": len(batch.records),
            "streamArn": source.mapping["EventSourceArn"],
        },
    }


def client(service: str, source: Source) -> Any:
    """Return a botocore client of the emulator for the mapping's account and region."""
    from botocore.session import get_session

    return get_session().create_client(
        service,
        region_name=source.region,
        endpoint_url=endpoint(),
        aws_access_key_id=source.account,
        aws_secret_access_key="lab",
    )


def endpoint() -> str:
    return f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"


def iso(seconds: float) -> str:
    """Return a time in Lambda's format: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
