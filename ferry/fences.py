"""
The fence: the application cannot write to the source any more. What can raise and lift it.

Each fence is made of plain data (`Spec`), so that the guard, another process, can lift what cutover raised.
Raising and lifting may be done again.
"""

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self

import pymysql

from bulkload.connection import Address, connect
from rowferry import source
from rowferry.errors import Refused

READ_ONLY, REVOKE, HOOK, ALREADY = "read-only", "revoke", "hook", "already"
LOCK_SECONDS = 5
"""How long a long transaction of the application may keep the fence from being raised."""
_WRITES = (
    "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "REFERENCES", "TRIGGER", "EXECUTE",
)  # fmt: skip
_NO_SUCH_GRANT = (1141, 1147)  # it was taken before
_GRANT = re.compile(r"GRANT (?P<what>.+?) ON (?P<where>.+) TO ", re.DOTALL)
_USER = re.compile(r"[^@`']+@[^@`']+")


@dataclass(frozen=True, slots=True)
class Spec:
    """
    Which fence. `users`: those of `revoke`, each as user@host. `path`: the executable of `hook`. `grants`:
    what the users had, as the server shows it, so that it can be given back.
    """

    kind: str
    users: Sequence[str] = ()
    path: str = ""
    grants: Sequence[str] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """What --fence says. ValueError when it is none."""
        kind, _, rest = text.partition(":")
        users = rest.split(",") if kind == REVOKE else []
        if (kind in (READ_ONLY, ALREADY) and not rest) or (kind == HOOK and rest):
            return cls(kind, path=rest)
        if users and all(_USER.fullmatch(user) for user in users):
            return cls(kind, users)
        raise ValueError(f"no fence: {text!r}")

    def fields(self) -> dict[str, Any]:
        """Plain data, without secrets."""
        return {**asdict(self), "users": list(self.users), "grants": list(self.grants)}


class Fence(Protocol):
    """The application's writes are refused between `up` and `lift`."""

    spec: Spec

    def up(self) -> None:
        """Raises it. Refused, or the driver's errors, where that fails; then it may be half up: lift it."""

    def lift(self) -> None:
        """Lowers it, also where it is not up."""


def fence(spec: Spec, admin: Address) -> Fence:
    """The fence of that kind. `admin` may change global variables, or grant."""
    match spec.kind:
        case "read-only":
            return ReadOnly(spec, admin)
        case "revoke":
            return Revoke(spec, admin)
        case "hook":
            return Executable(spec)
    return Already(spec)


def prepared(spec: Spec, admin: Address) -> Spec:
    """The fence with all that it takes to lift it. Refused where it cannot be raised."""
    if spec.kind == HOOK and not os.access(spec.path, os.X_OK):
        raise Refused(f"{spec.path} is no executable", "name one: it is called with `up`, or with `lift`")
    if spec.kind == READ_ONLY:
        with _cursor(admin) as cursor:
            if _is_read_only(cursor):
                raise Refused("the source is read-only already", "name that: --fence already")
    if spec.kind != REVOKE:
        return spec
    with _cursor(admin) as cursor:
        grants = [grant for user in spec.users for grant in _grants(cursor, user)]
    if not any(_writing(grant) for grant in grants):
        raise Refused(f"{', '.join(spec.users)} may write nothing", "name the application's users")
    return Spec(spec.kind, spec.users, spec.path, grants)


@dataclass(slots=True)
class ReadOnly:
    """super_read_only on MySQL, read_only on MariaDB."""

    spec: Spec
    admin: Address

    def up(self) -> None:
        """Waits for commits under way; they count as before the fence."""
        with _cursor(self.admin) as cursor:
            cursor.execute(f"SET SESSION lock_wait_timeout = {LOCK_SECONDS}")
            cursor.execute(f"SET GLOBAL {_variable(cursor)} = ON")

    def lift(self) -> None:
        """Also read_only, which super_read_only turns on with it."""
        with _cursor(self.admin) as cursor:
            for variable in dict.fromkeys((_variable(cursor), "read_only")):
                cursor.execute(f"SET GLOBAL {variable} = OFF")


@dataclass(slots=True)
class Revoke:
    """
    Takes the users' rights to write, and ends their sessions: rights on a schema that is in use, and global
    ones, last as long as the session.
    """

    spec: Spec
    admin: Address

    def up(self) -> None:
        """Takes from each grant what writes."""
        with _cursor(self.admin) as cursor:
            for grant in filter(_writing, self.spec.grants):
                _revoke(cursor, grant)
            self._end_sessions(cursor)

    def lift(self) -> None:
        """Gives back what was there."""
        with _cursor(self.admin) as cursor:
            for grant in self.spec.grants:
                cursor.execute(grant)

    def _end_sessions(self, cursor: Any) -> None:
        names = {user.partition("@")[0] for user in self.spec.users}
        cursor.execute("SELECT id, user FROM information_schema.processlist")
        for number, user in cursor.fetchall():
            if user in names:
                with contextlib.suppress(pymysql.err.OperationalError, pymysql.err.InternalError):
                    cursor.execute(f"KILL {int(number)}")  # it may have ended by itself


@dataclass(slots=True)
class Executable:
    """The operator's own."""

    spec: Spec

    def up(self) -> None:
        """Calls it with `up`."""
        self._call("up")

    def lift(self) -> None:
        """Calls it with `lift`."""
        self._call("lift")

    def _call(self, word: str) -> None:
        status = subprocess.run([self.spec.path, word], stdin=subprocess.DEVNULL, check=False).returncode
        if status:
            raise Refused(f"{self.spec.path} {word} ended with status {status}", "see what it said")


@dataclass(slots=True)
class Already:
    """Raised by the operator, who lifts it, too."""

    spec: Spec

    def up(self) -> None:
        """Nothing to do."""

    def lift(self) -> None:
        """Nothing to do."""


@contextlib.contextmanager
def _cursor(admin: Address) -> Iterator[Any]:
    with contextlib.closing(connect(admin)) as connection, connection.cursor() as cursor:
        yield cursor


def _variable(cursor: Any) -> str:
    return "read_only" if source.identify(cursor.connection).flavor == "mariadb" else "super_read_only"


def _is_read_only(cursor: Any) -> bool:
    cursor.execute(f"SELECT @@GLOBAL.{_variable(cursor)}")
    (value,) = cursor.fetchone()
    return str(value) in ("1", "ON")


def _grants(cursor: Any, user: str) -> list[str]:
    name, host = user.split("@")
    cursor.execute("SHOW GRANTS FOR %s@%s", (name, host))
    # `GRANT USAGE` only says that the user is there, on MariaDB with the hash of the password.
    return [text for (text,) in cursor.fetchall() if not text.startswith("GRANT USAGE ")]


def _rights(grant: str) -> list[str]:
    """What a grant on a place allows; nothing for a role."""
    found = _GRANT.match(grant)
    return re.split(r", (?![^(]*\))", found["what"]) if found else []


def _writing(grant: str) -> bool:
    return any(_writes(right) for right in _rights(grant))


def _writes(right: str) -> bool:
    return right == "ALL PRIVILEGES" or right.partition(" ")[0] in _WRITES


def _revoke(cursor: Any, grant: str) -> None:
    try:
        cursor.execute(_revoked(grant))
    except pymysql.err.Error as error:
        if error.args[0] not in _NO_SUCH_GRANT:
            raise


def _revoked(grant: str) -> str:
    """Takes what writes of the grant."""
    found = _GRANT.match(grant)
    assert found, "asked before"
    rights = [right for right in _rights(grant) if _writes(right)]
    if "ALL PRIVILEGES" in rights:
        rights = ["INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER"]
    account = (
        grant[found.end() :]
        .split(" WITH ", maxsplit=1)[0]
        .split(" REQUIRE ", maxsplit=1)[0]
        .split(" IDENTIFIED ", maxsplit=1)[0]
    )
    return f"REVOKE {', '.join(rights)} ON {found['where']} FROM {account}"
