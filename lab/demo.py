"""
The whole move on this machine: a real MySQL with live traffic, the emulated AWS, and every part of Rowferry.

Prints what it does and writes build/demo/report.json. Exit status 0 when every row has arrived, 1 when not.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from apply_changes.metrics import percentile
from lab.cloud import Cloud, cloud
from lab.database import Server, database
from lab.deploy import SAM, build, deploy
from lab.shop import AUDIT_LOG, PURCHASE, Shop
from lab.traffic import Writer
from rowferry.control import APPLIED, CHECKPOINT, ControlTable

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/demo"
STACK = "rowferry"
WRITERS = 2
LANES = 256
EXAMPLES = """
examples:
  make demo                                    100,000 rows, 200 changes a second
  make demo ARGS="--rows 20000 --rate 500"     fewer rows, more traffic
  make demo ARGS="--seed 7 --live 30"          other traffic, watched for longer after the backlog is gone
  ROWFERRY_MYSQLD=/usr/sbin/mariadbd make demo
"""


class DemoFailed(RuntimeError):
    """A step did not end as it must; the message says which and why."""


@dataclass(slots=True)
class Demo:
    """What the steps share: the running parts, the traffic, and what has been measured so far."""

    rows: int
    rate: float
    live: float
    server: Server
    aws: Cloud
    shops: list[Shop]
    outputs: Mapping[str, str] = field(default_factory=dict)
    writers: list[Writer] = field(default_factory=list)
    capturer: subprocess.Popen[bytes] | None = None
    report: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """One line with the seconds since the start."""
        print(f"{time.monotonic() - self.started:6.1f} s  {text}", flush=True)

    @property
    def control(self) -> ControlTable:
        """The stack's control table."""
        return ControlTable(self.aws.client("dynamodb"), self.outputs["ControlTableName"])

    @property
    def environment(self) -> dict[str, str]:
        """For ferry and the capturer: the emulated cloud, and the source with its least-privileged account."""
        account = self.server.capture
        return {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("AWS_", "ROWFERRY_"))
            },
            **self.aws.environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "ROWFERRY_STACK": STACK,
            "ROWFERRY_SOURCE": f"mysql://{account.user}@{self.server.host}:{self.server.port}",
            "ROWFERRY_SOURCE_PASSWORD": account.password,
        }

    def ferry(self, *arguments: str, capture: bool = False, accept: Sequence[int] = (0,)) -> str:
        """Runs a ferry command as an operator would. DemoFailed when it exits with another status."""
        self.say(f"$ ferry {shlex.join(arguments)}")
        done = subprocess.run(
            [sys.executable, "-m", "ferry.cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            text=True,
            check=False,
        )
        if done.returncode not in accept:
            raise DemoFailed(f"ferry {arguments[0]} ended with status {done.returncode}")
        return done.stdout or ""


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that nothing is left running
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        return _run(arguments)
    except DemoFailed as failure:
        print(f"demo: {failure}; logs are in {FOLDER.relative_to(ROOT)}/", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make demo",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--rows", type=int, default=100_000, help="rows before the traffic starts (default 100000)"
    )
    parser.add_argument("--rate", type=float, default=200, help="row changes a second (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the rows and the traffic (default 1)")
    parser.add_argument(
        "--live", type=float, default=10, help="seconds of live traffic at the end (default 10)"
    )
    return parser


def _run(arguments: argparse.Namespace) -> int:
    shops = [Shop(chr(ord("a") + n), Random(f"{arguments.seed}/{n}")) for n in range(WRITERS)]
    with database(FOLDER / "server") as server, cloud(FOLDER / "cloud") as aws:
        demo = Demo(arguments.rows, arguments.rate, arguments.live, server, aws, shops)
        demo.report["server"] = f"{server.flavor} {server.version}"
        demo.say(
            f"source: {server.flavor} {server.version} on {server.host}:{server.port}, binlog on, GTIDs on"
        )
        demo.say(f"cloud: emulated AWS at {aws.endpoint}")
        _deploy(demo)
        _fill(demo)
        with _traffic(demo), _capturer(demo) as demo.capturer:
            _load(demo)
            _switch(demo)
            _live(demo)
            _cut_over(demo)
            _end(demo, demo.capturer)
        differences = _verify(demo)
        _show_query(demo)
    _write_report(demo)
    return 1 if differences else 0


def _deploy(demo: Demo) -> None:
    demo.say("sam build, sam deploy: the stack with the switch OFF")
    built = build(ROOT, ROOT / "build/sam")
    demo.outputs = deploy(ROOT, built, demo.aws, STACK, {"Lanes": str(LANES)})
    demo.say(f"deployed: stream {demo.outputs['StreamName']}, table {demo.outputs['TargetTableName']}")


def _fill(demo: Demo) -> None:
    with demo.server.connect() as connection, connection.cursor() as cursor:
        for statement in (PURCHASE, AUDIT_LOG):
            cursor.execute(statement)
        cursor.execute("CREATE USER shop@'127.0.0.1' IDENTIFIED BY 'shop'")
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON test.* TO shop@'127.0.0.1'")
        for number, shop in enumerate(demo.shops):
            share = demo.rows // WRITERS + (demo.rows % WRITERS if number == 0 else 0)
            for statements in shop.fill(share):
                for sql, parameters in statements:
                    cursor.execute(sql, parameters)
    demo.say(
        f"filled purchase with {demo.rows:,} rows in {sum(len(shop.orders) for shop in demo.shops):,} orders"
    )


@contextlib.contextmanager
def _traffic(demo: Demo) -> Iterator[None]:
    """Traffic that goes on until the fence, or until the demo fails."""

    def connect() -> Any:
        return demo.server.connect(type(demo.server.admin)("shop", "shop"), autocommit=False)

    demo.writers = [Writer(connect, shop, demo.rate / WRITERS) for shop in demo.shops]
    for writer in demo.writers:
        writer.start()
    demo.say(f"live traffic: {demo.rate:g} row changes a second from {WRITERS} writers, until the fence")
    try:
        yield
    finally:
        for writer in demo.writers:
            writer.stop()
            writer.join(10)


@contextlib.contextmanager
def _capturer(demo: Demo) -> Iterator[subprocess.Popen[bytes]]:
    """The capturer as a process of its own."""
    account = demo.server.capture
    environment = demo.environment | {
        "STREAM_NAME": demo.outputs["StreamName"],
        "CONTROL_TABLE": demo.outputs["ControlTableName"],
        "LANES": str(LANES),
        "MAPPING_FILE": str(ROOT / "functions/purchase.toml"),
        "SOURCE_HOST": demo.server.host,
        "SOURCE_PORT": str(demo.server.port),
        "SOURCE_USER": account.user,
        "SOURCE_PASSWORD": account.password,
        "SOURCE_SERVER_ID": "740047",
    }
    log = FOLDER / "capturer.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "capturer.app"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(lambda: bool(demo.control.get(CHECKPOINT)), 60, "the capturer's first checkpoint", process)
        demo.say("capturing: row changes go on the stream, nothing consumes them yet")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _load(demo: Demo) -> None:
    demo.ferry("load", "--workers", "4")
    applied = demo.control.get(APPLIED)
    loaded = [item for item in demo.control.items("load#") if item["state"] == "done"]
    demo.report["rows_loaded"] = sum(item["rows"] for item in loaded)
    demo.report["items"] = sum(item["items"] for item in loaded)
    demo.report["applied_before_switch"] = applied.get("changes", 0)
    waiting = demo.control.get(CHECKPOINT).get("changes", 0)
    demo.say(
        f"loaded {demo.report['rows_loaded']:,} rows as {demo.report['items']:,} items; {waiting:,} changes wait on"
        f" the stream, {demo.report['applied_before_switch']} have been applied"
    )


def _switch(demo: Demo) -> None:
    demo.ferry("switch", "on")
    while True:
        captured = demo.control.get(CHECKPOINT).get("changes", 0)
        backlog = captured - demo.control.get(APPLIED).get("changes", 0)
        demo.say(f"backlog {max(backlog, 0):,} of {captured:,} captured changes")
        if (
            backlog <= 2 * demo.rate
        ):  # within two seconds of the source: the checkpoint is saved once a second
            return
        _fail_if_broken(demo)
        time.sleep(1)


def _live(demo: Demo) -> None:
    before = demo.control.get(APPLIED)
    demo.say(f"the backlog is gone; {demo.live:g} s of live traffic")
    time.sleep(demo.live)
    after = demo.control.get(APPLIED)
    counted = {name: value - before.get(name, 0) for name, value in after.items() if name.startswith("lag_")}
    for name, share in (("lag_ms_p50", 0.50), ("lag_ms_p99", 0.99)):
        lag = percentile(counted, share)
        demo.report[name] = None if lag is None else round(lag)
    demo.ferry("status")


def _cut_over(demo: Demo) -> None:
    """Fence and drain. The pause is what the shop feels: from the fence to the proof that all has arrived."""
    _fail_if_broken(demo)
    demo.say("fence: SET GLOBAL read_only = ON")
    with demo.server.connect() as connection, connection.cursor() as cursor:
        fenced = time.monotonic()
        cursor.execute("SET GLOBAL read_only = ON")
    for writer in demo.writers:
        writer.join(10)
        if writer.failure is not None or writer.fenced_at is None:
            raise DemoFailed(f"{writer.name} was not ended by the fence ({writer.failure})")
    demo.ferry("drain")
    demo.report["pause_seconds"] = round(time.monotonic() - fenced, 2)
    demo.say(f"drained: every change before the fence is applied, {demo.report['pause_seconds']} s after it")


def _end(demo: Demo, capturer: subprocess.Popen[bytes]) -> None:
    capturer.send_signal(signal.SIGTERM)
    if capturer.wait(60) != 0:
        raise DemoFailed(f"the capturer ended with status {capturer.returncode} on SIGTERM")
    checkpoint, applied = demo.control.get(CHECKPOINT), demo.control.get(APPLIED)
    if checkpoint["changes"] > applied["changes"]:
        raise DemoFailed(f"{checkpoint['changes']} changes captured, but only {applied['changes']} arrived")
    demo.report |= {
        "changes_written": sum(writer.changes for writer in demo.writers),
        "changes_captured": checkpoint["changes"],
        "changes_applied": applied["applied"],
        "repeats_skipped": applied["repeats"],
        "quarantined": applied["quarantined"],
        "kinesis_records": checkpoint["records"],
        "dynamodb_requests": applied["requests"],
    }


def _verify(demo: Demo) -> int:
    printed = demo.ferry(
        "verify", "--json", "--differences", str(FOLDER / "differences.jsonl"), capture=True, accept=(0, 1)
    )
    summary = json.loads(printed)
    mismatches = int(summary["missing"]) + int(summary["extra"]) + int(summary["different"])
    demo.report["rows_verified"] = summary["rows"]
    demo.report["mismatches"] = mismatches
    demo.say(
        f"verified {summary['rows']:,} rows in {summary['items']:,} items, both ways: {mismatches} differ"
    )
    if mismatches:
        print(Path(FOLDER / "differences.jsonl").read_text(), file=sys.stderr)
    return mismatches


def _show_query(demo: Demo) -> None:
    """The read that the application would now make, run for real."""
    order = max(demo.shops[0].orders.items(), key=lambda entry: len(entry[1]))[0]
    key = {"customerid": {"S": order[0]}, "orderid": {"S": order[1]}}
    table = demo.outputs["TargetTableName"]
    item = demo.aws.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
    print("\nWhat the application asks now, in Python:\n")
    print(f'  boto3.resource("dynamodb").Table("{table}").get_item(')
    print(f'      Key={{"customerid": "{order[0]}", "orderid": "{order[1]}"}})["Item"]\n')
    members = {name: next(iter(value.values())) for name, value in sorted(item.items())}
    print("  " + json.dumps(members) + "\n\nand on the command line:\n")
    command = ["dynamodb", "get-item", "--table-name", table, "--key", json.dumps(key), "--output", "json"]
    print(f"  aws {shlex.join(command)}\n")
    answer = subprocess.run(
        [SAM.with_name("aws"), *command], env=demo.environment, capture_output=True, text=True, check=False
    )
    if answer.returncode != 0 or json.loads(answer.stdout)["Item"] != item:
        raise DemoFailed(f"the aws command line gives another answer: {answer.stderr.strip()}")
    print("  " + json.dumps(json.loads(answer.stdout)["Item"], sort_keys=True) + "\n")


def _write_report(demo: Demo) -> None:
    file = FOLDER / "report.json"
    file.write_text(json.dumps(demo.report, indent=2) + "\n")
    for name, value in demo.report.items():
        print(f"  {name:<22} {value:>12,}" if isinstance(value, int) else f"  {name:<22} {value!s:>12}")
    print(f"\n{time.monotonic() - demo.started:.0f} s in all; {file.relative_to(ROOT)}")


def _fail_if_broken(demo: Demo) -> None:
    for writer in demo.writers:
        if writer.failure is not None:
            raise DemoFailed(f"{writer.name} failed: {writer.failure}")
    if demo.capturer is not None and demo.capturer.poll() is not None:
        raise DemoFailed(f"the capturer ended with status {demo.capturer.returncode}")


def _wait_for(done: Callable[[], bool], seconds: float, what: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + seconds
    waiting = threading.Event()
    while not done():
        if process.poll() is not None:
            raise DemoFailed(f"the process ended with status {process.returncode} before {what}")
        if time.monotonic() > deadline:
            raise DemoFailed(f"{what} did not come within {seconds:g} s")
        waiting.wait(0.2)


if __name__ == "__main__":
    sys.exit(main())
