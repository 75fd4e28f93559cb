"""A cutover that is broken at any step leaves one side taking writes, and equal data. Everything is real."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import Rehearsal
from rowferry.control_table import VERIFIED
from tests.support.cutover_bed import NOTHING, PATIENT, Bed, a_bed, rehearsed, waits
from tests.support.waiting import while_alive

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def prepared(
    mysql_server: Server, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsal]:
    with rehearsed(mysql_server, cloud, tmp_path_factory.mktemp("cutover")) as rehearsal:
        yield rehearsal


@pytest.fixture
def bed(prepared: Rehearsal, tmp_path: Path) -> Iterator[Bed]:
    with a_bed(prepared, tmp_path) as made:
        yield made


def at_the_fence(bed: Bed) -> subprocess.Popen[str]:
    """A session that holds a lock keeps `SET GLOBAL super_read_only` waiting."""
    lock = bed.rehearsal.server.connect()
    lock.cursor().execute("CREATE TABLE IF NOT EXISTS held (id INT)")
    lock.cursor().execute("LOCK TABLES held WRITE")
    process = bed.cut_over()
    process.lock = lock  # type: ignore[attr-defined] # open until the process object goes
    waiting = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SET GLOBAL%'"
    while_alive(lambda: bool(bed.admin(waiting)), process)
    return process


def at_the_hooked_fence(bed: Bed) -> subprocess.Popen[str]:
    state = bed.folder / "fenced"
    up = f"touch {state}; {bed.waiting}"
    hook = bed.hook("fence", f'#!/bin/sh\nif [ "$1" = up ]; then {up}; fi\nrm -f {state}\n')
    process = bed.cut_over("--fence", f"hook:{hook}")
    waits(bed)
    return process


def in_the_drain(bed: Bed) -> subprocess.Popen[str]:
    """The capturer stands still from the moment at which the fence stands."""
    hook = bed.hook(
        "fence", f'#!/bin/sh\nif [ "$1" = up ]; then kill -STOP {bed.rehearsal.capturer.pid}; fi\n'
    )  # type: ignore[union-attr]
    process = bed.cut_over("--fence", f"hook:{hook}")
    while_alive(lambda: bed.phase == "fenced", process)
    return process


def in_the_verify(bed: Bed) -> subprocess.Popen[str]:
    options = ("--execute", *PATIENT, "--hooks", str(bed.folder / "hooks"))
    module = "tests.support.cutover_driver"
    process = bed.start(*options, module=module, words=(str(bed.ready),))
    waits(bed)
    assert not bed.mysql_takes_writes()
    return process


EVERY = bool(os.environ.get("ROWFERRY_EVERY_CUTOVER"))
"""Every signal at every step takes minutes."""
STEPS = [at_the_fence, at_the_hooked_fence, in_the_drain, in_the_verify]
ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]


def signals_at_steps() -> Iterator[Any]:
    """Each step killed, and each other signal at one of the steps; or all of them."""
    for number, reach in enumerate(STEPS):
        for order, end in enumerate(ENDS):
            left_out = not EVERY and end != signal.SIGKILL and order != number
            marks = pytest.mark.skipif(left_out, reason="ROWFERRY_EVERY_CUTOVER=1 runs it")
            yield pytest.param(reach, end, id=f"{reach.__name__}-{end.name}", marks=marks)


@pytest.mark.parametrize(("reach", "end"), list(signals_at_steps()))
def test_ended_before_the_point_of_no_return_mysql_takes_writes(
    bed: Bed, reach: Callable[[Bed], subprocess.Popen[str]], end: signal.Signals
) -> None:
    process = reach(bed)
    process.send_signal(end)
    bed.comes_back()
    if end != signal.SIGKILL:
        out, err = process.communicate()
        assert process.returncode == 130, out + err
        assert "the fence is lifted" in err
    bed.rehearsal.capturer.send_signal(signal.SIGCONT)  # type: ignore[union-attr]
    if lock := getattr(process, "lock", None):
        lock.close()
        time.sleep(0.2)  # a statement that still waited would fence now, with nobody to lift it
        assert bed.mysql_takes_writes()
    bed.verified()


@pytest.mark.parametrize("end", ENDS if EVERY else [signal.SIGINT, signal.SIGKILL], ids=lambda end: end.name)
def test_ended_in_the_hook_the_fence_stays_and_the_operator_goes_on_or_back(
    bed: Bed, end: signal.Signals
) -> None:
    bed.waiting_hook("point-to-dynamodb")
    process = bed.cut_over()
    waits(bed)
    assert bed.phase == "pointing" and not bed.mysql_takes_writes()
    process.send_signal(end)
    time.sleep(1.0)  # the guard of a dead one must not lift it
    assert bed.phase == "pointing" and not bed.mysql_takes_writes()
    process.kill()
    process.wait()
    bed.hook("point-to-dynamodb", NOTHING)
    refused = bed.cut_over()
    assert (refused.wait(), "--continue" in refused.communicate()[1]) == (2, True)
    if end == signal.SIGKILL:
        assert bed.start("--continue", "--hooks", str(bed.folder / "hooks")).wait() == 0
        assert bed.phase == "done" and not bed.mysql_takes_writes()
    assert bed.start("--lift").wait() == 2 and not bed.mysql_takes_writes()
    assert bed.start("--back").wait() == 2 and not bed.mysql_takes_writes()
    assert bed.start("--back", "--application-is-on-mysql").wait() == 0
    bed.comes_back()
    bed.verified()


def test_a_failing_hook_leaves_the_fence_and_says_how_to_go_on(bed: Bed) -> None:
    bed.hook("point-to-dynamodb", "#!/bin/sh\nexit 7\n")
    process = bed.cut_over()
    out, err = process.communicate()
    assert process.returncode == 3, err
    assert "status 7" in err and "--continue" in err and "--back" in err
    assert json.loads(out)["phase"] == "pointing" and not bed.mysql_takes_writes()


def test_the_application_moves_and_mysql_stays_fenced(bed: Bed) -> None:
    told = bed.folder / "told"
    bed.hook("point-to-dynamodb", f"#!/bin/sh\nenv > {told}\n")
    bed.hook("moved", f"#!/bin/sh\necho $ROWFERRY_PAUSE_SECONDS > {bed.folder}/moved\n")
    process = bed.cut_over()
    out, err = process.communicate()
    assert process.returncode == 0, err
    found = json.loads(out)
    assert found["phase"] == "done" and 0 < found["pause_seconds"] < float(PATIENT[1])
    assert (bed.folder / "moved").read_text() == f"{found['pause_seconds']:.3f}\n"
    assert set(found["seconds"]) == {"fence", "drain", "verify", "hook"}
    assert not bed.mysql_takes_writes()
    environment = dict(line.split("=", 1) for line in told.read_text().splitlines() if "=" in line)
    assert environment["ROWFERRY_POSITION"] == found["position"]
    assert "ROWFERRY_ADMIN_PASSWORD" not in environment and "ROWFERRY_SOURCE_PASSWORD" not in environment
    actions = json.loads(bed.rehearsal.ferry("audit", "--json", capture=True))
    assert [action["outcome"] for action in actions if action["action"] == "cutover"][-2:].count(
        "exit 0"
    ) == 1
    again = bed.cut_over()
    assert again.wait() == 2 and bed.phase == "done"


def test_a_stream_that_stands_still_ends_the_pause_at_its_limit(bed: Bed) -> None:
    hook = bed.hook(
        "fence", f'#!/bin/sh\nif [ "$1" = up ]; then kill -STOP {bed.rehearsal.capturer.pid}; fi\n'
    )  # type: ignore[union-attr]
    process = bed.cut_over("--fence", f"hook:{hook}", "--pause-limit", "1.5")
    out, err = process.communicate()
    assert process.returncode == 1, err
    assert "the fence is lifted" in err and 1.4 < json.loads(out)["pause_seconds"] < 30  # the default
    bed.comes_back()


def test_a_lost_connection_behind_the_fence_lifts_it_over_another(bed: Bed) -> None:
    process = in_the_verify(bed)
    user = bed.rehearsal.server.admin.user
    sessions = f"SELECT id FROM information_schema.processlist WHERE user = '{user}'"
    for (number,) in bed.admin(f"{sessions} AND id <> CONNECTION_ID()"):
        bed.admin(f"KILL {number}")
    bed.ready.with_suffix(".go").touch()
    _, err = process.communicate()
    assert process.returncode == 1 and "the fence is lifted" in err
    bed.comes_back()


def test_a_difference_behind_the_fence_lifts_it(bed: Bed) -> None:
    """A row is written after the last look, while the fence goes up, and its item is made wrong."""
    table, key = bed.rehearsal.outputs["TargetTableName"], {"customerid": {"S": "x"}, "orderid": {"S": "y"}}
    dynamodb = bed.rehearsal.aws.client("dynamodb")
    process = at_the_hooked_fence(bed)
    try:
        bed.admin("INSERT INTO purchase VALUES ('x', 'y', 'p', 1)")
        there = lambda: "p" in dynamodb.get_item(TableName=table, Key=key).get("Item", {})  # noqa: E731
        assert bed.rehearsal.capturer
        while_alive(there, process, bed.rehearsal.capturer)
        dynamodb.update_item(
            TableName=table, Key=key, UpdateExpression="SET p = :v",
            ExpressionAttributeValues={":v": {"N": "2"}},
        )  # fmt: skip
        bed.ready.unlink()
        _, err = process.communicate()
    finally:
        bed.admin("DELETE FROM purchase WHERE customerid = 'x'")
    assert process.returncode == 1, err
    assert "1 differences" in err
    bed.comes_back()


@pytest.mark.parametrize(
    ("table", "row"), [("purchase", "UUID(), 'o', 'p', 1"), ("audit (note)", "'not mapped'")]
)
def test_writers_that_the_fence_does_not_hold_end_it(bed: Bed, table: str, row: str) -> None:
    """A fence that says it stands and does not: the source's end moves. The hook holds it until it has."""
    hook = bed.hook("fence", "#!/bin/sh\nexit 0\n")
    bed.waiting_hook("fenced")
    leaking = bed.cut_over("--fence", f"hook:{hook}")
    waits(bed)
    bed.admin(f"INSERT INTO {table} VALUES ({row})")
    bed.ready.unlink()
    _, err = leaking.communicate()
    assert leaking.returncode == 1, err
    assert "MySQL still takes writes: its binlog has grown after the fence" in err
    bed.comes_back()


def test_when_the_guard_is_dead_too_the_next_run_says_so_and_lift_mends_it(bed: Bed) -> None:
    process = in_the_verify(bed)
    guards = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for guard in guards:
        os.kill(int(guard), signal.SIGKILL)
    process.kill()
    process.wait()
    assert bed.phase == "fenced" and not bed.mysql_takes_writes()
    again = bed.cut_over()
    assert again.wait() == 2 and "--lift" in again.communicate()[1]
    assert bed.start("--lift").wait() == 0
    bed.comes_back()


def test_nothing_happens_without_execute_or_a_terminal(bed: Bed) -> None:
    process = bed.start("--hooks", str(bed.folder / "hooks"))
    _, err = process.communicate()
    assert process.returncode == 2 and "would do" in err and "--execute" in err
    assert bed.phase == "open" and bed.mysql_takes_writes()


def test_each_condition_is_reported_with_its_fix(bed: Bed) -> None:
    control = bed.rehearsal.control
    control.update(VERIFIED, set={"left": 3})
    process = bed.cut_over()
    _, err = process.communicate()
    assert process.returncode == 2 and "NO  verified: 3 left: run `ferry verify`" in err
    assert "ok  lag" in err and bed.phase == "open"
