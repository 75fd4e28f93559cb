"""The write privileges of an account, as statements that revoke them and grant them again."""

import re
from dataclasses import dataclass
from typing import Any

from rowferry.errors import Refused
from rowferry.mysql import server

_TABLE = ("INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "CREATE VIEW", "TRIGGER")
# EXECUTE, because a routine writes with its definer's privileges; EVENT, because an event writes by itself
_DATABASE = (*_TABLE, "EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT")
_WRITES = frozenset(_DATABASE)
_LINE = re.compile(
    r"GRANT (?P<rights>.+?) ON (?P<object>(?:TABLE |FUNCTION |PROCEDURE )?\S+) TO (?P<rest>.+)"
)
_RIGHT = re.compile(r"\s*([A-Z_ ]+?)\s*(\([^)]*\))?\s*(?:,|$)")


@dataclass(frozen=True, slots=True)
class Grants:
    """The write privileges of one account, as statements that revoke and grant the same."""

    user: str
    revoking: tuple[str, ...]
    granting: tuple[str, ...]

    @classmethod
    def of(cls, connection: Any, account: str) -> "Grants":
        """
        Reads those of `USER@HOST`.

        Raises Refused when there is no such account, or its privileges come from elsewhere (a role, a proxy).
        """
        user, _, host = account.strip().rpartition("@")
        user, host = user.strip("`'\""), host.strip("`'\"")
        if not user:
            raise Refused(f"{account} is not an account", "write USER@HOST, as in SHOW GRANTS FOR")
        name = f"{_quoted(user)}@{_quoted(host)}"
        lines = [str(next(iter(row.values()))) for row in server.rows(connection, f"SHOW GRANTS FOR {name}")]
        found = [part for line in lines if (part := _writes(line, account))]
        return cls(
            user,
            tuple(f"REVOKE {rights} ON {of} FROM {name}" for rights, of in found),
            tuple(f"GRANT {rights} ON {of} TO {name}" for rights, of in found),
        )


def _writes(line: str, account: str) -> tuple[str, str] | None:
    """The write privileges of one line of SHOW GRANTS, with their object; None without any."""
    match = _LINE.match(line)
    if match is None or line.startswith("GRANT PROXY"):
        raise Refused(
            f"{account} has privileges that are not plain grants (but roles, a proxy, partial revokes)",
            "fence with super-read-only or hook:",
        )
    of, given = match["object"], match["rights"]
    if given == "ALL PRIVILEGES":
        # By name: REVOKE ALL would take SELECT as well, and the application may go on reading.
        return ", ".join(_TABLE if _is_table(of) else _DATABASE), of
    rights = [(name, columns or "") for name, columns in _RIGHT.findall(given) if name in _WRITES]
    return (", ".join(f"{name} {columns}".strip() for name, columns in rights), of) if rights else None


def _is_table(of: str) -> bool:
    return not of.endswith(".*")


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "''") + "'"
