"""`ferry load`: the bulk load, by chunks of MySQL or from exported files."""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import inf
from pathlib import Path
from typing import Any, TextIO

from bulkload.connection import Connect, connect
from bulkload.direct.grouping import Unusable
from bulkload.direct.loader import Loader, LoadOutcome, LoadSettings, LoadTally, Reports
from bulkload.dynamodb.client import ClientOf
from bulkload.lock import LoaderLock
from ferry.context import Context
from ferry.loading import from_files, limits, plan
from ferry.options import positive, server_address
from ferry.progress import Shown, progress
from rowferry.errors import Refused

SHOWN = 10
EPILOG = """\
examples:
  ferry load
  ferry load --max-wcu 4000 --max-threads-running 40   # and `ferry throttle` while it runs
  ferry load --processes 8 --chunk-rows 20000
  ferry load --unusable-file unusable.jsonl      # list the rows that cannot become items
  ferry load --accept-unusable                   # finish without them
  ferry load --again                             # with a new plan, overwriting what was loaded
  ferry load --plan                              # what each method would write, and its time and cost
  ferry load --from s3://bucket/export           # from files of `ferry export`, in any order
  ferry load --from export --method import --to s3://bucket/import   # a new table by ImportTable

The capturer must be running and the switch OFF. The application may go on writing: its changes wait on the
stream. A load that was killed at any moment resumes with the open chunks when it is run again. A finished
load does nothing.

Rows that DynamoDB can never take (a NULL or empty key, an item over 400 KB, a reserved name) are counted,
reported with a hash of their key, and written with the key to --unusable-file. The load is not done while
there are any: repair them in MySQL and run it again, or leave them out with --accept-unusable.
After a TRUNCATE, or where the capturer has skipped changes, empty the whole target before --again:
otherwise items without a row in MySQL stay, and `ferry verify` reports them as extra.

exit status: 0 done; 1 rows are unusable; 2 an error; 130 interrupted"""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "load",
        parents=[common],
        help="copy the existing rows into items",
        description="Copies the rows of all mapped tables, in chunks, without a lock.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = LoadSettings()
    parser.add_argument("--processes", type=positive, default=0, help="default: one for each processor")
    parser.add_argument(
        "--workers", type=positive, default=0, help="chunks at once (default: two for each process)"
    )
    parser.add_argument(
        "--requests",
        type=positive,
        default=defaults.requests,
        help="DynamoDB requests at once (default: %(default)s)",
    )
    parser.add_argument(
        "--chunk-rows",
        type=positive,
        default=defaults.chunk_rows,
        help="rows of a chunk (default: %(default)s)",
    )
    limits.add_limits(parser)
    parser.add_argument("--replica", metavar="HOST[:PORT]", help="the replica whose lag --max-lag limits")
    parser.add_argument(
        "--unusable-file", type=Path, metavar="FILE", help="write unusable rows here, as JSON lines"
    )
    parser.add_argument("--accept-unusable", action="store_true", help="finish without the unusable rows")
    parser.add_argument("--again", action="store_true", help="plan and load again from the beginning")
    parser.add_argument(
        "--plan", action="store_true", help="print what each method would write and cost, and write nothing"
    )
    from_files.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, context: Context) -> int:
    arguments.method = from_files.method_of(arguments)
    if arguments.plan:
        return plan.run(context, as_json=arguments.json)
    if arguments.exports:
        from_files.refuse_limits(arguments)
    elif arguments.spark:
        raise Refused("--spark needs exported files", "run `ferry export`, then name its place with --from")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends cleanly, as with Ctrl-C
    unit = "steps" if arguments.exports else "rows"
    with (
        progress("load", unit=unit) as shown,
        _unusable(arguments.unusable_file, shown) as unusable,
    ):
        load = from_files.load if arguments.exports else _direct
        outcomes = load(arguments, context, shown, unusable)
    print(json.dumps(list(map(_fields, outcomes))) if arguments.json else "\n".join(map(_line, outcomes)))
    return _status(arguments, outcomes)


def _direct(
    arguments: argparse.Namespace, context: Context, shown: Shown, unusable: Callable[[Unusable], None]
) -> list[LoadOutcome]:
    settings = LoadSettings(
        processes=arguments.processes,
        workers=arguments.workers,
        requests=arguments.requests,
        chunk_rows=arguments.chunk_rows,
        accept_unusable=arguments.accept_unusable,
        again=arguments.again,
        limits=limits.limits_of(arguments),
    )
    return Loader(
        connect=partial(connect, context.source),
        client=ClientOf(context.region, arguments.requests),
        control=context.control,
        mapping=context.mapping,
        settings=settings,
        reports=Reports(shown.report, lambda tally: _step(shown, tally), unusable),
        lock=LoaderLock(context.control),
        replica=_replica(arguments, context),
    ).run(context.stack.switch_is_on)


def _status(arguments: argparse.Namespace, outcomes: Sequence[LoadOutcome]) -> int:
    """The exit status: 0 when all is done; else 1, with the reason on standard error."""
    if all(outcome.state == "done" for outcome in outcomes):
        return 0
    if any(outcome.result.unusable for outcome in outcomes):
        print(
            "not done: repair the unusable rows in MySQL (--unusable-file FILE lists them) and run"
            " `ferry load` again, or leave them out with --accept-unusable",
            file=sys.stderr,
        )
    else:
        print(
            f"not done: the import files are in {arguments.to}, but ImportTable reads only from S3;"
            " run it again with --to s3://BUCKET/PREFIX",
            file=sys.stderr,
        )
    return 1


def _replica(arguments: argparse.Namespace, context: Context) -> Connect | None:
    if arguments.replica is None:
        if arguments.max_lag:
            raise Refused("--max-lag needs a replica", "name it with --replica HOST:PORT")
        return None
    host, port = server_address(arguments.replica)
    return partial(connect, replace(context.source, host=host, port=port))


@contextmanager
def _unusable(file: Path | None, shown: Shown) -> Iterator[Any]:
    """
    Context manager: takes unusable rows. The first SHOWN are reported by their key's hash, all go to the
    file.
    """
    count = 0
    out: TextIO | None = file.open("w", encoding="utf-8") if file else None

    def take(row: Unusable) -> None:
        nonlocal count
        count += 1
        if count <= SHOWN:
            shown.report(f"unusable: {row.table} key {row.hash}: {row.reason}")
        if out:
            print(row.line(), file=out, flush=True)

    try:
        yield take
    finally:
        if out:
            out.close()


def _step(shown: Shown, tally: LoadTally) -> None:
    result = tally.result
    note = f"{tally.chunks_done:,} of {tally.chunks:,} chunks, {result.rows:,} rows, {result.items:,} items"
    if tally.throttles:
        note += f", {tally.throttles:,} throttles"
    if tally.rate != inf:
        note += f", at most {tally.rate:,.0f} WCU/s"
    if tally.held:
        note += f", paused: {tally.held}"
    shown.step(result.rows, tally.planned, note)


def _fields(outcome: LoadOutcome) -> dict[str, Any]:
    result = outcome.result
    return {
        "source": outcome.source,
        "target": outcome.target,
        "state": outcome.state,
        "chunks": outcome.chunks,
        "rows": result.rows,
        "items": result.items,
        "unusable": result.unusable,
        "nothing_to_do": outcome.nothing_to_do,
    }


def _line(outcome: LoadOutcome) -> str:
    result = outcome.result
    text = f"{outcome.source}: {result.rows:,} rows read, {result.items:,} items in {outcome.target}"
    if result.unusable:
        text += f", {result.unusable:,} rows unusable"
    if outcome.nothing_to_do:
        return text + "; the load was done before, nothing to do"
    return text + ("; done" if outcome.state == "done" else "; NOT done")
