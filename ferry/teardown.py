"""`ferry teardown`: what may be deleted now, and how; it deletes nothing itself."""

import argparse
import json
from dataclasses import asdict, dataclass
from typing import Any

from ferry.finalize import PK as FINALIZED
from ferry.settings import Setting
from rowferry.control import CUTOVER

EPILOG = """\
examples:
  ferry teardown
  ferry teardown --json

Prints for each thing that the move has made whether it may go, and the command for it, in the order in which
they may go. Deletes nothing.
exit status: 0 all may go; 1 something must stay yet; 2 an error"""


@dataclass(frozen=True, slots=True)
class Thing:
    """`why` it must stay yet; empty: it may go by `command`."""

    what: str
    command: str
    why: str = ""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    """Adds the command to the parser."""
    parser = commands.add_parser(
        "teardown",
        parents=[common],
        help="what may be deleted now",
        description="Says what of the move may be deleted, and how.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, setting: Setting) -> int:
    """Parses, wires and prints."""
    control = setting.control
    targets = dict.fromkeys(table.target for table in setting.mapping.tables)
    unclean = [name for name in targets if not control.get(FINALIZED + name).get("done")]
    found = things(setting, moved=control.get(CUTOVER).get("state") == "done", unclean=unclean)
    if arguments.json:
        print(json.dumps([asdict(thing) for thing in found]))
    for thing in found if not arguments.json else ():
        print(f"{'STAYS' if thing.why else 'may go':<7} {thing.what}\n        {thing.why or thing.command}")
    return 1 if any(thing.why for thing in found) else 0


def things(setting: Setting, *, moved: bool, unclean: list[str]) -> list[Thing]:
    """In the order in which they may go."""
    stack = setting.stack
    why = "" if moved else "the cutover is not done: run `ferry cutover`"
    marked = why or (f"{', '.join(unclean)} still have _pos: run `ferry finalize`" if unclean else "")
    tables = [stack.output("TargetTableName")] if "TargetTableName" in stack.outputs else []
    return [
        Thing(
            "the capturer",
            "sam deploy --parameter-overrides CapturerCount=0   (or stop the process that you started)",
            why,
        ),
        Thing("the capturer's MySQL user", f"DROP USER '{_user(setting)}'@'%'", why),
        Thing("exports, import files and work in S3", "aws s3 rm --recursive s3://BUCKET/PREFIX", why),
        Thing(
            f"the stack {stack.name}: stream, consumer, alarms. {', '.join(tables)} is kept by its deletion"
            " policy, and so are the control table and the quarantine",
            f"sam delete --stack-name {stack.name}",
            marked,
        ),
        Thing(
            "the control table, which has the audit trail",
            f"ferry audit --json > audit; aws dynamodb delete-table --table-name {setting.control.name}",
            marked,
        ),
        Thing("the source's tables", "your decision: they are as they were at the fence", why),
    ]


def _user(setting: Setting) -> str:
    return setting.stack.parameters.get("SourceUser") or "rowferry"
