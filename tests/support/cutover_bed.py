"""What the tests of a cutover stand on: a whole move up to its last step."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pymysql

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import ROOT, Rehearsal
from lab.shop import Shop
from rowferry.control_table import CUTOVER
from tests.support.databases import empty
from tests.support.waiting import while_alive

READY = "ready"
NOTHING = "#!/bin/sh\n"
PATIENT = ("--pause-limit", "600", "--max-lag", "600")
"""For what is not about these limits: a slow machine must not reach them. Later options take their place."""
LEASE = 300
"""Seconds: a capturer that a test stops and lets go on is still the one."""


@dataclass
class Bed:
    """A loaded, switched-on, verified rehearsal, and the operator's hooks."""

    rehearsal: Rehearsal
    folder: Path
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def hook(self, name: str, text: str) -> Path:
        path = self.folder / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def waiting_hook(self, name: str) -> None:
        self.hook(name, f"#!/bin/sh\n{self.waiting}\n")

    @property
    def waiting(self) -> str:
        """What a hook does until the test's end; it holds no pipe, so that a killed parent's are closed."""
        return f"exec >/dev/null 2>&1; touch {self.ready}; while [ -e {self.ready} ]; do sleep 0.1; done"

    @property
    def ready(self) -> Path:
        return self.folder / READY

    def start(
        self, *options: str, module: str = "ferry.cli", words: tuple[str, ...] = ()
    ) -> subprocess.Popen[str]:
        admin = self.rehearsal.server.admin
        environment = self.rehearsal.environment | {
            "ROWFERRY_ADMIN": f"mysql://{admin.user}@{self.rehearsal.server.host}:{self.rehearsal.server.port}",
            "ROWFERRY_ADMIN_PASSWORD": admin.password,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions")]),
        }
        command = [sys.executable, "-m", module, *words, "cutover", *options]
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.running.append(process)
        return process

    def cut_over(self, *options: str) -> subprocess.Popen[str]:
        return self.start("--execute", "--json", *PATIENT, "--hooks", str(self.folder / "hooks"), *options)

    @property
    def phase(self) -> str:
        return str(self.rehearsal.control.get(CUTOVER).get("phase", "open"))

    def mysql_takes_writes(self) -> bool:
        shop = self.rehearsal.shop_account
        try:
            with self.rehearsal.server.connect(shop) as connection, connection.cursor() as cursor:
                cursor.execute("INSERT INTO audit (note) VALUES ('still there')")
        except pymysql.err.OperationalError as error:
            assert error.args[0] in (1142, 1290), error
            return False
        return True

    def comes_back(self) -> None:
        while_alive(lambda: self.phase == "lifted", self.running[-1])
        assert self.mysql_takes_writes()

    def admin(self, *statements: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        with self.rehearsal.server.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                found += cursor.fetchall()
        return found

    def verified(self) -> None:
        self.rehearsal.ferry("drain", capture=True)
        found = json.loads(self.rehearsal.ferry("verify", "--json", capture=True))
        assert found["rows"] > 0 and not found["missing"] + found["extra"] + found["different"]


@contextmanager
def rehearsed(server: Server, cloud: Cloud, folder: Path) -> Iterator[Rehearsal]:
    """Loaded and switched on, with the capturer running."""
    cloud.reset()
    empty(server)
    rehearsal = Rehearsal(folder, server, cloud, [Shop("a", Random(5))], lanes=8, lease_seconds=LEASE)
    rehearsal.deploy()
    rehearsal.fill(300)
    try:
        with rehearsal.capturing():
            rehearsal.ferry("load", capture=True)
            rehearsal.ferry("switch", "on")
            yield rehearsal
    finally:
        rehearsal.tidy()


@contextmanager
def a_bed(prepared: Rehearsal, folder: Path) -> Iterator[Bed]:
    """Verified, with no cutover before; whatever a test leaves is put right."""
    control, made = prepared.control, Bed(prepared, folder)
    control.client.delete_item(TableName=control.name, Key={"pk": {"S": CUTOVER}})
    made.admin("INSERT INTO purchase VALUES (UUID(), 'o', 'p', 1)")
    made.verified()
    made.hook("point-to-dynamodb", NOTHING)
    try:
        yield made
    finally:
        assert prepared.capturer
        prepared.capturer.send_signal(signal.SIGCONT)
        made.ready.unlink(missing_ok=True)
        for process in made.running:
            process.kill()
            process.communicate()
        super_read_only = "super_read_only" if prepared.server.flavor == "mysql" else "read_only"
        made.admin(f"SET GLOBAL {super_read_only} = OFF", "SET GLOBAL read_only = OFF")


def waits(bed: Bed) -> None:
    while_alive(bed.ready.exists, bed.running[-1])
