"""
`ferry resume --after-ddl`: how capture continues after a stop, and the confirmation to skip a transaction.
"""

import argparse
import json
from collections.abc import Mapping as Dict
from dataclasses import asdict, dataclass
from typing import Any

from ferry.context import Context
from rowferry.control_table import CHECKPOINT, FLOORS, PASSED, ControlTable
from rowferry.errors import LOAD, PASS, Refused
from rowferry.mapping import Mapping
from rowferry.position import BinlogOffset

EPILOG = """\
examples:
  ferry resume --after-ddl                             # where and why capture stopped, and what to do
  ferry resume --after-ddl --execute                   # the steps before it are done: let capture continue
  ferry resume --after-ddl --execute --without-load binlog.000012:345    # the items are correct as they are
  ferry resume --after-ddl --json | jq .steps

Capture stops before anything in the binlog that row changes cannot express: a TRUNCATE, a dropped column, a
statement instead of rows. Most of these need a load. --execute confirms that capture may skip the transaction
at which it stopped, with all its changes, once the tables named here have been loaded again since then. The
confirmation is for this place only, and ends with the capturer's --reset.

--without-load PLACE, with the place that is shown, is for a change of no value that the mapping stores:
tables swapped by gh-ost or pt-online-schema-change for another index, an archived partition whose items
should stay.

exit status: 0; 2 an error, also when it is not safe yet"""
_CAPTURER = "start the capturer, unless it restarts by itself; `ferry status` shows that it captures"


@dataclass(frozen=True, slots=True)
class Stop:
    """
    Where capture stopped, FILE:OFFSET `at` of the epoch, and why.

    `tables` have to be loaded again; `loaded` are those that have been, since. `passed`: the operator has
    confirmed that the transaction is skipped.
    """

    at: str
    epoch: int
    reason: str
    fix: str
    remedy: str
    tables: tuple[str, ...]
    loaded: tuple[str, ...]
    passed: bool

    @property
    def open(self) -> list[str]:
        """The tables that still have to be loaded again."""
        return [table for table in self.tables if table not in self.loaded]


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "resume",
        parents=[common],
        help="continue after capture stopped at DDL",
        description="Shows where and why capture stopped and what to do; lets it continue.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--after-ddl", action="store_true", required=True, help="after a stop at something in the binlog"
    )
    parser.add_argument("--execute", action="store_true", help="let capture skip the transaction")
    parser.add_argument(
        "--without-load",
        metavar="FILE:OFFSET",
        default="",
        help="confirms that the items are correct as they are after the stop there; with --execute",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    stop = find_stop(context.control)
    if arguments.execute:
        stop = execute(context.control, stop, arguments.without_load)
    todo = steps(stop, context.mapping, switch_is_on=context.stack.switch_is_on) if stop else []
    if arguments.json:
        print(json.dumps({"stopped": stop is not None, **(asdict(stop) if stop else {}), "steps": todo}))
    elif stop is None:
        print("capture has not stopped: nothing to do")
    else:
        print(
            f"capture stopped at {stop.at}, epoch {stop.epoch}\nwhy: {stop.reason}\nfix: {stop.fix}\nsteps:"
        )
        print("\n".join(f"  {number}. {step}" for number, step in enumerate(todo, 1)))
    return 0


def find_stop(control: ControlTable) -> Stop | None:
    """Where capture stopped; None while it is not stopped, or never ran."""
    checkpoint = control.get(CHECKPOINT)
    if checkpoint.get("state") != "stopped":
        return None
    at, epoch = checkpoint.get("stopped_at") or _reached(checkpoint), int(checkpoint["epoch"])
    tables, floors = checkpoint.get("again", []), control.get(FLOORS)
    position, confirmed = str(BinlogOffset.parse(at).position(epoch)), control.get(PASSED)
    return Stop(
        at=at,
        epoch=epoch,
        reason=checkpoint["reason"],
        fix=checkpoint["fix"],
        remedy=checkpoint.get("remedy", ""),
        tables=tuple(tables),
        # Not >=: a load up to the place itself does not show the transaction that begins there.
        loaded=tuple(table for table in tables if floors.get(table, "") > position),
        passed=confirmed.get("epoch") == epoch and at in confirmed["at"],
    )


def _reached(checkpoint: Dict[str, Any]) -> str:
    return f"{checkpoint['file']}:{checkpoint['offset']}"


def execute(control: ControlTable, stop: Stop | None, without_load: str = "") -> Stop:
    """
    Stores the confirmation that the transaction is skipped, where one is needed; returns the stop with it.

    `without_load` is the place FILE:OFFSET at which no load is needed. Raises Refused where the tables have
    not been loaded again, at another place, and where skipping the transaction does not help. The capturer
    acts on it when it starts.
    """
    if stop is None:
        raise Refused("capture has not stopped", "see `ferry status`")
    if without_load not in ("", stop.at):
        raise Refused(
            f"capture stopped at {stop.at} and not at {without_load}",
            "run `ferry resume --after-ddl` to see why it stopped there",
        )
    if stop.remedy not in (PASS, LOAD):
        raise Refused(f"skipping it would not help: {stop.reason}", stop.fix)
    if stop.open and (not without_load or stop.remedy == LOAD):
        raise Refused(
            f"{', '.join(stop.open)} not loaded again since capture stopped at {stop.at}",
            "do the steps that `ferry resume --after-ddl` shows",
        )
    if stop.remedy == PASS:
        _confirm(control, stop)
    return Stop(**{**asdict(stop), "passed": stop.remedy == PASS})


def _confirm(control: ControlTable, stop: Stop) -> None:
    """
    Adds the confirmation to those of the same epoch: capture may have to begin before several places.

    A confirmation for a place that capture has left has no effect.
    """
    confirmed = control.get(PASSED)
    former = confirmed["at"] if confirmed.get("epoch") == stop.epoch else []
    control.put(PASSED, {"epoch": stop.epoch, "at": [*(at for at in former if at != stop.at), stop.at]})


def steps(stop: Stop, mapping: Mapping, *, switch_is_on: bool) -> list[str]:
    """The steps that are left, in their order."""
    if not stop.remedy:
        return [stop.fix]
    if stop.passed:
        return [_CAPTURER, *([] if switch_is_on else ["ferry switch on"])]
    done = [_CAPTURER, "ferry switch on"]
    if stop.remedy == PASS:
        done = ["ferry resume --after-ddl --execute", *done]
    if not stop.open:
        return done
    return [
        *(["ferry switch off"] if switch_is_on else []),
        *(f"empty {target}" for target in _targets(stop.open, mapping)),
        "ferry load --again",
        *done,
    ]


def _targets(sources: list[str], mapping: Mapping) -> list[str]:
    """The DynamoDB tables of these sources, each once, with all of its sources."""
    found: dict[str, list[str]] = {}
    for table in mapping.tables:
        found.setdefault(table.target, []).append(table.source)
    return [
        f"the DynamoDB table {target}, with the items of {', '.join(held)}"
        for target, held in found.items()
        if set(held) & set(sources)
    ]
