"""
The emulated AWS of the rehearsal: one ministack process on a free loopback port, which ends with the command.

    with cloud(folder) as aws:
        aws.client("dynamodb").list_tables()
        subprocess.run([...], env={**os.environ, **aws.environment})
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MINISTACK_PYTHON = ROOT / "build/tools/ministack/bin/python"
READY_WITHIN = 300.0  # seconds; it takes 1 s on an idle machine
REGION = "us-east-1"


class CloudFailed(RuntimeError):
    """
    The emulated AWS did not start, or ended by itself; the message ends in the tail of its log, or the fix.
    """


@dataclass(frozen=True, slots=True)
class Cloud:
    """
    A running emulated AWS.

    endpoint: http://127.0.0.1:PORT environment: the variables with which boto3, sam, the aws command line and
    the capturer reach it, and only it. log: the emulator's own log, with the functions' errors.
    """

    endpoint: str
    environment: Mapping[str, str]
    log: Path
    _clients: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def client(self, service: str, **config: Any) -> Any:
        """Return a boto3 client, the same one for the same arguments; `config` is botocore's."""
        key = (service, tuple(sorted(config.items(), key=repr)) if config else ())
        with self._lock:  # boto3's session is not thread-safe, its clients are
            if key not in self._clients:
                self._clients[key] = self._new_client(service, config)
            return self._clients[key]

    def _new_client(self, service: str, config: Mapping[str, Any]) -> Any:
        from boto3.session import Session
        from botocore.config import Config

        if "session" not in self._clients:
            self._clients["session"] = Session(
                aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
                region_name=REGION,
            )
        settings = {
            "retries": {"mode": "standard", "max_attempts": 3},
            "max_pool_connections": 32,
            # The emulator is on loopback: no proxy of the environment may get in between.
            "proxies": {},
        }
        return self._clients["session"].client(
            service, endpoint_url=self.endpoint, config=Config(**{**settings, **config})
        )

    def reset(self) -> None:
        """Empty the cloud: every resource, record and running function is gone. Takes about 0.2 s."""
        request(f"{self.endpoint}/_ministack/reset", method="POST", timeout=300)


@contextlib.contextmanager
def cloud(folder: Path, python: Path = MINISTACK_PYTHON, *, import_seconds: float = 1.0) -> Iterator[Cloud]:
    """
    Run an emulated AWS in `folder`, which is created and whose `tmp` is emptied at the end.

    An ImportTable takes its first item after `import_seconds`; on AWS it takes minutes.

    Call it from the main thread: the emulator ends with the thread that started it, so that it also ends if
    this process is killed. Raises CloudFailed.
    """
    if not python.exists():
        raise CloudFailed(f"the emulated AWS is not installed ({python} is missing): run `make setup`")
    folder = folder.resolve()
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    with free_port() as port:
        environment = client_environment(folder, port)
        aws = Cloud(environment["AWS_ENDPOINT_URL"], environment, folder / "ministack.log")
        process = launch(python, folder, port, aws, import_seconds)
        try:
            wait_until_ready(process, aws)
            yield aws
        finally:
            end(process)
            shutil.rmtree(folder / "tmp", ignore_errors=True)


@contextlib.contextmanager
def free_port() -> Iterator[int]:
    """
    Yield a loopback port that is not given to anybody else inside: it stays bound, but nothing listens on it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def client_environment(folder: Path, port: int) -> dict[str, str]:
    """Return the variables that send every AWS SDK to the emulator, never to a real account or a proxy."""
    profile = folder / "aws-config"
    profile.write_text(
        f"[default]\nregion = {REGION}\n"
    )  # overrides the AWS_PROFILE that the user may have set
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_PROFILE": "default",
        "AWS_CONFIG_FILE": str(profile),
        "AWS_SHARED_CREDENTIALS_FILE": str(profile),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_RETRY_MODE": "standard",
        "AWS_MAX_ATTEMPTS": "3",
        "AWS_PAGER": "",
        "SAM_CLI_TELEMETRY": "0",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


def launch(
    python: Path, folder: Path, port: int, aws: Cloud, import_seconds: float = 1.0
) -> subprocess.Popen[bytes]:
    """Start the emulator in a process group of its own; of the caller's environment it gets only PATH."""
    settings = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(folder / "tmp"),
        "TMPDIR": str(folder / "tmp"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "LOG_LEVEL": "WARNING",  # at INFO it writes a line for every request
        "PERSIST_STATE": "0",
        "STATE_DIR": str(folder / "tmp/state"),
        "S3_DATA_DIR": str(folder / "tmp/s3"),
        "IOT_MTLS_ENABLED": "0",  # it would listen on a fixed port
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder}/no-docker",  # otherwise it removes containers that look like its own
        "PYTHONUNBUFFERED": "1",
        "LAB_IMPORT_SECONDS": str(import_seconds),  # lab/emulator/cloud_launcher.py reads it
    }
    with aws.log.open("wb") as log:
        return subprocess.Popen(
            [python, "-m", "lab.emulator.cloud_launcher", str(os.getpid())],
            cwd=ROOT,  # makes `lab` importable; a PYTHONPATH would be inherited by the functions
            env={**aws.environment, **settings},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_ready(process: subprocess.Popen[bytes], aws: Cloud) -> None:
    """
    Wait until requests are answered; raise CloudFailed with the tail of the log if that does not happen.
    """
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, OSError):
            request(f"{aws.endpoint}/_ministack/health", method="GET", timeout=30)
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.03)  # also the pause between two tries
            raise CloudFailed(f"the emulated AWS ended with status {process.returncode}:\n{tail(aws.log)}")
    raise CloudFailed(f"the emulated AWS was not ready within {READY_WITHIN:.0f} s:\n{tail(aws.log)}")


def request(url: str, method: str, timeout: float) -> None:
    """Send a request directly to the emulator, not through a proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(urllib.request.Request(url, method=method), timeout=timeout) as response:
        response.read()


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill the emulator and the functions it runs. There is nothing to save: its state is in memory."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(file: Path, lines: int = 30) -> str:
    """Return the last lines of a text file."""
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
