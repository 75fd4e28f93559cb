import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from bulkload.processes import pool
from tests.support.paths import ROOT

_given: list[str] = []


def begin(word: str) -> None:
    _given.append(word)


def given(_: int) -> list[str]:
    return _given


def interrupted(_: int) -> bool:
    os.kill(os.getpid(), signal.SIGINT)
    return True


def test_each_process_has_begun_with_the_argument() -> None:
    with pool(1, begin, "word") as running:
        assert running.submit(given, 0).result() == ["word"]
    assert _given == []


def test_the_processes_leave_control_c_to_the_parent() -> None:
    with pool(1, begin, "word") as running:
        assert running.submit(interrupted, 0).result()


KILLED = """
import os, signal, sys, time
from bulkload.processes import pool
def begin(path): open(path, "w").write(str(os.getpid()))
if __name__ == "__main__":
    running = pool(1, begin, sys.argv[1])
    running.submit(time.sleep, 3600)
    while not (os.path.exists(sys.argv[1]) and open(sys.argv[1]).read()): time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script, pid = tmp_path / "killed.py", tmp_path / "pid"
    script.write_text(KILLED, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT}"}
    done = subprocess.run([sys.executable, script, pid], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    child = int(pid.read_text(encoding="utf-8"))
    while _runs(child):  # without an end: the test's own time limit
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
