"""Verify's reading processes: none outlives the command, and the command says when one was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ferry.verify import tasks
from ferry.verify.ranges import Range
from ferry.verify.tasks import ReadCounts, ReadTask, RowRange, TaskResult
from rowferry.errors import Unapplied
from tests.support.paths import ROOT
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration


class Slow:
    """Tells its process, and then reads for a minute."""

    def read(self, task: ReadTask) -> TaskResult:
        assert isinstance(task, RowRange)
        if task.pair:
            print(os.getpid(), flush=True)
            time.sleep(10_000)
        return TaskResult([(str(os.getpid()), "", "")], ReadCounts())


def main() -> None:
    with tasks.started(Slow, 2) as executor:
        executor.submit(tasks.read, RowRange(1, Range(())))
        executor.submit(tasks.read, RowRange(1, Range(()))).result()


def test_readers_end_with_the_command_that_was_killed() -> None:
    command = [sys.executable, "-c", f"from {__name__} import main; main()"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        process.kill()
    assert len(set(pids)) == 2
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").is_file() and is_alive(pid) for pid in pids))


def test_a_reader_that_was_killed_is_reported() -> None:
    with pytest.raises(Unapplied, match="a reader process was killed"), tasks.started(Slow, 2) as executor:
        got: TaskResult = executor.submit(tasks.read, RowRange(0, Range(()))).result()
        os.kill(int(got.members[0][0]), signal.SIGKILL)
        executor.submit(tasks.read, RowRange(0, Range(()))).result()
        time.sleep(1)
        executor.submit(tasks.read, RowRange(0, Range(()))).result()


def is_alive(pid: int) -> bool:
    """Not one whose end nobody has asked for yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
