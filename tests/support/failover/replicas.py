"""A primary and its replica, real servers, behind an address that is moved when the replica is promoted."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.datadir import initialize
from lab.installation import choose_flavor
from lab.server import Server
from tests.support.failover.endpoint import Endpoint
from tests.support.waiting import wait_for

RETRY = 1  # seconds between a replica's attempts to reach its primary


class Replicas:
    """
    Two servers, `primary` and `replica`, and the `endpoint` that leads to the primary.

    Every account is made without the binlog: nothing is on one that the other does not have.
    """

    def __init__(self, first: Server, second: Server) -> None:
        self.primary, self.replica = first, second
        self.endpoint = Endpoint(first)
        self.promotions = 0
        sql(second, *_read_only(second, "ON"))
        self.follow()

    # Promotions

    def switch_over(self) -> None:
        """A planned one: the replica has all, and the former primary replicates from it afterwards."""
        sql(self.primary, *_read_only(self.primary, "ON"))
        self.endpoint.move(None)
        self.catch_up()
        self.promote()
        self.follow()

    def fail_over(self) -> None:
        """The primary is killed; what the replica has received, it applies. Then as `switch_over`."""
        self.primary.kill()
        self.endpoint.move(None)
        self.applied()
        self.promote()
        self.replica.start()  # the former primary recovers
        sql(self.replica, *_read_only(self.replica, "ON"))
        self.follow()

    def promote(self, *, drop: bool = True) -> None:
        """
        The replica becomes the primary as it is, and the endpoint leads to it; `drop` as in `Endpoint.move`.
        """
        for statement in _forget(self.replica):
            sql(self.replica, statement)
        sql(self.replica, *_read_only(self.replica, "OFF"))
        self.primary, self.replica = self.replica, self.primary
        self.endpoint.move(self.primary, drop=drop)
        self.promotions += 1

    # Replication

    def follow(self) -> None:
        """The replica replicates from the primary, from what it has itself."""
        sql(self.replica, *_follow(self.replica, self.primary), _start(self.replica))

    def make_again(self) -> None:
        """The replica, which is down, gets a copy of the primary's data, and follows."""
        self.primary.stop()
        shutil.rmtree(self.replica.folder / "data")
        _copy(self.primary.folder, self.replica.folder)
        for one in (self.primary, self.replica):
            one.start()
        sql(self.replica, *_read_only(self.replica, "ON"))
        self.follow()

    def stop_receiving(self) -> None:
        """The replica gets nothing more from the primary."""
        sql(self.replica, _verb(self.replica, "STOP", "IO_THREAD"))

    def stop_applying(self) -> None:
        """The replica receives, and leaves all in its relay log."""
        sql(self.replica, _verb(self.replica, "STOP", "SQL_THREAD"))

    def go_on_applying(self) -> None:
        """After `stop_applying`."""
        sql(self.replica, _verb(self.replica, "START", "SQL_THREAD"))

    def catch_up(self) -> None:
        """Waits until the replica has executed all that the primary has."""
        executed = history(self.primary)
        wait_for(lambda: executed_all(self.replica, executed), self._replicating)

    def received(self) -> None:
        """Waits until the replica's relay log has all that the primary has executed."""
        executed = history(self.primary)
        wait_for(lambda: _received_all(self.replica, executed), self._replicating)

    def applied(self) -> None:
        """Waits until the replica has executed its relay log."""
        wait_for(lambda: _relay_log_done(self.replica), self._applying)

    def _replicating(self) -> None:
        state = status(self.replica)
        assert not (state["io_errno"] or state["sql_errno"]), state

    def _applying(self) -> None:
        state = status(self.replica)
        assert not state["sql_errno"], state


@contextmanager
def replicas(
    folder: Path, flavor: str, *, name: str = "pair", second: Sequence[str] = ()
) -> Iterator[Replicas]:
    """
    Yields a running pair with its data in folders `name`-1 and -2 of `folder`; both end afterwards.

    `second` are more options of the first replica.
    """
    made = [server(folder / f"{name}-{number}", flavor, number) for number in (1, 2)]
    made[1]._options += tuple(second)
    made[1].admin, made[1].capture = made[0].admin, made[0].capture
    pair = None
    try:
        for one in made:
            one.start()
        pair = Replicas(*made)
        yield pair
    finally:
        if pair is not None:
            pair.endpoint.close()
        for one in made:
            one.kill()


def server(folder: Path, flavor: str, number: int = 1, options: Sequence[str] = ()) -> Server:
    """A server that is down, its data a copy of an empty folder that is made once beside `folder`."""
    installation = choose_flavor(flavor)
    template = folder.parent / f"{flavor}-template"
    if not (template / "data").exists():
        template.mkdir(parents=True, exist_ok=True)
        initialize(installation, template)
    folder.mkdir(parents=True, exist_ok=True)
    _copy(template, folder)
    return Server(installation, folder, (*_options(flavor, number), *options))


def _copy(source: Path, folder: Path) -> None:
    # auto.cnf is MySQL's identity: without it, each copy gets one of its own.
    ignored = shutil.ignore_patterns("auto.cnf", "socket*")
    shutil.copytree(source / "data", folder / "data", ignore=ignored)


def _options(flavor: str, number: int) -> list[str]:
    names = {"mysql": "replica", "mariadb": "slave"}[flavor]
    options = [
        f"--server-id={number}", "--relay-log=relay", f"--log-{names}-updates=ON", f"--skip-{names}-start",
    ]  # fmt: skip
    return [*options, "--gtid-domain-id=0"] if flavor == "mariadb" else options


def sql(one: Server, *statements: str) -> list[dict[str, Any]]:
    """Runs them as the administrator, over one connection; the last one's rows, names in lower case."""
    with one.connect(database=None) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        names = [column[0].lower() for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def history(one: Server) -> str:
    """The GTIDs that it has executed; MariaDB: the last of each domain and server."""
    name = "gtid_binlog_state" if one.flavor == "mariadb" else "gtid_executed"
    return str(sql(one, f"SELECT @@GLOBAL.{name} AS found")[0]["found"]).replace("\n", "")


def executed_all(one: Server, executed: str) -> bool:
    """Whether it has executed all of `executed`, as `history` returned it."""
    if one.flavor == "mysql":
        return bool(
            sql(one, f"SELECT GTID_SUBSET('{executed}', @@GLOBAL.gtid_executed) AS found")[0]["found"]
        )
    return _newest(executed) <= _newest(sql(one, "SELECT @@GLOBAL.gtid_current_pos AS found")[0]["found"])


def status(one: Server) -> dict[str, Any]:
    """Of its replication: `received` (GTIDs), and its errors."""
    if one.flavor == "mysql":
        (row,) = sql(one, "SHOW REPLICA STATUS")
        return {
            "received": row["retrieved_gtid_set"].replace("\n", ""), "executed": row["executed_gtid_set"],
            "io_errno": _lasting(row["last_io_errno"]), "sql_errno": row["last_sql_errno"],
            "errors": (row["last_io_error"], row["last_sql_error"]),
        }  # fmt: skip
    (row,) = sql(one, "SHOW SLAVE STATUS")
    return {
        "received": row["gtid_io_pos"], "executed": "", "io_errno": _lasting(row["last_io_errno"]),
        "sql_errno": row["last_sql_errno"], "errors": (row["last_io_error"], row["last_sql_error"]),
    }  # fmt: skip


def _lasting(code: int) -> int:
    """The server may be starting: its replica tries again by itself."""
    return 0 if code in (2003, 2013, 1158, 1159, 1040, 1053) else code


def _received_all(one: Server, executed: str) -> bool:
    state = status(one)
    if one.flavor == "mysql":
        held = f"CONCAT_WS(',', NULLIF('{state['received']}', ''), @@GLOBAL.gtid_executed)"
        return bool(sql(one, f"SELECT GTID_SUBSET('{executed}', {held}) AS found")[0]["found"])
    return _newest(executed) <= _newest(state["received"])


def _relay_log_done(one: Server) -> bool:
    state = status(one)
    return executed_all(one, state["received"])


def _newest(position: str) -> int:
    """Of a position of one domain; the servers' numbers go on from each other's."""
    return max((int(gtid.rpartition("-")[2]) for gtid in position.split(",") if gtid), default=0)


def _read_only(one: Server, how: str) -> list[str]:
    names = ["read_only"] if one.flavor == "mariadb" else ["super_read_only", "read_only"]
    return [f"SET GLOBAL {name} = {how}" for name in names]


def _verb(one: Server, verb: str, what: str = "") -> str:
    return f"{verb} {'SLAVE' if one.flavor == 'mariadb' else 'REPLICA'} {what}".strip()


def _start(one: Server) -> str:
    return _verb(one, "START")


def _forget(one: Server) -> list[str]:
    return [_verb(one, "STOP"), _verb(one, "RESET", "ALL")]


def _follow(one: Server, primary: Server) -> list[str]:
    word = "MASTER" if one.flavor == "mariadb" else "SOURCE"
    where = {
        "HOST": f"'{primary.host}'", "PORT": primary.port, "USER": f"'{primary.admin.user}'",
        "PASSWORD": f"'{primary.admin.password}'", "CONNECT_RETRY": RETRY,
    }  # fmt: skip
    given = ", ".join(f"{word}_{name}={value}" for name, value in where.items())
    if one.flavor == "mariadb":
        # Not gtid_current_pos: that leaves out what a copied binlog has of another server.
        return [
            "SET GLOBAL gtid_slave_pos = @@GLOBAL.gtid_binlog_pos",
            f"CHANGE MASTER TO {given}, MASTER_USE_GTID=slave_pos",
        ]
    # Without the key, a login by caching_sha2_password needs TLS.
    own = "SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_RETRY_COUNT=100000"
    return [f"CHANGE REPLICATION SOURCE TO {given}, {own}"]
