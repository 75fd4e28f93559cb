"""
The real Lambda runtime on this machine, without Docker: AWS's runtime emulator and awslambdaric.

    with lambda_runtime(artifact, "apply_changes.app.handler", {...}, folder=folder) as invoke:
        invoke({"Records": [...]})

The function sees what it sees on Lambda: its built artifact, boto3 and the standard library, and nothing of
this process's environment. So a package that the build left out is missing here as well.
"""

import contextlib
import ctypes
import json
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from lab.cloud import free_port, tail
from lab.deploy import SAM

PROVIDED = ("awslambdaric", "boto3")  # with their requirements, all that Lambda adds to Python's library
MAX_EVENT = 6 * 1024 * 1024  # bytes (Lambda quotas: invocation payload); the emulator truncates a longer one
READY_WITHIN = 300.0  # seconds; it takes 0.05 s on an idle machine
PR_SET_PDEATHSIG = 1

# -S leaves out site-packages, whose .pth file puts the checkout on the path; -I leaves out the environment.
ISOLATED = ("-S", "-I", "-c")
# The function ends with the emulator, even during an invocation (9 is SIGKILL).
BOOTSTRAP = f"""
import ctypes, runpy, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, 9)
artifact, provided = sys.argv[1:3]
del sys.argv[1:3]
sys.path = [artifact, provided, *sys.path]
runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
"""


class RuntimeFailed(RuntimeError):
    """The runtime did not start, or does not answer; the message ends in the tail of its log, or the fix."""


class FunctionFailed(RuntimeError):
    """The function ended in an error; `kind` is the class of the error, or `Timeout`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Invoke:
    """
    Calls the running function.

    log: what the function and the runtime printed.
    """

    port: int
    log: Path
    _turn: threading.Lock = field(default_factory=threading.Lock)  # two requests at once crash the emulator

    def __call__(self, event: Mapping[str, Any]) -> Any:
        """Return the function's answer; raise FunctionFailed, RuntimeFailed, or ValueError above 6 MB."""
        payload = json.dumps(event).encode()
        if len(payload) > MAX_EVENT:
            raise ValueError(
                f"the event has {len(payload)} bytes, the limit is {MAX_EVENT}: send fewer records"
            )
        with self._turn:
            try:
                return answer(post(self.port, payload))
            except (OSError, HTTPException) as error:
                raise RuntimeFailed(f"the runtime does not answer ({error}):\n{tail(self.log)}") from error


def post(port: int, payload: bytes) -> bytes:
    """Send a request to the emulator. Not with urllib, whose opener takes 20 ms to create."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port)) as connection:
        connection.request("POST", "/2015-03-31/functions/function/invocations", body=payload)
        return connection.getresponse().read()


def answer(body: bytes) -> Any:
    """Return the function's result; raise FunctionFailed for an error, which has status 200 as well."""
    try:
        answered = json.loads(body)
    except ValueError:  # the only text that is not JSON: Task timed out after 3.00 seconds
        raise FunctionFailed("Timeout", body.decode(errors="replace").strip()) from None
    if isinstance(answered, dict) and {"errorType", "errorMessage"} <= answered.keys():
        raise FunctionFailed(answered["errorType"], answered["errorMessage"])
    return answered


@contextlib.contextmanager
def lambda_runtime(
    artifact: Path, handler: str, environment: Mapping[str, str], *, folder: Path
) -> Iterator[Invoke]:
    """
    Run the built function in `artifact`, a folder that `sam build` made; `folder` takes the log.

    `environment` is all that the function gets: its own variables, and those for AWS (Cloud.environment).
    AWS_LAMBDA_FUNCTION_TIMEOUT in it limits an invocation (seconds, 300 by default).
    Call it from the main thread: the runtime ends with the thread that started it. Raises RuntimeFailed.
    """
    if not artifact.is_dir():
        raise RuntimeFailed(
            f"{artifact} is not a folder: run `sam build` and pass the built function's folder"
        )
    folder = folder.resolve()
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    log = folder / "runtime.log"
    with free_port() as front, free_port() as api:
        python = [sys.executable, *ISOLATED, BOOTSTRAP, str(artifact.resolve())]
        command = [*emulator(front, api), *python, str(provided_packages(folder)), handler]
        process = launch(command, artifact, folder, environment, log)
        try:
            wait_until_ready(process, front, log)
            yield Invoke(front, log)
        finally:
            end(process)


def emulator(front: int, api: int) -> list[str]:
    """Return the command of the emulator, which is part of sam; the function's command follows it."""
    machine = "arm64" if platform.machine() in {"aarch64", "arm64"} else "x86_64"
    pattern = f"lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
    found = next(SAM.parent.parent.glob(pattern), None)
    if found is None:
        raise RuntimeFailed(f"there is no {pattern} in {SAM.parent.parent}: run `make setup`")
    # Both addresses, otherwise it listens on every interface.
    addresses = ("--runtime-interface-emulator-address", f"127.0.0.1:{front}", "--runtime-api-address")
    return [str(found), "--log-level", "error", *addresses, f"127.0.0.1:{api}"]


def provided_packages(folder: Path) -> Path:
    """Return a folder of links to the packages that Lambda's Python provides, and to no others."""
    packages = folder / "provided"
    packages.mkdir(exist_ok=True)
    wanted, seen = list(PROVIDED), set[str]()
    while wanted:
        name = wanted.pop()
        if name not in seen:
            seen.add(name)
            wanted += link(name, packages)
    return packages


def link(name: str, packages: Path) -> list[str]:
    """Link an installed distribution into `packages`; return the names of what it requires."""
    try:
        installed = distribution(name)
    except PackageNotFoundError:  # required on other systems only
        return []
    for top in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
        with contextlib.suppress(FileExistsError):
            (packages / top).symlink_to(Path(str(installed.locate_file(top))).resolve())
    required = [requirement for requirement in installed.requires or () if "extra ==" not in requirement]
    return [re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in required]


def launch(
    command: list[str], artifact: Path, folder: Path, environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start the emulator in a session of its own; it starts the function's Python."""
    surroundings = {
        "PATH": os.defpath,
        "HOME": str(folder / "tmp"),
        "TMPDIR": str(folder / "tmp"),
        "TZ": ":UTC",  # as on Lambda
        "LAMBDA_TASK_ROOT": str(artifact.resolve()),
    }
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            cwd=artifact,
            env={**surroundings, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent(),  # noqa: PLW1509 - one system call, looked up before the fork
        )


def end_with_parent() -> Callable[[], object]:
    """Return a function that makes a child end with the thread that starts it, even if that is killed."""
    return partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, int(signal.SIGKILL))


def wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """
    Wait until the emulator listens; raise RuntimeFailed with the tail of the log if that does not happen.
    """
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.01)
            raise RuntimeFailed(f"the runtime emulator ended with status {process.returncode}:\n{tail(log)}")
    raise RuntimeFailed(f"the runtime emulator was not ready within {READY_WITHIN:.0f} s:\n{tail(log)}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the emulator, and with it the function's Python. There is nothing to save."""
    process.kill()
    process.wait()
