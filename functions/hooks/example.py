"""
Examples of hooks. Each takes a copy of a row as a dictionary and returns one row, a list of rows, or None.
"""

from typing import Any


def open_only(row: dict[str, Any]) -> dict[str, Any] | None:
    """Returning None filters the row out: it gets no item."""
    return row if row["status"] == "open" else None


def one_row_a_tag(row: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Splits one row into several: `tags` holds `red,large`, each tag becomes a row of its own with its `tag`.

    >>> one_row_a_tag({"id": 1, "tags": "red,large"})
    [{'id': 1, 'tag': 'red'}, {'id': 1, 'tag': 'large'}]
    """
    tags = (row.pop("tags") or "").split(",")
    return [{**row, "tag": tag} for tag in dict.fromkeys(tags) if tag]


def cents(row: dict[str, Any]) -> dict[str, Any]:
    """Converts a value: a DECIMAL price becomes a whole number of cents."""
    row["price"] = None if row["price"] is None else int(row["price"] * 100)
    return row
