"""How a server reads SQL text and compares names: what its flavor, its version and its settings decide."""

from dataclasses import dataclass, replace
from typing import Self

# Both servers: sql/sql_class.h (MySQL: query_options.h). The binlog has the session's mode in each statement.
_ANSI_QUOTES = 1 << 2
_NO_BACKSLASH_ESCAPES = 1 << 20


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
        return bool(self.sql_mode & _ANSI_QUOTES)

    @property
    def backslash_escapes(self) -> bool:
        """In a text, a backslash escapes the next character."""
        return not self.sql_mode & _NO_BACKSLASH_ESCAPES

    def name(self, text: str) -> str:
        """The name of a schema or a table such that equal texts are one name to the server."""
        return folded(text) if self.lower_case_table_names else text


def folded(text: str) -> str:
    """The name of a column, or of what else compares without case, such that equal texts are one name."""
    return text.lower()
