"""Child processes of the rehearsal: on loopback, in their own process group, and ending with this one."""

import errno
import random
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rowferry.errors import SourceNotReady

# The trap: the kernel sends the parent-death signal when the THREAD that forked ends, not the process. So one
# thread, which lives as long as the process, forks all children.
_FORKING = ThreadPoolExecutor(1, thread_name_prefix="forking")

# Below the kernel's range for outgoing connections, so that nothing takes the port while its server restarts.
_PORTS = range(15_000, 32_000)


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """
    Start `command` without input, its output appended to `log`. It is killed when this process ends, in any
    way.

    It has its own process group: Ctrl-C on the terminal reaches only the parent, which ends it in order.
    Raises SourceNotReady if setpriv (util-linux) is missing.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SourceNotReady("setpriv is not on PATH", "install util-linux, or run on Linux")
    guarded = [setpriv, "--pdeathsig", "KILL", *map(str, command)]
    with log.open("ab") as output:
        return _FORKING.submit(
            subprocess.Popen,
            guarded,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            process_group=0,
        ).result()


def free_port() -> int:
    """
    Return a TCP port on 127.0.0.1 on which nothing listens now. Another process may take it before you do.
    """
    candidates = random.sample(_PORTS, 100)
    return next(port for port in candidates if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def last_lines(log: str, count: int = 8) -> str:
    """Return the end of a log, for an error message."""
    return "\n".join(log.splitlines()[-count:])
