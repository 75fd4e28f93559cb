"""How a server reads SQL text and compares names: what its flavor, its version and its settings decide."""

import re
from dataclasses import dataclass, replace
from typing import Self

# Both servers: sql/sql_class.h (MySQL: query_options.h). The binlog has the session's mode in each statement.
ANSI_QUOTES = 1 << 2
NO_BACKSLASH_ESCAPES = 1 << 20
_OF_A_FILE = "#mysql50#"
"""Precedes the name of a table's file: MariaDB takes DROP TABLE `#mysql50#t` for t."""
_CODE = re.compile("@([0-9A-Fa-f]{4})")


@dataclass(frozen=True, slots=True)
class SqlDialect:
    """
    The rules of one server (`mysql` or `mariadb`, its version and lower_case_table_names) and one session.

    `sql_mode` is the number that the binlog has. The default is MySQL with its defaults on Linux.
    """

    flavor: str = "mysql"
    version: tuple[int, ...] = (9, 0, 0)
    lower_case_table_names: int = 0
    sql_mode: int = 0

    def under(self, sql_mode: int) -> Self:
        """The same server, for a session with this mode."""
        return self if sql_mode == self.sql_mode else replace(self, sql_mode=sql_mode)

    @property
    def mariadb(self) -> bool:
        return self.flavor == "mariadb"

    @property
    def ansi_quotes(self) -> bool:
        """`"x"` is a name, and not a text."""
        return bool(self.sql_mode & ANSI_QUOTES)

    @property
    def backslash_escapes(self) -> bool:
        """In a text, a backslash escapes the next character."""
        return not self.sql_mode & NO_BACKSLASH_ESCAPES

    def name(self, text: str) -> str:
        """The name of a schema or a table such that equal texts are one name to the server."""
        if self.mariadb and text[: len(_OF_A_FILE)].lower() == _OF_A_FILE:
            text = _CODE.sub(lambda code: chr(int(code[1], 16)), text[len(_OF_A_FILE) :])
        return folded(text) if self.lower_case_table_names else text


def folded(text: str) -> str:
    """
    The name of a column, or of what else compares without case, such that equal texts are one name.

    Both servers compare letter by letter, by the small letters of utf8mb3_general_ci: accents count, and a
    final sigma is no sigma. Letters that Unicode got after 2001 are one with their capitals here only.
    """
    # Letter by letter: `lower` of a whole text makes a final sigma of the last one.
    return text.lower() if text.isascii() else "".join(map(str.lower, text.replace("\u0130", "i")))
