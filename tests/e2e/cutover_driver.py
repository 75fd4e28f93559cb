"""`ferry cutover` with a verify that waits: a process that tests can kill in it."""

import sys
import time
from pathlib import Path

from ferry import cli
from ferry.cutover import command
from ferry.cutover.tail import Compared, verify_changed
from ferry.settings import Setting
from rowferry.position import Position


class Waiting:
    """Says by a file that it has begun, then waits for another, longer than any test."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, setting: Setting, since: Position, *, moving: bool) -> Compared:
        if moving:
            return verify_changed(setting, since, moving=moving)
        self.file.touch()
        deadline = time.monotonic() + 60
        while not self.file.with_suffix(".go").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        return verify_changed(setting, since, moving=moving)


def main() -> int:
    arguments = cli.parser().parse_args(sys.argv[2:])
    return command.run(arguments, Setting(arguments), Waiting(Path(sys.argv[1])))


if __name__ == "__main__":
    sys.exit(main())
