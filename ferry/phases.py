"""
The operator's hooks: executables in a folder, each named after the phase at which it is called.

What it has to know is in its environment: ROWFERRY_PHASE, ROWFERRY_STACK and what the phase knows, in
capitals behind ROWFERRY_.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rowferry.errors import Refused


@dataclass(frozen=True, slots=True)
class Hooks:
    """Those of a folder; without one, and where a phase has none, nothing happens."""

    folder: Path | None
    known: Mapping[str, str]
    """Of every phase."""

    def has(self, phase: str) -> bool:
        """There is one for it. Refused where it cannot be run."""
        path = self._path(phase)
        if path is None or not path.exists():
            return False
        if not os.access(path, os.X_OK):
            raise Refused(f"{path} is no executable", f"chmod +x {path}")
        return True

    def run(self, phase: str, **knows: object) -> None:
        """Waits for its end. Refused when its status is not 0; what it prints goes to standard error."""
        path = self._path(phase)
        if path is None or not self.has(phase):
            return
        words = {"phase": phase, **self.known, **{name: str(value) for name, value in knows.items()}}
        environment = {**os.environ, **{f"ROWFERRY_{name.upper()}": text for name, text in words.items()}}
        try:
            done = subprocess.run(
                [path], env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
            )
        except OSError as error:
            raise Refused(f"{path} cannot be run ({error.strerror})", "see its first line") from error
        if done.returncode:
            raise Refused(f"the hook {path} ended with status {done.returncode}", "see what it said")

    def _path(self, phase: str) -> Path | None:
        return self.folder / phase if self.folder else None
