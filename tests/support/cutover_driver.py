"""`ferry cutover` with a verify that waits: a process that tests can kill in it."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ferry import cli
from ferry.commands import cutover
from ferry.context import Context
from ferry.verify.summary import Summary
from ferry.verify.tail import Tail

FILE = Path(sys.argv[1])
PARENT = os.getppid()


class Waiting(Tail):
    """Behind the fence it says by a file that it has begun, then waits for another."""

    def behind_fence(self, passed: Callable[[], None]) -> Summary:
        FILE.touch()
        while not FILE.with_suffix(".go").exists() and os.getppid() == PARENT:
            time.sleep(0.05)
        return super().behind_fence(passed)


def main() -> int:
    arguments = cli.parser().parse_args(sys.argv[2:])
    return cutover.run(arguments, Context(arguments), Waiting)


if __name__ == "__main__":
    sys.exit(main())
