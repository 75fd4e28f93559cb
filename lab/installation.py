"""Which database server's program the rehearsal runs, and where it comes from."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rowferry.errors import SourceNotReady

ROOT = Path(__file__).resolve().parent.parent
SERVERS = ROOT / "build" / "servers"

type Echo = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Installation:
    """
    A server program on this machine.

    `command` starts it: the binary, preceded by the loader of its own libc if it was unpacked from packages.
    `base` is what MySQL calls basedir; `share` has its messages, character sets and system tables.
    """

    flavor: str
    command: tuple[str, ...]
    base: Path
    share: Path

    def paths(self) -> list[str]:
        """Return the options with the paths of the server's own files."""
        options = [
            f"--basedir={self.base}",
            f"--lc-messages-dir={self.share}",
            f"--character-sets-dir={self.share / 'charsets'}",
        ]
        plugins = [path for path in self.base.glob("lib*/*/plugin") if path.is_dir()]
        return options + [f"--plugin-dir={path}" for path in plugins[:1]]


def choose_flavor(
    flavor: str = "mysql",
    environment: Mapping[str, str] = os.environ,
    *,
    servers: Path = SERVERS,
    echo: Echo = print,
) -> Installation:
    """
    Return what to run: ROWFERRY_MYSQLD, else `flavor` as fetched, else MariaDB if MySQL is not available.

    ROWFERRY_MYSQLD names a mysqld or mariadbd; if `flavor` is "mariadb", only a mariadbd counts. A fallback
    to MariaDB is reported on stderr. Raises SourceNotReady if there is no server at all.
    """
    named = environment.get("ROWFERRY_MYSQLD")
    if named and (installation := _installed(Path(named))).flavor in ("mariadb", flavor):
        return installation
    try:
        return fetched(flavor, servers, echo)
    except SourceNotReady as error:
        if flavor == "mariadb":
            raise
        print(f"MySQL is not available here, MariaDB is used instead. {error.found}", file=sys.stderr)
        return fetched("mariadb", servers, echo)


def fetched(flavor: str, servers: Path, echo: Echo) -> Installation:
    """Return Debian's `flavor` under `servers`, fetched now if it is missing. Safe to call in parallel."""
    prefix = servers / flavor
    if not prefix.exists():
        _fetch(flavor, prefix, echo)
    loader = next(path for path in sorted(prefix.glob("**/ld-linux*.so.*")) if not path.is_symlink())
    folders = (path for where in ("lib", "usr/lib") for path in (prefix / where).glob("*-linux-gnu"))
    libraries = ":".join(map(str, folders))
    binary = next(path for path in _binaries(prefix / "usr/sbin", flavor) if path.exists())
    # By its own loader and libc: those of the machine may be older than the packages need.
    command = (str(loader), "--library-path", libraries, str(binary))
    return Installation(flavor, command, prefix / "usr", _share(prefix / "usr"))


def _binaries(folder: Path, flavor: str) -> list[Path]:
    return [folder / name for name in ({"mysql": "mysqld", "mariadb": "mariadbd"}[flavor], "mysqld")]


def _fetch(flavor: str, prefix: Path, echo: Echo) -> None:
    started = time.monotonic()
    echo(f"fetching {flavor} from Debian's packages, once")
    script = Path(__file__).with_name("fetch_server.sh")
    result = subprocess.run(
        ["bash", script, flavor, prefix],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        reason = " ".join(result.stderr.split()) or "no reason given"
        raise SourceNotReady(
            f"{flavor} could not be fetched from Debian's packages ({reason})",
            "make the Debian mirror reachable, or name a server program in ROWFERRY_MYSQLD, "
            "or a running server in ROWFERRY_SERVER_URL=mysql://user:password@host:port",
        )
    echo(f"{flavor} fetched in {time.monotonic() - started:.0f} s")


def _installed(binary: Path) -> Installation:
    if not os.access(binary, os.X_OK):
        raise SourceNotReady(
            f"ROWFERRY_MYSQLD is {binary}, which cannot be run", "name the path of a mysqld or mariadbd"
        )
    base = binary.resolve().parent.parent
    return Installation(_flavor_of(binary), (str(binary),), base, _share(base))


def _flavor_of(binary: Path) -> str:
    answer = subprocess.run(
        [binary, "--no-defaults", "--version"], capture_output=True, text=True, check=False
    )
    if answer.returncode != 0:
        raise SourceNotReady(
            f"ROWFERRY_MYSQLD is {binary}, which does not start ({answer.stderr.strip()[-200:]})",
            "name a mysqld or mariadbd whose libraries are installed",
        )
    return "mariadb" if re.search("mariadb", answer.stdout, re.IGNORECASE) else "mysql"


def _share(base: Path) -> Path:
    for name in ("share/mysql", "share/mariadb", "share"):
        if (base / name / "english").is_dir():
            return base / name
    raise SourceNotReady(f"{base} has no share folder of a server", "install the whole server package")
