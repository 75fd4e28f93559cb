"""
The emulated AWS does what AWS documents where the rehearsal relies on it: event source mappings above all.

Each test runs a real function, whose answers a file decides, and judges by the calls that the function noted.
"""

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.cloud import MINISTACK_PYTHON, ROOT, Cloud
from lab.deploy import DeployFailed, build, delete, deploy
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

FUNCTION = """
import base64, json, os, pathlib, time

folder = pathlib.Path(os.environ["FOLDER"])

def handler(event, context):
    rules = json.loads((folder / "rules.json").read_text())
    records = event["Records"]
    texts = [base64.b64decode(r["kinesis"]["data"]).decode()[:40] for r in records]
    raises = any(text in rules.get("raises", []) for text in texts)
    failed = [place for place, text in enumerate(texts) if text in rules.get("reports", [])]
    done = 0 if raises else min(failed, default=len(texts))
    call = {"texts": texts, "done": done, "event": records[0], "pid": os.getpid()}
    with (folder / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(call) + "\\n")
    if raises:
        raise ValueError("asked to fail")
    while any(text in json.loads((folder / "rules.json").read_text()).get("holds", []) for text in texts):
        time.sleep(0.01)
    names = [records[place]["kinesis"]["sequenceNumber"] for place in failed]
    return rules.get("returns", {"batchItemFailures": [{"itemIdentifier": name} for name in names]})
"""


def archive(source: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr("app.py", source)
    return packed.getvalue()


@dataclass
class Consumer:
    """A stream of two shards, a function, and the mapping between them."""

    cloud: Cloud
    folder: Path
    mapping: str = ""

    def make(self, source: str) -> None:
        self.cloud.client("kinesis").create_stream(StreamName="changes", ShardCount=2)
        self.cloud.client("lambda").create_function(
            FunctionName="apply",
            Runtime="python3.13",
            Role="arn:aws:iam::000000000000:role/apply",
            Handler="app.handler",
            Code={"ZipFile": archive(source)},
            Environment={"Variables": {"FOLDER": str(self.folder)}},
            Timeout=100,
        )

    def rules(self, **rules: Any) -> None:
        new = self.folder / "rules.new"
        new.write_text(json.dumps(rules))
        new.replace(self.folder / "rules.json")

    def put(self, *texts: str, shard: int = 0) -> list[str]:
        """Put records on one shard; return their sequence numbers."""
        place = {"PartitionKey": "key", "ExplicitHashKey": str(shard << 127)}
        records = [{"Data": text.encode(), **place} for text in texts]
        answer = self.cloud.client("kinesis").put_records(StreamName="changes", Records=records)
        return [record["SequenceNumber"] for record in answer["Records"]]

    def map(self, enabled: bool = True, **settings: Any) -> None:
        asked = {
            "FunctionName": "apply",
            "EventSourceArn": "arn:aws:kinesis:us-east-1:000000000000:stream/changes",
            "Enabled": enabled,
            "StartingPosition": "TRIM_HORIZON",
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
        }
        created = self.cloud.client("lambda").create_event_source_mapping(**{**asked, **settings})
        self.mapping = created["UUID"]

    def switch(self, enabled: bool) -> None:
        self.cloud.client("lambda").update_event_source_mapping(UUID=self.mapping, Enabled=enabled)

    def state(self) -> str:
        mapping = self.cloud.client("lambda").get_event_source_mapping(UUID=self.mapping)
        return str(mapping["State"])

    def calls(self) -> list[dict[str, Any]]:
        file = self.folder / "calls.jsonl"
        # The last line may be half written.
        return [json.loads(line) for line in file.read_text().split("\n")[:-1]] if file.exists() else []

    def deliveries(self) -> list[list[str]]:
        return [call["texts"] for call in self.calls()]

    def applied(self, shard: int | None = None) -> list[str]:
        """What the function said it had done, in order."""
        of = "" if shard is None else f"shardId-{shard:012d}:"
        wanted = [call for call in self.calls() if call["event"]["eventID"].startswith(of)]
        return [text for call in wanted for text in call["texts"][: call["done"]]]

    def until_applied(self, *texts: str, shard: int | None = None) -> None:
        wait_for(lambda: len(self.applied(shard)) >= len(texts))
        assert self.applied(shard) == list(texts)


@pytest.fixture
def consumer(fresh_cloud: Cloud, tmp_path: Path) -> Iterator[Consumer]:
    made = Consumer(fresh_cloud, tmp_path)
    made.rules()
    made.make(FUNCTION)
    yield made
    fresh_cloud.reset()


def dead_letters(aws: Cloud) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
    """Make a queue; return its ARN and what reads everything that has arrived in it."""
    sqs = aws.client("sqs")
    url = sqs.create_queue(QueueName="discarded")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    seen: list[dict[str, Any]] = []

    def read() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        seen.extend(json.loads(message["Body"]) for message in messages)
        return seen

    return arn, read


def test_a_mapping_created_disabled_delivers_nothing_and_says_so(consumer: Consumer) -> None:
    consumer.map(enabled=False)
    consumer.put("a")
    time.sleep(0.5)
    assert consumer.calls() == []
    state = consumer.cloud.client("lambda").get_event_source_mapping(UUID=consumer.mapping)
    assert (state["State"], state["BatchSize"]) == ("Disabled", 100)


def test_trim_horizon_delivers_everything_in_order_per_shard(consumer: Consumer) -> None:
    consumer.map(enabled=False, BatchSize=7)
    first = [f"first-{i}" for i in range(50)]
    second = [f"second-{i}" for i in range(50)]
    consumer.put(*first)
    consumer.put(*second, shard=1)
    consumer.switch(True)
    consumer.until_applied(*first, shard=0)
    consumer.until_applied(*second, shard=1)
    assert max(len(texts) for texts in consumer.deliveries()) == 7


def test_an_event_has_the_fields_that_lambda_documents(consumer: Consumer) -> None:
    (number,) = consumer.put("a")
    consumer.map()
    consumer.until_applied("a")
    event = consumer.calls()[0]["event"]
    assert event["kinesis"].pop("approximateArrivalTimestamp") == pytest.approx(time.time(), abs=60)
    assert event == {
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "key",
            "sequenceNumber": number,
            "data": "YQ==",
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": f"shardId-000000000000:{number}",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/apply",
        "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/changes",
    }


def test_latest_begins_when_the_mapping_is_made_even_if_disabled(consumer: Consumer) -> None:
    consumer.put("before")
    consumer.map(enabled=False, StartingPosition="LATEST")
    time.sleep(0.3)
    consumer.put("after")
    consumer.switch(True)
    consumer.until_applied("after")


def test_at_timestamp_begins_there(consumer: Consumer) -> None:
    consumer.put("before")
    time.sleep(0.05)
    moment = time.time()
    consumer.put("after")
    consumer.map(StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=moment)
    consumer.until_applied("after")


def test_a_partial_failure_delivers_again_from_the_named_record_and_loses_nothing(consumer: Consumer) -> None:
    consumer.rules(reports=["c"])
    consumer.put(*"abcde")
    consumer.map()
    wait_for(lambda: len(consumer.calls()) >= 2)
    assert consumer.deliveries()[:2] == [list("abcde"), list("cde")]
    consumer.rules()
    consumer.until_applied(*"abcde")


def test_of_several_named_records_the_lowest_counts(consumer: Consumer) -> None:
    consumer.rules(reports=["d", "b"])
    consumer.put(*"abcde")
    consumer.map()
    wait_for(lambda: len(consumer.calls()) >= 2)
    assert consumer.deliveries()[1] == list("bcde")


def test_partial_answers_are_ignored_unless_the_mapping_asks_for_them(consumer: Consumer) -> None:
    consumer.rules(reports=["a"])
    consumer.put("a")
    consumer.map(FunctionResponseTypes=[])
    wait_for(consumer.calls)
    time.sleep(0.5)
    assert len(consumer.calls()) == 1


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_answer_is_success(consumer: Consumer, answer: Any) -> None:
    consumer.rules(returns=answer)
    consumer.put("a")
    consumer.map()
    wait_for(consumer.calls)
    time.sleep(0.4)
    assert consumer.deliveries() == [["a"]]


@pytest.mark.parametrize("name", ["", None, "unknown"])
def test_a_malformed_name_fails_the_whole_batch(consumer: Consumer, name: str | None) -> None:
    consumer.rules(returns={"batchItemFailures": [{"itemIdentifier": name}]})
    consumer.put("a", "b")
    consumer.map()
    wait_for(lambda: len(consumer.calls()) >= 2)
    assert consumer.deliveries()[:2] == [["a", "b"], ["a", "b"]]


def test_a_function_error_is_retried_until_it_passes(consumer: Consumer) -> None:
    consumer.rules(raises=["b"])
    consumer.put("a", "b", "c")
    consumer.map(BatchSize=3)
    wait_for(lambda: len(consumer.calls()) >= 3)
    consumer.put("d")
    assert {tuple(texts) for texts in consumer.deliveries()} == {("a", "b", "c")}
    consumer.rules()
    consumer.until_applied("a", "b", "c", "d")


def test_bisecting_isolates_the_poison_which_the_queue_gets(consumer: Consumer) -> None:
    queue, arrived = dead_letters(consumer.cloud)
    consumer.rules(raises=["e"])
    numbers = consumer.put(*"abcdefgh")
    consumer.map(
        BisectBatchOnFunctionError=True,
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    consumer.until_applied(*"abcdfgh")
    (message,) = wait_for(arrived)
    info = message["KinesisBatchInfo"]
    assert (info["startSequenceNumber"], info["endSequenceNumber"]) == (numbers[4], numbers[4])
    assert info["batchSize"] == 1
    assert (info["shardId"], info["streamArn"][-7:]) == ("shardId-000000000000", "changes")
    assert message["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert message["responseContext"]["functionError"] == "Unhandled"
    assert "payload" not in message


def test_a_bucket_gets_what_was_given_up_with_the_whole_event(consumer: Consumer) -> None:
    s3 = consumer.cloud.client("s3")
    s3.create_bucket(Bucket="discarded")
    consumer.rules(reports=["b"])
    consumer.put("a", "b", "c")
    consumer.map(
        MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::discarded"}}
    )
    (found,) = wait_for(lambda: s3.list_objects_v2(Bucket="discarded").get("Contents"))
    assert re.fullmatch(rf"aws/lambda/{consumer.mapping}/shardId-0+/\d{{4}}/\d\d/\d\d/[^/]+", found["Key"])
    written = json.loads(s3.get_object(Bucket="discarded", Key=found["Key"])["Body"].read())
    assert [r["kinesis"]["data"] for r in json.loads(written["payload"])["Records"]] == ["Yg==", "Yw=="]
    consumer.put("d")
    consumer.until_applied("a", "d")


def test_records_beyond_the_maximum_age_are_given_up_unseen(consumer: Consumer) -> None:
    queue, arrived = dead_letters(consumer.cloud)
    consumer.put("old")
    time.sleep(1.2)
    # AWS takes 60 s at least; the emulator checks no bounds, which keeps this test short.
    consumer.map(MaximumRecordAgeInSeconds=1, DestinationConfig={"OnFailure": {"Destination": queue}})
    (message,) = wait_for(arrived)
    assert message["requestContext"]["condition"] == "RecordAgeExceeded"
    assert "responseContext" not in message
    consumer.cloud.client("lambda").update_event_source_mapping(
        UUID=consumer.mapping, MaximumRecordAgeInSeconds=600
    )
    consumer.put("new")
    consumer.until_applied("new")


def test_a_missing_destination_stops_nothing(consumer: Consumer) -> None:
    consumer.rules(raises=["a"])
    consumer.put("a")
    gone = "arn:aws:sqs:us-east-1:000000000000:not-there"
    consumer.map(MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": gone}})
    wait_for(consumer.calls)
    consumer.put("b")
    consumer.until_applied("b")
    assert f"records of shardId-000000000000 are lost, {gone}" in consumer.cloud.log.read_text()


def test_a_throttled_function_costs_no_retry(consumer: Consumer) -> None:
    functions = consumer.cloud.client("lambda")
    functions.put_function_concurrency(FunctionName="apply", ReservedConcurrentExecutions=0)
    consumer.put("a")
    consumer.map(MaximumRetryAttempts=0)
    time.sleep(0.5)
    assert consumer.calls() == []
    functions.delete_function_concurrency(FunctionName="apply")
    consumer.until_applied("a")


def test_what_a_filter_drops_counts_as_done(consumer: Consumer) -> None:
    consumer.put('{"keep": 0, "n": 1}', '{"keep": 1, "n": 2}', "no json", '{"keep": 1, "n": 3}')
    consumer.map(FilterCriteria={"Filters": [{"Pattern": '{"data": {"keep": [1]}}'}]})
    consumer.until_applied('{"keep": 1, "n": 2}', '{"keep": 1, "n": 3}')


def test_disabling_stops_at_once_and_enabling_resumes_at_the_saved_place(consumer: Consumer) -> None:
    texts = [f"{i}" for i in range(300)]
    consumer.rules(holds=["5"])
    consumer.put(*texts)
    consumer.map(BatchSize=1)
    wait_for(lambda: ["5"] in consumer.deliveries())
    consumer.switch(False)
    consumer.rules()  # what is in flight may end
    time.sleep(0.5)
    assert consumer.deliveries() == [[f"{i}"] for i in range(6)]
    consumer.cloud.client("lambda").update_event_source_mapping(UUID=consumer.mapping, BatchSize=100)
    consumer.switch(True)
    consumer.until_applied(*texts)


def test_disabling_during_retries_loses_nothing(consumer: Consumer) -> None:
    consumer.rules(reports=["b"])
    consumer.put("a", "b", "c")
    consumer.map()
    wait_for(lambda: len(consumer.calls()) >= 2)
    consumer.switch(False)
    consumer.rules()
    time.sleep(0.3)
    consumer.switch(True)
    consumer.until_applied("a", "b", "c")


def test_a_failing_shard_holds_no_other_back(consumer: Consumer) -> None:
    consumer.rules(raises=["poison"])
    consumer.put("poison")
    consumer.map()
    wait_for(lambda: len(consumer.calls()) >= 2)
    for i in range(5):
        consumer.put(f"{i}", shard=1)
        wait_for(lambda count=i: len(consumer.applied(1)) > count)
    assert consumer.applied(0) == []


def test_an_invocation_that_does_not_end_holds_no_other_shard_back(consumer: Consumer) -> None:
    consumer.rules(holds=["endless"])
    consumer.put("endless")
    consumer.map()
    wait_for(consumer.calls)
    consumer.put("a", shard=1)
    consumer.until_applied("a", shard=1)
    assert len(consumer.calls()) == 2
    consumer.rules()


def test_shards_are_served_at_the_same_time_by_separate_processes(consumer: Consumer) -> None:
    consumer.rules()
    consumer.map(enabled=False, BatchSize=1)
    for shard in (0, 1):
        consumer.put(*(f"{i}" for i in range(100)), shard=shard)
    consumer.switch(True)
    wait_for(lambda: len(consumer.calls()) == 200)
    assert len({call["pid"] for call in consumer.calls()}) == 2


def test_the_window_gathers_records_into_one_batch(consumer: Consumer) -> None:
    """Until it is full: the window does not end before."""
    consumer.map(MaximumBatchingWindowInSeconds=300, BatchSize=3)
    for text in "abc":
        consumer.put(text)
        time.sleep(0.1)
    consumer.until_applied("a", "b", "c")
    assert consumer.deliveries() == [["a", "b", "c"]]


def test_a_batch_that_is_not_full_is_delivered_at_the_end_of_its_window(consumer: Consumer) -> None:
    consumer.map(MaximumBatchingWindowInSeconds=1, BatchSize=10)
    began = time.monotonic()
    consumer.put("a")
    consumer.until_applied("a")
    assert time.monotonic() - began >= 1


def test_a_batch_stays_within_the_payload_of_an_invocation(consumer: Consumer) -> None:
    for i in range(12):
        consumer.put(f"{i:<900000}")
    consumer.map()
    wait_for(lambda: len(consumer.applied()) == 12)
    assert max(len(texts) for texts in consumer.deliveries()) == 5  # 5 times 1.2 MB of base64 fit into 6 MiB


def test_large_batches_keep_order(consumer: Consumer) -> None:
    texts = [f"{i}" for i in range(6000)]
    for start in range(0, len(texts), 500):
        consumer.put(*texts[start : start + 500])
    consumer.map(BatchSize=10000)
    consumer.until_applied(*texts)
    assert len(consumer.calls()) <= 2


TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Switch: {Type: String, Default: "OFF", AllowedValues: ["ON", "OFF"]}
  Note: {Type: String, Default: none}
Conditions:
  SwitchIsOn: !Equals [!Ref Switch, "ON"]
Resources:
  Changes:
    Type: AWS::Kinesis::Stream
    Properties: {Name: switched, ShardCount: 1}
  Apply:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      InlineCode: "def handler(event, context): return {}"
      Events:
        Change:
          Type: Kinesis
          Properties:
            Stream: !GetAtt Changes.Arn
            StartingPosition: TRIM_HORIZON
            Enabled: !If [SwitchIsOn, true, false]
Outputs:
  Mapping: {Value: !Ref ApplyChange}
  Note: {Value: !Ref Note}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A SAM application in a folder with a blank in its name."""
    root = tmp_path / "an application"
    (root / "functions").mkdir(parents=True)
    (root / "functions/index.py").write_text("def handler(event, context): return {}")
    (root / "functions/requirements.txt").write_text("")
    inline = 'InlineCode: "def handler(event, context): return {}"'
    assert inline in TEMPLATE
    (root / "template.yaml").write_text(TEMPLATE.replace(inline, "CodeUri: functions/"))
    return root


def flip(aws: Cloud, stack: str, switch: str) -> None:
    """Change one parameter as on AWS, where a template with a transform needs both capabilities again."""
    stacks = aws.client("cloudformation")
    stacks.update_stack(
        StackName=stack,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": "Switch", "ParameterValue": switch},
            {"ParameterKey": "Note", "UsePreviousValue": True},
        ],
    )
    stacks.get_waiter("stack_update_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def test_sam_deploys_and_the_stack_parameter_flips_the_switch(fresh_cloud: Cloud, project: Path) -> None:
    built = build(project, project / "out")
    note = r'two "words" = a\b, c'
    outputs = deploy(project, built, fresh_cloud, "app", {"Note": note, "Switch": "OFF"})
    assert outputs["Note"] == note
    consumer = Consumer(fresh_cloud, project, mapping=outputs["Mapping"])
    assert consumer.state() == "Disabled"
    flip(fresh_cloud, "app", "ON")
    assert consumer.state() == "Enabled"
    assert deploy(project, built, fresh_cloud, "app", {}) == outputs
    assert consumer.state() == "Enabled"
    flip(fresh_cloud, "app", "OFF")
    assert consumer.state() == "Disabled"
    delete(project, fresh_cloud, "app")
    assert fresh_cloud.client("kinesis").list_streams()["StreamNames"] == []


def test_a_failed_deploy_shows_what_sam_said(fresh_cloud: Cloud, project: Path) -> None:
    built = build(project, project / "out")
    with pytest.raises(DeployFailed, match=r"sam deploy failed with status 1[\s\S]*Switch"):
        deploy(project, built, fresh_cloud, "app", {"Switch": "MAYBE"})


def test_reset_empties_the_cloud(consumer: Consumer) -> None:
    consumer.put("a")
    consumer.map()
    consumer.until_applied("a")
    consumer.cloud.reset()
    assert consumer.cloud.client("kinesis").list_streams()["StreamNames"] == []
    with pytest.raises(ClientError, match="ResourceNotFound"):
        consumer.cloud.client("lambda").get_event_source_mapping(UUID=consumer.mapping)


def test_another_ministack_is_refused_with_the_fix(tmp_path: Path) -> None:
    fake = tmp_path / "ministack-9.9.9.dist-info"
    fake.mkdir()
    (fake / "METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")
    refused = subprocess.run(
        [MINISTACK_PYTHON, "-m", "lab.emulator.cloud_launcher", str(os.getpid())],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1
    assert "ministack is 9.9.9, 1.5.33 is needed" in refused.stderr
    assert "make setup" in refused.stderr


SLOW = """
import os, pathlib, time
def handler(event, context):
    pathlib.Path(os.environ["FOLDER"], "pid").write_text(str(os.getpid()))
    time.sleep(10_000)
"""

OWNER = """
import pathlib, sys, time
from lab.cloud import cloud
from tests.integration.lab.test_cloud import SLOW, Consumer

folder = pathlib.Path(sys.argv[1])
with cloud(folder / "cloud") as aws:
    consumer = Consumer(aws, folder)
    consumer.make(SLOW)
    consumer.put("a")
    consumer.map()
    time.sleep(10_000)
"""


def test_killing_the_owner_ends_the_cloud_and_a_function_that_runs(tmp_path: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT)
    try:
        note = tmp_path / "pid"
        group = os.getpgid(int(wait_for(lambda: note.exists() and note.read_text())))
        assert group != os.getpgid(owner.pid)
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    wait_for(lambda: not living(group))


def living(group: int) -> list[str]:
    """Return the states of a group's processes but zombies, whom only init collects."""
    states = []
    for process in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it may have just ended
            state, _, of = process.read_text().rpartition(")")[2].split()[:3]
            states += [state] if int(of) == group and state != "Z" else []
    return states
