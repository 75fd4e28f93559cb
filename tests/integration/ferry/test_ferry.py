"""The operator's command against a real MySQL and an emulated cloud, as it is typed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bulkload.throttle.limits import Limits
from ferry import cli, consumer_switch, markers
from ferry.commands import verify
from ferry.context import Stack, find_stack
from ferry.status.lag import lag_bytes, lag_seconds
from lab.cloud import Cloud
from lab.database import Server
from rowferry.control_table import (
    APPLIED,
    CHECKPOINT,
    LEASE,
    LOADER,
    MARKER,
    VERIFIED,
    chunks_of,
    load_key,
    marker_key,
)
from rowferry.errors import Refused
from rowferry.mysql import snapshot
from rowferry.mysql.server import identify
from rowferry.position import BinlogOffset
from tests.support.move_bed import Bed, make_bed
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Bed:
    made = make_bed(mysql, fresh_cloud)
    for name in [name for name in os.environ if name.startswith(("AWS_", "ROWFERRY_"))]:
        monkeypatch.delenv(name)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE")  # the fixture's boto3 session read its configuration before
    return made


def fill(bed: Bed, orders: int = 100) -> None:
    bed.fill([(f"c{n // 20}", f"o{n // 5}", f"p{n % 5}", n) for n in range(orders * 5)])


type Ferry = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ferry(capfd: pytest.CaptureFixture[str]) -> Ferry:
    def run(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        exit_status = cli.main(arguments)
        return exit_status, *capfd.readouterr()

    return run


# load


def test_load_says_what_it_did_and_that_there_is_nothing_more_to_do(bed: Bed, ferry: Ferry) -> None:
    fill(bed)
    exit_status, out, err = ferry("load", "--chunk-rows", "50")
    assert exit_status == 0, err
    assert out == "test.purchase: 500 rows read, 100 items in purchase; done\n"
    exit_status, out, _ = ferry("load", "--json")
    assert exit_status == 0
    assert json.loads(out) == [
        {
            "source": "test.purchase",
            "target": "purchase",
            "state": "done",
            "chunks": 11,
            "rows": 500,
            "items": 100,
            "unusable": 0,
            "nothing_to_do": True,
        }
    ]


def test_load_names_unusable_rows_by_hash_on_the_screen_and_by_key_in_the_file(
    bed: Bed, ferry: Ferry, tmp_path: Path
) -> None:
    fill(bed)
    bed.fill([("secret-customer", "", f"p{n}", 1) for n in range(12)])
    exit_status, out, err = ferry("load", "--unusable-file", str(tmp_path / "unusable.jsonl"))
    assert exit_status == 1
    assert "12 rows unusable; NOT done" in out and "--accept-unusable" in err
    assert "secret" not in out + err
    listed = [json.loads(line) for line in (tmp_path / "unusable.jsonl").read_text().splitlines()]
    assert len(listed) == 12 and listed[0]["key"]["customerid"] == "secret-customer"
    assert err.count("unusable: test.purchase key ") == 10
    assert listed[0]["hash"] in err
    assert ferry("switch", "on")[0] == 2
    assert ferry("load", "--accept-unusable")[0] == 0


def test_errors_are_one_line_that_ends_in_the_fix(
    bed: Bed, ferry: Ferry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str) -> str:
        exit_status, out, err = ferry(*arguments)
        assert (exit_status, out, err.count("\n")) == (2, "", 1)
        assert err.startswith("error: ")
        return err

    assert "there is no stack other" in refused("load", "--stack", "other")
    assert "name an existing mapping file" in refused("load", "--mapping", "/nowhere.toml")
    assert "check --source" in refused("load", "--source", "mysql://nobody@127.0.0.1:1")
    assert "Access denied" in refused("load", "--source", f"mysql://nobody@127.0.0.1:{bed.address.port}")
    assert "contains a password" in refused("verify", "--at-rest", "--source", "mysql://me:secret@127.0.0.1")
    assert "the switch is OFF" in refused("drain")
    bed.dynamodb.delete_table(TableName="purchase")
    assert "there is no DynamoDB table purchase" in refused("load")
    assert "check the permissions" in refused("verify", "--at-rest")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    assert "AWS cannot be reached" in refused("status")


def test_the_password_comes_from_a_file(
    bed: Bed, ferry: Ferry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text(bed.address.password + "\n")
    monkeypatch.delenv("ROWFERRY_SOURCE_PASSWORD")
    assert ferry("load")[0] == 2
    assert ferry("load", "--password-file", str(tmp_path / "password"))[0] == 0


# switch


def test_the_switch_goes_on_and_off_and_keeps_every_other_parameter(bed: Bed, ferry: Ferry) -> None:
    fill(bed)
    assert ferry("load")[0] == 0
    formation = bed.cloud.client("cloudformation")
    mapping = find_stack(formation, "rowferry").output("EventSourceMappingId")
    for to, state in (("on", "Enabled"), ("off", "Disabled")):
        exit_status, out, err = ferry("switch", to)
        assert (exit_status, out) == (0, f"switch is {to.upper()}\n"), err
        assert bed.cloud.client("lambda").get_event_source_mapping(UUID=mapping)["State"] == state
        stack = find_stack(formation, "rowferry")
        assert stack.parameters == {"Switch": to.upper(), "MappingFile": "purchase.toml"}
        assert ferry("switch", to)[1] == f"switch is {to.upper()}, as it was\n"


def test_on_is_refused_until_every_load_is_done(bed: Bed) -> None:
    sources = ["test.purchase"]
    with pytest.raises(Refused, match=r"the load of test.purchase has not begun"):
        consumer_switch.require_load(bed.control, sources)
    bed.control.put(load_key("test.purchase"), {"state": "loading", "epoch": 1})
    with pytest.raises(Refused, match=r"the load of test.purchase is not done"):
        consumer_switch.require_load(bed.control, sources)
    bed.control.put(load_key("test.purchase"), {"state": "done", "epoch": 1})
    consumer_switch.require_load(bed.control, sources)
    with pytest.raises(Refused, match=r"the load of test.single has not begun"):
        consumer_switch.require_load(bed.control, [*sources, "test.single"])
    with pytest.raises(Refused, match=r"does not capture test.other: deploy the capturer"):
        consumer_switch.require_load(bed.control, [*sources, "test.other"])
    bed.capture(epoch=2)
    with pytest.raises(Refused, match=r"test.purchase was done before capture was reset"):
        consumer_switch.require_load(bed.control, sources)
    bed.dynamodb.delete_item(TableName=bed.control.name, Key={"pk": {"S": CHECKPOINT}})
    with pytest.raises(Refused, match=r"no capturer has run yet"):
        consumer_switch.require_load(bed.control, sources)


class Formation:
    """CloudFormation whose stack passes through `statuses`."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.updates: list[dict[str, Any]] = []

    def update_stack(self, **arguments: Any) -> None:
        self.updates.append(arguments)

    def describe_stacks(self, **_: Any) -> Any:
        return {"Stacks": [{"StackStatus": self.statuses.pop(0)}]}


class Functions:
    def __init__(self, *states: str) -> None:
        self.states = list(states)

    def get_event_source_mapping(self, **_: Any) -> Any:
        return {"State": self.states.pop(0)}


def stack(state: str = "UPDATE_COMPLETE") -> Stack:
    return Stack("s", state, {"EventSourceMappingId": "m"}, {"Switch": "OFF", "A": "1"})


def turn(formation: Formation, functions: Functions, stack: Stack) -> bool:
    now = iter(range(0, 10_000, 100))
    return consumer_switch.turn(
        formation, functions, stack, "ON", lambda _: None, lambda _: None, lambda: next(now)
    )


def test_the_switch_waits_for_the_stack_and_for_the_event_source_mapping() -> None:
    formation = Formation("UPDATE_IN_PROGRESS", "UPDATE_COMPLETE")
    functions = Functions("Disabled", "Enabling", "Enabled")
    assert turn(formation, functions, stack())
    assert formation.statuses == functions.states == []
    (update,) = formation.updates
    assert update["UsePreviousTemplate"]
    assert update["Parameters"] == [
        {"ParameterKey": "A", "UsePreviousValue": True},
        {"ParameterKey": "Switch", "ParameterValue": "ON"},
    ]


@pytest.mark.parametrize(
    ("formation", "functions", "found", "why"),
    [
        (Formation(), Functions(), stack("UPDATE_IN_PROGRESS"), "s is UPDATE_IN_PROGRESS: wait"),
        (Formation("UPDATE_ROLLBACK_COMPLETE"), Functions(), stack(), "failed .UPDATE_ROLLBACK_COMPLETE."),
        (
            Formation(*["UPDATE_IN_PROGRESS"] * 20),
            Functions(),
            stack(),
            "after 900 s stack s is UPDATE_IN_PROGRESS",
        ),
        (
            Formation("UPDATE_COMPLETE"),
            Functions(*["Enabling"] * 20),
            stack(),
            "mapping is Enabling, not Enabled",
        ),
    ],
)
def test_a_switch_that_does_not_turn_is_an_error(
    formation: Formation, functions: Functions, found: Stack, why: str
) -> None:
    with pytest.raises(Refused, match=why):
        turn(formation, functions, found)


# drain


class Lanes:
    """Stands for capturer and consumer, one step each time that drain pauses."""

    def __init__(self, bed: Bed, *steps: Callable[[Bed, str], None]) -> None:
        self.bed = bed
        self.steps = list(steps)
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.steps:
            self.steps.pop(0)(self.bed, self.bed.control.get(MARKER)["id"])

    def clock(self) -> float:
        return self.now


def send(bed: Bed, marker: str) -> None:
    bed.control.update(MARKER, set={"lanes": 4, "sent": marker})


def apply(*lanes: int) -> Callable[[Bed, str], None]:
    return lambda bed, marker: bed.control.update(marker_key(marker), add={"applied": set(lanes)}) and None


def drained(bed: Bed, *steps: Callable[[Bed, str], None], timeout: float = 60.0) -> markers.Drained:
    lanes = Lanes(bed, *steps)
    with bed.server.connect(bed.server.capture, database=None) as connection:
        return markers.drain(bed.control, connection, timeout, bed.said.append, lanes.clock, lanes.sleep)


def test_drained_when_every_lane_has_applied_the_marker(bed: Bed) -> None:
    fill(bed)
    with bed.server.connect() as connection:
        end = snapshot.current_offset(connection, identify(connection)).position(1)
    result = drained(bed, send, apply(0, 2), apply(2), apply(1, 3))
    assert (result.complete, result.position, result.lanes) == (True, str(end), 4)
    assert bed.said == [
        f"waiting: the capturer has not reached {end} yet",
        f"waiting: 0 of 4 lanes have applied everything before {end}",
        f"waiting: 2 of 4 lanes have applied everything before {end}",
    ]


def test_not_drained_while_one_lane_is_left(bed: Bed) -> None:
    result = drained(bed, send, apply(0, 1, 2), timeout=5)
    assert (result.complete, result.applied) == (False, 3)


def test_an_earlier_marker_proves_nothing(bed: Bed) -> None:
    assert drained(bed, send, apply(0, 1, 2, 3)).complete
    assert not drained(bed, timeout=5).complete


def test_drain_does_not_wait_for_a_capturer_that_has_stopped(bed: Bed) -> None:
    bed.capture(state="stopped", reason="TRUNCATE of test.purchase", fix="load it again")
    with pytest.raises(Refused, match=r"TRUNCATE of test.purchase\): load it again"):
        drained(bed)


def test_drain_does_not_wait_for_a_capturer_that_is_gone(bed: Bed) -> None:
    def renew(bed: Bed, _: str) -> None:
        bed.control.update(LEASE, add={"renewals": 1})

    bed.control.put(LEASE, {"token": 1, "renewals": 1, "ttl_ms": 1000, "released": False, "owner": "x"})
    assert not drained(bed, *[renew] * 20, timeout=4).complete
    assert drained(bed, renew, send, *[lambda *_: None] * 20, apply(0, 1, 2, 3)).complete
    with pytest.raises(Refused, match=r"no capturer runs: .* not been renewed for 1 s: start it"):
        drained(bed, renew)


def test_drain_on_another_server_proves_nothing(bed: Bed) -> None:
    bed.capture(server="0000-other")
    with pytest.raises(Refused, match="0000-other is being captured"):
        drained(bed)


def test_a_drain_across_a_failover_proves_nothing(bed: Bed) -> None:
    with pytest.raises(Refused, match="the source failed over meanwhile"):
        drained(bed, send, lambda bed, _: bed.capture(epoch=2), apply(0, 1, 2, 3))


def test_the_marker_of_a_later_position_will_do(bed: Bed) -> None:
    def another(bed: Bed, _: str) -> None:
        bed.control.update(MARKER, set={"id": "other", "position": "0001.ffffffff", "lanes": 0})

    assert drained(bed, another, send, apply(0, 1, 2, 3)).complete
    assert bed.control.get(MARKER)["id"] == "other"


def test_the_marker_of_an_earlier_position_is_asked_for_again(bed: Bed) -> None:
    def another(bed: Bed, _: str) -> None:
        bed.control.update(
            MARKER, set={"id": "other", "position": "0001.00000000", "sent": "other", "lanes": 4}
        )
        bed.control.put(marker_key("other"), {"applied": {0, 1, 2, 3}})

    assert not drained(bed, another, timeout=3).complete
    assert bed.control.get(MARKER)["id"] != "other"
    assert drained(bed, another, lambda *_: None, send, apply(0, 1, 2, 3)).complete


# status


def test_status_says_at_each_step_why_it_waits(bed: Bed, ferry: Ferry) -> None:
    def waits() -> str:
        exit_status, out, err = ferry("status", "--json")
        assert exit_status == 0, err
        return str(json.loads(out)["waits"])

    bed.dynamodb.delete_item(TableName=bed.control.name, Key={"pk": {"S": CHECKPOINT}})
    assert "no capturer has run yet" in waits()
    bed.capture(state="stopped", reason="the binlog was purged", fix="load again")
    assert waits() == "the capturer has stopped (the binlog was purged): load again"
    bed.capture(updated_ms=1)
    assert "has not reported for" in waits()
    bed.capture()
    assert "has not begun: run `ferry load`" in waits()
    fill(bed)
    ferry("load", "--chunk-rows", "100")
    assert waits() == "the switch is OFF: run `ferry switch on`"
    ferry("switch", "on")
    assert waits() == ""
    queue = find_stack(bed.cloud.client("cloudformation"), "rowferry").output("QuarantineUrl")
    bed.cloud.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")
    assert "1 messages are in the quarantine" in waits()


def test_status_is_one_line_with_constant_fields_then_a_table(bed: Bed, ferry: Ferry) -> None:
    fill(bed)
    ferry("load", "--chunk-rows", "100")
    bed.control.update(APPLIED, add={"applied": 7, "repeats": 2, "lag_10": 3, "lag_30": 1})
    exit_status, out, _ = ferry("status")
    line, *table = out.splitlines()
    assert exit_status == 0
    assert line.startswith("bulk 6/6; switch OFF; capture capturing binlog.")
    assert "applied 7; repeats 2; quarantine 0; waits: the switch is OFF" in line
    assert any("half within 9 ms, 99 of 100 within 808 ms" in row for row in table)


def test_the_lag_counts_the_binlog_beyond_the_checkpoint_over_several_files(bed: Bed) -> None:
    with bed.server.connect() as connection:
        server = identify(connection)
        reached = snapshot.current_offset(connection, server).position(1)
        watermark = snapshot.current_offset(connection, server)
        place = BinlogOffset(watermark.file, watermark.offset)
        assert lag_bytes(connection, reached) == 0
        assert lag_seconds(connection, bed.address, place) == 0
        bed.sql("INSERT INTO purchase VALUES ('c', 'o', 'p', 1)", "FLUSH BINARY LOGS")
        first = lag_bytes(connection, reached)
        time.sleep(2.1)
        bed.sql("INSERT INTO purchase VALUES ('c', 'o', 'q', 1)")
        assert 0 < first < lag_bytes(connection, reached)
        assert (lag_seconds(connection, bed.address, place) or 0) >= 2, "of the first, not of the last"
        assert lag_seconds(connection, bed.address, BinlogOffset("binlog.000000", 4)) is None


def test_the_backlog_has_an_age_and_says_how_long_it_is_kept(bed: Bed, ferry: Ferry) -> None:
    def waiting() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(ferry("status", "--json")[1])["backlog"]
        return found

    assert waiting() == dict.fromkeys(("changes", "records"), 0) | {
        "oldest_seconds": 0.0, "retention_hours": 168, "hours_left": 168.0,
    }  # fmt: skip
    kinesis = bed.cloud.client("kinesis")
    stream = find_stack(bed.cloud.client("cloudformation"), "rowferry").output("StreamName")
    for lane in ("0", "1"):
        kinesis.put_record(StreamName=stream, Data=b"{}", PartitionKey=lane)
        time.sleep(0.6)
    bed.control.update(CHECKPOINT, add={"changes": 5, "records": 2})
    found = waiting()
    assert (found["changes"], found["records"]) == (5, 2) and found["oldest_seconds"] >= 1.2
    assert ferry("load")[0] == ferry("switch", "on")[0] == 0
    assert waiting()["oldest_seconds"] >= 1.2, "nothing has been applied"
    now = time.time_ns() // 1_000_000
    bed.control.update(APPLIED, set={"committed_ms": now - 150 * 3_600_000}, add={"records": 1})
    found = waiting()
    assert (found["records"], found["hours_left"]) == (1, 18.0)
    assert ferry("status")[1].count("the stream loses the oldest changes in 18 hours") == 1


# verify


@pytest.fixture
def moved(bed: Bed) -> Bed:
    fill(bed)
    bed.load()
    return bed


def differences(ferry: Ferry, file: Path) -> tuple[dict[str, int], list[dict[str, Any]]]:
    exit_status, out, err = ferry("verify", "--json", "--differences", str(file))
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert exit_status == (1 if found else 0), err
    return json.loads(out), found


SUMMARY = dict.fromkeys(("missing", "extra", "different", "unsettled", "repaired", "left"), 0) | {
    "rows": 500, "items": 100, "members": 500,
}  # fmt: skip


def test_verify_finds_nothing_where_nothing_is_wrong(moved: Bed, ferry: Ferry, tmp_path: Path) -> None:
    moved.dynamodb.put_item(  # a tombstone, and an item that lost its last member
        TableName="purchase",
        Item={"customerid": {"S": "gone"}, "orderid": {"S": "o"}, "_ttl": {"N": "1"}, "p": {"N": "1"}},
    )
    moved.dynamodb.put_item(
        TableName="purchase", Item={"customerid": {"S": "gone"}, "orderid": {"S": "o2"}, "_pos": {"S": "x"}}
    )
    summary, found = differences(ferry, tmp_path / "found.jsonl")
    assert found == []
    assert summary == SUMMARY


def update(bed: Bed, order: int, expression: str, **values: dict[str, str]) -> None:
    bed.dynamodb.update_item(
        TableName="purchase",
        Key={"customerid": {"S": f"c{order // 4}"}, "orderid": {"S": f"o{order}"}},
        UpdateExpression=expression,
        **(
            {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}}
            if values
            else {}
        ),
    )


def test_verify_finds_what_was_injected_and_no_more(moved: Bed, ferry: Ferry, tmp_path: Path) -> None:
    update(moved, 1, "REMOVE p2")
    update(moved, 2, "SET p9 = :v", v={"N": "1"})
    update(moved, 3, "SET p3 = :v", v={"N": "999"})
    update(moved, 4, "SET p0 = :v", v={"S": "20"})
    update(moved, 5, "SET p1 = :v", v={"S": ""})
    moved.dynamodb.delete_item(
        TableName="purchase", Key={"customerid": {"S": "c24"}, "orderid": {"S": "o99"}}
    )
    moved.dynamodb.put_item(
        TableName="purchase", Item={"customerid": {"S": "C0"}, "orderid": {"S": "o0"}, "p0": {"N": "0"}}
    )
    summary, found = differences(ferry, tmp_path / "found.jsonl")
    assert summary == {**SUMMARY, "members": 496, "missing": 6, "extra": 2, "different": 3, "left": 11}
    listed = {
        (d["kind"], d["key"]["customerid"], d["key"]["orderid"], d["member"], d["expected"], d["found"])
        for d in found
    }
    assert len(found) == 11
    assert listed == {
        ("missing", "c0", "o1", "p2", "N", None),
        ("extra", "c0", "o2", "p9", None, "N"),
        ("different", "c0", "o3", "p3", "N", "N"),
        ("different", "c1", "o4", "p0", "N", "S"),
        ("different", "c1", "o5", "p1", "N", "S"),
        *(("missing", "c24", "o99", f"p{n}", "N", None) for n in range(5)),
        ("extra", "C0", "o0", "p0", None, "N"),
    }


def test_reading_processes_find_what_one_thread_does(
    moved: Bed, ferry: Ferry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(moved, 4, "SET p0 = :v", v={"S": "2"})
    monkeypatch.setattr(verify, "WORTH", 0)
    reading = ("--parallel", "2", "--max-rows", "200", "--max-read-units", "500")
    exit_status, out, err = ferry("verify", "--json", *reading)
    assert exit_status == 1 and json.loads(out) == {**SUMMARY, "different": 1, "left": 1}, err
    moved.sql("RENAME TABLE purchase TO elsewhere")
    exit_status, _, err = ferry("verify", *reading)
    assert exit_status == 2 and "test.purchase has no column customerid" in err


def test_a_sample_finds_what_is_often_wrong(moved: Bed, ferry: Ferry) -> None:
    assert ferry("verify", "--sample", "40")[0] == 0
    for order in range(0, 100, 2):
        update(moved, order, "SET p3 = :v", v={"N": "999"})
    moved.dynamodb.delete_item(
        TableName="purchase", Key={"customerid": {"S": "c24"}, "orderid": {"S": "o99"}}
    )
    exit_status, out, _ = ferry("verify", "--sample", "1000", "--json")  # that is all of them
    summary = json.loads(out)
    assert exit_status == 1 and summary["items"] == 100
    assert (summary["different"], summary["missing"]) == (50, 5)
    exit_status, out, _ = ferry("verify", "--sample", "20", "--json")
    assert exit_status == 1 and 20 <= json.loads(out)["items"] <= 40 and json.loads(out)["different"] > 0
    assert moved.control.get(VERIFIED) == {}


def test_verify_shows_ten_differences_and_says_that_there_are_more(moved: Bed, ferry: Ferry) -> None:
    moved.sql("UPDATE purchase SET quantity = quantity + 1000")
    exit_status, out, err = ferry("verify")
    assert exit_status == 1
    assert out == "500 rows, 100 items, 500 members, 0 missing, 0 extra, 500 different\n"
    assert err.count('"kind": "different"') == 10
    assert "490 more: --differences FILE lists them all" in err


def test_verify_agrees_with_the_load_on_every_type(bed: Bed, ferry: Ferry, tmp_path: Path) -> None:
    bed.sql(
        "CREATE TABLE kinds (id BIGINT PRIMARY KEY, a TINYINT, b BIGINT UNSIGNED, c DECIMAL(60,20), d DOUBLE,"
        " e DATE, f DATETIME, g DATETIME(3), h TIMESTAMP(6) NULL, i TIME(6), j CHAR(9), k VARCHAR(99),"
        " l LONGTEXT, m VARBINARY(9), n LONGBLOB, o ENUM('x','y'), p INT INVISIBLE, q TIME)",
        "INSERT INTO kinds (id, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q) VALUES (-1, -128,"
        " 18446744073709551615, 1234567890123456789012345678901234567890.00000000000000000001, 1.1e-100,"
        " '2026-11-23', '2026-11-23 01:02:03', '2026-11-23 01:02:03.5', '2026-11-23 01:02:03.000001',"
        " '-00:00:00.000001', 'a  ', 'a  ', REPEAT('한글😀', 1000), X'00FF00', REPEAT(X'00', 500), 'y', 1,"
        " '-838:59:59'),"
        " (100, 0, 0, -1.50, -1e100, '1000-01-01', '9999-12-31 23:59:59', '1000-01-01', "
        " '1970-01-01 00:00:01', '838:59:58.999999', '', '', '', '', '', 'x', 0, '00:00:00'),"
        " (3, NULL, NULL, 1e30, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,"
        " NULL, NULL, NULL), (4, 1, 1, 1e-20, 123456789012345680, NULL, NULL, NULL, NULL,"
        " NULL, 'A', 'a', 'á', 'a', 'A', NULL,"
        " NULL, NULL)",
    )
    bed.table("kinds", id="N")
    mapping = tmp_path / "kinds.toml"
    mapping.write_text(
        '[[table]]\nsource = "test.kinds"\ntarget = "kinds"\nlayout = "item-per-row"\n'
        'hash_key = { attribute = "id", type = "N" }\n'
    )
    exit_status, _, err = ferry("load", "--mapping", str(mapping))
    assert exit_status == 0, err
    exit_status, out, err = ferry("verify", "--mapping", str(mapping))
    assert (exit_status, out[:14]) == (0, "4 rows, 4 item"), err
    bed.dynamodb.update_item(
        TableName="kinds",
        Key={"id": {"N": "-1"}},
        UpdateExpression="SET n = :n, k = :k",
        ExpressionAttributeValues={":n": {"B": b"\0" * 499 + b"\1"}, ":k": {"S": "a"}},
    )
    exit_status, out, _ = ferry("verify", "--mapping", str(mapping))
    assert (exit_status, out.split(", ")[-1]) == (1, "2 different\n")


# as it is typed


COMMANDS = ("load", "switch", "status", "resume", "drain", "verify")
ACTIONS = ("check", "import-dms", "export-dms")


@pytest.mark.parametrize(
    "command", [(), *((name,) for name in COMMANDS), *(("mapping", action) for action in ACTIONS)]
)
def test_help_has_examples_and_exit_status(command: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ferry.cli", *command, "--help"], capture_output=True, text=True, check=True
    )
    assert "exit status: 0" in done.stdout
    assert f"  ferry {command[0] if command else 'load'}" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.fixture
def interrupted(bed: Bed) -> Iterator["subprocess.Popen[str]"]:
    fill(bed, 4000)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "ferry.cli",
            "load",
            "--chunk-rows",
            "20",
            "--workers",
            "2",
            "--max-rows",
            "100",
        ],
        env=bed.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.wait()


def test_control_c_ends_the_load_in_order(bed: Bed, interrupted: "subprocess.Popen[str]") -> None:
    wait_for(
        lambda: sum(item["state"] == "done" for item in bed.control.items(chunks_of("test.purchase"))) >= 5
    )
    interrupted.send_signal(signal.SIGINT)
    _, err = interrupted.communicate()
    assert interrupted.returncode == 130
    assert err.splitlines()[-1] == "interrupted: run the command again, it resumes"
    assert "Traceback" not in err
    assert bed.control.get(LOADER)["released"]  # so the next run need not wait
    Limits().write(bed.control)
    assert bed.load().state == "done"
