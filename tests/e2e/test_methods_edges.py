"""
The hard shapes of data by every method of the bulk load: the same items, and the same named as unusable.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lab.cloud import Cloud
from lab.database import Server
from tests.support.databases import empty
from tests.support.edge_cases import CASES, TABLES, Case, Table
from tests.support.load_commands import METHODS, Loaded
from tests.support.move_bed import Bed, make_stack
from tests.support.spark import NEEDED

pytestmark = pytest.mark.integration
EVERY = [
    pytest.param(method, marks=NEEDED if method == "spark" else ()) for method in METHODS
]  # direct first


@dataclass
class Filled:
    """
    A server with all tables of CASES. Each method loads all of them at once, when it is first asked for.
    """

    server: Server
    cloud: Cloud
    folder: Path
    found: dict[str, Loaded] = field(default_factory=dict)

    def by(self, method: str) -> Loaded:
        if method not in self.found:
            self.found[method] = METHODS[method](self._bed(), self._mapping(), self.folder)
        return self.found[method]

    def _bed(self) -> Bed:
        self.cloud.reset()
        bed = Bed(self.server, self.cloud, make_stack(self.cloud))
        bed.capture(tables=[f"test.{table.name}" for table in TABLES])
        return bed

    def _mapping(self) -> Path:
        file = self.folder / "mapping.toml"
        file.write_text("".join(table.mapping for table in TABLES))
        return file


@pytest.fixture(scope="module")
def filled(mysql_server: Server, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    empty(mysql_server)
    fill(mysql_server)
    yield Filled(mysql_server, cloud, tmp_path_factory.mktemp("methods"))
    empty(mysql_server)


def fill(server: Server) -> None:
    connection: Any
    with server.connect(charset="utf8mb4", autocommit=False) as connection, connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(table.create)
        for case in CASES:
            if rows := case.rows():
                cursor.executemany(f"INSERT INTO {case.table.name} VALUES (%s, %s, %s, %s)", rows)
            connection.commit()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
@pytest.mark.parametrize("method", EVERY)
def test_rows_become_items(filled: Filled, method: str, case: Case) -> None:
    found = Counter(repr(plain(item)) for item in filled.by(method).items[case.table.name])
    expected = Counter(repr(plain(item)) for item in case.items())
    assert beginnings(expected - found) == []


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("method", EVERY)
def test_other_rows_are_named_and_there_are_no_other_items(filled: Filled, method: str, table: Table) -> None:
    loaded, cases = filled.by(method), [case for case in CASES if case.table == table]
    assert len(loaded.items[table.name]) == sum(len(case.items()) for case in cases)
    named = {in_order(row.key): row for row in loaded.unusable if row.table == f"test.{table.name}"}
    wanted = {in_order(key): (rows, reason) for case in cases for key, rows, reason in case.named()}
    assert beginnings(named.keys() ^ wanted.keys()) == []
    wrong = [
        row for key, row in named.items() if row.rows != wanted[key][0] or wanted[key][1] not in row.reason
    ]
    assert wrong == []


@pytest.mark.parametrize("method", EVERY[1:])
def test_every_method_gives_the_same_reasons(filled: Filled, method: str) -> None:
    ours, direct = (
        Counter((row.table, in_order(row.key), row.rows, row.reason) for row in filled.by(one).unusable)
        for one in (method, "direct")
    )
    assert beginnings(map(repr, (ours - direct) + (direct - ours))) == []


def beginnings(texts: Iterable[str]) -> list[str]:
    """Enough to see what is wrong: an item may have 50,000 members."""
    return [text[:200] for text in texts]


def in_order(key: dict[str, Any]) -> str:
    return repr(sorted(key.items()))


def plain(value: Any) -> Any:
    """An item without its position, in one order, its numbers by value."""
    match value:
        case {"N": number} if len(value) == 1:
            return Decimal(str(number)).normalize()
        case dict():
            return sorted((name, plain(inside)) for name, inside in value.items() if name != "_pos")
        case list():
            return sorted(value)
    return value
