"""The columns in a CREATE TABLE statement, as SHOW CREATE TABLE prints it."""

import re
from dataclasses import dataclass

from bulkload.exports.columns import ExportColumn
from rowferry.errors import Refused

_COLUMN = re.compile(
    r"""\s+`((?:[^`]|``)+)`\ (\w+(?:\((?:'(?:[^']|'')*'|[^')])*\))?(?:\ unsigned)?(?:\ zerofill)?)(.*)""",
    re.VERBOSE,
)
_OWN_CHARSET = re.compile(r"CHARACTER SET (\w+)")
_TABLE_CHARSET = re.compile(r"DEFAULT CHARSET=(\w+)")
_CREATE = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)` \(")


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns that a dump has: programs that write dumps leave generated ones out."""

    table: str
    columns: tuple[ExportColumn, ...]


def parse(text: str, where: str) -> Schema:
    """The first CREATE TABLE of a .sql file. Raises Refused, naming `where`, when there is none."""
    begin = _CREATE.search(text)
    if begin is None:
        raise Refused(f"{where} has no CREATE TABLE", "dump again, with the schema")
    body, _, end = text[begin.end() :].partition("\n)")
    found = _TABLE_CHARSET.search(end)
    default = found[1] if found else "utf8mb4"
    columns = [
        _column(match, default)
        for line in body.splitlines()
        if (match := _COLUMN.match(line)) and " GENERATED ALWAYS AS " not in match[3]
    ]
    return Schema(begin[1].replace("``", "`"), tuple(columns))


def _column(match: re.Match[str], default: str) -> ExportColumn:
    name, definition, rest = match.groups()
    # A comment may say CHARACTER SET as well.
    own = _OWN_CHARSET.search(rest.partition(" COMMENT '")[0])
    textual = re.match(r"(char|varchar|\w*text|enum|set)\b", definition)
    return ExportColumn(
        name.replace("``", "`"), definition, (own[1] if own else default) if textual else None
    )
