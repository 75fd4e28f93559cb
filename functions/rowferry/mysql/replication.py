"""Whether a server replicates from another, and whether its binlog has what it applies."""

from collections.abc import Mapping
from dataclasses import dataclass

from rowferry.mysql.server import Connection, Server, rows

ACCESS_DENIED = 1227  # ER_SPECIFIC_ACCESS_DENIED_ERROR
ASKED = (
    "log_replica_updates", "log_slave_updates", "wsrep_on",
    "group_replication_group_name", "server_uuid",
)  # fmt: skip
"""The global variables that `replication` reads, apart from the filters (replicate_...)."""
PROMOTE = (
    "point --source and the capturer at the primary; or promote this server, and remove its replication"
    " (STOP REPLICA; RESET REPLICA ALL; MariaDB: STOP ALL SLAVES; RESET SLAVE ALL; RDS: promote the replica)"
)
"""The fix where writes are fenced at a server that takes over changes of others."""
_UNSEEN = "a server that this user may not see"


@dataclass(frozen=True, slots=True)
class Channel:
    """
    One source of a replica: `host:port`, whether both threads run, the delay in seconds, its filters.

    `filters` is as `rowferry.mysql.filters.replica_leaves_out` takes it.
    """

    source: str
    running: bool
    delay: int
    filters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replication:
    """
    What a server takes over from others: replication channels that are configured, running or not; and a
    group that it is a member of, in words, where the other members write as well.

    `setting` is the name of the variable that makes it log what it applies, `logs` whether that is on.
    `visible` is False where the user may not ask a MariaDB: then only a replication that runs is seen.
    """

    setting: str
    logs: bool
    channels: tuple[Channel, ...] = ()
    group: str = ""
    visible: bool = True

    def __bool__(self) -> bool:
        """Whether changes come from another server."""
        return bool(self.channels or self.group)

    @property
    def described(self) -> str:
        """`from 10.0.0.1:3306 (stopped), with a delay of 3600 s`; of a group, what it is a member of."""
        shown = []
        for channel in self.channels:
            state = "" if channel.running else " (stopped)"
            delay = f", with a delay of {channel.delay} s" if channel.delay else ""
            shown.append(f"from {channel.source}{state}{delay}")
        return " and ".join([*shown, *([self.group] if self.group else [])])


def replication(connection: Connection, server: Server, settings: Mapping[str, str]) -> Replication:
    """`settings` are the server's global variables by name: at least ASKED, and the filters on MariaDB."""
    mysql = server.flavor == "mysql"
    name = "log_replica_updates" if "log_replica_updates" in settings else "log_slave_updates"
    logs = settings.get(name, "OFF").upper() in ("ON", "1")
    channels = _channels(connection, server)
    if channels is None:
        return Replication(name, logs, _running(connection, settings), _galera(settings), visible=False)
    return Replication(name, logs, channels, _group(connection, settings) if mysql else _galera(settings))


def _channels(connection: Connection, server: Server) -> tuple[Channel, ...] | None:
    """All that are configured; None where the user may not ask."""
    if server.flavor == "mariadb":
        ask = "SHOW ALL SLAVES STATUS"  # SHOW SLAVE STATUS has the default connection only
    else:
        ask = "SHOW REPLICA STATUS" if server.version >= (8, 0, 22) else "SHOW SLAVE STATUS"
    try:
        found = rows(connection, ask)
    except Exception as error:
        if error.args[:1] != (ACCESS_DENIED,):
            raise
        return None
    return tuple(map(_channel, found))


def _channel(row: Mapping[str, object]) -> Channel:
    # Both servers had the words master and slave at first.
    new = {name.replace("master", "source").replace("slave", "replica"): value for name, value in row.items()}
    running = [str(new.get(f"replica_{thread}_running")) for thread in ("io", "sql")]
    return Channel(
        f"{new.get('source_host')}:{new.get('source_port')}",
        running == ["Yes", "Yes"],
        int(str(new.get("sql_delay") or 0)),
        {name: str(value or "") for name, value in row.items() if name.startswith("replicate_")},
    )


def _running(connection: Connection, settings: Mapping[str, str]) -> tuple[Channel, ...]:
    """
    What MariaDB says without SLAVE MONITOR: how many connections run, and the default one's filters.
    """
    found = rows(connection, "SHOW GLOBAL STATUS LIKE 'Slaves_running'")
    if not found or found[0]["value"] == "0":
        return ()
    filters = {name: value for name, value in settings.items() if name.startswith("replicate_")}
    return (Channel(_UNSEEN, running=True, delay=0, filters=filters),)


def _galera(settings: Mapping[str, str]) -> str:
    on = settings.get("wsrep_on", "OFF").upper() in ("ON", "1")
    return "as a node of a Galera cluster" if on else ""


def _group(connection: Connection, settings: Mapping[str, str]) -> str:
    """MySQL's group replication: only the one primary of a group takes over nothing."""
    if not settings.get("group_replication_group_name"):
        return ""
    try:
        members = rows(
            connection,
            "SELECT member_id AS id, member_role AS role FROM performance_schema.replication_group_members"
            " WHERE member_state <> 'OFFLINE'",
        )
    except Exception as error:
        if not error.args or error.args[0] not in (1142, 1143, ACCESS_DENIED):  # no right to that table
            raise
        return "as a member of a replication group"
    primaries = [str(row["id"]).lower() for row in members if row["role"] == "PRIMARY"]
    alone = primaries == [settings.get("server_uuid", "").lower()] or not members
    return "" if alone else "as a member of a replication group"
