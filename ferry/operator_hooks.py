"""The operator's hooks: executables in a folder, each named after the phase at which it runs."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rowferry.errors import RowferryError

SECRETS = ("ROWFERRY_SOURCE_PASSWORD", "ROWFERRY_ADMIN_PASSWORD")
"""Not handed to hooks: what they need they hold themselves."""


class PhaseFailed(RowferryError):
    """A hook ended with another status than 0, or could not be run."""


def has(folder: Path | None, phase: str) -> bool:
    """Whether the folder has a hook for the phase."""
    return folder is not None and (folder / phase).exists()


def run(folder: Path | None, phase: str, facts: Mapping[str, object]) -> bool:
    """
    Runs the hook of the phase, if there is one; returns whether there was.

    `facts` travel as ROWFERRY_NAME, the phase as ROWFERRY_PHASE. PhaseFailed on any exit status but 0.
    """
    if folder is None or not has(folder, phase):
        return False
    call(folder / phase, [], {"phase": phase, **facts})
    return True


@contextmanager
def around(folder: Path | None, command: str, line: str, tell: Callable[[str], None]) -> Iterator[list[int]]:
    """
    The hooks before and after a command, whose `line` as it was typed they are given. Put its exit status
    into the list. PhaseFailed when the one before fails; the outcome of the one after is only reported.
    """
    run(folder, f"before-{command}", {"command": line})
    status: list[int] = []
    try:
        yield status
    finally:
        try:
            run(folder, f"after-{command}", {"command": line, "status": status[0] if status else ""})
        except PhaseFailed as failed:
            tell(f"warning: {failed}")


def call(hook: Path, arguments: list[str], facts: Mapping[str, object]) -> None:
    """Runs one executable; its output goes where ours goes, standard output to standard error."""
    environment = {name: value for name, value in os.environ.items() if name not in SECRETS}
    environment |= {f"ROWFERRY_{name.upper()}": str(value) for name, value in facts.items()}
    sys.stderr.flush()
    try:
        done = subprocess.run(
            [str(hook.resolve()), *arguments],
            env=environment,
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
