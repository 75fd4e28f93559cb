"""`ferry audit`: what operators have done, as every command that changes something writes it down."""

import argparse
import getpass
import json
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from socket import gethostname
from typing import Any

from ferry.settings import Setting
from rowferry.control import AUDIT, ControlTable

EPILOG = """\
examples:
  ferry audit
  ferry audit --json | jq .command

An action without an end was killed, or still runs.
exit status: 0 done; 2 an error"""


class Entry:
    """An action: written when it begins, and once more when it ends. `now`: seconds since 1970."""

    def __init__(
        self, control: ControlTable, command: Sequence[str], now: Callable[[], float] = time.time
    ) -> None:
        self._control = control
        self._now = now
        at = int(now() * 1000)
        self._pk = f"{AUDIT}{at:015d}#{uuid.uuid4().hex[:8]}"
        who = f"{getpass.getuser()}@{gethostname()}"
        self._fields: dict[str, Any] = {"at": at, "who": who, "command": " ".join(command)}
        control.put(self._pk, self._fields)

    def end(self, status: int) -> None:
        """With the command's exit status."""
        self._control.put(self._pk, {**self._fields, "ended": int(self._now() * 1000), "status": status})


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "audit",
        parents=[common],
        help="what operators have done",
        description="Prints who ran which command, when, and how it ended.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    for entry in sorted(setting.control.items(AUDIT), key=lambda entry: str(entry["pk"])):
        print(json.dumps(entry) if arguments.json else _line(entry))
    return 0


def _line(entry: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(entry["at"] / 1000, UTC).isoformat(" ", "seconds")
    how = f"exit status {entry['status']}" if "status" in entry else "no end"
    return f"{at}  {entry['who']}  {entry['command']}  ({how})"


def command_line(argv: Sequence[str] | None) -> list[str]:
    """The command without the user and password that a URL may hold."""
    words = sys.argv[1:] if argv is None else list(argv)
    return ["ferry", *(_without_user(word) for word in words)]


def _without_user(word: str) -> str:
    before, scheme, rest = word.partition("://")
    return before + scheme + rest.rpartition("@")[2] if scheme else word
