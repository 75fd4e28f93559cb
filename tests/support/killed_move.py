"""
One move by one method on the real parts, under live traffic from its beginning to the fence, and killed.
"""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from bulkload.exports.locations import Location, location
from lab.cloud import Cloud, tail
from lab.database import Server
from lab.process import spawn
from lab.rehearsal import ROOT, Rehearsal, wait_for
from lab.shop import Shop
from rowferry.control_table import APPLIED, CHECKPOINT, LOADER
from tests.support.kill_stages import BUCKET, Method, Stage, Step

RATE = 100  # row changes a second; the emulated cloud applies some hundred
LOOKS = 0.005  # seconds between two looks at a stage that is to be killed
SAYS = 15.0  # seconds between two lines of a command that takes long
LAYOUTS = {
    "attribute-per-row": "purchase.toml",
    # Capturer, consumer and ferry look for it in functions/, which an absolute path leaves.
    "string-set": str(ROOT / "docs/mappings/article-hive.toml"),
}


@dataclass(frozen=True, slots=True)
class Report:
    """What a move has come to. `applied`: changes that the consumer applied; `seconds` of the steps."""

    name: str
    kills: int
    seconds: tuple[float, ...]
    captured: int
    applied: int
    quarantined: int
    imports: int
    rows: int
    items: int
    missing: int
    extra: int
    different: int

    @property
    def line(self) -> str:
        """For the operator of a long run."""
        steps = " + ".join(f"{seconds:.0f}" for seconds in self.seconds)
        return (
            f"{self.name}: {self.rows:,} rows, {self.items:,} items, {steps} s, {self.kills} kills,"
            f" {self.captured:,} changes captured, {self.applied:,} applied,"
            f" {self.missing + self.extra + self.different} mismatches"
        )


@dataclass(slots=True)
class Moving:
    """A method, and how far it has got."""

    folder: Path
    server: Server
    aws: Cloud
    method: Method
    layout: str
    random: Random = field(default_factory=Random)
    orders: int = 0
    kills: int = 0
    kept: dict[str, float] = field(default_factory=dict)
    """The most that was seen of each stage."""
    started: float = field(default_factory=time.monotonic)
    rehearsal: Rehearsal = field(init=False)

    def __post_init__(self) -> None:
        shops = [Shop(name, Random(name)) for name in "ab"]
        mapping, parameters = LAYOUTS[self.layout], self.method.parameters
        self.rehearsal = Rehearsal(
            self.folder, self.server, self.aws, shops, mapping=mapping, parameters=parameters
        )

    def run(self, rows: int, kills: int) -> Report:
        """The whole move."""
        try:
            self._prepare(rows)
            with self.rehearsal.traffic(RATE), self.rehearsal.capturing():
                seconds = self._travel(kills)
                self._switch()
                self.rehearsal.fence()
                self.rehearsal.ferry("drain", "--timeout", "1200")
            return self._report(seconds)
        finally:
            self.rehearsal.tidy()

    def place(self, text: str) -> Location:
        """Of a command's word."""
        return location(self._word(text), self.aws.client("s3"))

    @property
    def mapping(self) -> Path:
        """Its file."""
        return ROOT / "functions" / self.rehearsal.mapping

    def _word(self, text: str) -> str:
        return text.replace("{folder}", str(self.folder)).replace("{mapping}", str(self.mapping))

    def say(self, text: str) -> None:
        """One line with the seconds since the start."""
        print(
            f"{time.monotonic() - self.started:6.1f} s  {self.method.name}, {self.layout}: {text}", flush=True
        )

    def _prepare(self, rows: int) -> None:
        self.rehearsal.deploy()
        self.aws.client("s3").create_bucket(Bucket=BUCKET)
        self.rehearsal.fill(rows)
        self.orders = sum(len(shop.orders) for shop in self.rehearsal.shops)
        self.say(f"{rows:,} rows in {self.orders:,} orders")

    def _travel(self, kills: int) -> tuple[float, ...]:
        """Every step to its end; returns their seconds, those after kills included."""
        at = spread(self.method, kills, self.random)
        seconds = tuple(self._step(step, at, small=kills > 0) for step in self.method.steps)
        if self.method.arrive:
            self.method.arrive(self)
        return seconds

    def _step(self, step: Step, at: "Shares", *, small: bool) -> float:
        began = time.monotonic()
        command = (*step.command, *(step.small if small else ()))
        for stage in step.stages:
            for share in at[stage]:
                self._kill(replace(step, command=command), stage, share)
        self._finish(replace(step, command=command))
        return time.monotonic() - began

    def _kill(self, step: Step, stage: Stage, share: float) -> None:
        before = self._trace(step)
        process = self._start(step)
        at_work = lambda: not step.ferry or self._trace(step) != before  # noqa: E731
        try:
            reached = lambda: at_work() and stage.share(self) >= share  # noqa: E731
            wait_for(reached, stage.name, lambda: self._going_on(process, step), LOOKS)
            time.sleep(self.random.uniform(0, stage.pause))
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            status = process.wait()
        assert status == -signal.SIGKILL, f"it ended before it was killed:\n{tail(self._log)}"
        self.kills += 1
        self._look(step)
        self.say(f"kill {self.kills}: {stage.name}, {stage.share(self):.0%} done")
        self._give_lock_back()

    def _start(self, step: Step) -> subprocess.Popen[bytes]:
        command = [*step.program, *map(self._word, step.command)]
        return spawn(command, log=self._log, folder=ROOT, environment=self.rehearsal.environment)

    @property
    def _log(self) -> Path:
        return self.folder / "ferry.log"

    def _trace(self, step: Step) -> float | str | None:
        """What is another as soon as the command is at work: parts of an export, or the lock's owner."""
        if step.command[0] == "export":
            return step.stages[0].share(self)
        owner: str | None = self.rehearsal.control.get(LOADER).get("owner")
        return owner

    def _going_on(self, process: subprocess.Popen[bytes], step: Step) -> None:
        assert process.poll() is None, f"it ended before it was killed:\n{tail(self._log)}"
        self.rehearsal.fail_if_broken()
        self._look(step)

    def _look(self, step: Step) -> None:
        """What is done stays done, also when it is killed and begins again."""
        for stage in step.stages:
            share, kept = stage.share(self), self.kept.get(stage.name, 0.0)
            assert share >= kept, f"{stage.name} fell from {kept:.2%} to {share:.2%}"
            self.kept[stage.name] = share

    def _give_lock_back(self) -> None:
        """The next run would watch a killed one's lock for 15 s, which integration/bulkload tests."""
        if self.rehearsal.control.get(LOADER):
            self.rehearsal.control.update(LOADER, set={"released": True})

    def _finish(self, step: Step) -> None:
        self.say(f"$ ferry {' '.join(step.command)}" if step.ferry else step.stages[0].name)
        process, said = self._start(step), time.monotonic()

        def ended() -> bool:
            nonlocal said
            if time.monotonic() > said + SAYS:
                said = time.monotonic()
                self.say(tail(self._log, 1))
            return process.poll() is not None

        try:
            wait_for(ended, "the end of the command", self.rehearsal.fail_if_broken)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        assert process.returncode == 0, tail(self._log)

    def _switch(self) -> None:
        """On, and the traffic goes on until what waited then is applied."""
        control = self.rehearsal.control
        waiting = control.get(CHECKPOINT)["changes"]
        self.say(f"the switch goes ON, {waiting:,} changes wait")
        if self.method.arrive is None:
            self.rehearsal.ferry("switch", "on")
        else:  # ferry knows of no load
            self.rehearsal.deploy(Switch="ON")
        applied = lambda: bool(control.get(APPLIED).get("changes", 0) >= waiting)  # noqa: E731
        wait_for(applied, "the end of the backlog", self.rehearsal.fail_if_broken)
        self.say("what waited is applied")

    def _report(self, seconds: tuple[float, ...]) -> Report:
        verified = json.loads(self.rehearsal.ferry("verify", "--json", capture=True, accept=(0, 1)))
        captured, applied = self.rehearsal.control.get(CHECKPOINT), self.rehearsal.control.get(APPLIED)
        names = ("rows", "items", "missing", "extra", "different")
        return Report(
            name=f"{self.method.name}, {self.layout}",
            kills=self.kills,
            seconds=seconds,
            captured=captured["changes"],
            applied=applied["applied"],
            quarantined=applied["quarantined"],
            imports=len(self.aws.client("dynamodb").list_imports()["ImportSummaryList"]),
            **{name: verified[name] for name in names},
        )


type Shares = dict[Stage, list[float]]
"""At which shares of each stage a kill comes."""


def spread(method: Method, kills: int, random: Random) -> Shares:
    """So many kills over all stages, as evenly as they go; which get one more is chance."""
    stages = [stage for step in method.steps for stage in step.stages]
    random.shuffle(stages)
    counts = {stage: len(range(place, kills, len(stages))) for place, stage in enumerate(stages)}
    return {
        stage: sorted(random.uniform(stage.first, stage.last) for _ in range(count))
        for stage, count in counts.items()
    }
