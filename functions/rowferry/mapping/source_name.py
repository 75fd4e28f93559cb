"""
The name of a source table as one text: `shop.purchase`, and with quotes as in SQL for any other name.

One text for one table: it is the key in the control table, and in every message.
"""

import re
from functools import lru_cache

_QUOTED = r"`((?:[^`]|``)+)`"
_SOURCE = re.compile(rf"(?:{_QUOTED}|([^.`][^.]*))\.(?:{_QUOTED}|([^`].*))", re.DOTALL)


@lru_cache(4096)  # it is called for every change
def source_of(schema: str, table: str) -> str:
    """
    `shop.purchase`; a part is quoted only where the text would mean another table without it.

    A sign # is quoted because it ends the table's name in the keys of the control table.
    """
    return f"{_quoted(schema, '.`#')}.{_quoted(table, '`#')}"


def _quoted(name: str, signs: str) -> str:
    return f"`{name.replace('`', '``')}`" if any(sign in name for sign in signs) else name


def parsed(text: str) -> tuple[str, str] | None:
    """
    The schema and the table; None if the text does not name a table.

    Without quotes, the first dot ends the schema's name.
    """
    found = _SOURCE.fullmatch(text)
    if found is None:
        return None
    schema, plain_schema, table, plain_table = found.groups()
    return (
        plain_schema if schema is None else schema.replace("``", "`"),
        plain_table if table is None else table.replace("``", "`"),
    )
