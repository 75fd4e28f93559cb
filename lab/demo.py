"""
The whole move on this machine: a real MySQL with live traffic, the emulated AWS, and every part of Rowferry.

Prints what it does and writes build/demo/report.json. Exit status 0 if every row has arrived, 1 if not.
"""

import argparse
import json
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from lab.cloud import CloudFailed, cloud
from lab.database import database
from lab.deploy import SAM, DeployFailed
from lab.moving_shop import MovingShop
from lab.rehearsal import ROOT, Rehearsal, StepFailed, wait_for
from lab.shop import Shop
from rowferry.control_table import APPLIED, CHECKPOINT, load_key
from rowferry.errors import RowferryError
from rowferry.histogram import FIELD, percentile

FOLDER = ROOT / "build/demo"
DIFFERENCES = FOLDER / "differences.jsonl"
WRITERS = 2
AFTERWARDS = 5.0  # seconds
LONGEST = 600.0  # seconds that the backlog may take, on a slow machine
POINT = "point-to-dynamodb"
EXAMPLES = """
examples:
  make demo                                    100,000 rows, 250 changes a second
  make demo ARGS="--rows 20000 --rate 500"     fewer rows, more traffic
  make demo ARGS="--seed 7 --live 30"          other traffic, for longer after the backlog has been applied
  ROWFERRY_MYSQLD=/usr/sbin/mariadbd make demo
"""


@dataclass(slots=True)
class Demo:
    """The rehearsal, and what has been measured so far."""

    rehearsal: Rehearsal
    shop: MovingShop
    arguments: argparse.Namespace
    report: dict[str, Any] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    traffic_since: float = 0.0

    def say(self, text: str) -> None:
        """Prints a line with the seconds since the start."""
        print(f"{time.monotonic() - self.started:6.1f} s  {text}", flush=True)

    def ferry(self, *arguments: str, capture: bool = False, accept: Sequence[int] = (0,)) -> str:
        """Prints the command, then runs it."""
        self.say(f"$ ferry {shlex.join(arguments)}")
        return self.rehearsal.ferry(*arguments, capture=capture, accept=accept)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit status."""
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that nothing is left running
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    shops = [Shop(chr(ord("a") + number), Random(f"{arguments.seed}/{number}")) for number in range(WRITERS)]
    logs = f"logs are in {FOLDER.relative_to(ROOT)}/"
    try:
        with database(FOLDER / "server") as server, cloud(FOLDER / "cloud") as aws:
            rehearsal = Rehearsal(FOLDER, server, aws, shops)
            try:
                return _run(Demo(rehearsal, MovingShop(rehearsal, FOLDER / "database"), arguments))
            finally:
                rehearsal.tidy()
    except (StepFailed, RowferryError, CloudFailed, DeployFailed) as failure:
        print(f"demo: {failure}; {logs}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, SystemExit) as ended:
        print(f"demo: interrupted; server, cloud and capturer have ended; {logs}", file=sys.stderr)
        return 143 if isinstance(ended, SystemExit) else 130


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
    parser.add_argument("--rate", type=float, default=250, help="row changes per second (default 250)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the rows and the traffic (default 1)")
    parser.add_argument(
        "--live", type=float, default=10, help="seconds of live traffic at the end (default 10)"
    )
    return parser


def _run(demo: Demo) -> int:
    rehearsal = demo.rehearsal
    _prepare(demo)
    demo.traffic_since = time.monotonic()
    with rehearsal.traffic(demo.arguments.rate), demo.shop.open():
        demo.say(f"live traffic: {demo.arguments.rate:g} row changes per second, until the fence")
        demo.say(f"the example shop: {len(demo.shop.people)} customers, who continue after it")
        _preflight(demo)
        with rehearsal.capturing():
            demo.say("capturing: row changes are sent to the stream, and nothing consumes them yet")
            _load(demo)
            _switch(demo)
            _live(demo)
            mismatches = _verify(demo)
            if mismatches:
                return 1
            _cut_over(demo)
            _end_capture(demo)
        lost = _shop_goes_on(demo)
    demo.ferry("finalize", "--execute", "--max-wcu", "100000")
    demo.ferry("teardown", accept=(0, 1))
    demo.ferry("audit")
    _show_query(demo)
    _write_report(demo)
    return 1 if lost else 0


def _prepare(demo: Demo) -> None:
    rehearsal, server = demo.rehearsal, demo.rehearsal.server
    demo.report["server"] = f"{server.flavor} {server.version}"
    demo.say(f"source: {server.flavor} {server.version} on {server.host}:{server.port}")
    demo.say(f"cloud: emulated AWS on {rehearsal.aws.endpoint}")
    demo.say("sam build, sam deploy: the stack with the switch OFF")
    rehearsal.deploy()
    rehearsal.fill(demo.arguments.rows)
    orders = sum(len(shop.orders) for shop in rehearsal.shops)
    demo.say(f"deployed; table purchase has {demo.arguments.rows:,} rows in {orders:,} orders")


def _preflight(demo: Demo) -> None:
    """Runs preflight as JSON, and again for the eye if a condition fails."""
    done = json.loads(demo.ferry("preflight", "--json", "--measure", "1", capture=True, accept=(0, 1)))
    broken = [one for one in done if one["needed"] and not one["holds"]]
    advice = [one["name"] for one in done if not (one["needed"] or one["holds"])]
    demo.report["preflight_conditions"] = len(done)
    demo.say(f"{len(done)} conditions, {len(broken)} fail; advice: {', '.join(advice) or 'none'}")
    if broken:
        demo.ferry("preflight", "--measure", "1")


def _load(demo: Demo) -> None:
    control = demo.rehearsal.control
    demo.ferry("load")
    loaded = [item for item in control.items(load_key("")) if item["state"] == "done"]
    demo.report["rows_loaded"] = sum(item["rows"] for item in loaded)
    demo.report["items"] = sum(item["items"] for item in loaded)
    demo.report["applied_before_switch"] = control.get(APPLIED).get("changes", 0)
    demo.say(
        f"{demo.report['rows_loaded']:,} rows are now {demo.report['items']:,} items;"
        f" {control.get(CHECKPOINT)['changes']:,} changes wait on the stream,"
        f" {demo.report['applied_before_switch']} have been applied"
    )


def _switch(demo: Demo) -> None:
    """Turns the switch on, and prints the backlog until every captured change has been applied."""
    control = demo.rehearsal.control
    said = 0.0

    def caught_up() -> bool:
        nonlocal said
        captured = control.get(CHECKPOINT)["changes"]
        backlog = max(0, captured - control.get(APPLIED).get("changes", 0))
        if time.monotonic() > said + 1:
            demo.say(f"backlog: {backlog:,} of {captured:,} captured changes")
            said = time.monotonic()
        return bool(backlog == 0)

    demo.ferry("switch", "on")
    wait_for(caught_up, "the end of the backlog", demo.rehearsal.fail_if_broken, seconds=LONGEST)


def _live(demo: Demo) -> None:
    control = demo.rehearsal.control
    demo.say(f"the backlog has been applied; {demo.arguments.live:g} s of live traffic")
    before = control.get(APPLIED)
    time.sleep(demo.arguments.live)
    after = control.get(APPLIED)
    counted = {name: value - before.get(name, 0) for name, value in after.items() if name.startswith(FIELD)}
    for name, share in (("lag_ms_p50", 0.50), ("lag_ms_p99", 0.99)):
        lag = percentile(counted, share)
        demo.report[name] = None if lag is None else round(lag)
    demo.ferry("status")


def _verify(demo: Demo) -> int:
    """Compares source and target while the shop continues to write; returns the number of differences."""
    arguments = ("verify", "--json", "--differences", str(DIFFERENCES))
    summary = json.loads(demo.ferry(*arguments, capture=True, accept=(0, 1)))
    mismatches = int(summary["missing"]) + int(summary["extra"]) + int(summary["different"])
    demo.report["rows_verified"] = summary["rows"]
    demo.report["mismatches"] = mismatches
    demo.say(
        f"compared {summary['rows']:,} rows and {summary['items']:,} items both ways, under traffic:"
        f" {mismatches} differ"
    )
    if mismatches:
        demo.say(f"all of them, with their keys: {DIFFERENCES.relative_to(ROOT)}")
    return mismatches


def _cut_over(demo: Demo) -> None:
    """The shop's customers write throughout; other writers end at the fence."""
    rehearsal = demo.rehearsal
    rehearsal.fail_if_broken()
    hook = demo.shop.hook(FOLDER / "hooks" / POINT)
    demo.say(f"the hook {hook.relative_to(ROOT)} will point the shop to DynamoDB")
    command = ("cutover", "--hooks", str(hook.parent), "--execute", "--json")
    done = json.loads(demo.ferry(*command, capture=True))
    for writer in rehearsal.writers:
        writer.join()
        if writer.failure is not None or not writer.fenced:
            raise StepFailed(f"{writer.name} was not ended by the fence ({writer.failure})")
    changes = sum(writer.changes for writer in rehearsal.writers)
    demo.report["changes_written"] = changes
    demo.report["changes_per_second"] = round(changes / (time.monotonic() - demo.traffic_since), 1)
    demo.report["pause_seconds"] = done["pause_seconds"]
    demo.say(f"for {done['pause_seconds']} s nothing could be written; the shop is on DynamoDB")


def _shop_goes_on(demo: Demo) -> int:
    """
    The shop writes to DynamoDB; then its own ledger shows whether anything is lost. Returns the lost orders.
    """
    time.sleep(AFTERWARDS)
    lacks = demo.shop.close()
    demo.report["shop_writes"] = demo.shop.writes
    demo.report["shop_longest_write_seconds"] = round(demo.shop.longest, 2)
    demo.report["shop_orders_lost"] = len(lacks)
    demo.say(
        f"the shop's customers were served {demo.shop.writes:,} writes on both sides; the longest took"
        f" {demo.shop.longest:.2f} s, {len(lacks)} orders are not as acknowledged"
    )
    return len(lacks)


def _end_capture(demo: Demo) -> None:
    rehearsal = demo.rehearsal
    assert rehearsal.capturer is not None  # fail_if_broken saw it
    rehearsal.capturer.send_signal(signal.SIGTERM)
    if rehearsal.capturer.wait(60) != 0:
        raise StepFailed(f"the capturer ended with status {rehearsal.capturer.returncode} on SIGTERM")
    checkpoint, applied = rehearsal.control.get(CHECKPOINT), rehearsal.control.get(APPLIED)
    # Not `!=`: a change that was sent twice is counted twice where it arrives.
    if checkpoint["changes"] > applied["changes"]:
        raise StepFailed(f"{checkpoint['changes']} changes were captured, but {applied['changes']} arrived")
    demo.report |= {
        "changes_captured": checkpoint["changes"],
        "changes_applied": applied["applied"],
        "repeats_skipped": applied["repeats"],
        "quarantined": applied["quarantined"],
        "kinesis_records": checkpoint["records"],
        "dynamodb_requests": applied["requests"],
    }


def _show_query(demo: Demo) -> None:
    """
    Prints the read that the application makes from now on, after running it with boto3 and the aws command.
    """
    rehearsal = demo.rehearsal
    customer, order = max(rehearsal.shops[0].orders.items(), key=lambda entry: len(entry[1]))[0]
    table = rehearsal.outputs["TargetTableName"]
    key = {"customerid": {"S": customer}, "orderid": {"S": order}}
    item = rehearsal.aws.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    command = [
        "aws",
        "dynamodb",
        "get-item",
        "--table-name",
        table,
        "--key",
        json.dumps(key),
        "--output",
        "json",
    ]
    print("\nHow the application reads an order from now on, in Python:\n")
    print(f'  boto3.client("dynamodb").get_item(TableName="{table}", Key={json.dumps(key)})["Item"]\n')
    print(f"and on the command line:\n\n  {shlex.join(command)}\n\nThe answer of both:\n")
    done = subprocess.run(
        [SAM.with_name("aws"), *command[1:]],
        env=rehearsal.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 or json.loads(done.stdout)["Item"] != item:
        raise StepFailed(f"the aws command line returns something else: {done.stderr.strip()}")
    print(f"  {json.dumps(item, sort_keys=True)}\n")


def _write_report(demo: Demo) -> None:
    file = FOLDER / "report.json"
    file.write_text(json.dumps(demo.report, indent=2) + "\n", encoding="utf-8")
    for name, value in demo.report.items():
        print(f"  {name:<22} {f'{value:,}' if isinstance(value, int) else value!s:>14}")
    print(f"\n{time.monotonic() - demo.started:.0f} s in all; {file.relative_to(Path.cwd())}")


if __name__ == "__main__":
    sys.exit(main())
