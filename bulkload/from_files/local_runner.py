"""
How the steps of a target's work are run on this machine: every part, then every partition.

Between the two the lines lie in spill files of the work's folder (bulkload.shuffle), so that a run that was
killed goes on with the missing parts and partitions.
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
    """How far the load has got: `what` in words, `done` of `total`."""

    what: str
    done: int
    total: int


type Before = Callable[[], None]
"""Called before each step: waits while the load rests, and raises when it may not go on."""
type Progress = Callable[[StepProgress], None]


class Passes(Protocol):
    """Runs all steps that are not done."""

    def run(self, work: FilesWork, sink: ItemSink, before: Before, progress: Progress) -> None:
        """Raises BadPart, or Refused where rows are missing, Unapplied or LeaseLost: another run goes on."""


class OnThisMachine:
    """Its `place` of work is a folder."""

    def run(self, work: FilesWork, sink: ItemSink, before: Before, progress: Progress) -> None:
        """One step after the other."""
        _clean(_folder(work))
        parts = work.target.parts
        for count, (number, place) in enumerate(parts, 1):
            before()
            if not _spilled(work, number, place).exists():
                spill(work, number, place)
            progress(StepProgress("parts read", count, len(parts)))
        work.read()  # before anything is written
        for partition in work.partitions:
            before()
            if work.partition_done(partition, sink) is None:
                group(work, partition, sink)
            progress(StepProgress("partitions grouped", partition + 1, len(work.partitions)))


def spill(work: FilesWork, number: int, place: int) -> None:
    """A part's lines into its spill file, which says that the step is done."""
    with Folder(_folder(work)).making(part_name(number, place)) as path, path.open("wb") as file:
        shuffle.spill(work.lines(number, place), work.target.partitions, file)


def group(work: FilesWork, partition: int, sink: ItemSink) -> Done:
    """A partition's lines from all spill files into the sink."""
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
    """Removes what a killed run left half made. Nothing else may be at work."""
    remove_leftovers(Folder(folder))
    for room in folder.glob("*/cut-*"):
        shutil.rmtree(room)
