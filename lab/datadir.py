"""Creates a server's data folder, and has the options that both creating and serving it need."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from lab.installation import Installation
from lab.process import last_lines
from rowferry.errors import SourceNotReady


def common_options(installation: Installation, data: Path) -> list[str]:
    """Return the options for both creating the data folder and serving it."""
    return [
        "--no-defaults",
        *installation.paths(),
        f"--datadir={data}",
        "--socket=socket",  # relative to the data: a socket's path may not be longer than 107 bytes
        "--pid-file=pid",
        "--innodb-buffer-pool-size=256M",
        *(["--innodb-redo-log-capacity=128M"] if installation.flavor == "mysql" else []),
        *(["--user=root"] if os.geteuid() == 0 else []),  # the mysql user could not read a private folder
    ]


def binlog_options(flavor: str) -> list[str]:
    """Return what capture requires of a source, with as few disk syncs as a rehearsal can do without."""
    options = [
        "--server-id=1",
        "--log-bin=binlog",
        "--binlog-format=ROW",
        "--binlog-row-image=FULL",
        "--binlog-row-metadata=FULL",
        "--max-binlog-size=1G",
        "--sync-binlog=0",
        "--innodb-flush-log-at-trx-commit=2",
    ]
    # The X plugin would listen on a port of its own, the same for all servers.
    mysql = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--mysqlx=OFF"]
    own = mysql if flavor == "mysql" else ["--log-slave-updates=ON"]  # off by default in MariaDB only
    return options + own


def initialize(installation: Installation, folder: Path) -> None:
    """Create the data folder completely or not at all: it gets its name last. Raises SourceNotReady."""
    data = folder / "data.part"
    shutil.rmtree(data, ignore_errors=True)
    command = [*installation.command, *common_options(installation, data)]
    made = {"mysql": _initialize_mysql, "mariadb": _initialize_mariadb}[installation.flavor](
        installation, command, data
    )
    if made.returncode != 0:
        raise SourceNotReady(
            f"{installation.flavor} could not create its data folder; it said:\n{last_lines(made.stdout)}\n",
            f"check that {folder} is writable and that its disk has 300 MB free",
        )
    data.rename(folder / "data")


def _initialize_mysql(_: Installation, command: list[str], data: Path) -> subprocess.CompletedProcess[str]:
    return _run([*command, "--initialize-insecure"], data.parent)


def _initialize_mariadb(
    installation: Installation, command: list[str], data: Path
) -> subprocess.CompletedProcess[str]:
    (data / "mysql").mkdir(parents=True)
    settings = "USE mysql;\nSET @auth_root_socket=NULL, @skip_auth_anonymous=1;\n"
    return _run(
        [*command, "--bootstrap", "--max-allowed-packet=8M"], data, settings + _system_tables(installation)
    )


def _system_tables(installation: Installation) -> str:
    names = ("system_tables", "performance_tables", "system_tables_data")
    found = [next(installation.share.glob(f"m*_{name}.sql")) for name in names]
    return "".join(path.read_text() for path in found)


def _run(command: Sequence[str], folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        check=False,
    )
