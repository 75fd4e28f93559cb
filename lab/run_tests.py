"""
All tests, in two processes beside each other: whole moves, which mostly wait, and everything else. Each ends
with its ten slowest.

    python -m lab.run_tests [pytest's arguments: then one process does it all]
"""

import os
import subprocess
import sys
from pathlib import Path

from lab.deploy import SAM_BUILD
from lab.process import spawn

ROOT = Path(__file__).resolve().parent.parent
MOVES = "tests/e2e"
LOG = ROOT / "build/test-moves.log"
PYTEST = [sys.executable, "-m", "pytest", "--durations=10", "--durations-min=1"]


def main(arguments: list[str]) -> int:
    """The command; returns the exit status."""
    if arguments:
        return subprocess.run([*PYTEST, "tests", *arguments], cwd=ROOT, check=False).returncode
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    # With an artifact of its own: two builds in one folder would take each other's files away.
    environment = {**os.environ, SAM_BUILD: "build/sam-moves"}
    moves = spawn([*PYTEST, MOVES, "-p", "no:cacheprovider"], log=LOG, folder=ROOT, environment=environment)
    try:
        rest = subprocess.run([*PYTEST, "tests", "--ignore", MOVES], cwd=ROOT, check=False).returncode
        print(f"whole moves, which ran beside these ({LOG.relative_to(ROOT)}):", flush=True)
        moved = moves.wait()
    finally:
        moves.kill()  # nothing where it has ended
    print(LOG.read_text(encoding="utf-8", errors="replace"), flush=True)
    return rest or moved


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
