"""A mapping document as the text of a TOML file."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(document: Mapping[str, Any], comments: Iterable[str] = ()) -> str:
    """
    The text, with comments at the top.

    >>> print(toml_text({"table": [{"source": "a.b", "exclude": ["x"]}]}), end="")
    [[table]]
    source = "a.b"
    exclude = ["x"]
    """
    lines = [f"# {line}" for comment in comments for line in comment.splitlines()]
    tables = [_table(entry) for entry in document["table"]]
    return "\n\n".join(filter(None, ["\n".join(lines), *tables])) + "\n"


def _table(entry: Mapping[str, Any]) -> str:
    return "\n".join(["[[table]]", *(f"{_name(name)} = {_value(value)}" for name, value in entry.items())])


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_name(name)} = {_value(inside)}" for name, inside in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # JSON's escapes are TOML's, but for the delete character
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
