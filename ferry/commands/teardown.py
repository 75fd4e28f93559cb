"""`ferry teardown`: lists what may be deleted now, and what not yet. Deletes nothing."""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from ferry.context import Context
from rowferry.control_table import CUTOVER, ControlTable, finalize_key, segment_key

EPILOG = """\
examples:
  ferry teardown
  ferry teardown --json | jq -r '.[] | select(.now) | .command'

Prints what the move has left, in the order in which it should be deleted: the command that deletes it, or the
reason why it must stay. Deletes nothing.

exit status: 0; 2 an error"""


@dataclass(frozen=True, slots=True)
class Leftover:
    """One thing to delete; `now`: whether it may be deleted, `waits`: why not yet, `command`: how."""

    what: str
    now: bool
    waits: str
    command: str


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "teardown",
        parents=[common],
        help="list what may be deleted after the move",
        description="Lists what may be deleted now, and what not yet. Deletes nothing.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    moved = context.control.get(CUTOVER).get("phase") == "done"
    targets = {table.target for table in context.mapping.tables}
    stripped = all(_is_stripped(context.control, target) for target in targets)
    user = context.source.user if context.has_source else "rowferry"
    found = list(
        leftovers(context.stack.name, dict(context.stack.outputs), user, moved=moved, stripped=stripped)
    )
    if arguments.json:
        print(json.dumps([asdict(leftover) for leftover in found]))
    else:
        for leftover in found:
            print(f"{'now' if leftover.now else 'NOT YET'}: {leftover.what}")
            print(f"  {leftover.command if leftover.now else leftover.waits}")
    return 0


def _is_stripped(control: ControlTable, target: str) -> bool:
    segments = int(control.get(finalize_key(target)).get("segments", 0))
    return segments > 0 and all(
        control.get(segment_key(target, number)).get("done") for number in range(segments)
    )


def leftovers(
    stack: str, outputs: dict[str, str], user: str, *, moved: bool, stripped: bool
) -> Iterator[Leftover]:
    """In the order of deletion: what could still be a way back comes late, the audit trail last."""
    cut = "" if moved else "the application has not moved: `ferry cutover`"
    left = cut or ("" if stripped else "the items still have _pos: `ferry finalize --execute`")
    bucket = outputs.get("FailureBucketName", outputs.get("FailureBucket", "BUCKET"))
    queue, control = outputs.get("QuarantineUrl", "URL"), outputs.get("ControlTableName", "TABLE")

    def one(what: str, waits: str, command: str) -> Leftover:
        return Leftover(what, not waits, waits, command)

    yield one(
        "the capturer",
        cut,
        "sam deploy --parameter-overrides CapturerCount=0 ...  # with the other parameters as they are",
    )
    yield one("the capturer's user, with its replication grants", cut, f"mysql -e \"DROP USER '{user}'@'%'\"")
    yield one(
        "files of exports, of ImportTable and of Spark",
        cut,
        "aws s3 rm --recursive s3://BUCKET/PREFIX/  # of --to",
    )
    yield one("quarantined messages", left, f"aws sqs purge-queue --queue-url {queue}  # once reviewed")
    yield one("records in the failure bucket", left, f"aws s3 rm --recursive s3://{bucket}/")
    yield one(
        "the stack: stream, consumer, alarms (target tables and control table stay)",
        left,
        f"sam delete --stack-name {stack}",
    )
    yield one("MySQL itself", left, "after a last backup, when nothing reads it any more")
    yield one(
        "the control table with the audit trail, last",
        left,
        f"ferry audit --json > audit.json && aws dynamodb delete-table --table-name {control}",
    )
