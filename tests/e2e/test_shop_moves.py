"""
The cutover of a shop that goes on working, interrupted at every step: exactly one side takes writes
afterwards, and what the shop has acknowledged is there.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.moving_shop import MovingShop
from lab.rehearsal import ROOT, Rehearsal, wait_for
from lab.shop import Shop
from rowferry.control_table import CUTOVER
from tests.support.cutover_bed import PATIENT
from tests.support.databases import empty

pytestmark = pytest.mark.integration

RATE = 60  # writes a second
POINT = "point-to-dynamodb"
CUT = ("cutover", "--execute", "--json", *PATIENT)
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

    def cutover(self, *more: str, module: Sequence[str] = ("ferry.cli",)) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", *module, *more, "--hooks", str(self.hooks)],
            env=self.rehearsal.operator, cwd=ROOT, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *more: str, status: int = 0) -> tuple[str, str]:
        process = self.cutover(*more)
        out, err = process.communicate()
        print(out, err, flush=True)
        assert process.returncode == status, err
        return out, err

    def writes(self) -> int:
        self.shop.check()
        return self.shop.writes

    def goes_on(self) -> None:
        """Customers' writes are taken."""
        goal = self.writes() + 6
        wait_for(lambda: self.writes() >= goal, "more writes")

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
        return str(self.rehearsal.control.get(CUTOVER).get("phase"))


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
    ("verified what changed", signal.SIGINT),
    ("fenced:", signal.SIGKILL),
    ("drained:", signal.SIGTERM),
    ("verified:", signal.SIGKILL),
]


@pytest.mark.parametrize(("step", "number"), STEPS)
def test_interrupted_before_the_move_the_shop_stays_on_mysql(bed: Bed, step: str, number: int) -> None:
    process = bed.cutover(*CUT, module=("tests.support.held_ferry", step))
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
    """After the end of a cutover and of its guard, which has its stderr: nobody is left to lift a fence."""
    assert bed.side() == "mysql"
    bed.goes_on()
    assert bed.state() in ("lifted", "open", "None")


def test_a_difference_before_the_fence_keeps_it_down(bed: Bed) -> None:
    """What the last change wrote is made wrong, once it has been applied."""
    server = bed.rehearsal.server
    with server.connect(bed.rehearsal.shop_account) as connection, connection.cursor() as cursor:
        cursor.execute("REPLACE INTO purchase VALUES ('odd', 'one', 'p', 1)")
    wait_for(
        lambda: bed.shop.dynamo.order("odd", "one") == {"p": 1}, "the change", bed.rehearsal.fail_if_broken
    )
    bed.shop.dynamo.put("odd", "one", "p", 2)
    _, err = bed.run(*CUT, status=2)
    assert "1 differences" in err and "nothing was fenced" in err
    stays_on_mysql(bed)
    bed.rehearsal.ferry("verify", "--repair")
    assert bed.shop.dynamo.order("odd", "one") == {"p": 1}


def test_killed_in_the_move_before_the_shop_has_moved_it_goes_back(bed: Bed) -> None:
    bed.hook(POINT, "kill -9 $PPID\n")
    process = bed.cutover(*CUT)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    time.sleep(1)  # the guard does nothing
    assert (bed.side(), bed.state()) == ("neither", "pointing")
    assert "--continue" in bed.run(*CUT, status=2)[1]
    bed.run("cutover", "--back", "--application-is-on-mysql")
    stays_on_mysql(bed)


def test_killed_in_the_move_it_goes_on_and_nothing_that_was_acknowledged_is_lost(bed: Bed) -> None:
    """The last one: the shop stays on DynamoDB."""
    bed.hook(POINT, MOVES + "kill -9 $PPID\n")
    process = bed.cutover(*CUT)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (bed.side(), bed.state(), bed.is_fenced()) == ("dynamodb", "pointing", True)
    bed.goes_on()
    bed.hook(POINT, MOVES)
    out, _ = bed.run("cutover", "--continue", "--json")
    assert json.loads(out)["phase"] == "done" == bed.state()
    bed.goes_on()
    assert bed.is_fenced()
    assert "run `ferry finalize`" in bed.run(*CUT, status=2)[1]
    assert bed.shop.close() == []
    assert bed.shop.writes > 300
    actions = json.loads(bed.rehearsal.ferry("audit", "--json", capture=True))
    assert len([action for action in actions if "cutover" in action.get("command", "")]) > 5
    assert bed.rehearsal.server.admin.password not in json.dumps(actions)
