"""
Starts the emulated AWS (ministack) with the corrections that a rehearsal needs.

Runs on ministack's own Python: `python -m lab.cloud_launcher PARENT_PID` from the repository's root; lab/cloud.py starts it.
Each correction replaces a private name of one exact ministack version, so another version is refused.

* Kinesis event source mappings     lab/kinesis_poller.py instead of ministack's poller, which loses failed records
* a mapping's State                 says Disabled when CloudFormation created it disabled
* a mapping's BatchSize             defaults to 100, as on AWS
* StartingPositionTimestamp         kept, so that AT_TIMESTAMP works
* expiry of Kinesis records         looks at the oldest record only; ministack copies every shard at every request
* logs of an invocation             waits 5 ms for a silent function's log instead of 50 ms
"""

import contextlib
import ctypes
import importlib.metadata
import json
import logging
import os
import signal
import sys
import threading
import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from lab import kinesis_poller
from lab.kinesis_poller import Answer, Batch, Discard, Settings, Shard

MINISTACK = "1.5.33"
IDLE = 0.05  # seconds between two looks at the shards when nothing else wakes the poller
PR_SET_PDEATHSIG = 1

log = logging.getLogger("lab.kinesis")


def main() -> None:
    """Run ministack until it is killed; environment variables configure it (see lab/cloud.py)."""
    require_version()
    end_with(int(sys.argv.pop(1)))
    from ministack import app

    correct_mappings()
    correct_kinesis()
    correct_worker()
    Poller().start()
    app.main()


def require_version() -> None:
    """Refuse any ministack but the one whose private names are replaced here."""
    found = importlib.metadata.version("ministack")
    if found != MINISTACK:
        sys.exit(
            f"ministack is {found}, {MINISTACK} is needed, because the rehearsal corrects that version: run `make setup`, "
            f"or move MINISTACK in lab/cloud_launcher.py and run tests/integration/test_cloud.py"
        )


def end_with(parent: int) -> None:
    """End the whole process group, functions included, as soon as the parent is gone, even by SIGKILL."""
    # Not SIGTERM: hypercorn takes that one over for a slow, polite end. A function that runs would outlive it.
    signal.signal(signal.SIGUSR1, lambda *_: os.killpg(0, signal.SIGKILL))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGUSR1)
    if os.getppid() != parent:
        os.killpg(0, signal.SIGKILL)


def correct_mappings() -> None:
    """Keep the start's timestamp, take AWS's default batch size, and say Disabled of a mapping that is."""
    from ministack.services import lambda_svc
    from ministack.services.cloudformation import provisioners

    create, provision, respond = lambda_svc._create_esm, provisioners._lambda_esm_create, lambda_svc._esm_response

    def with_default(asked: dict[str, Any]) -> dict[str, Any]:
        return {"BatchSize": 100, **asked} if ":kinesis:" in asked.get("EventSourceArn", "") else asked

    def keep(esm_id: str, asked: Mapping[str, Any]) -> None:
        if "StartingPositionTimestamp" in asked and esm_id in lambda_svc._esms:
            lambda_svc._esms[esm_id]["StartingPositionTimestamp"] = float(asked["StartingPositionTimestamp"])

    def create_by_api(asked: dict[str, Any]) -> Any:
        answer = create(with_default(asked))
        keep(json.loads(answer[2]).get("UUID", ""), asked)
        return answer

    def create_by_stack(logical_id: str, asked: dict[str, Any], stack: str) -> Any:
        answer = provision(logical_id, with_default(asked), stack)
        keep(answer[0], asked)
        return answer

    def respond_with_state(mapping: Mapping[str, Any]) -> dict[str, Any]:
        state = "Enabled" if kinesis_poller.is_true(mapping["Enabled"]) else "Disabled"
        return {**respond(mapping), "State": "Deleting" if mapping["State"] == "Deleting" else state}

    lambda_svc._create_esm = create_by_api
    lambda_svc._esm_response = respond_with_state
    provisioners._lambda_esm_create = create_by_stack  # for updates that replace the mapping
    provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]["create"] = create_by_stack


def correct_kinesis() -> None:
    """Expire records by looking at each shard's oldest one; they arrive in order."""
    from ministack.services import kinesis

    def expire(stream: Mapping[str, Any]) -> None:
        cutoff = time.time() - stream["RetentionPeriodHours"] * 3600
        for shard in stream["shards"].values():
            records = shard["records"]
            if records and records[0]["ApproximateArrivalTimestamp"] < cutoff:
                shard["records"] = records[bisect_left(records, cutoff, key=arrival) :]

    kinesis._expire_records = expire


def correct_worker() -> None:
    """Do not hold a silent function's answer back for 50 ms; a later line shows up with the next invocation."""
    from ministack.core import lambda_runtime

    drain = lambda_runtime.Worker._drain_stderr_bounded
    lambda_runtime.Worker._drain_stderr_bounded = lambda worker: drain(worker, first_line_wait=0.005)


def arrival(record: Mapping[str, Any]) -> float:
    """Return when a record arrived, in seconds."""
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
    """Gives every shard of every Kinesis mapping its own course; a failing one holds no other back."""

    shards: dict[tuple[str, str], Shard] = field(default_factory=dict)
    busy: set[tuple[str, str]] = field(default_factory=set)
    wake: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Take the place of ministack's own poller."""
        from ministack.services import lambda_svc

        lambda_svc._poll_kinesis = lambda: False
        threading.Thread(target=self.run, name="kinesis-poller", daemon=True).start()

    def run(self) -> None:
        """Look for due batches, for ever."""
        while True:
            self.wake.clear()
            try:
                self.look()
            except Exception:  # the emulator goes on serving, and the log says why nothing is delivered
                log.exception("the Kinesis poller failed, and tries again")
            self.wake.wait(IDLE)

    def look(self) -> None:
        """Start what is due, on a thread of its own for each shard."""
        sources = {source.key: source for source in kinesis_sources()}
        for gone in self.shards.keys() - sources.keys() - self.busy:
            del self.shards[gone]
        for key, source in sources.items():
            # Also while disabled: LATEST is the moment at which the mapping was made.
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
        except Exception:  # whatever it was, the records are delivered again
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
            function = lambda_svc._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))[0]
        for shard_id, shard in shards_of(mapping.get("EventSourceArn", "")):
            if function is not None:
                yield Source(mapping, function, shard_id, shard["records"], account, region)


def shards_of(arn: str) -> list[tuple[str, Any]]:
    """Return the shards of the active stream with this ARN: id and what the emulator keeps of it."""
    from ministack.services import kinesis

    service, region, account, resource = (arn.split(":", 5) + [""] * 6)[2:6]
    if service != "kinesis":
        return []
    stream = kinesis._streams.get_scoped(account, region, resource.removeprefix("stream/"))
    return list(stream["shards"].items()) if stream and stream["StreamStatus"] == "ACTIVE" else []


def deliver(source: Source, shard: Shard, batch: Batch) -> None:
    """Invoke the function with one batch, and do what its answer asks for."""
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
    from ministack.services import cloudwatch, lambda_svc

    records = lambda_svc._apply_filter_criteria(event_of(source, batch)["Records"], source.mapping)
    if not records:
        return Answer(len(batch.records))
    result = lambda_svc._execute_function(source.function, {"Records": records})
    if result.get("throttle"):
        return Answer(0, throttled=True)
    failed = bool(result.get("error"))
    age = max(0.0, time.time() - arrival(batch.records[-1])) * 1000
    name = {"FunctionName": source.mapping["FunctionName"]}
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", age, "Milliseconds", name)
    source.mapping["LastProcessingResult"] = "PROBLEM: Function call failed" if failed else "OK"
    if failed:
        log.warning("%s failed on %d records of %s", source.mapping["FunctionName"], len(records), source.shard_id)
    return Answer(0, error=True) if failed else kinesis_poller.read_answer(result.get("body"), batch, settings)


def event_of(source: Source, batch: Batch) -> dict[str, Any]:
    """Return the event that the function gets."""
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
    """Tell the mapping's on-failure destination what was given up; log it when that fails, as the records are gone."""
    target = ((source.mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    count = len(discard.batch.records)
    log.warning("%d records of %s given up: %s", count, source.shard_id, discard.condition)
    send = destinations().get(target.split(":")[2]) if target else None
    if target and send is None:
        log.error("no way to send to %s: SQS, SNS and S3 destinations are emulated", target)
    if send:
        send(target, invocation_record(source, discard), source, discard)


def invocation_record(source: Source, discard: Discard) -> dict[str, Any]:
    """Return the message for the destination. After a partial failure it names no functionError, unreached no response."""
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


type Send = Callable[[str, dict[str, Any], Source, Discard], Any]


def destinations() -> dict[str, Send]:
    """Return how to send to each kind of destination, through the emulator's own front door."""
    return {"sqs": send_to_queue, "sns": send_to_topic, "s3": send_to_bucket}


def send_to_queue(arn: str, message: dict[str, Any], source: Source, discard: Discard) -> None:
    """Send the metadata; the records themselves are not in it, on AWS neither."""
    account, queue = arn.split(":")[4:6]
    client("sqs", source).send_message(QueueUrl=f"{endpoint()}/{account}/{queue}", MessageBody=json.dumps(message))


def send_to_topic(arn: str, message: dict[str, Any], source: Source, discard: Discard) -> None:
    """Publish the metadata."""
    client("sns", source).publish(TopicArn=arn, Message=json.dumps(message))


def send_to_bucket(arn: str, message: dict[str, Any], source: Source, discard: Discard) -> None:
    """Write the metadata and the whole event, under the key that AWS documents."""
    now = datetime.now(UTC)
    key = f"aws/lambda/{source.mapping['UUID']}/{source.shard_id}/{now:%Y/%m/%d/%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    whole = {**message, "payload": json.dumps(event_of(source, discard.batch))}
    client("s3", source).put_object(Bucket=arn.split(":")[5], Key=key, Body=json.dumps(whole).encode())


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
    """Return where this emulator serves."""
    return f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}"


def iso(seconds: float) -> str:
    """Return a moment the way Lambda writes it: UTC, milliseconds, Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
