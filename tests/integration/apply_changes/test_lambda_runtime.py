"""The built function in the real Lambda runtime, as the template deploys it, and the runtime by itself."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import ROOT, Cloud
from lab.deploy import build, deploy
from lab.emulator.lambda_runtime import (
    MAX_EVENT,
    FunctionFailed,
    Invoke,
    RuntimeFailed,
    lambda_runtime,
    provided_packages,
)
from rowferry.change import Kind, Marker, RowChange, encode_change, encode_marker, encode_record
from rowferry.control_table import ControlTable, marker_key
from rowferry.position import Position
from tests.support.mappings import PURCHASE, purchase_of
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

EVENTS = sorted((ROOT / "events").glob("*.json"))
HANDLER = "apply_changes.app.handler"


@dataclass(frozen=True)
class Stack:
    """The deployed application: its outputs, and the environment that its function has."""

    outputs: Mapping[str, str]
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def artifact(built: Path) -> Path:
    return built.parent / "ApplyChangesFunction"


@pytest.fixture(scope="module")
def stack(cloud: Cloud, built: Path) -> Stack:
    cloud.reset()
    outputs = deploy(ROOT, built, cloud, "rowferry", {"MappingFile": "article.toml"})
    deployed = cloud.client("lambda").get_function_configuration(FunctionName=outputs["FunctionName"])
    return Stack(outputs, deployed["Environment"]["Variables"])


@pytest.fixture(scope="module")
def invoke(
    stack: Stack, cloud: Cloud, artifact: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Invoke]:
    environment = {**cloud.environment, **stack.environment}
    with lambda_runtime(artifact, HANDLER, environment, folder=tmp_path_factory.mktemp("runtime")) as running:
        yield running


def event(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return loaded


def members(cloud: Cloud, customer: str, order: str, table: str = "purchase") -> dict[str, Any]:
    """What a reader finds of an item besides its key and what is Rowferry's own."""
    key = {"customerid": {"S": customer}, "orderid": {"S": order}}
    item = cloud.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    return {name: value for name, value in item.items() if name not in key and not name.startswith("_")}


def put(cloud: Cloud, item: Mapping[str, Any]) -> None:
    cloud.client("dynamodb").put_item(TableName="purchase", Item=item)


# The deployed application


def test_a_deployed_switch_is_off(stack: Stack, cloud: Cloud) -> None:
    mapping = cloud.client("lambda").get_event_source_mapping(UUID=stack.outputs["EventSourceMappingId"])
    assert stack.outputs["SwitchState"] == "OFF"
    assert mapping["State"] == "Disabled"
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["EventSourceArn"] == stack.outputs["StreamArn"]


def test_nothing_but_the_artifact_and_what_lambda_provides_is_needed(artifact: Path, tmp_path: Path) -> None:
    paths = [str(artifact), str(provided_packages(tmp_path))]
    code = f"import sys; sys.path[:0] = {paths}; import apply_changes.app, rowferry; print(rowferry.__file__)"
    command = [sys.executable, "-S", "-I", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(artifact)


@pytest.mark.parametrize("file", EVENTS, ids=lambda file: file.stem)
def test_every_recorded_event_is_taken(invoke: Invoke, file: Path) -> None:
    assert invoke(json.loads(file.read_text())) == {"batchItemFailures": []}


def test_an_insert_makes_the_item(invoke: Invoke, cloud: Cloud) -> None:
    assert invoke(event("article-insert")) == {"batchItemFailures": []}
    assert members(cloud, "customeridA74187", "orderidA1") == {"productid1": {"N": "100"}}


def test_an_update_sets_the_member_and_leaves_the_others(invoke: Invoke, cloud: Cloud) -> None:
    key = {"customerid": {"S": "customerid74187"}, "orderid": {"S": "orderid1"}}
    put(cloud, {**key, "productid1": {"N": "1"}, "productid2": {"N": "7"}})
    assert invoke(event("article-update")) == {"batchItemFailures": []}
    assert members(cloud, "customerid74187", "orderid1") == {
        "productid1": {"N": "99"},
        "productid2": {"N": "7"},
    }


def test_a_delete_removes_the_member_and_leaves_the_others(invoke: Invoke, cloud: Cloud) -> None:
    key = {"customerid": {"S": "customerid74187"}, "orderid": {"S": "orderid100"}}
    put(cloud, {**key, "productid1": {"N": "1"}, "productid2": {"N": "7"}})
    assert invoke(event("article-delete")) == {"batchItemFailures": []}
    assert members(cloud, "customerid74187", "orderid100") == {"productid2": {"N": "7"}}


def test_deleting_the_last_member_leaves_nothing_to_read(invoke: Invoke, cloud: Cloud) -> None:
    key = {"customerid": {"S": "customerid74187"}, "orderid": {"S": "orderid100"}}
    put(cloud, {**key, "productid1": {"N": "1"}})
    assert invoke(event("article-delete")) == {"batchItemFailures": []}
    assert members(cloud, "customerid74187", "orderid100") == {}


ARTICLE = {
    "insert": b'{"table": "purchase_temp", "row": {"values": {"orderid": "orderidA1", "quantity": 100, '
    b'"customerid": "customeridA74187", "productid": "productid1"}}, "type": "WriteRowsEvent", '
    b'"schema": "test"}',
    "update": b'{"table": "purchase_temp", "row": {"before_values": {"orderid": "orderid1", "quantity": 1, '
    b'"customerid": "customerid74187", "productid": "productid1"}, "after_values": {"orderid": "orderid1", '
    b'"quantity": 99, "customerid": "customerid74187", "productid": "productid1"}}, '
    b'"type": "UpdateRowsEvent", "schema": "test"}',
    "delete": b'{"table": "purchase_temp", "row": {"values": {"orderid": "orderid100", "quantity": 1, '
    b'"customerid": "customerid74187", "productid": "productid1"}}, "type": "DeleteRowsEvent", '
    b'"schema": "test"}',
}


@pytest.mark.parametrize("name", ARTICLE)
def test_the_events_hold_the_article_s_lines_byte_for_byte(name: str) -> None:
    (record,) = event(f"article-{name}")["Records"]
    assert b64decode(record["kinesis"]["data"]) == ARTICLE[name]


def test_a_change_of_an_unknown_table_goes_to_the_quarantine(
    stack: Stack, cloud: Cloud, artifact: Path, tmp_path: Path
) -> None:
    environment = {**cloud.environment, **stack.environment, "MAPPING_FILE": "purchase.toml"}
    with lambda_runtime(artifact, HANDLER, environment, folder=tmp_path) as invoke:
        assert invoke(event("article-insert")) == {"batchItemFailures": []}
    sqs = cloud.client("sqs")
    message = sqs.receive_message(QueueUrl=stack.outputs["QuarantineUrl"])["Messages"][0]
    assert json.loads(message["Body"])["error"] == "UnknownTable"


# What cannot be applied now

TWO_TARGETS = PURCHASE + purchase_of("test.late", "late")


def insert(at: int, customer: str, product: str, table: str = "purchase") -> bytes:
    """A record of one change, in lane 3."""
    row = {"customerid": customer, "orderid": "o", "productid": product, "quantity": at}
    position = str(Position(1, 1, at, 1))
    change = RowChange("test", table, Kind.INSERT, None, row, position)
    return encode_record(3, 1, 1_000, [encode_change(change)])


def marker(name: str) -> bytes:
    return encode_marker(3, 1, 1_000, Marker(name, str(Position(1, 1, 999, 0))))


def batch(*data: bytes, first: int = 0) -> dict[str, Any]:
    """An event of these records; the number behind the shard's prefix is a record's place in it."""
    whole = event("article-insert")
    (sample,) = whole["Records"]
    return {
        "Records": [
            {
                **sample,
                "eventID": f"shardId-000000000007:{sequence_number(place)}",
                "kinesis": {
                    **sample["kinesis"],
                    "sequenceNumber": sequence_number(place),
                    "data": b64encode(each).decode(),
                },
            }
            for place, each in enumerate(data, first)
        ]
    }


ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/RowChangeStream"


def sequence_number(place: int) -> str:
    return f"4959033827149025660855969253836157109592157598913658{place:04}"


def failed(place: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": sequence_number(place)}]}


def applied(stack: Stack, cloud: Cloud, name: str) -> Any:
    """The lanes in which the marker is recorded as applied; None where it is not recorded."""
    control = ControlTable(cloud.client("dynamodb"), stack.environment["CONTROL_TABLE"])
    found = control.get(marker_key(name))
    assert not found or 6 * 86_400 < found["_ttl"] - time.time() < 8 * 86_400
    return found.get("applied")


def test_a_batch_is_reported_from_the_first_record_that_waits_for_its_table(
    stack: Stack, cloud: Cloud, artifact: Path, tmp_path: Path
) -> None:
    (tmp_path / "mapping.toml").write_text(TWO_TARGETS)
    environment = {**cloud.environment, **stack.environment, "MAPPING_FILE": str(tmp_path / "mapping.toml")}
    data = [
        insert(1, "waits", "before"),
        marker("waits-before"),
        insert(2, "waits", "late", table="late"),  # this target is not there yet
        marker("waits-behind"),
        insert(3, "waits", "late2", table="late"),
        insert(4, "waits-else", "behind"),
    ]
    with lambda_runtime(artifact, HANDLER, environment, folder=tmp_path) as invoke:
        assert invoke(batch(*data)) == failed(2)
        assert members(cloud, "waits", "o") == {"before": {"N": "1"}}
        assert applied(stack, cloud, "waits-before") == {3}
        assert applied(stack, cloud, "waits-behind") is None
        assert invoke(batch(*data[2:], first=2)) == failed(2)
        cloud.client("dynamodb").create_table(**like_purchase(cloud), TableName="late")
        assert invoke(batch(*data[2:], first=2)) == {"batchItemFailures": []}
    assert members(cloud, "waits", "o", "late") == {"late": {"N": "2"}, "late2": {"N": "3"}}
    assert members(cloud, "waits-else", "o") == {"behind": {"N": "4"}}
    assert applied(stack, cloud, "waits-behind") == {3}


def like_purchase(cloud: Cloud) -> dict[str, Any]:
    table = cloud.client("dynamodb").describe_table(TableName="purchase")["Table"]
    kept = {name: table[name] for name in ("AttributeDefinitions", "KeySchema")}
    return {**kept, "BillingMode": "PAY_PER_REQUEST"}


@pytest.mark.parametrize("unusable", [b"nonsense", insert(2, "unkept", "p", table="unknown")])
def test_a_batch_is_reported_from_the_first_record_that_the_quarantine_does_not_take(
    stack: Stack, cloud: Cloud, artifact: Path, tmp_path: Path, unusable: bytes
) -> None:
    (tmp_path / "mapping.toml").write_text(TWO_TARGETS)
    environment = {**cloud.environment, **stack.environment, "MAPPING_FILE": str(tmp_path / "mapping.toml")}
    queue = stack.outputs["QuarantineUrl"]
    cloud.client("sqs").purge_queue(QueueUrl=queue)
    name = f"unkept-{unusable[:4].hex()}"
    data = [insert(1, name, "before"), unusable, marker(name), insert(3, name, "behind")]
    nowhere = {**environment, "QUARANTINE_URL": f"{queue}-nowhere"}
    with lambda_runtime(artifact, HANDLER, nowhere, folder=tmp_path) as invoke:
        assert invoke(batch(*data)) == failed(1)
    assert members(cloud, name, "o")["before"] == {"N": "1"}
    assert applied(stack, cloud, name) is None
    with lambda_runtime(artifact, HANDLER, environment, folder=tmp_path) as invoke:
        assert invoke(batch(*data[1:], first=1)) == {"batchItemFailures": []}
    assert members(cloud, name, "o") == {"before": {"N": "1"}, "behind": {"N": "3"}}
    assert applied(stack, cloud, name) == {3}
    (message,) = cloud.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    place = json.loads(message["Body"])["record"]
    assert (place["shard"], place["sequence_number"]) == ("shardId-000000000007", sequence_number(1))
    assert (place["stream"], place["arrived"]) == (ARN, "2017-05-08T03:00:00+00:00")


# The runtime itself


def function(folder: Path, body: str) -> Path:
    """A built artifact of one file whose handler has this body."""
    artifact = folder / "artifact"
    artifact.mkdir()
    source = f"def handler(event, context):\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
    (artifact / "app.py").write_text(source)
    return artifact


def test_the_checkout_and_its_tools_are_out_of_reach(tmp_path: Path) -> None:
    body = """
        import importlib.util
        return [name for name in event["names"] if importlib.util.find_spec(name)]
    """
    names = ["rowferry", "apply_changes", "lab", "pytest", "yaml", "aws_lambda_powertools", "boto3", "json"]
    with lambda_runtime(function(tmp_path, body), "app.handler", {}, folder=tmp_path) as invoke:
        assert invoke({"names": names}) == ["boto3", "json"]


def test_the_environment_of_the_caller_stays_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_PASSWORD", "of the caller")
    body = "import os; return [os.environ.get(name) for name in ('SOURCE_PASSWORD', 'LOG_LEVEL')]"
    with lambda_runtime(
        function(tmp_path, body), "app.handler", {"LOG_LEVEL": "DEBUG"}, folder=tmp_path
    ) as invoke:
        assert invoke({}) == [None, "DEBUG"]


def test_a_package_that_the_build_left_out_is_missed(artifact: Path, tmp_path: Path) -> None:
    incomplete = tmp_path / "incomplete"
    shutil.copytree(artifact, incomplete, ignore=shutil.ignore_patterns("rowferry"))
    with (
        lambda_runtime(incomplete, HANDLER, {}, folder=tmp_path) as invoke,
        pytest.raises(FunctionFailed, match="No module named 'rowferry'") as failed,
    ):
        invoke({})
    assert failed.value.kind == "Runtime.ImportModuleError"


def test_an_error_is_raised_and_the_next_event_is_served(tmp_path: Path) -> None:
    body = """
        if event["fails"]:
            raise KeyError("no such thing")
        return "served"
    """
    with lambda_runtime(function(tmp_path, body), "app.handler", {}, folder=tmp_path) as invoke:
        with pytest.raises(FunctionFailed, match="KeyError: 'no such thing'"):
            invoke({"fails": True})
        assert invoke({"fails": False}) == "served"


def test_an_invocation_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    body = "import time; time.sleep(event['seconds']); return 'slept'"
    environment = {"AWS_LAMBDA_FUNCTION_TIMEOUT": "5"}
    with lambda_runtime(function(tmp_path, body), "app.handler", environment, folder=tmp_path) as invoke:
        with pytest.raises(FunctionFailed, match="timed out after 5") as failed:
            invoke({"seconds": 10_000})
        assert failed.value.kind == "Timeout"
        assert invoke({"seconds": 0}) == "slept"


def test_events_of_many_threads_are_served_one_after_another(tmp_path: Path) -> None:
    answers: list[int] = []
    with lambda_runtime(
        function(tmp_path, "return event['n']"), "app.handler", {}, folder=tmp_path
    ) as invoke:
        threads = [threading.Thread(target=lambda n=n: answers.append(invoke({"n": n}))) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(answers) == list(range(20))


def test_events_up_to_lambda_s_limit_pass(tmp_path: Path) -> None:
    with lambda_runtime(
        function(tmp_path, "return len(event['x'])"), "app.handler", {}, folder=tmp_path
    ) as invoke:
        size = MAX_EVENT - len('{"x": ""}')
        assert invoke({"x": "x" * size}) == size
        with pytest.raises(ValueError, match="send fewer records"):
            invoke({"x": "x" * (size + 1)})


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeFailed, match=r"nowhere is not a folder: run `sam build`"),
        lambda_runtime(tmp_path / "nowhere", HANDLER, {}, folder=tmp_path),
    ):
        pass


def test_it_listens_on_loopback_only(tmp_path: Path) -> None:
    with lambda_runtime(function(tmp_path, "return 1"), "app.handler", {}, folder=tmp_path) as invoke:
        invoke({})
        rows = [row.split() for table in ("tcp", "tcp6") for row in listening(table)]
        addresses = [row[1].split(":")[0] for row in rows if int(row[1].split(":")[1], 16) == invoke.port]
    assert addresses == ["0100007F"]  # 127.0.0.1


def listening(table: str) -> list[str]:
    rows = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    return [row for row in rows if row.split()[3] == "0A"]


def test_nothing_is_left_when_the_command_is_killed_in_the_middle_of_an_invocation(tmp_path: Path) -> None:
    body = f"""
        import os, pathlib, time
        pathlib.Path({str(tmp_path / "pids")!r}).write_text(f"{{os.getpid()}} {{os.getppid()}}")
        time.sleep(10_000)
    """
    code = f"""if True:
        from pathlib import Path
        from lab.emulator.lambda_runtime import lambda_runtime
        folder = Path({str(tmp_path)!r})
        with lambda_runtime(folder / "artifact", "app.handler", {{}}, folder=folder) as invoke:
            invoke({{}})
    """
    function(tmp_path, body)
    command = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    try:
        pids = wait_for(lambda: pids_in(tmp_path / "pids"))
        assert all(running(pid) for pid in pids)
    finally:
        os.kill(command.pid, signal.SIGKILL)
        command.wait()
    wait_for(lambda: not any(running(pid) for pid in pids))


def pids_in(file: Path) -> list[int]:
    """Both, once they are there."""
    words = file.read_text().split() if file.exists() else []
    return [int(pid) for pid in words] if len(words) == 2 else []


def running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
