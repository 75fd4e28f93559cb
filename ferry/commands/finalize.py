"""`ferry finalize`: removes Rowferry's own attributes from the items, once the application has moved."""

import argparse
import json
import time
from typing import Any

from ferry import consumer_switch
from ferry.context import Context
from ferry.metadata_removal import TableLimiter, TargetTable, finalize
from ferry.options import positive
from ferry.progress import progress
from rowferry.control_table import CUTOVER, FINALIZE, ControlTable
from rowferry.errors import Refused
from rowferry.mapping.table import POSITION, Layout

EPILOG = """\
examples:
  ferry finalize                          # prints what it would do
  ferry finalize --execute
  ferry finalize --execute --max-wcu 500

Removes _pos from every item, and every tombstone (an item with _ttl), from all target tables, at --max-wcu,
while the application reads and writes. A run that was killed at any moment resumes when it is run again. The
switch is turned OFF first, for good: without _pos an old change would be applied again.

Only these attributes are changed, by conditional writes: an item that the application has replaced stays as
it is. A tombstone that the application has made an item again by an UpdateItem keeps the application's
attributes and loses _pos and _ttl.

--json prints {"tables": {NAME: {"stripped", "deleted", "skipped"}}}.
exit status: 0 done; 2 an error; 130 interrupted"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "finalize",
        parents=[common],
        help="remove _pos and tombstones after the cutover",
        description="Removes _pos and tombstones from all target tables.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--execute", action="store_true", help="do it")
    parser.add_argument(
        "--max-wcu",
        type=positive,
        default=100,
        metavar="N",
        help="WCU/s for all tables together (default: %(default)s)",
    )
    parser.add_argument(
        "--moved-without-cutover",
        action="store_true",
        help="confirms that the application has moved, although `ferry cutover` did not move it",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    _require_moved(context.control, confirmed=arguments.moved_without_cutover)
    keys = {table.target: _keys(context.dynamodb, table.target) for table in context.mapping.tables}
    grouped = {table.target for table in context.mapping.tables if table.layout is not Layout.ITEM_PER_ROW}
    if not arguments.execute:
        print(
            f"would turn the switch OFF and remove {POSITION} and tombstones from"
            f" {', '.join(sorted(keys))} at {arguments.max_wcu} WCU/s: --execute does it"
        )
        return 0
    with progress("finalize", unit="items") as shown:
        clients = context.client("cloudformation"), context.client("lambda")
        # Before the switch is turned: from here on `ferry switch on` refuses.
        context.control.update(FINALIZE, set={"begun": int(time.time() * 1000)})
        consumer_switch.turn(*clients, context.stack, "OFF", shown.report)
        limiter = TableLimiter(arguments.max_wcu)
        found = {
            target: finalize(
                context.control,
                context.dynamodb,
                TargetTable(target, names, target in grouped),
                limiter,
                shown.step,
            )
            for target, names in sorted(keys.items())
        }
    if arguments.json:
        print(json.dumps({"tables": found}))
    else:
        for target, counts in found.items():
            print(f"{target}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items()) + "; done")
    return 0


def _require_moved(control: ControlTable, *, confirmed: bool) -> None:
    phase = control.get(CUTOVER).get("phase", "open")
    # No confirmation helps in the phases in between: a fence may be up, and MySQL may take writes again.
    if phase != "done" and not (confirmed and phase in ("open", "lifted")):
        raise Refused(
            f"the cutover is {phase}, not done",
            "run `ferry cutover`; where the application has moved without it, add --moved-without-cutover",
        )


def _keys(client: Any, table: str) -> tuple[str, ...]:
    schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    return tuple(entry["AttributeName"] for entry in schema)
