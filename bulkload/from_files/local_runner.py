"""
Runs the steps of a target's work on this machine: every part, then every partition.

Between the two the lines are in spill files of the work folder (bulkload.shuffle), so that the next run
resumes one that was killed with the missing parts and partitions.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bulkload.exports.locations import Folder, remove_leftovers
from bulkload.from_files.steps import Done, FilesWork, ItemSink, part_name, partition_name
from bulkload.shuffle import shuffle


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The load's progress: `what` in words, `done` of `total`."""

    what: str
    done: int
    total: int


type Before = Callable[[], None]
"""Called before each step: waits while the load is paused, and raises when it may not go on."""
type Progress = Callable[[StepProgress], None]


class StepRunner(Protocol):
    """Runs all steps of a target's work that are not done: here, or on a cluster (spark.runner)."""

    def run(self, work: FilesWork, sink: ItemSink, before: Before, progress: Progress) -> None:
        """
        Raises BadPart for a damaged part, Refused where rows are missing, before the sink gets anything;
        Unapplied or LeaseLost when it cannot go on: the next run resumes.
        """


class LocalRunner:
    """Runs one step after the other. The work's `place` has to be a folder."""

    def run(self, work: FilesWork, sink: ItemSink, before: Before, progress: Progress) -> None:
        _clean(_folder(work))
        parts = work.target.parts
        for count, (number, place) in enumerate(parts, 1):
            before()
            # Not by the stored result: it is written just before the spill file gets its name.
            if not _spilled(work, number, place).exists():
                spill(work, number, place)
            progress(StepProgress("parts read", count, len(parts)))
        work.read()  # checks the number of rows, before anything is written
        for partition in work.partitions:
            before()
            if work.partition_done(partition, sink) is None:
                group(work, partition, sink)
            progress(StepProgress("partitions grouped", partition + 1, len(work.partitions)))


def spill(work: FilesWork, number: int, place: int) -> None:
    """Writes a part's lines to its spill file, whose existence marks the step as done."""
    with Folder(_folder(work)).making(part_name(number, place)) as path, path.open("wb") as file:
        shuffle.spill(work.lines(number, place), work.target.partitions, file)


def group(work: FilesWork, partition: int, sink: ItemSink) -> Done:
    """Groups a partition's lines from all spill files into items, for the sink."""
    spilled = [_spilled(work, number, place) for number, place in work.target.parts]
    room = (_folder(work) / partition_name(partition, sink)).parent
    room.mkdir(parents=True, exist_ok=True)
    return work.take(partition, shuffle.groups(shuffle.stored(spilled, partition), room), sink)


def _spilled(work: FilesWork, number: int, place: int) -> Path:
    return _folder(work) / part_name(number, place)


def _folder(work: FilesWork) -> Path:
    assert isinstance(work.place, Folder)
    return work.place.path


def _clean(folder: Path) -> None:
    """Removes the leftovers of a killed run. No other run may be active in the folder."""
    remove_leftovers(Folder(folder))
    for room in folder.glob("*/cut-*"):
        shutil.rmtree(room)
