"""A capturer between one real server, or a pair behind an endpoint, and the emulated stream."""

import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.cloud import Cloud
from lab.server import Server
from rowferry.control_table import CHECKPOINT
from tests.integration.capturer.test_capturer import Ferry
from tests.support.failover.replicas import server
from tests.support.waiting import wait_for

OF_0_2 = frozenset(
    """
    epoch server lanes token file offset since read_file read_offset changes records bytes tables anew
    former_skip restart_file restart_offset state reason fix remedy again stopped_at updated_ms
    """.split()  # noqa: SIM905 - a word a line is no easier to read
)
"""Fields of the checkpoint as version 0.2.0 wrote it."""
IMPATIENT = {"SOURCE_PATIENCE": "3"}
"""For what stops: how long a transaction is waited for that the server lacks."""


class Captured(Ferry):
    """Rows whose arrival on the stream is waited for, whatever the epoch."""

    def insert(self, *products: str, quantity: int = 1) -> None:
        """A transaction for each."""
        self.sql(*(f"INSERT INTO purchase VALUES ('a','b','{one}',{quantity},NULL)" for one in products))

    def wait_changes(self, count: int, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Until the checkpoint counts so many changes."""
        at = process or self.capturers[-1]

        def check() -> None:
            assert at.poll() is None, self.log(at)[-2:]

        wait_for(lambda: self.checkpoint.get("changes", 0) >= count, check)

    def stop(self, process: "subprocess.Popen[bytes]") -> None:
        """Ends it in order."""
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0, self.log(process)[-2:]

    def captured_once(self, *products: str) -> "subprocess.Popen[bytes]":
        """A capturer that has captured the inserts of these and has ended."""
        process = self.start()
        self.insert(*products)
        self.wait_changes(len(products))
        self.stop(process)
        return process

    def stopped(self, process: "subprocess.Popen[bytes] | None" = None) -> str:
        """Waits until a capturer, by default a new one, has stopped; its reason and fix."""
        process = process or self.start(ready=False, **IMPATIENT)
        assert process.wait() == 3, self.log(process)[-2:]
        item = self.checkpoint
        assert item["state"] == "stopped" and item["fix"]
        said = f"{item['reason']}: {item['fix']}"
        assert "damaged" not in said and "disk" not in said
        return said

    def as_of_0_2(self) -> None:
        """The checkpoint loses what later versions have added."""
        item = self.checkpoint
        self.control.put(CHECKPOINT, {name: item[name] for name in item if name in OF_0_2})

    @property
    def reset(self) -> str:
        """The statement that gives up the server's history."""
        return "RESET MASTER" if self.server.flavor == "mariadb" else "RESET BINARY LOGS AND GTIDS"

    def restart(self, *options: str) -> None:
        """The server, from now on with `options` as well."""
        self.server.stop()
        self.server._options += options
        self.server.start()

    @property
    def data(self) -> Path:
        return self.server.folder / "data"

    def files(self) -> list[str]:
        """Of the binlog, the oldest first."""
        return [str(row[0]) for row in self.sql("SHOW BINARY LOGS")]

    def purge(self) -> None:
        """All but a new file; MariaDB keeps the one before while it may need that for a recovery."""
        self.sql("FLUSH BINARY LOGS")

        def alone() -> bool:
            self.sql(f"PURGE BINARY LOGS TO '{self.files()[-1]}'")
            return len(self.files()) == 1

        wait_for(alone)


def copy(data: Path, to: Path) -> None:
    """A server's data while it is down."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(data, to, ignore=shutil.ignore_patterns("socket*"))


@contextmanager
def captured(source: Server, cloud: Cloud, folder: Path) -> Iterator[Captured]:
    """Whatever was started of the capturers ends."""
    folder.mkdir(parents=True, exist_ok=True)
    bed = Captured(source, cloud, folder)
    try:
        yield bed
    finally:
        bed.close()


@contextmanager
def one_server(folder: Path, flavor: str, options: Sequence[str] = ()) -> Iterator[Server]:
    """A server of the test's own."""
    made = server(folder, flavor, 1, options)
    try:
        made.start()
        yield made
    finally:
        made.kill()


def has(bed: Captured, **expected: Any) -> bool:
    """Whether the checkpoint has these values."""
    item = bed.checkpoint
    return all(item.get(name) == value for name, value in expected.items())
