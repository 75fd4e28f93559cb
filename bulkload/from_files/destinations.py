"""
The two methods of a load from files: `files` into the existing table, `import` by ImportTable into a new one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from bulkload import preconditions
from bulkload.direct.grouping import Unusable
from bulkload.exports.locations import Location
from bulkload.from_files.import_files import Files, refuse_others
from bulkload.from_files.import_table import ImportCounts, TableImport
from bulkload.from_files.inputs import LoadTarget
from bulkload.from_files.steps import FilesWork, ItemSink
from rowferry.errors import Refused
from rowferry.position import Position

FILES, IMPORT = "files", "import"


class Destination(Protocol):
    """What differs between the methods. FileLoad calls it while it has the loader's lock."""

    method: str

    def forget(self, target: LoadTarget) -> None:
        """Discards what an earlier load began."""

    def check(self, target: LoadTarget) -> None:
        """Raises Refused where the target's table cannot be loaded by this method."""

    def holds_items(self, target: LoadTarget, first_epoch: int) -> bool:
        """Whether the target's table has live items. Refused when they are from before this capture."""

    def refuse_newer(self, target: LoadTarget, position: Position) -> None:
        """Raises Refused where the target's table has anything newer than the position."""

    def sink(self, target: LoadTarget) -> ItemSink: ...

    def finish(self, work: FilesWork) -> "Arrived":
        """Brings what the sink took into the table. Called after every partition is done."""


class Arrived(NamedTuple):
    """`complete`: the items are in the table, except the `refused` ones."""

    complete: bool = True
    refused: Sequence[Unusable] = ()


@dataclass(slots=True)
class IntoTable:
    """The method `files`. `put` makes the sink of a target's table."""

    client: Any
    put: Callable[[LoadTarget], ItemSink]
    method: str = FILES

    def forget(self, target: LoadTarget) -> None:
        """Does nothing: there is no state but the table."""

    def check(self, target: LoadTarget) -> None:
        """The table has to exist, with the mapping's key."""
        for source in target.sources:
            preconditions.refuse_other_keys(self.client, source.table)
            preconditions.refuse_expiry(self.client, source.table)

    def holds_items(self, target: LoadTarget, first_epoch: int) -> bool:
        """Scans up to the first one."""
        return preconditions.holds_items(self.client, target.name, first_epoch)

    def refuse_newer(self, target: LoadTarget, position: Position) -> None:
        """Scans the whole table."""
        preconditions.refuse_newer(self.client, target.name, position)

    def sink(self, target: LoadTarget) -> ItemSink:
        return self.put(target)

    def finish(self, work: FilesWork) -> Arrived:
        """Does nothing: the sink has written to the table."""
        del work
        return Arrived()


@dataclass(slots=True)
class IntoFiles:
    """
    The method `import`: files in `location`, a folder of it for each target.

    `importer` makes a target's TableImport; None where the location is not a bucket: then the files are the
    result.
    """

    location: Location
    compression: str
    importer: Callable[[LoadTarget, Location], TableImport] | None
    progress: Callable[[ImportCounts], None]
    method: str = IMPORT

    def forget(self, target: LoadTarget) -> None:
        """Makes the next run start another import."""
        if self.importer:
            self.importer(target, self._place(target)).forget()

    def _place(self, target: LoadTarget) -> Location:
        return self.location.below(target.name)

    def check(self, target: LoadTarget) -> None:
        """The table must not exist yet."""
        if self.importer:
            self.importer(target, self._place(target)).refuse_existing()

    def holds_items(self, target: LoadTarget, first_epoch: int) -> bool:
        """False before the import has made the table."""
        return self.importer is not None and self.importer(target, self._place(target)).holds_items(
            first_epoch
        )

    def refuse_newer(self, target: LoadTarget, position: Position) -> None:
        """Does nothing: a new table has no items."""

    def sink(self, target: LoadTarget) -> ItemSink:
        return Files(self._place(target), self.compression)

    def finish(self, work: FilesWork) -> Arrived:
        """
        Imports the files. Raises Refused where other files are among them, or items are missing afterwards.
        """
        place = self._place(work.target)
        sink = self.sink(work.target)
        made = [file for done in work.grouped(sink) if done.detail for file in done.detail["files"]]
        refuse_others(place, [file["name"] for file in made])
        if self.importer is None:
            return Arrived(complete=False)
        table = self.importer(work.target, place)
        return _imported(table, sum(file["items"] for file in made), self.progress)


def _imported(table: TableImport, items: int, progress: Callable[[ImportCounts], None]) -> Arrived:
    if not items:
        table.create_empty()
        table.settle()
        return Arrived()
    arn = table.start()
    counts = table.wait(arn, progress)
    # That an import is complete does not say that it read every file once: the numbers have to balance.
    if counts.processed != items or counts.imported + counts.errors != items:
        raise Refused(
            f"ImportTable read {counts.processed:,} items and kept {counts.imported:,} of {items:,}"
            f" for {table.name}",
            f"delete table {table.name}, remove the folder of --work, and run the load again",
        )
    # Perhaps fewer than were refused: its log may lack some, and only the first are named.
    refused = list(table.refused(arn)) if counts.errors else []
    unnamed = counts.errors - len(refused)
    if unnamed > 0:
        names = ", ".join(one.source for one in table.tables)
        refused.append(Unusable(names, {"import": arn}, "see its log in /aws-dynamodb/imports", unnamed))
    table.settle()
    return Arrived(refused=refused)
