"""
Many schedules of the real code under faults.

    python -m tests.simulation --seeds 100000
    python -m tests.simulation --seeds 1 --first 4711          # one schedule again
    python -m tests.simulation --seeds 1000 --broken no-runs   # what goes wrong where the code were so

Ends with 1 when a schedule goes wrong.
"""

import argparse
import sys
import time

from tests.simulation.world import BROKEN, simulate


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=10_000, help="how many schedules (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: %(default)s)")
    parser.add_argument("--broken", choices=BROKEN, default="", help="make this wrong")
    arguments = parser.parse_args()
    begun, wrong = time.monotonic(), 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        if found := simulate(seed, arguments.broken):
            wrong += 1
            print(f"seed {seed}: {found}", flush=True)
    rate = arguments.seeds / (time.monotonic() - begun) * 60
    print(f"{arguments.seeds} schedules, {wrong} wrong, {rate:.0f} a minute")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
