"""The operator's hooks: executables in a folder, each named after the phase at which it runs."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rowferry.errors import RowferryError

SECRETS = ("ROWFERRY_SOURCE_PASSWORD", "ROWFERRY_ADMIN_PASSWORD")
"""Not passed to hooks, which have their own secrets."""


class PhaseFailed(RowferryError):
    """A hook ended with another status than 0, or could not be run."""


def has(folder: Path | None, phase: str) -> bool:
    """Whether the folder has a hook for the phase."""
    return folder is not None and (folder / phase).exists()


def run(folder: Path | None, phase: str, facts: Mapping[str, object]) -> bool:
    """
    Runs the hook of the phase, if there is one; returns whether there was.

    `facts` are passed as ROWFERRY_NAME, the phase as ROWFERRY_PHASE. Raises PhaseFailed on any exit status
    but 0.
    """
    if folder is None or not has(folder, phase):
        return False
    call(folder / phase, [], {"phase": phase, **facts})
    return True


def around(
    folder: Path | None, command: str, line: str, execute: Callable[[], int], report: Callable[[str], None]
) -> int:
    """
    Executes a command between the hooks before and after it; returns its exit status.

    Both are given the `line` as it was typed, the second one the exit status, too: empty when the command
    raised. Raises PhaseFailed when the first one fails. A failure of the second one is only a warning to
    `report`.
    """
    run(folder, f"before-{command}", {"command": line})
    status: int | str = ""
    try:
        status = execute()
    finally:
        try:
            run(folder, f"after-{command}", {"command": line, "status": status})
        except PhaseFailed as failed:
            report(f"warning: {failed}")
    return status


def call(hook: Path, arguments: list[str], facts: Mapping[str, object]) -> None:
    """Runs one executable; its standard output goes to standard error. Raises PhaseFailed."""
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    environment |= {f"ROWFERRY_{name.upper()}": str(value) for name, value in facts.items()}
    # The hook writes to the same descriptor: keeps the lines in order.
    sys.stderr.flush()
    try:
        done = subprocess.run(
            # Resolved: a name without a slash (--hooks .) would be searched on PATH.
            [str(hook.resolve()), *arguments],
            env=environment,
            # What is typed is for the command's own questions.
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard output is for --json
            check=False,
        )
    except OSError as error:
        raise PhaseFailed(
            f"{hook} cannot be run ({error.strerror})", "make it executable (chmod +x)"
        ) from error
    if done.returncode:
        raise PhaseFailed(f"{hook} ended with status {done.returncode}", "see what it printed")
