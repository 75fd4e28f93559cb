"""`ferry load --from`: options and wiring of the methods that read exported files."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from bulkload.direct.grouping import Unusable
from bulkload.direct.loader import LoadOutcome
from bulkload.dynamodb.batch_writer import Writer
from bulkload.dynamodb.client import ClientOf
from bulkload.exports import FORMATS, Export, open_export, parse_watermark, source_columns
from bulkload.exports.locations import Location, S3Prefix, location
from bulkload.from_files.destinations import FILES, IMPORT, Destination, IntoFiles, IntoTable
from bulkload.from_files.import_table import ImportCounts, TableImport
from bulkload.from_files.inputs import LoadTarget, targets
from bulkload.from_files.load import FileLoad
from bulkload.from_files.local_runner import LocalRunner, StepProgress, StepRunner
from bulkload.from_files.steps import ItemSink
from bulkload.from_files.table_sink import Put
from bulkload.lock import LoaderLock
from bulkload.spark import cluster
from bulkload.spark.cluster import Cluster
from bulkload.spark.executor import ExecutorParts, PutFrom
from bulkload.throttle.limits import Limits
from bulkload.throttle.shared_counters import SharedCounters
from bulkload.throttle.worker_limiter import WorkerLimiter
from ferry.context import Context
from ferry.loading.limits import limits_of
from ferry.progress import Shown
from rowferry.errors import Refused
from rowferry.mapping import TableMapping

COMPRESSIONS = ("gzip", "zstd")
_LEAST_REQUESTS = 2
"""In flight for each Spark task: one is prepared while the other is answered."""


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("from exported files, in any order, grouped on disk or by Spark")
    group.add_argument(
        "--from",
        dest="exports",
        action="append",
        metavar="LOCATION",
        help="folder or s3://bucket/prefix of an export; repeat it for more exports. The columns of files"
        " that do not name theirs are read from --source",
    )
    group.add_argument(
        "--method",
        choices=(FILES, IMPORT),
        help="files: BatchWriteItem into the table (default); import: ImportTable into a new table",
    )
    group.add_argument("--road", choices=(FILES, IMPORT), help=argparse.SUPPRESS)  # --method before 0.2.0
    group.add_argument(
        "--format", choices=FORMATS, help="the program that wrote the files (default: detected)"
    )
    group.add_argument("--dialect", help="FIELDS and LINES, as in SELECT ... INTO OUTFILE, where needed")
    group.add_argument(
        "--watermark",
        metavar="FILE:OFFSET",
        type=parse_watermark,
        help="end of the binlog before the first row was read, for files that do not record it",
    )
    group.add_argument(
        "--to",
        metavar="LOCATION",
        help="where import files go: s3://bucket/prefix, which is then imported, or a folder, which is not",
    )
    group.add_argument(
        "--compression", choices=COMPRESSIONS, default="gzip", help="of import files (default: %(default)s)"
    )
    group.add_argument(
        "--work",
        metavar="LOCATION",
        default="rowferry-load",
        help="folder for intermediate results, about as large as the rows (default: %(default)s); with"
        " --spark a folder or s3://bucket/prefix, and small",
    )
    group.add_argument(
        "--spark",
        action="store_true",
        help="group in Spark: in the cluster where spark-submit runs this, else on this machine",
    )


def load(
    arguments: argparse.Namespace, context: Context, shown: Shown, unusable: Callable[[Unusable], None]
) -> list[LoadOutcome]:
    """
    Runs the load; `unusable` gets the rows that cannot become items. `arguments.method` has been resolved.
    """
    s3 = context.client("s3")
    wiring = _Wiring(arguments, context, s3, shown, LoaderLock(context.control), _cluster(arguments))
    return FileLoad(
        targets=targets(context.mapping, _exports(arguments, context, s3)),
        mapping=context.mapping,
        mapping_text=context.mapping_file.read_bytes(),
        control=context.control,
        destination=wiring.destination(),
        place=wiring.work(),
        runner=_runner(wiring),
        lock=wiring.lock,
        counters=wiring.counters,
        limits=limits_of(arguments),
        report=shown.report,
        progress=lambda step: _step(shown, step),
        unusable=unusable,
        given=arguments.watermark,
        accept_unusable=arguments.accept_unusable,
        again=arguments.again,
    ).run(context.stack.switch_is_on)


def _runner(wiring: "_Wiring") -> StepRunner:
    if wiring.cluster is None:
        return LocalRunner()
    from bulkload.spark.runner import SparkRunner  # needs pyarrow

    return SparkRunner(wiring.cluster, wiring.lock)


def method_of(arguments: argparse.Namespace) -> str:
    """The value of --method, or of its old name --road. Raises Refused where both are given and differ."""
    method, road = arguments.method, arguments.road
    if method and road and method != road:
        raise Refused(
            f"--method {method} and --road {road} contradict each other", "leave out --road, its old name"
        )
    return str(method or road or FILES)


def refuse_limits(arguments: argparse.Namespace) -> None:
    """Raises Refused where limits are given that the method does not have."""
    limits = limits_of(arguments)
    if replace(limits, wcu=None) != Limits() or (limits.wcu and arguments.method == IMPORT):
        raise Refused(
            "a load with --from has one limit, --max-wcu with --method files", "leave out the other limits"
        )


def _cluster(arguments: argparse.Namespace) -> Cluster | None:
    if not arguments.spark:
        return None
    found = cluster.start("rowferry load")
    if arguments.method == FILES and not found.tasks:
        raise Refused(
            "the number of Spark tasks that write at once has no limit",
            "set spark.dynamicAllocation.maxExecutors, or spark.executor.instances",
        )
    return found


def _exports(arguments: argparse.Namespace, context: Context, s3: Any) -> list[Export]:
    connection = context.connect() if context.has_source else None
    try:
        return [_export(arguments, table, s3, connection) for table in context.mapping.tables]
    finally:
        if connection is not None:
            connection.close()


def _export(arguments: argparse.Namespace, table: TableMapping, s3: Any, connection: Any) -> Export:
    """
    The table's export in the first location that has it. Raises the first location's Refused where none has.
    """
    columns = source_columns(connection, table) if connection is not None else None
    refusals = []
    for where in arguments.exports:
        try:
            return open_export(
                where,
                table,
                client=s3,
                format=arguments.format,
                columns=columns,
                dialect=arguments.dialect,
            )
        except Refused as error:
            refusals.append(error)
    raise refusals[0]


@dataclass
class _Wiring:
    """Makes the parts of a FileLoad that depend on the options."""

    arguments: argparse.Namespace
    context: Context
    s3: Any
    shown: Shown
    lock: LoaderLock
    cluster: Cluster | None
    counters: SharedCounters = field(default_factory=lambda: SharedCounters(1))

    def work(self) -> Location:
        """The work folder. Without Spark a folder: spill files are read at many offsets."""
        if "://" in self.arguments.work and not self.cluster:
            raise Refused("--work in S3 needs --spark", "name a folder of this machine")
        return location(self.arguments.work, self.s3)

    def destination(self) -> Destination:
        if self.arguments.method == FILES:
            client = ClientOf(self.context.region, self.arguments.requests)
            return IntoTable(client(), partial(self._put, client))
        if not self.arguments.to:
            raise Refused(
                "--method import needs a place for the import files", "name it: --to s3://BUCKET/PREFIX"
            )
        place = location(self.arguments.to, self.s3)
        return IntoFiles(
            place,
            self.arguments.compression,
            self._importer if isinstance(place, S3Prefix) else None,
            lambda counts: _imported(self.shown, counts),
        )

    def _put(self, client: ClientOf, target: LoadTarget) -> ItemSink:
        table, requests = target.sources[0].table, self.arguments.requests
        if self.cluster:
            # Not 0: `_cluster` refuses a cluster whose number of tasks has no limit.
            each = max(_LEAST_REQUESTS, requests // self.cluster.tasks)
            # The lock's owner is read for each target: it has another name after each Spark job
            # (LoaderLock.pass_on).
            control, share = self.context.control.name, self.cluster.tasks
            return PutFrom(ExecutorParts(client, control, self.lock.owner, self.lock.ttl, share, each), table)
        limiter = WorkerLimiter(self.counters, 0, self.lock.check)
        return Put(Writer(client(), target.name, self.lock.check, limiter=limiter), table, requests)

    def _importer(self, target: LoadTarget, files: Location) -> TableImport:
        assert isinstance(files, S3Prefix)  # `destination` has checked
        tables = [source.table for source in target.sources]
        return TableImport(
            self.context.dynamodb,
            self.context.client("logs"),
            self.context.control,
            tables,
            files,
            self.arguments.compression,
        )


def _step(shown: Shown, step: StepProgress) -> None:
    shown.step(step.done, step.total, f"{step.done:,} of {step.total:,} {step.what}")


def _imported(shown: Shown, counts: ImportCounts) -> None:
    note = f"importing: {counts.imported:,} items in the table, {counts.errors:,} refused"
    shown.step(counts.processed, 0, note)
