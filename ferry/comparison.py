"""Two unordered sets of places, compared in bounded memory: written to a file, sorted there, read once."""

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from ferry.places import Place

AT_ONCE = 5000  # rows of one INSERT
CACHE_KIB = 65_536

type Side = Literal["source", "target"]


@dataclass(frozen=True, slots=True)
class Difference:
    """
    One member that is not as it should be.

    `kind`: `missing` in the target, `extra` there, `different`, or `double`
    (two source rows have this one place). `expected` and `found` are the
    attributes' types, never the values; None where there is nothing.
    """

    kind: Literal["missing", "extra", "different", "double"]
    place: Place
    expected: str | None
    found: str | None


class Sides:
    """The working file."""

    def __init__(self, file: Path) -> None:
        self._base = sqlite3.connect(file)
        # Nothing here outlives the command, so nothing needs to survive a crash.
        for setting in ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", f"cache_size=-{CACHE_KIB}"):
            self._base.execute(f"PRAGMA {setting}")
        for side in ("source", "target"):
            self._base.execute(f"CREATE TABLE {side} (key TEXT, member TEXT, value TEXT)")

    def add(self, side: Side, places: Iterable[Place]) -> None:
        """Puts places on one side, in any order."""
        for some in batched(places, AT_ONCE, strict=False):
            self._base.executemany(f"INSERT INTO {side} VALUES (?, ?, ?)", some)

    def clear(self) -> None:
        """Empties both sides."""
        for side in ("source", "target"):
            self._base.execute(f"DELETE FROM {side}")

    def differences(self) -> Iterator[Difference]:
        """All differences, ordered by key and member."""
        return compare(self._sorted("source"), self._sorted("target"))

    def _sorted(self, side: Side) -> Iterator[Place]:
        query = f"SELECT key, member, value FROM {side} ORDER BY key, member, value"
        return map(Place._make, self._base.execute(query))

    def close(self) -> None:
        """Closes the file."""
        self._base.close()


@contextmanager
def working_file() -> Iterator[Sides]:
    """A working file in the system's folder for temporary files (TMPDIR); it is gone afterwards."""
    with TemporaryDirectory(prefix="ferry-verify-") as folder:
        sides = Sides(Path(folder) / "places")
        try:
            yield sides
        finally:
            sides.close()


def compare(expected: Iterator[Place], found: Iterator[Place]) -> Iterator[Difference]:
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


def _following(expected: Iterator[Place], last: Place) -> Generator[Difference, None, Place | None]:
    """The next place; those that the rows before have already taken are differences."""
    while (following := next(expected, None)) and following[:2] == last[:2]:
        yield Difference("double", following, _type(following), None)
    return following


def _type(place: Place) -> str:
    return place.value.partition(":")[0] or "item"
