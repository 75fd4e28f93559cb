"""The audit trail in the control table: who did what to the move, and the outcome."""

import getpass
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rowferry.control_table import AUDIT, ControlTable, Plain, audit_key

STARTED = "started"
"""The outcome of an action that is still running, or was killed before it could record its end."""
_PASSWORD = re.compile(r"(//[^:/@\s]*):[^@\s]*@")


def record(control: ControlTable, action: str, outcome: str, **facts: Plain) -> str:
    """
    Writes one action; returns its key.

    `facts` are shown as they are: no secrets, no row values.
    """
    now = time.time_ns() // 1_000_000
    # Two commands may begin in the same millisecond.
    pk = audit_key(now, secrets.token_hex(4))
    fields: dict[str, Plain] = {"at": now, "who": who(), "action": action, "outcome": outcome}
    control.put(pk, {**fields, **facts})
    return pk


def ended(control: ControlTable, pk: str, outcome: str) -> None:
    """Records the outcome of an action that `record` wrote."""
    control.update(pk, set={"outcome": outcome, "ended": time.time_ns() // 1_000_000})


def who() -> str:
    """The user of the operating system, and the host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's number without a name
        user = "?"
    return f"{user}@{socket.gethostname()}"


def without_secrets(argv: Sequence[str]) -> str:
    """The command line without passwords: one in an address is refused later, but was typed."""
    return " ".join(_PASSWORD.sub(r"\1:***@", word) for word in argv)


def recorded(
    control: ControlTable,
    action: str,
    argv: Sequence[str],
    run: Callable[[], int],
    report: Callable[[str], None] | None = None,
) -> int:
    """
    Runs a command, and records its start and its end, whichever that is; returns its exit status.

    Where the end cannot be written, `report` gets a line: the outcome of the command itself counts.
    """
    pk = record(control, action, STARTED, command=f"ferry {without_secrets(argv)}")
    outcome = "?"
    try:
        status = run()
        outcome = f"exit {status}"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    except BaseException as error:
        # The class alone: a message may quote values.
        outcome = type(error).__name__
        raise
    finally:
        try:
            ended(control, pk, outcome)
        except (ClientError, BotoCoreError):
            (report or _report)("the end of this command could not be recorded: `ferry audit` will lack it")
    return status


def actions(control: ControlTable) -> list[dict[str, Any]]:
    """All actions, oldest first."""
    found = sorted(control.items(AUDIT), key=lambda item: str(item["pk"]))
    return [{name: value for name, value in item.items() if name != "pk"} for item in found]


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
