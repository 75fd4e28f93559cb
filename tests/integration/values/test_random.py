"""
Tables that nobody thought of: the stream makes of their changes what the load makes of them at the end.

    EXAMPLES=3000 make test ARGS="-k values_random"

tries more than the few that are always the same.
"""

import os
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.server import Server
from rowferry.mapping import Mapping
from tests.support.matrix_bed import SESSION, run
from tests.support.rows_to_items import Arrived, bulk_road, stream_road
from tests.support.value_strategies import KEYS, Made, tables

EXAMPLES = int(os.environ.get("EXAMPLES", "0"))
pytestmark = [pytest.mark.integration, *([pytest.mark.timeout(0)] if EXAMPLES else [])]

bounded = settings(
    max_examples=EXAMPLES or 100,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
NUMBERS = count()
SETTINGS = {
    "mysql": ["SET binlog_row_value_options = PARTIAL_JSON", "SET binlog_transaction_compression = ON"],
    "mariadb": [],
}


def mapped(name: str, made: Made, null: str) -> str:
    keys = "".join(
        f"""{part} = {{ attribute = "k{number}", type = "{KEYS[definition][0]}" }}
        """
        for number, (part, definition) in enumerate(zip(("hash_key", "range_key"), made.keys, strict=False))
    )
    return f"""
        [[table]]
        source = "test.{name}"
        target = "{name}"
        layout = "item-per-row"
        null = "{null}"
        {keys}"""


def compare(server: Server, found: dict[str, Made], null: str, session: list[str]) -> None:
    creates = [made.create.replace("{0}", name) for name, made in found.items()]
    changes = [
        statement.replace("{0}", name) for name, made in found.items() for statement in made.statements
    ]
    start = run(server, *creates, "BEGIN", *changes, "COMMIT", session=[SESSION, *session])
    mapping = Mapping.parse("".join(mapped(name, made, null) for name, made in found.items()))
    loaded, streamed = bulk_road(server, mapping), stream_road(server, start, mapping)
    for name, made in found.items():
        keys = [f"k{number}" for number in range(len(made.keys))]
        assert streamed.by(name, *keys) == loaded.by(name, *keys)
        assert refused(loaded, name) <= refused(streamed, name)


def refused(arrived: Arrived, name: str) -> set[str]:
    """Keys of the rows without a place; the stream also saw such as were mended."""
    return {repr(key) for key, _ in arrived.refused.get(f"test.{name}", [])}


def agree(server: Server, data: Any) -> None:
    several = data.draw(st.lists(tables(server.flavor), min_size=1, max_size=3))
    null = data.draw(st.sampled_from(["leave-out", "attribute"]))
    session = data.draw(
        st.sets(st.sampled_from(SETTINGS[server.flavor])) if SETTINGS[server.flavor] else st.just([])
    )
    compare(server, {f"x{next(NUMBERS)}": made for made in several}, null, sorted(session))


@given(data=st.data())
@bounded
def test_tables_of_mysql(mysql: Server, data: st.DataObject) -> None:
    agree(mysql, data)


@given(data=st.data())
@bounded
def test_tables_of_mariadb(mariadb: Server, data: st.DataObject) -> None:
    agree(mariadb, data)
