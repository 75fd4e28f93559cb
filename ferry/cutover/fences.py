"""The ways to keep the application from writing to MySQL. With its facts another process can lift a fence."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import pymysql

from ferry import operator_hooks
from ferry.cutover.grants import Grants
from rowferry.errors import Refused
from rowferry.mysql import server

NO_SUCH_THREAD = 1094
NO_SUCH_GRANT = 1141, 1147, 1403  # of a database, a table, a routine
_BYPASS = ("SUPER", "READ_ONLY ADMIN", "READ ONLY ADMIN")
_LOOK, _ENDS_WITHIN = 0.02, 30.0  # seconds


class Fence(Protocol):
    """
    One way to stop writes.

    `facts` are known before `up`, contain no secrets, and are enough for `of_facts` in another process. `up`
    and `lift` are idempotent; `lift` also undoes an interrupted `up`.
    """

    facts: dict[str, Any]

    def check(self, connection: Any) -> list[str]:
        """Raises Refused where it would not stop all writes; returns warnings."""

    def up(self, connection: Any) -> None:
        """Stops writes."""

    def lift(self, connection: Any) -> None:
        """Lets writes through again."""


class ReadOnly:
    """`super_read_only` of MySQL, `read_only` of MariaDB."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    @classmethod
    def planned(cls, connection: Any) -> "ReadOnly":
        """Raises Refused when the server is read-only already."""
        mariadb = server.identify(connection).flavor == "mariadb"
        names = ("read_only",) if mariadb else ("super_read_only", "read_only")
        was = {name: _is_on(connection, name) for name in names}
        # Else `lift` would turn off what somebody else has turned on.
        if any(was.values()):
            raise Refused("the source is read-only already", "choose --fence already, or lift that first")
        return cls({"kind": "super-read-only", "names": list(names)})

    def check(self, connection: Any) -> list[str]:
        """Some accounts ignore MariaDB's read_only: raises Refused while one of them is connected."""
        if "super_read_only" in self.facts["names"]:
            return []
        able = _bypassing(connection)
        own = server.rows(connection, "SELECT CURRENT_USER() AS me")[0]["me"].split("@")[0]
        # An IN without values is not SQL.
        names = ", ".join(f"'{name}'" for name in sorted(able - {own})) or "''"
        connected = server.rows(
            connection,
            f"SELECT DISTINCT user FROM information_schema.processlist WHERE user IN ({names})",
        )
        if connected:
            users = ", ".join(row["user"] for row in connected)
            raise Refused(
                f"read_only does not stop {users} (SUPER or READ ONLY ADMIN), who is connected",
                "revoke that privilege, end those sessions, or fence with revoke: or hook:",
            )
        return [f"read_only does not stop {name}: it must not write" for name in sorted(able)]

    def up(self, connection: Any) -> None:
        """Waits for commits that are in progress; an open transaction cannot commit any more."""
        server.execute(connection, f"SET GLOBAL {self.facts['names'][0]} = ON")

    def lift(self, connection: Any) -> None:
        """Resets both variables: super_read_only has set read_only, too."""
        for name in self.facts["names"]:
            server.execute(connection, f"SET GLOBAL {name} = OFF")


class Revoked:
    """Revokes write privileges of listed accounts, and ends their sessions, which would keep them."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    @classmethod
    def planned(cls, connection: Any, accounts: str) -> "Revoked":
        """Raises Refused when an account's privileges are not all plain grants of its own."""
        found = [Grants.of(connection, account) for account in accounts.split(",")]
        return cls(
            {
                "kind": "revoke",
                "users": [grants.user for grants in found],
                "revoke": [line for grants in found for line in grants.revoking],
                "grant": [line for grants in found for line in grants.granting],
            }
        )

    def check(self, connection: Any) -> list[str]:  # noqa: ARG002 - like the others
        """`planned` has checked."""
        return [] if self.facts["revoke"] else ["these accounts have no write privileges: nothing to revoke"]

    def up(self, connection: Any) -> None:
        """Returns when every earlier session has ended, and its transaction is rolled back."""
        for line in self.facts["revoke"]:
            # Before the sessions are ended: an application that reconnects at once must not get its
            # privileges again.
            _do(connection, line, *NO_SUCH_GRANT)
        names = ", ".join("%s" for _ in self.facts["users"])
        sessions = f"SELECT id FROM information_schema.processlist WHERE user IN ({names})"
        # By name alone: sessions of the same name from other hosts are ended as well, and connect again.
        old = {row["id"] for row in server.rows(connection, sessions, self.facts["users"])}
        for number in old:
            kill(connection, number)
        # KILL only asks: the session ends once its transaction is rolled back. New sessions cannot write.
        while old & {row["id"] for row in server.rows(connection, sessions, self.facts["users"])}:
            time.sleep(_LOOK)

    def lift(self, connection: Any) -> None:
        """Grants exactly what was revoked."""
        for line in self.facts["grant"]:
            server.execute(connection, line)


class Hooked:
    """The operator's program, called with `up` or `lift`."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    def check(self, connection: Any) -> list[str]:  # noqa: ARG002 - like the others
        """Raises Refused when it does not exist."""
        if not Path(self.facts["path"]).is_file():
            raise Refused(f"there is no {self.facts['path']}", "name an executable: --fence hook:PATH")
        return []

    def up(self, connection: Any) -> None:  # noqa: ARG002
        """Raises PhaseFailed when it fails."""
        operator_hooks.call(Path(self.facts["path"]), ["up"], {"phase": "fence"})

    def lift(self, connection: Any) -> None:  # noqa: ARG002
        """Raises PhaseFailed when it fails."""
        operator_hooks.call(Path(self.facts["path"]), ["lift"], {"phase": "fence"})


class Already:
    """Fenced by the operator, who lifts the fence, too."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts

    def check(self, connection: Any) -> list[str]:  # noqa: ARG002
        return ["--fence already: on a failure you have to lift your fence yourself"]

    def up(self, connection: Any) -> None:
        """Does nothing: the fence is up."""

    def lift(self, connection: Any) -> None:
        """Does nothing: the operator lifts it."""


_KINDS: Mapping[str, Any] = {
    "super-read-only": ReadOnly, "revoke": Revoked, "hook": Hooked, "already": Already,
}  # fmt: skip


def planned(choice: str, connection: Any) -> Fence:
    """The fence of --fence. Raises Refused when the choice is not understood."""
    kind, _, rest = choice.partition(":")
    match kind, bool(rest):
        case "super-read-only", False:
            return ReadOnly.planned(connection)
        case "revoke", True:
            return Revoked.planned(connection, rest)
        case "hook", True:
            # Absolute: `ferry cutover --lift` may be run from another folder.
            return Hooked({"kind": "hook", "path": str(Path(rest).resolve())})
        case "already", False:
            return Already({"kind": "already"})
    raise Refused(
        f"--fence {choice} is not understood",
        "write super-read-only, revoke:USER@HOST[,USER@HOST], hook:PATH or already",
    )


def of_facts(facts: Mapping[str, Any]) -> Fence:
    """The fence that another process planned."""
    fence: Fence = _KINDS[facts["kind"]](dict(facts))
    return fence


def lift(facts: Mapping[str, Any], connection: Any) -> None:
    """
    Lifts the fence of those facts, over a new connection.

    First ends the session that put it up: its statement may still be waiting, and would run after ours.
    """
    if session := facts.get("session"):
        # With the user: after a restart of the server the same id is somebody else's.
        find = "SELECT 1 FROM information_schema.processlist WHERE id = %s AND user = %s"
        parameters = (session, facts["session_user"])
        if server.rows(connection, find, parameters):
            kill(connection, session)
        deadline = time.monotonic() + _ENDS_WITHIN
        while server.rows(connection, find, parameters):
            if time.monotonic() > deadline:
                raise Refused(f"session {session}, which fences, does not end", "KILL it, then lift again")
            time.sleep(_LOOK)
    of_facts(facts).lift(connection)


def kill(connection: Any, session: int) -> None:
    """Ends a session, which may be gone already."""
    _do(connection, f"KILL {int(session)}", NO_SUCH_THREAD)


def _do(connection: Any, statement: str, *done_already: int) -> None:
    """Runs it; these errors mean that it was done before."""
    try:
        server.execute(connection, statement)
    except pymysql.err.Error as error:
        if error.args[0] not in done_already:
            raise


def session_of(connection: Any) -> dict[str, Any]:
    """The session that puts the fence up: facts for `lift`."""
    (row,) = server.rows(connection, "SELECT CONNECTION_ID() AS id, USER() AS me")
    return {"session": int(row["id"]), "session_user": row["me"].rpartition("@")[0]}


def _is_on(connection: Any, name: str) -> bool:
    return bool(server.rows(connection, f"SELECT @@GLOBAL.{name} AS is_on")[0]["is_on"])


def _bypassing(connection: Any) -> set[str]:
    """Users that may write despite MariaDB's read_only."""
    rights = ", ".join(f"'{right}'" for right in _BYPASS)
    found = server.rows(
        connection,
        f"SELECT DISTINCT grantee FROM information_schema.user_privileges WHERE privilege_type IN ({rights})",
    )
    return {row["grantee"].rpartition("@")[0].strip("'") for row in found}
