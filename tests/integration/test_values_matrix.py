"""Every column type, through the bulk load and through the stream: both must give what is written in the cases."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import pytest

from lab.server import Server
from tests.integration import matrix_cases as cases
from tests.integration.matrix_cases import Attribute, Differs
from tests.integration.matrix_bed import both, by_value, rows_as_items, run, server
from tests.integration.roads import Item, Place

__all__ = ["server"]
pytestmark = pytest.mark.integration


@dataclass(slots=True)
class Laid:
    """A table that holds a column for each definition and a row for the next case of each."""

    name: str
    columns: dict[str, str]
    rows: list[dict[str, tuple[str, Attribute]]]

    @property
    def statements(self) -> Iterator[str]:
        columns = "".join(f", {name} {definition}" for name, definition in self.columns.items())
        yield f"CREATE TABLE {self.name} (id INT PRIMARY KEY{columns})"
        for number, row in enumerate(self.rows):
            literals = ", ".join(row[name][0] if name in row else "NULL" for name in self.columns)
            yield f"INSERT INTO {self.name} VALUES ({number}, {literals})"

    def expected(self, number: int, *, nulls: bool) -> Item:
        absent = dict.fromkeys(self.columns, {"NULL": True}) if nulls else {}
        present = {name: attribute for name, (_, attribute) in self.rows[number].items()}
        return by_value({"id": {"N": str(number)}, **absent, **present})  # type: ignore[no-any-return]

    def wrong(self, road: str, found: Item | None, number: int, *, nulls: bool) -> Iterator[str]:
        """A line for each case that has another value."""
        got, wanted = by_value(found or {}), self.expected(number, nulls=nulls)
        for name in sorted(got.keys() | wanted.keys()):
            if got.get(name) != wanted.get(name):
                case = f"{self.columns.get(name, name)} = {self.rows[number].get(name, ('NULL',))[0]}"
                yield f"{road}: {case[:90]}: {_short(got.get(name))}, not {_short(wanted.get(name))}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 200 else f"{text[:90]}...{text[-90:]}"


def laid(name: str, columns: cases.Columns, flavor: str) -> Laid:
    names = {f"c{number}": definition for number, definition in enumerate(columns)}
    rows = [
        {
            column: (sql, getattr(attribute, flavor) if isinstance(attribute, Differs) else attribute)
            for column, case in zip(names, some, strict=True)
            if case is not None
            for sql, attribute in [case]
        }
        for some in zip_longest(*(found.items() for found in columns.values()))
    ]
    return Laid(name, names, [*rows, {}])


def compare(server: Server, tables: Sequence[Laid], start: Place) -> list[str]:
    wrong: list[str] = []
    for nulls in ("leave-out", "attribute"):
        text = rows_as_items([table.name for table in tables], null=f'"{nulls}"')
        for road, arrived in zip(("bulk", "stream"), both(server, start, text), strict=True):
            wrong += [
                f"{road} refused {key}: {why}" for some in arrived.refused.values() for key, why in some
            ]
            for table in tables:
                found = arrived.by(table.name, "id")
                assert len(found) == len(table.rows)
                for number in range(len(table.rows)):
                    item = found.get((str(number),))
                    wrong += table.wrong(road, item, number, nulls=nulls == "attribute")
    return wrong


def test_every_type_is_the_same_on_both_roads(server: Server) -> None:
    tables = [laid(name, columns, server.flavor) for name, columns in cases.TABLES[server.flavor].items()]
    start = run(server, *(statement for table in tables for statement in table.statements))
    wrong = compare(server, tables, start)
    assert not wrong, "\n".join(wrong)
