"""Export files of a real server: what was written is what a SELECT gives, for every column type."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bulkload.connection import Address, connect
from bulkload.exports import open_export
from bulkload.exports.exporter import Exported, Exporter, Settings
from bulkload.exports.plan import Form
from ferry.export import open_below
from lab.server import Server
from rowferry import source
from rowferry.mapping import Mapping, TableMapping
from tests.integration.test_select import COMMON, MAPPED, MARIADB, MYSQL, SESSION, Cases, execute, table_of
from tests.integration.test_select import differences as differences_of
from tests.integration.test_select import server as server  # noqa: PLC0414  a fixture

pytestmark = pytest.mark.integration

TABLE = Mapping.parse(MAPPED.format(schema="test", table="t", key="id")).tables[0]


@pytest.fixture
def cases(server: Server) -> Cases:
    return COMMON + (MYSQL if server.flavor == "mysql" else MARIADB)


def exporter(server: Server, **settings: Any) -> Exporter:
    account = server.capture
    open_source = partial(connect, Address(server.host, server.port, account.user, account.password))
    with open_source() as connection:
        identity = source.identify(connection)
    return Exporter(open_source, identity, 1, Settings(**settings), lambda _: None, lambda _: None)


def export_into(folder: Path, server: Server, table: TableMapping = TABLE, **settings: Any) -> Exported:
    return exporter(server, **settings).run(table, partial(open_below, str(folder), table.source))


def rows_in(folder: Path, table: TableMapping = TABLE, **options: Any) -> list[dict[str, Any]]:
    """All rows of the export, in the order of the column `id`."""
    export = open_export(folder, table, **options)
    names = [column.name for column in export.columns]
    found = [dict(zip(names, values, strict=True)) for part in export.parts for values in export.rows(part)]
    return sorted(found, key=lambda row: row["id"])


@pytest.mark.parametrize(
    "form", [Form(), Form(compression="gzip"), Form(compression="zstd"), Form("parquet")], ids=str
)
def test_every_type_comes_back(server: Server, cases: Cases, form: Form, tmp_path: Path) -> None:
    statements, expected = table_of(cases)
    execute(server, [*SESSION, *statements])
    result = export_into(tmp_path, server, form=form, workers=2, chunk_rows=4)
    assert result.manifest.rows == len(expected) and len(result.manifest.parts) > 1
    assert differences_of(cases, rows_in(tmp_path), expected) == []
