"""The parts of a move on one machine, for the demo and for the tests that break them."""

import contextlib
import math
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.cloud import Cloud
from lab.database import Account, Server
from lab.deploy import SAM_BUILD, build, deploy
from lab.process import spawn
from lab.shop import AUDIT_LOG, PURCHASE, Shop
from lab.traffic import Writer
from rowferry.control_table import CHECKPOINT, ControlTable

ROOT = Path(__file__).resolve().parent.parent
STACK = "rowferry"


class StepFailed(RuntimeError):
    """A step did not end as expected; the message says which and why."""


@dataclass(slots=True)
class Rehearsal:
    """
    A real server, the emulated cloud, and what has been started between them.

    `folder` gets the logs. Nothing is left running after the context managers.
    """

    folder: Path
    server: Server
    aws: Cloud
    shops: Sequence[Shop]
    lanes: int = 256
    lease_seconds: int = 15
    """Seconds after a crash until another capturer may take over."""
    mapping: str = "purchase.toml"
    """In functions/, or an absolute path: the consumer is a process on this machine as well."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Additional parameters of the deployment."""
    shop_account: Account = field(
        # The ending satisfies the password policy that a server of the user may have.
        default_factory=lambda: Account(f"shop_{secrets.token_hex(4)}", secrets.token_urlsafe(16) + "aA1!")
    )
    """The application's account: it cannot write while the server is read-only, which is how it is fenced."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)
    capturer: subprocess.Popen[bytes] | None = None

    @property
    def control(self) -> ControlTable:
        return ControlTable(self.aws.client("dynamodb"), self.outputs["ControlTableName"])

    @property
    def environment(self) -> dict[str, str]:
        """Variables for ferry and the capturer: the emulated cloud, the source's least-privileged account."""
        account = self.server.capture
        foreign = ("AWS_", "ROWFERRY_")
        # Nothing that the user has set may lead to a real account or another source.
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        return {
            **kept,
            **self.aws.environment,
            "ROWFERRY_STACK": STACK,
            "ROWFERRY_SOURCE": f"mysql://{account.user}@{self.server.host}:{self.server.port}",
            "ROWFERRY_SOURCE_PASSWORD": account.password,
        }

    @property
    def operator(self) -> dict[str, str]:
        """Variables for ferry, with the administrator's account, which may raise the fence."""
        admin = self.server.admin
        return self.environment | {
            "ROWFERRY_ADMIN": f"mysql://{admin.user}@{self.server.host}:{self.server.port}",
            "ROWFERRY_ADMIN_PASSWORD": admin.password,
        }

    def deploy(self, **more: str) -> None:
        """`sam build` and `sam deploy` of the real template, with the switch OFF. `more` are parameters."""
        built = build(ROOT, ROOT / os.environ.get(SAM_BUILD, "build/sam"))
        parameters = {"Lanes": str(self.lanes), "MappingFile": self.mapping, **self.parameters, **more}
        self.outputs = deploy(ROOT, built, self.aws, STACK, parameters)

    def fill(self, rows: int) -> None:
        """Creates the shop's tables, its account, and the first rows, divided among the writers."""
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(PURCHASE)
            cursor.execute(AUDIT_LOG)
            user = f"`{self.shop_account.user}`@'%'"
            cursor.execute(f"CREATE USER {user} IDENTIFIED BY '{self.shop_account.password}'")
            cursor.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO {user}")
            for number, shop in enumerate(self.shops):
                share = rows // len(self.shops) + (number < rows % len(self.shops))
                for statements in shop.fill(share):
                    for sql, parameters in statements:
                        cursor.execute(sql, parameters)

    @contextlib.contextmanager
    def traffic(self, rate: float) -> Iterator[None]:
        """Writes `rate` row changes per second, until the fence or the end of the context."""

        def connect() -> Any:
            return self.server.connect(self.shop_account, autocommit=False)

        self.writers = [Writer(connect, shop, rate / len(self.shops)) for shop in self.shops]
        for writer in self.writers:
            writer.start()
        try:
            yield
        finally:
            for writer in self.writers:
                writer.stop()
                writer.join()

    @contextlib.contextmanager
    def capturing(self) -> Iterator[None]:
        """Runs the capturer as a process of its own; it is killed afterwards."""
        self.start_capturer()
        try:
            wait_for(lambda: bool(self.control.get(CHECKPOINT)), "the first checkpoint", self._alive)
            yield
        finally:
            self.kill_capturer()

    def start_capturer(self) -> None:
        """Starts the capturer; its log is appended to capturer.log."""
        account = self.server.capture
        environment = self.environment | {
            "STREAM_NAME": self.outputs["StreamName"],
            "CONTROL_TABLE": self.outputs["ControlTableName"],
            "LANES": str(self.lanes),
            "LEASE_SECONDS": str(self.lease_seconds),
            "MAPPING_FILE": str(ROOT / "functions" / self.mapping),
            "SOURCE_HOST": self.server.host,
            "SOURCE_PORT": str(self.server.port),
            "SOURCE_USER": account.user,
            "SOURCE_PASSWORD": account.password,
            "SOURCE_SERVER_ID": "740047",
        }
        command = [sys.executable, "-m", "capturer.app"]
        log = self.folder / "capturer.log"
        self.capturer = spawn(command, log=log, folder=ROOT, environment=environment)

    def kill_capturer(self) -> None:
        """Sends SIGKILL, whatever it is doing."""
        if self.capturer is not None and self.capturer.poll() is None:
            self.capturer.kill()
            self.capturer.wait()

    def ferry(self, *arguments: str, capture: bool = False, accept: Sequence[int] = (0,)) -> str:
        """
        Runs a ferry command as an operator would. Raises StepFailed unless its exit status is in `accept`.
        """
        done = subprocess.run(
            [sys.executable, "-m", "ferry.cli", *arguments],
            env=self.operator,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if done.returncode not in accept:
            raise StepFailed(f"ferry {arguments[0]} ended with status {done.returncode}")
        return done.stdout or ""

    def fence(self) -> None:
        """Makes the server refuse the application's writes, and waits until its writers have ended."""
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL read_only = ON")
        for writer in self.writers:
            writer.join()
            if writer.failure is not None or not writer.fenced:
                raise StepFailed(f"{writer.name} was not ended by the fence ({writer.failure})")

    def tidy(self) -> None:
        """
        Lifts the fence and drops the application's account, so that a server of the user stays as it was.
        """
        with self.server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL read_only = OFF")
            cursor.execute(f"DROP USER IF EXISTS `{self.shop_account.user}`@'%'")

    def fail_if_broken(self) -> None:
        """Raises StepFailed if a writer or the capturer has ended by itself."""
        for writer in self.writers:
            if writer.failure is not None:
                raise StepFailed(f"{writer.name} failed: {writer.failure}")
        self._alive()

    def _alive(self) -> None:
        if self.capturer is not None and self.capturer.poll() is not None:
            raise StepFailed(f"the capturer ended with status {self.capturer.returncode}")


def wait_for(
    done: Callable[[], bool],
    what: str,
    check: Callable[[], None] = lambda: None,
    look: float = 0.2,
    seconds: float = math.inf,
) -> None:
    """
    Waits until `done`, called every `look` seconds, is true. Raises what `check` raises; StepFailed after
    `seconds`.

    Tests set no limit: pytest's timeout is the only one, so that no outcome depends on the machine's speed.
    """
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not done():
        check()
        if time.monotonic() > deadline:
            raise StepFailed(f"{what} did not happen within {seconds:g} s")
        pause.wait(look)
