"""The driver's part: one Spark job from parts to items, watched until it has ended."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bulkload.exports.locations import Folder
from bulkload.from_files.local_runner import Before, Progress, StepProgress
from bulkload.from_files.steps import FilesWork, ItemSink
from bulkload.lock import LoaderLock
from bulkload.spark import errors
from bulkload.spark.cluster import Cluster
from bulkload.spark.tasks import LINES, Partitions, TaskParts
from rowferry.errors import Refused, RowferryError

LOOK = 0.5  # seconds
_BINS = 4
"""
Spark partitions for each of ours: Spark distributes ours by a hash, which with so many rarely puts two
together.
"""


@dataclass(slots=True)
class SparkRunner:
    """
    Runs a target's steps as tasks of a cluster.

    Lines are in Spark's shuffle, and lost with the job: after a kill the next run reads the parts again, but
    skips partitions that are done.
    """

    cluster: Cluster
    lock: LoaderLock
    sleep: Callable[[float], None] = time.sleep

    def run(self, work: FilesWork, sink: ItemSink, before: Before, progress: Progress) -> None:
        """
        As StepRunner. Raises BadPart before anything is written: no partition begins before all parts are
        read.
        """
        self._refuse_far(work)
        before()
        done = frozenset(one for one in work.partitions if work.partition_done(one, sink) is not None)
        if len(done) < len(work.partitions):
            errors.forget(work.place)
            self._job(work, sink, done, progress)
        work.read()

    def _refuse_far(self, work: FilesWork) -> None:
        """Raises Refused where a folder is used that other machines do not have."""
        places = [work.place, *(source.export.location for source in work.target.sources)]
        if not self.cluster.local and (far := [one for one in places if isinstance(one, Folder)]):
            raise Refused(f"{far[0]} is a folder of this machine alone", "use s3://BUCKET/PREFIX with Spark")

    def _job(self, work: FilesWork, sink: ItemSink, done: frozenset[int], progress: Progress) -> None:
        with ThreadPoolExecutor(1) as one:
            job = one.submit(self._collect, work, sink, done)
            try:
                self._watch(job, progress)
            except BaseException:
                self.cluster.session.sparkContext.cancelAllJobs()
                self._end_tasks()
                raise
        failed = job.exception()
        # Also after success: an attempt that the driver believes dead may still be writing on another
        # machine.
        if failed or not self.cluster.local:
            self._end_tasks()
        if failed:
            raise errors.found(work.place) or RowferryError(
                f"the Spark job failed ({type(failed).__name__})", "see Spark's log, then run the load again"
            ) from None
        for partition in set(work.partitions) - done - set(job.result()):
            # A partition without lines reaches no task, so none has stored its result.
            work.keep_empty(partition, sink)

    def _end_tasks(self) -> None:
        """
        Stops the writes of all tasks, even of one that the driver believes dead: tasks follow the lock's
        owner, and the last request of each ends within the lock's TTL.
        """
        self.lock.pass_on()
        self.sleep(self.lock.ttl)

    def _collect(self, work: FilesWork, sink: ItemSink, done: frozenset[int]) -> Iterable[int]:
        parts, partitions = len(work.target.parts), len(work.partitions)
        if not parts:
            return []
        lines = self.cluster.session.range(0, parts, 1, parts).mapInArrow(TaskParts(work, done), LINES)
        together = lines.repartition(partitions * _BINS, "partition").sortWithinPartitions(
            # `hash` first, so that neighbouring keys are not written together. `value`, because of two rows
            # with one place the first stays: a task that is retried has to see the same order.
            "partition",
            "hash",
            "key",
            "value",
        )
        rows = together.mapInArrow(Partitions(work, sink), "partition int").collect()
        return [row.partition for row in rows]

    def _watch(self, job: "Future[Iterable[int]]", progress: Progress) -> None:
        tracker: Any = self.cluster.session.sparkContext.statusTracker()
        first = None
        while not job.done():
            self.lock.check()
            for stage in filter(None, map(tracker.getStageInfo, tracker.getActiveStageIds())):
                first = first if first is not None else stage.stageId
                what = "parts read" if stage.stageId == first else "groups of partitions written"
                progress(StepProgress(what, stage.numCompletedTasks, stage.numTasks))
            self.sleep(LOOK)
