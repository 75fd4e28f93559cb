"""What the binlog does not tell of a table's columns: the server is asked."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from capturer.decoder.schema import Definition, labels
from rowferry.source import rows

_COLUMNS = """
SELECT column_name AS name, data_type AS type, column_type AS full, character_set_name AS charset
FROM information_schema.columns WHERE table_schema = %s AND table_name = %s
ORDER BY ordinal_position
"""


class Definitions:
    """Asks over a connection of its own. What `connect` and the driver raise comes through."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect

    def __call__(self, schema: str, table: str) -> Sequence[Definition] | None:
        """The table's columns as they are now; None when there is no such table."""
        with closing(self._connect()) as connection:
            found = rows(connection, _COLUMNS, (schema, table))
        return [
            Definition(
                row["name"], row["type"], "unsigned" in row["full"], row["charset"], labels(row["full"])
            )
            for row in found
        ] or None
