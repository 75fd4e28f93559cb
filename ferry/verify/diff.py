"""Compares two unordered sets of members in bounded memory: written to a file, sorted there, read once."""

import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from itertools import batched
from pathlib import Path
from typing import Literal

from ferry.verify.oracle.members import Member
from ferry.verify.tasks import ReadCounts, ReadTask, TaskResult, as_note, from_note
from rowferry.errors import Refused

AT_ONCE = 5000  # rows of one INSERT
CACHE_KIB = 65_536

type Side = Literal["source", "target"]


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One member that differs.

    `kind`: `missing` in the target, `extra` there, `different`, or `double`
    (two source rows have this one place). `expected` and `found` are the
    attributes' types, never the values; None where there is no attribute.
    """

    kind: Literal["missing", "extra", "different", "double"]
    member: Member
    expected: str | None
    found: str | None


class Sides:
    """
    The working file of one target: members, and the tasks that read them. A task's members are in it
    completely or not at all, so that the next run resumes where one was killed.
    """

    def __init__(self, file: Path) -> None:
        # Without a level the module begins no transactions of its own: `add` has them.
        self._base = sqlite3.connect(file, isolation_level=None)
        try:
            self._set_up()
        except sqlite3.Error:
            self.close()
            raise

    def _set_up(self) -> None:
        # The file has to survive the process, not the machine: after a crash verify starts again.
        for setting in (
            "journal_mode=TRUNCATE",
            "synchronous=OFF",
            "temp_store=FILE",
            # Negative: KiB. A positive number would be pages.
            f"cache_size=-{CACHE_KIB}",
        ):
            self._base.execute(f"PRAGMA {setting}")
        for side in ("source", "target"):
            self._base.execute(f"CREATE TABLE IF NOT EXISTS {side} (key TEXT, member TEXT, value TEXT)")
        self._base.execute(
            "CREATE TABLE IF NOT EXISTS task (id INTEGER PRIMARY KEY, what TEXT, done INTEGER DEFAULT 0,"
            " rows INTEGER DEFAULT 0, items INTEGER DEFAULT 0, members INTEGER DEFAULT 0)"
        )

    def tasks(self) -> list[tuple[int, ReadTask, bool]]:
        """All announced tasks in order: number, task, and whether it is done."""
        query = "SELECT id, what, done FROM task ORDER BY id"
        return [(number, from_note(what), bool(done)) for number, what, done in self._base.execute(query)]

    def announce(self, task: ReadTask) -> int:
        """Stores a task that is to be read; returns its number."""
        return self._base.execute("INSERT INTO task (what) VALUES (?)", (as_note(task),)).lastrowid or 0

    def add(self, number: int, side: Side, got: TaskResult) -> int | None:
        """Stores the result of a task, in one transaction; returns the number of the task that follows it."""
        self._base.execute("BEGIN")
        for some in batched(got.members, AT_ONCE, strict=False):
            self._base.executemany(f"INSERT INTO {side} VALUES (?, ?, ?)", some)
        self._base.execute(
            "UPDATE task SET done = 1, rows = ?, items = ?, members = ? WHERE id = ?",
            (*astuple(got.counts), number),
        )
        following = None if got.following is None else self.announce(got.following)
        self._base.execute("COMMIT")
        return following

    def counts(self) -> ReadCounts:
        """The sums over all tasks that are done."""
        (sums,) = self._base.execute(
            "SELECT IFNULL(SUM(rows), 0), IFNULL(SUM(items), 0), IFNULL(SUM(members), 0) FROM task"
        )
        return ReadCounts(*sums)

    def differences(self) -> Iterator[Difference]:
        """All differences, ordered by key and member."""
        return compare(self._sorted("source"), self._sorted("target"))

    def _sorted(self, side: Side) -> Iterator[Member]:
        # SQLite compares UTF-8 byte by byte, which is the order of code points, so also Python's in
        # `compare`.
        query = f"SELECT key, member, value FROM {side} ORDER BY key, member, value"
        return map(Member._make, self._base.execute(query))

    def close(self) -> None:
        self._base.close()


@contextmanager
def sides_in(file: Path) -> Iterator[Sides]:
    """Context manager: the working file. Raises Refused when it is damaged, or the disk is full."""
    try:
        with closing(Sides(file)) as sides:
            yield sides
    except sqlite3.Error as error:
        raise Refused(
            f"the working file in {file.parent} cannot be written or read ({error})",
            "free space there, or name another folder with --work; --again where the file is damaged",
        ) from error


def compare(expected: Iterator[Member], found: Iterator[Member]) -> Iterator[Difference]:
    """The differences of two sides that are ordered by key, member and value."""
    want, have = next(expected, None), next(found, None)
    while want or have:
        if have is None or (want is not None and want[:2] < have[:2]):
            assert want is not None
            yield Difference("missing", want, _type(want), None)
            want = yield from _following(expected, want)
        elif want is None or have[:2] < want[:2]:
            yield Difference("extra", have, None, _type(have))
            have = next(found, None)
        else:
            if want.value != have.value:
                yield Difference("different", want, _type(want), _type(have))
            want, have = (yield from _following(expected, want)), next(found, None)


def _following(expected: Iterator[Member], last: Member) -> Generator[Difference, None, Member | None]:
    """The next member; further ones with the same place are differences."""
    while (following := next(expected, None)) and following[:2] == last[:2]:
        yield Difference("double", following, _type(following), None)
    return following


def _type(member: Member) -> str:
    return member.value.partition(":")[0] or "item"
