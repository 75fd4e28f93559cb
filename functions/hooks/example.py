"""Hooks to begin from. Each takes a row as a dictionary of its own and returns a row, several, or None."""

from typing import Any


def open_only(row: dict[str, Any]) -> dict[str, Any] | None:
    """None leaves the row behind."""
    return row if row["status"] == "open" else None


def one_row_a_tag(row: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Several rows of one: `tags` holds `red,large`, each becomes a row with its `tag`.

    >>> one_row_a_tag({"id": 1, "tags": "red,large"})
    [{'id': 1, 'tag': 'red'}, {'id': 1, 'tag': 'large'}]
    """
    tags = (row.pop("tags") or "").split(",")
    return [{**row, "tag": tag} for tag in dict.fromkeys(tags) if tag]


def cents(row: dict[str, Any]) -> dict[str, Any]:
    """A value of its own kind: a DECIMAL price as whole cents."""
    row["price"] = None if row["price"] is None else int(row["price"] * 100)
    return row
