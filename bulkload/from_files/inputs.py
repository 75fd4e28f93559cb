"""The input of a load: the tables of a mapping and their exports."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bulkload.exports import Export, ExportPart
from bulkload.shuffle.shuffle import partitions_for
from rowferry.errors import Refused
from rowferry.mapping import Mapping, TableMapping

_LINE_FOR_BYTE = 3
"""A row's line has about three times its bytes in a compressed export."""


@dataclass(frozen=True, slots=True)
class ExportedTable:
    table: TableMapping
    export: Export


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """One DynamoDB table, with all its sources."""

    name: str
    sources: Sequence[ExportedTable]

    @property
    def parts(self) -> list[tuple[int, int]]:
        """Every part: the number of its source, and its number there."""
        return [
            (number, place)
            for number, source in enumerate(self.sources)
            for place in range(len(source.export.parts))
        ]

    def part(self, number: int, place: int) -> tuple[ExportedTable, ExportPart]:
        return self.sources[number], self.sources[number].export.parts[place]

    @property
    def partitions(self) -> int:
        """The number of partitions that its items are shuffled into."""
        sizes = [part.bytes or 0 for source in self.sources for part in source.export.parts]
        return partitions_for(sum(sizes) * _LINE_FOR_BYTE)

    def identity(self, mapping_text: bytes, position: str) -> dict[str, Any]:
        """Identifies this work: another export, mapping or position gives another identity."""
        parts = [[asdict(part) for part in source.export.parts] for source in self.sources]
        columns = [[asdict(column) for column in source.export.columns] for source in self.sources]
        what = [self.name, [source.table.source for source in self.sources], columns, parts]
        # The bytes of the mapping file: a new comment in it counts as another load, which is only
        # inconvenient.
        digest = hashlib.sha256(mapping_text + json.dumps(what).encode()).hexdigest()
        return {"digest": digest, "position": position, "partitions": self.partitions}


def targets(mapping: Mapping, exports: Sequence[Export]) -> list[LoadTarget]:
    """The mapping's targets. Raises Refused where an export is missing: items would lack members."""
    found = {export.table: export for export in exports}
    if missing := [table.source for table in mapping.tables if table.source not in found]:
        raise Refused(
            f"there is no export of {', '.join(missing)}",
            "name all exports with --from, or load without --from, which reads MySQL",
        )
    names = dict.fromkeys(table.target for table in mapping.tables)
    return [
        LoadTarget(
            name,
            [ExportedTable(table, found[table.source]) for table in mapping.tables if table.target == name],
        )
        for name in names
    ]
