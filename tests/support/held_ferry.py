"""`ferry` that stops after a line of its own that begins with the first argument, until a signal ends it."""

import os
import sys
import time
from typing import TextIO

from ferry import cli

PARENT = os.getppid()


class Holding:
    """An output that does not return from the line. A signal arrives as it does in any other moment."""

    def __init__(self, stream: TextIO, start: str) -> None:
        self._stream, self._start, self._line = stream, start, ""

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        # Forgotten before it can be read: a signal that comes at once ends this call, and the next
        # line must not be taken for this one.
        line, self._line = self._line + text, ""
        if not line.endswith("\n"):
            line, self._line = "", line
        written = self._stream.write(text)
        if line:
            self._stream.flush()
        while line.startswith(self._start) and os.getppid() == PARENT:
            time.sleep(0.05)
        return written


if __name__ == "__main__":
    sys.stderr = Holding(sys.stderr, sys.argv[1])  # type: ignore[assignment]
    sys.exit(cli.main(sys.argv[2:]))
