"""
The cutover of a shop that goes on working, interrupted at every step: exactly one side takes writes
afterwards, and what the shop has acknowledged is there.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.moving_shop import MovingShop
from lab.rehearsal import ROOT, Rehearsal, wait_for
from lab.shop import Shop
from rowferry.control import CUTOVER
from tests.conftest import empty

pytestmark = pytest.mark.integration

RATE = 60  # writes a second
POINT = "point-to-dynamodb"
CUT = ("cutover", "--fence", "read-only", "--execute", "--json")
MOVES = "echo dynamodb > {switch}.new && mv {switch}.new {switch}\n"


@dataclass
class Bed:
    """A shop that works on MySQL, with everything between it and DynamoDB."""

    rehearsal: Rehearsal
    shop: MovingShop
    folder: Path

    @property
    def switch(self) -> Path:
        return self.shop.switch

    @property
    def hooks(self) -> Path:
        return self.folder / "hooks"

    def hook(self, phase: str, text: str) -> None:
        self.hooks.mkdir(exist_ok=True)
        path = self.hooks / phase
        path.write_text("#!/bin/sh\n" + text.format(switch=self.switch))
        path.chmod(0o755)

    def begin(self) -> None:
        """As before any cutover."""
        for path in self.hooks.glob("*"):
            path.unlink()
        self.shop.hook(self.hooks / POINT)

    def cutover(self, *more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "ferry.cli", *more, "--hooks", str(self.hooks)],
            env=self.rehearsal.operator, cwd=ROOT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *more: str, status: int = 0) -> tuple[str, str]:
        process = self.cutover(*more)
        out, err = process.communicate(timeout=120)
        print(out, err, flush=True)
        assert process.returncode == status, err
        return out, err

    def writes(self) -> int:
        self.shop.check()
        return self.shop.writes

    def goes_on(self) -> None:
        """Customers' writes are taken."""
        goal = self.writes() + 6
        wait_for(lambda: self.writes() >= goal, 30, "more writes", lambda: None)

    def side(self) -> str:
        """Which one takes writes: `mysql`, `dynamodb`, or `neither`."""
        where = self.switch.read_text().strip()
        return where if where == "dynamodb" or not self.is_fenced() else "neither"

    def is_fenced(self) -> bool:
        with self.rehearsal.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT @@GLOBAL.read_only")
            ((value,),) = cursor.fetchall()
        return bool(value)

    def state(self) -> str:
        return str(self.rehearsal.control.get(CUTOVER).get("state"))


@pytest.fixture(scope="module")
def running(mysql_server: Server, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    empty(mysql_server)
    cloud.reset()
    folder = tmp_path_factory.mktemp("cutover")
    rehearsal = Rehearsal(folder, mysql_server, cloud, [Shop("a", Random(1))])
    bed = Bed(rehearsal, MovingShop(rehearsal, folder / "database", rate=RATE), folder)
    rehearsal.deploy()
    rehearsal.fill(1000)
    try:
        with rehearsal.capturing(), bed.shop.open():
            rehearsal.ferry("load")
            rehearsal.ferry("switch", "on")
            rehearsal.ferry("verify")
            yield bed
    finally:
        rehearsal.tidy()
        empty(mysql_server)


@pytest.fixture
def bed(running: Bed) -> Bed:
    running.begin()
    return running


STEPS = [
    ("comparing what changed", signal.SIGKILL),
    ("fence: read-only", signal.SIGKILL),
    ("fence: read-only", signal.SIGINT),
    ("drained:", signal.SIGKILL),
    ("drained:", signal.SIGTERM),
    ("verified:", signal.SIGHUP),
]


@pytest.mark.parametrize(("step", "number"), STEPS)
def test_interrupted_before_the_move_the_shop_stays_on_mysql(bed: Bed, step: str, number: int) -> None:
    bed.hook(POINT, "sleep 0.2\n" + MOVES) if step == "verified:" else None
    process = bed.cutover(*CUT)
    assert process.stderr
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(step):
            process.send_signal(number)
            break
    rest = process.communicate()[1]
    assert process.returncode in (-number, 130), (said, rest)
    stays_on_mysql(bed)


def stays_on_mysql(bed: Bed) -> None:
    wait_for(lambda: bed.side() == "mysql", 20, "the end of the fence", lambda: None)
    bed.goes_on()
    assert bed.state() in ("lifted", "None")


@pytest.mark.parametrize("phase", ["before-fence", "fenced"])
@pytest.mark.parametrize("how", ["exit 3", "kill -9 $PPID"])
def test_a_hook_that_fails_or_kills_before_the_move_leaves_the_shop_on_mysql(
    bed: Bed, phase: str, how: str
) -> None:
    bed.hook(phase, how + "\n")
    process = bed.cutover(*CUT)
    _, err = process.communicate()
    assert process.returncode in (2, -signal.SIGKILL), err
    stays_on_mysql(bed)


def test_a_pause_that_is_too_long_ends_by_lifting_the_fence(bed: Bed) -> None:
    _, err = bed.run(*CUT, "--pause-limit", "0.05", status=2)
    assert "the fence is LIFTED" in err
    stays_on_mysql(bed)


def test_a_capturer_that_is_gone_ends_by_lifting_the_fence(bed: Bed) -> None:
    bed.hook("fenced", f"kill -9 {bed.rehearsal.capturer.pid}\n" if bed.rehearsal.capturer else "")
    try:
        _, err = bed.run(*CUT, "--pause-limit", "3", status=2)
    finally:
        bed.rehearsal.kill_capturer()
        bed.rehearsal.start_capturer()
    assert "was not applied within" in err and "the fence is LIFTED" in err
    stays_on_mysql(bed)


def test_a_difference_before_the_fence_keeps_it_down(bed: Bed) -> None:
    """What the last change wrote is made wrong, once it has been applied."""
    server = bed.rehearsal.server
    with server.connect(bed.rehearsal.shop_account) as connection, connection.cursor() as cursor:
        cursor.execute("REPLACE INTO purchase VALUES ('odd', 'one', 'p', 1)")
    wait_for(lambda: bed.shop.dynamo.order("odd", "one") == {"p": 1}, 30, "the change", lambda: None)
    bed.shop.dynamo.put("odd", "one", "p", 2)
    _, err = bed.run(*CUT, status=2)
    assert "1 members differ" in err and "fence:" not in err
    stays_on_mysql(bed)
    bed.rehearsal.ferry("verify", "--repair")
    assert bed.shop.dynamo.order("odd", "one") == {"p": 1}


def test_a_difference_behind_the_fence_lifts_it(bed: Bed) -> None:
    """A hook in the middle writes a row, waits until it is applied, and makes its item wrong."""
    server, account = bed.rehearsal.server, bed.rehearsal.shop_account
    bed.hook("before-fence", "touch {switch}.before; sleep 2\n")
    with server.connect(account) as connection, connection.cursor() as cursor:
        process = bed.cutover(*CUT)
        wait_for(Path(f"{bed.switch}.before").exists, 30, "the hook", lambda: None)
        cursor.execute("REPLACE INTO purchase VALUES ('odd', 'two', 'p', 1)")
        wait_for(lambda: bed.shop.dynamo.order("odd", "two") == {"p": 1}, 30, "the change", lambda: None)
        bed.shop.dynamo.put("odd", "two", "p", 2)
    _, err = process.communicate()
    assert "different in purchase" in err and "the fence is LIFTED" in err, err
    stays_on_mysql(bed)
    bed.rehearsal.ferry("verify", "--repair")
    assert bed.shop.dynamo.order("odd", "two") == {"p": 1}


def test_without_a_fresh_verify_it_says_so_and_does_nothing(bed: Bed) -> None:
    _, err = bed.run(*CUT, "--verified-within", "0", status=1)
    assert "run `ferry verify`" in err
    assert bed.side() == "mysql"


def test_killed_in_the_move_before_the_shop_has_moved_it_goes_back(bed: Bed) -> None:
    bed.hook(POINT, "kill -9 $PPID\n")
    process = bed.cutover(*CUT)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    time.sleep(1)  # the guard does nothing
    assert (bed.side(), bed.state()) == ("neither", "moving")
    assert "--continue" in bed.run(*CUT, status=2)[1]
    bed.run("cutover", "--back")
    stays_on_mysql(bed)


def test_killed_in_the_move_it_goes_on_and_nothing_that_was_acknowledged_is_lost(bed: Bed) -> None:
    """The last one: the shop stays on DynamoDB."""
    bed.hook(POINT, MOVES + "kill -9 $PPID\n")
    process = bed.cutover(*CUT)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (bed.side(), bed.state(), bed.is_fenced()) == ("dynamodb", "moving", True)
    bed.goes_on()
    bed.hook(POINT, MOVES)
    out, _ = bed.run("cutover", "--continue", "--json")
    assert json.loads(out)["state"] == "done" == bed.state()
    bed.goes_on()
    assert bed.is_fenced()
    assert "the cutover is done" in bed.run(*CUT, status=2)[1]
    assert bed.shop.close() == []
    assert bed.shop.writes > 300
    audit = [json.loads(line) for line in bed.rehearsal.ferry("audit", "--json", capture=True).splitlines()]
    assert len([entry for entry in audit if "cutover" in entry["command"]]) > 10
    assert not any(bed.rehearsal.server.admin.password in json.dumps(entry) for entry in audit)
