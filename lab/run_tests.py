"""
The tests in two processes in parallel, each of which ends with its ten slowest.

    python -m lab.run_tests                     all: moves and capturer, in parallel with the rest
    python -m lab.run_tests --quick             those without a server: simulation and rest in parallel
    python -m lab.run_tests [--quick] OPTIONS   with pytest's options, in one process
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.deploy import SAM_BUILD
from lab.process import spawn

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build/test-beside.log"
PYTEST = [sys.executable, "-m", "pytest", "--durations=10", "--durations-min=1"]
# Of equal length: both wait for servers more than they compute.
WAITING = ["tests/e2e", "tests/integration/capturer"]
ALL_ELSE = ["tests", *(part for folder in WAITING for part in ("--ignore", folder))]
QUICK = ["-m", "not slow and not integration"]
SIMULATION = ["tests/simulation", *QUICK]
UNIT = ["tests/unit", "tests/scenarios", *QUICK]


def main(arguments: list[str]) -> int:
    """The command; returns the exit status."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # a time limit's end: in order
    quick, options = arguments[:1] == ["--quick"], [one for one in arguments if one != "--quick"]
    if options:
        chosen = ["tests/simulation", *UNIT] if quick else ["tests"]
        return subprocess.run([*PYTEST, *chosen, *options], cwd=ROOT, check=False).returncode
    return beside(SIMULATION, UNIT) if quick else beside(WAITING, ALL_ELSE)


def beside(first: list[str], second: list[str]) -> int:
    """Runs both in parallel, the first into a log that is printed last; returns a failed one's status."""
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    # With an artifact of its own: two builds in one folder would remove each other's files.
    environment = {**os.environ, SAM_BUILD: "build/sam-beside"}
    running = spawn(
        # Two processes must not write one .pytest_cache.
        [*PYTEST, *first, "-p", "no:cacheprovider"],
        log=LOG,
        folder=ROOT,
        environment=environment,
    )
    try:
        status = subprocess.run([*PYTEST, *second], cwd=ROOT, check=False).returncode
        other = running.wait()
    finally:  # also when it is interrupted: the log says how far the other half came
        running.kill()  # does nothing if it has ended
        running.wait()
        folders = " and ".join(part for part in first if part.startswith("tests/"))
        print(f"{folders}, which ran in parallel ({LOG.relative_to(ROOT)}):", flush=True)
        print(LOG.read_text(encoding="utf-8", errors="replace"), flush=True)
    return status or other


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
