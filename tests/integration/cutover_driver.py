"""`ferry cutover` with a verify that waits: a process that tests can kill in it."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from ferry import cli
from ferry.cutover import command
from ferry.cutover.tail import Compared, Everything
from ferry.settings import Setting
from rowferry.position import Position


class Waiting(Everything):
    """Says by a file that it has begun, then waits longer than any test."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(
        self, setting: Setting, since: Position, report: Callable[..., None], step: Callable[..., None]
    ) -> Compared:
        self.file.touch()
        time.sleep(60)
        return super().__call__(setting, since, report, step)


def main() -> int:
    arguments = cli.parser().parse_args(sys.argv[2:])
    return command.run(arguments, Setting(arguments), Waiting(Path(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
