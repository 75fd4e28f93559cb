"""What the tests of values share: the servers, statements, and a mapping that takes rows as they are."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from lab.recording.binlog_dump import end_of_binlog
from lab.server import Server
from rowferry.mapping import Mapping
from tests.support.rows_to_items import Arrived, Place, bulk_road, stream_road

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
    with server.connect(charset="utf8mb4", ssl_disabled=True) as connection, connection.cursor() as cursor:
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
