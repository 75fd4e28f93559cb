"""The folder of a verify's working files, so that one that was interrupted can be resumed."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from rowferry.errors import Refused

LONGEST = 86_400.0
"""Seconds for which an interrupted verify can be resumed. Older readings prove little."""
_BEGUN = "begun.json"


@dataclass(frozen=True, slots=True)
class WorkDir:
    """
    The working files of one verify, which began at the source's position `since`, at `at` (s since 1970).
    """

    folder: Path
    since: str
    at: float
    goes_on: bool = False

    def file(self, target: str) -> Path:
        return self.folder / f"{target}.members"


@contextmanager
def at_rest() -> Iterator[WorkDir]:
    """
    Context manager: a temporary folder. A verify at rest cannot be resumed: the source may have moved since.
    """
    with TemporaryDirectory(prefix="rowferry-verify-") as folder:
        yield WorkDir(Path(folder), "", 0.0)


@contextmanager
def under_traffic(where: Path | None, what: str, since: str, now: float, *, again: bool) -> Iterator[WorkDir]:
    """
    Context manager: the folder of a verify of `what`, in `where` or the system's temporary folder. It is
    deleted when the verify ends by itself, and stays when that is interrupted.

    Raises Refused when another verify uses it, or another user owns it.
    """
    name = f"rowferry-verify-{blake2b(what.encode(), digest_size=8).hexdigest()}"
    folder = (where or Path(gettempdir())) / name
    # Its files hold row values.
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(folder):
        begun = None if again else _begun(folder, now)
        if begun is None:
            _clear(folder)
            begun = WorkDir(folder, since, now)
            (folder / _BEGUN).write_text(json.dumps({"since": begun.since, "at": begun.at}))
        yield begun
        _clear(folder)
        folder.rmdir()


def _begun(folder: Path, now: float) -> WorkDir | None:
    try:
        found = json.loads((folder / _BEGUN).read_text())
        work = WorkDir(folder, str(found["since"]), float(found["at"]), goes_on=True)
    except (OSError, ValueError, LookupError, TypeError):  # killed while it was written
        return None
    # Below 0 the clock has been set back.
    return work if 0 <= now - work.at < LONGEST else None


def _clear(folder: Path) -> None:
    # .places: what a version before 0.2 has left, whose notes this one cannot read
    # _BEGUN first: readings without it are never resumed.
    for file in (folder / _BEGUN, *folder.glob("*.members*"), *folder.glob("*.places*")):
        file.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # The system's temporary folder is everybody's: a link that another user has put there is not followed.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise Refused(f"{folder} belongs to another user", "name another place with --work")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"another verify uses {folder}", "wait for its end, or end it") from error
        yield
    finally:
        os.close(descriptor)
