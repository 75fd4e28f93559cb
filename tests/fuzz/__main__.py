"""
Random statements on MySQL and MariaDB: python -m tests.fuzz [--statements 20000] [--seed N] [--flavor mysql]

Ends with 1 if a statement changed a mapped table and capture went on, or capture stopped at one about others.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import SystemRandom

from lab.database import database
from tests.fuzz.world import FuzzTally, run

EVERY = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--statements", type=int, default=20_000, help="on each server (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--flavor", choices=("mysql", "mariadb"), action="append")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    failures = [
        failure
        for flavor in arguments.flavor or ("mysql", "mariadb")
        for failure in _on(flavor, arguments.seed, arguments.statements).failures
    ]
    print("\n".join(failures[:50]) or "no wrong verdict")
    return 1 if failures else 0


def _on(flavor: str, seed: int, statements: int) -> FuzzTally:
    began, said = time.monotonic(), 0

    def report(tally: FuzzTally) -> None:
        nonlocal said
        if tally.done - said >= EVERY or tally.done == statements:
            said = tally.done
            print(
                f"{flavor}: {tally.done:,} statements in {time.monotonic() - began:,.0f} s,"
                f" {tally.refused:,} refused by the server, {tally.stopped:,} stopped capture,"
                f" {tally.changed:,} changed the mapped table, {tally.abandoned} episodes abandoned,"
                f" {len(tally.failures)} wrong",
                flush=True,
            )

    # In memory and without a sync: most of the time of DDL is the disk's.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        tempfile.TemporaryDirectory(dir=memory) as folder,
        database(Path(folder), flavor, options=["--innodb-flush-method=nosync"]) as server,
    ):
        tally = run(server, seed, statements, report)
    for line, count in sorted(tally.lines.items()):
        print(f"  {count:6,} {line}")
    return tally


if __name__ == "__main__":
    sys.exit(main())
