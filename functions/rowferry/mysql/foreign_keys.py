"""Actions of foreign keys (CASCADE, SET NULL) on the rows of a child table. Pure."""

import re
from collections.abc import Callable

_NAME = re.compile("`((?:[^`]|``)+)`")
_KEY = re.compile(r"^\s+CONSTRAINT `((?:[^`]|``)+)` FOREIGN KEY \((.*?)\) REFERENCES (.*)$", re.MULTILINE)
_ACTION = re.compile("ON (?:DELETE|UPDATE) (?:CASCADE|SET NULL|SET DEFAULT)")
_GONE = "ON DELETE CASCADE"
UNSEEN = "the binlog does not have what that changes"


def actions(definition: str, travels: Callable[[str], bool]) -> list[str]:
    r"""
    The foreign keys in the text of SHOW CREATE TABLE that delete rows, or change columns that are carried.

    information_schema has the same, but on MariaDB hides it from a user who may only SELECT.

    >>> key = "CONSTRAINT `k` FOREIGN KEY (`a`) REFERENCES `p` (`id`) ON DELETE CASCADE ON UPDATE SET NULL"
    >>> actions("CREATE TABLE `c` (\n  " + key, lambda column: column != "a")
    ['k ON DELETE CASCADE']
    """
    found = []
    for name, columns, rules in _KEY.findall(definition):
        touched = any(travels(column.replace("``", "`")) for column in _NAME.findall(columns))
        found += [f"{name} {rule}" for rule in _ACTION.findall(rules) if touched or rule == _GONE]
    return found
