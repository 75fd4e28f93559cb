"""`ferry status --watch` as an operator runs it: on a terminal, and into a pipe."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import pytest

from lab.cloud import Cloud
from lab.database import Server
from rowferry.control_table import APPLIED, VERIFIED
from tests.support.move_bed import Bed, make_bed

pytestmark = pytest.mark.integration
WATCH = [sys.executable, "-m", "ferry.cli", "status", "--watch", "0.3"]


@pytest.fixture
def bed(mysql: Server, fresh_cloud: Cloud) -> Bed:
    made = make_bed(mysql, fresh_cloud)
    made.capture(changes=700)
    made.control.put(APPLIED, {"changes": 200, "applied": 200})
    made.control.put(VERIFIED, {"at": int(time.time() * 1000) - 60_000, "left": 3, "unsettled": 1})
    return made


def test_a_screen_that_goes_on_and_gives_the_terminal_back(bed: Bed) -> None:
    here, there = pty.openpty()
    environment = {**bed.environment, "COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(WATCH, env=environment, stdin=there, stdout=there, stderr=there)
    os.close(there)
    try:
        seen = read_until(here, rb"captured \d+/s, applied \d+/s")
        assert b"\x1b[?1049h" in seen  # a screen of its own
        assert b"500 changes" in seen and b"3 differences, 1 unsettled" in seen
        process.send_signal(signal.SIGINT)
        seen += read_until(here, rb"\x1b\[\?1049l")
        assert process.wait() == 130
    finally:
        process.kill()
        os.close(here)


def read_until(terminal: int, pattern: bytes) -> bytes:
    seen = b""
    while not re.search(pattern, seen):
        seen += os.read(terminal, 65536)
    return seen


def test_a_line_each_time_without_a_terminal(bed: Bed) -> None:
    with subprocess.Popen(WATCH, env=bed.environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            lines = [process.stdout.readline() for _ in range(3)]
        finally:
            process.kill()
    assert all(line.startswith("bulk 0/0; switch OFF;") for line in lines)
    assert "captured 0/s, applied 0/s" in lines[1]


def test_json_of_each_look_has_the_rates(bed: Bed) -> None:
    with subprocess.Popen([*WATCH, "--json"], env=bed.environment, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout
            first, second = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
        finally:
            process.kill()
    assert first["backlog"]["changes"] == 500 and first["cutover"] == "open"
    assert first["verified"]["left"] == 3 and first["rates"] is None
    assert second["rates"]["captured_per_second"] == 0.0
