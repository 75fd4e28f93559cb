"""Every column type, through the bulk load and through the stream: both must give what is written in the cases."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import pytest

from lab.binlog_dump import end_of_binlog
from lab.server import Server
from rowferry.mapping import Mapping
from tests.integration import matrix_cases as cases
from tests.integration.matrix_cases import Attribute, Differs
from tests.integration.roads import Arrived, Item, Place, bulk_road, stream_road

pytestmark = pytest.mark.integration

SESSION = "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    if chosen.flavor != request.param:
        pytest.skip(f"no {request.param} on this machine")
    return chosen


def run(server: Server, *statements: str, session: Sequence[str] = (SESSION,)) -> Place:
    """Executes; returns where the binlog ended before."""
    start = end_of_binlog(server)
    with server.connect(charset="utf8mb4") as connection, connection.cursor() as cursor:
        for statement in (*session, *statements):
            cursor.execute(statement)
    return start


def rows_as_items(tables: Sequence[str], **options: str) -> str:
    """A mapping that makes an item of each row, by the column `id`."""
    more = "".join(f"{name} = {value}\n" for name, value in options.items())
    return "".join(
        f"""[[table]]
        source = "test.{table}"
        target = "{table}"
        layout = "item-per-row"
        hash_key = {{ attribute = "id", type = "N" }}
        {more}"""
        for table in tables
    )


def both(server: Server, start: Place, text: str) -> tuple[Arrived, Arrived]:
    mapping = Mapping.parse(text)
    return bulk_road(server, mapping), stream_road(server, start, mapping)


def by_value(attribute: Any) -> Any:
    """Numbers as numbers: 1.10 and 1.1 are one to DynamoDB."""
    if isinstance(attribute, dict):
        return {
            kind: Decimal(content) if kind == "N" else by_value(content)
            for kind, content in attribute.items()
        }
    return [by_value(one) for one in attribute] if isinstance(attribute, list) else attribute


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
            wrong += [f"{road} refused {key}: {why}" for some in arrived.refused.values() for key, why in some]
            for table in tables:
                found = arrived.by(table.name, "id")
                assert len(found) == len(table.rows)
                for number in range(len(table.rows)):
                    item = found.get((str(number),))
                    wrong += table.wrong(road, item, number, nulls=nulls == "attribute")
    return wrong


def test_every_type_is_the_same_on_both_roads(server: Server) -> None:
    tables = [
        laid(name, columns, server.flavor) for name, columns in cases.TABLES[server.flavor].items()
    ]
    start = run(server, *(statement for table in tables for statement in table.statements))
    assert compare(server, tables, start) == []
