"""The rehearsal's servers are real, set as capturing needs it, and gone when whoever started them is."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from lab.database import Account, Server, database
from lab.installation import ROOT, Installation, choose_flavor
from lab.process import free_port, spawn
from lab.server import OutsideServer
from rowferry.errors import Refused, SourceNotReady
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration

PROMISED = {
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "bind_address": "127.0.0.1",
}


def ask(server: Server, question: str, account: Account | None = None, **options: Any) -> tuple[Any, ...]:
    with server.connect(account, **options) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        return tuple(cursor.fetchall())


def variables(server: Server) -> dict[str, str]:
    return dict(ask(server, "SHOW GLOBAL VARIABLES"))


def is_gone(pid: int) -> bool:
    """True too for a zombie, which waits for its new parent to look."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture(params=["mysql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def own(tmp_path: Path, mysql_server: Server) -> Iterator[Server]:
    """A server to maltreat."""
    with database(tmp_path / "a folder with blanks", mysql_server.flavor) as running:
        yield running


def test_binlog_is_set_as_capturing_needs_it(server: Server) -> None:
    assert variables(server).items() >= PROMISED.items()


def test_mysql_has_gtids(mysql: Server) -> None:
    if mysql.flavor != "mysql":
        pytest.skip("no MySQL on this machine")
    assert variables(mysql)["gtid_mode"] == "ON"
    assert ask(mysql, "SELECT @@global.gtid_owned", mysql.capture) == (("",),)


def test_options_win_over_the_defaults(tmp_path: Path, mysql_server: Server) -> None:
    with database(tmp_path, mysql_server.flavor, options=["--binlog-row-image=MINIMAL"]) as other:
        assert variables(other)["binlog_row_image"] == "MINIMAL"


def test_capture_account_reads_rows_and_binlog_and_writes_nothing(server: Server) -> None:
    ask(server, "CREATE TABLE purchase (id INT PRIMARY KEY)")
    ask(server, "INSERT INTO purchase VALUES (1)")
    assert ask(server, "SELECT id FROM purchase", server.capture) == ((1,),)
    assert ask(server, "SHOW BINARY LOGS", server.capture)
    for statement in ("INSERT INTO purchase VALUES (2)", "DELETE FROM purchase", "CREATE TABLE t (a INT)"):
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            ask(server, statement, server.capture)


def test_setting_up_leaves_nothing_in_the_binlog(own: Server) -> None:
    with own.connect(own.capture) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        (name, *_), *_ = cursor.fetchall()
        cursor.execute(f"SHOW BINLOG EVENTS IN '{name}'")
        assert not [event for event in cursor.fetchall() if event[2] == "Query"]


def test_strangers_and_empty_passwords_are_refused(server: Server) -> None:
    for account in (Account("root", ""), Account("admin", ""), Account("", "")):
        with pytest.raises(pymysql.err.OperationalError):
            server.connect(account)


@pytest.mark.parametrize("end", [Server.kill, Server.stop])
def test_data_port_and_accounts_survive_a_restart(own: Server, end: Callable[[Server], None]) -> None:
    ask(own, "CREATE TABLE purchase (id INT PRIMARY KEY)")
    ask(own, "INSERT INTO purchase VALUES (7)")
    port, pid = own.port, own.pid
    assert pid is not None
    end(own)
    assert is_gone(pid)
    with pytest.raises(pymysql.err.OperationalError):
        own.connect()
    own.start()
    assert own.port == port
    assert ask(own, "SELECT id FROM purchase", own.capture) == ((7,),)


def test_a_paused_server_is_silent_and_resumes(own: Server) -> None:
    connection = own.connect(read_timeout=1)
    own.pause()
    with pytest.raises(pymysql.err.OperationalError), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    own.resume()
    assert ask(own, "SELECT 1") == ((1,),)
    connection.close()


def test_a_paused_server_stops(own: Server) -> None:
    own.pause()
    own.stop()
    assert "Shutdown complete" in (own.folder / "log").read_text(), "it was not killed"


def start_by_hand(folder: Path, flavor: str) -> tuple["subprocess.Popen[str]", dict[str, str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.database", "start", "--folder", folder, "--flavor", flavor],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_server_is_left_when_its_command_ends(
    tmp_path: Path, mysql_server: Server, how: signal.Signals
) -> None:
    command, said = start_by_hand(tmp_path, mysql_server.flavor)
    with command:
        children = Path(f"/proc/{command.pid}/task").glob("*/children")
        (pid,) = [int(pid) for path in children for pid in path.read_text().split()]
        assert said["url"].startswith("mysql://admin:")
        assert not is_gone(pid)
        command.send_signal(how)
        command.wait()
    wait_for(lambda: is_gone(pid))
    assert command.returncode == (-signal.SIGKILL if how == signal.SIGKILL else 0)


def test_a_process_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    started = []
    asking = threading.Thread(
        target=lambda: started.append(spawn(["sleep", "infinity"], log=tmp_path / "log"))
    )
    asking.start()
    asking.join()
    (process,) = started
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.kill()
    process.wait()


def test_a_start_that_fails_shows_the_servers_own_words(tmp_path: Path, mysql_server: Server) -> None:
    with (
        pytest.raises(SourceNotReady, match="no-such-option"),
        database(tmp_path, mysql_server.flavor, options=["--no-such-option"]),
    ):
        pass


def test_a_half_made_data_folder_is_made_again(tmp_path: Path, mysql_server: Server) -> None:
    (tmp_path / "data.part").mkdir()
    (tmp_path / "data.part" / "ibdata1").write_bytes(b"half")
    with database(tmp_path, mysql_server.flavor) as running:
        assert ask(running, "SELECT 1") == ((1,),)


def test_outside_server_is_used_and_never_stopped(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"mysql://{own.admin.user}:{own.admin.password}@{own.host}:{own.port}"
    monkeypatch.setenv("ROWFERRY_SERVER_URL", url)
    with database(Path(os.devnull)) as outside:
        assert isinstance(outside, OutsideServer)
        assert ask(outside, "SHOW BINARY LOGS", outside.capture)
        for act in (outside.start, outside.stop, outside.kill, outside.pause, outside.resume):
            with pytest.raises(Refused, match="ROWFERRY_SERVER_URL"):
                act()
    assert ask(own, "SELECT user FROM mysql.user WHERE user LIKE 'rowferry%'", database=None) == ()
    assert ask(own, "SHOW DATABASES LIKE 'test'", database=None) == ()


@pytest.mark.parametrize("url", ["postgres://a:b@127.0.0.1", f"mysql://a:b@127.0.0.1:{free_port()}"])
def test_an_outside_server_that_cannot_be_used_says_why(url: str) -> None:
    with pytest.raises(SourceNotReady, match="ROWFERRY_SERVER_URL"):
        OutsideServer(url)


def test_a_named_program_is_run(tmp_path: Path, mysql_server: Server) -> None:
    mariadb = choose_flavor("mariadb")
    program = mariadb.base / "sbin" / "mariadbd-of-the-user"
    program.write_text(f'#!/bin/sh\nexec {" ".join(f"'{word}'" for word in mariadb.command)} "$@"\n')
    program.chmod(0o755)
    try:
        chosen = choose_flavor("mysql", {"ROWFERRY_MYSQLD": str(program)})
        assert chosen == Installation("mariadb", (str(program),), mariadb.base, mariadb.share)
    finally:
        program.unlink()


def test_mariadb_takes_the_place_of_a_mysql_that_cannot_be_had(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (
        tmp_path / "mysql.lock"
    ).mkdir()  # no lock can be taken, as little as packages can be had without a mirror
    chosen = choose_flavor("mysql", {}, servers=tmp_path)
    assert chosen.flavor == "mariadb"
    assert "MariaDB is used instead" in capsys.readouterr().err
