"""A cutover beside which something else happens: another operator, a standstill, a silent control table."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import ROOT, Rehearsal
from tests.support.cutover_bed import PATIENT, Bed, a_bed, rehearsed, waits
from tests.support.waiting import while_alive

pytestmark = pytest.mark.integration

SHORT = ("--pause-limit", "6")  # seconds; it takes 0.3 to the hook in which these tests begin


@pytest.fixture(scope="module")
def prepared(
    mysql_server: Server, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsal]:
    with rehearsed(mysql_server, cloud, tmp_path_factory.mktemp("races")) as rehearsal:
        yield rehearsal


@pytest.fixture
def bed(prepared: Rehearsal, tmp_path: Path) -> Iterator[Bed]:
    with a_bed(prepared, tmp_path) as made:
        yield made


def behind_the_fence(bed: Bed, *options: str) -> subprocess.Popen[str]:
    """A cutover that waits in its hook `fenced`; the application's move would leave a file."""
    bed.waiting_hook("fenced")
    bed.hook("point-to-dynamodb", f"#!/bin/sh\ntouch {moved(bed)}\n")
    process = bed.cut_over(*options)
    waits(bed)
    assert bed.phase == "fenced" and not bed.mysql_takes_writes()
    return process


def moved(bed: Bed) -> Path:
    return bed.folder / "application-moved"


def test_lift_beside_a_live_run_ends_it_before_the_application_moves(bed: Bed) -> None:
    process = behind_the_fence(bed)
    second = bed.cut_over()
    assert "is cutting over now (fenced)" in second.communicate()[1]
    assert second.returncode == 2 and not bed.mysql_takes_writes()
    assert bed.start("--lift").wait() == 0
    assert bed.phase == "lifted" and bed.mysql_takes_writes()
    bed.ready.unlink()
    _, err = process.communicate()
    assert process.returncode == 1, err
    assert not moved(bed).exists() and bed.phase == "lifted" and bed.mysql_takes_writes()
    bed.verified()


def test_one_that_stood_still_is_taken_for_dead_and_cannot_go_on(bed: Bed) -> None:
    """As when the machine sleeps: the guard lifts the fence; what wakes up must not move the application."""
    process = behind_the_fence(bed, *SHORT)
    process.send_signal(signal.SIGSTOP)
    bed.comes_back()
    bed.ready.unlink()
    process.send_signal(signal.SIGCONT)
    _, err = process.communicate()
    assert process.returncode == 1, err
    assert not moved(bed).exists() and bed.phase == "lifted" and bed.mysql_takes_writes()
    bed.verified()


def test_a_silent_control_table_does_not_keep_the_fence_up(bed: Bed) -> None:
    (aws,) = (pid for pid in children() if "cloud_launcher" in Path(f"/proc/{pid}/cmdline").read_text())
    process = behind_the_fence(bed, *SHORT)
    os.kill(aws, signal.SIGSTOP)
    try:
        bed.ready.unlink()
        began = time.monotonic()
        while_alive(bed.mysql_takes_writes, process)
        took = time.monotonic() - began
    finally:
        os.kill(aws, signal.SIGCONT)
    _, err = process.communicate()
    assert process.returncode == 1, err
    assert "the fence is lifted" in err
    assert took < 90  # seconds; retries with the client's usual limits would keep it up for minutes
    assert not moved(bed).exists() and bed.mysql_takes_writes()
    if (
        bed.phase == "fenced"
    ):  # nothing could be recorded; the next run lifts what stands no more, and goes on
        assert bed.start("--lift").wait() == 0
    bed.verified()


def test_a_hook_behind_the_fence_that_fails_lifts_it(bed: Bed) -> None:
    told = bed.folder / "told"
    bed.hook("fenced", f"#!/bin/sh\nenv > {told}; exit 4\n")
    process = bed.cut_over()
    _, err = process.communicate()
    assert process.returncode == 1 and "fenced ended with status 4" in err
    assert {"ROWFERRY_PHASE=fenced", "ROWFERRY_STACK=rowferry"} <= set(told.read_text().splitlines())
    bed.comes_back()


def test_a_hook_before_the_fence_that_fails_or_is_interrupted_leaves_everything(bed: Bed) -> None:
    bed.hook("before-fence", "#!/bin/sh\nexit 4\n")
    process = bed.cut_over()
    assert "before-fence ended with status 4" in process.communicate()[1]
    assert process.returncode == 2
    bed.waiting_hook("before-fence")
    process = bed.cut_over()
    waits(bed)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    assert bed.phase == "open" and bed.mysql_takes_writes()


def test_every_command_has_hooks_before_and_after(bed: Bed) -> None:
    told = bed.folder / "told"
    for name in ("before-drain", "after-drain"):
        bed.hook(name, f'#!/bin/sh\necho "$ROWFERRY_PHASE|$ROWFERRY_COMMAND|$ROWFERRY_STATUS" >> {told}\n')
    bed.rehearsal.ferry("drain", "--hooks", str(bed.folder / "hooks"), capture=True)
    line = f"drain --hooks {bed.folder}/hooks"
    assert told.read_text().splitlines() == [f"before-drain|{line}|", f"after-drain|{line}|0"]
    bed.hook("before-drain", "#!/bin/sh\nexit 9\n")
    bed.rehearsal.ferry("drain", "--hooks", str(bed.folder / "hooks"), capture=True, accept=(2,))


def test_a_transaction_that_was_prepared_meanwhile_ends_it(bed: Bed) -> None:
    """Behind the check and before the fence; what it would commit is not in DynamoDB yet."""
    bed.waiting_hook("before-fence")
    process = bed.cut_over("--pause-limit", "5")
    waits(bed)
    with prepared_xa(bed):
        bed.ready.unlink()
        _, err = process.communicate()
        assert process.returncode == 1, err
        assert "the fence is lifted" in err
        bed.comes_back()
    bed.verified()


@contextmanager
def prepared_xa(bed: Bed) -> Iterator[None]:
    connection: Any = bed.rehearsal.server.connect(bed.rehearsal.shop_account)
    try:
        with connection.cursor() as cursor:
            for sql in (
                "XA START 'meanwhile'",
                "INSERT INTO purchase VALUES ('xa', 'o', 'p', 1)",
                "XA END 'meanwhile'",
                "XA PREPARE 'meanwhile'",
            ):
                cursor.execute(sql)
        yield
        with connection.cursor() as cursor:
            cursor.execute("XA COMMIT 'meanwhile'")
    finally:
        connection.close()
        for _, _, _, name in bed.admin("XA RECOVER"):
            bed.admin(f"XA ROLLBACK '{name if isinstance(name, str) else name.decode()}'")


@pytest.mark.parametrize(("answer", "status"), [("\n", 2), ("yes\n", 0)])
def test_on_a_terminal_it_asks(bed: Bed, answer: str, status: int) -> None:
    with on_a_terminal(bed, "--hooks", str(bed.folder / "hooks"), *PATIENT) as (process, terminal):
        reads(terminal, "cut over now? (yes) ")
        os.write(terminal, answer.encode())
        assert process.wait() == status
    assert bed.phase == ("done" if status == 0 else "open")
    assert bed.mysql_takes_writes() == (status != 0)


def test_without_a_hook_it_waits_for_enter_with_the_fence_up(bed: Bed) -> None:
    with on_a_terminal(bed, "--no-hook", "--execute", *PATIENT) as (process, terminal):
        reads(terminal, "then press Enter ")
        assert bed.phase == "pointing" and not bed.mysql_takes_writes()
        time.sleep(0.5)
        assert process.poll() is None
        os.write(terminal, b"\n")
        assert process.wait() == 0
    assert bed.phase == "done" and not bed.mysql_takes_writes()


def test_a_terminal_that_is_gone_is_no_enter(bed: Bed) -> None:
    with on_a_terminal(bed, "--no-hook", "--execute", *PATIENT) as (process, terminal):
        reads(terminal, "then press Enter ")
        os.write(terminal, b"\x04")  # Ctrl-D
        assert process.wait() == 3
    assert bed.phase == "pointing" and not bed.mysql_takes_writes()


@contextmanager
def on_a_terminal(bed: Bed, *options: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "ferry.cli", "cutover", *options]
    process = subprocess.Popen(
        command, env=bed.rehearsal.operator, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield process, ours
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def reads(terminal: int, text: str) -> None:
    seen = b""
    while text.encode() not in seen:
        seen += os.read(terminal, 65536)


def children() -> list[int]:
    pid = os.getpid()
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]
