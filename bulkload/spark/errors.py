"""Brings a task's error to the driver, which raises it: Spark itself passes on only a text."""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkload.exports.locations import Location, write
from rowferry import errors
from rowferry.errors import RowferryError

_OURS = "failure.json"
_OTHER = "failure-other.json"
"""A file of its own: when a task fails Spark aborts the others, and their errors would hide the reason."""


@contextmanager
def kept(place: Location) -> Iterator[None]:
    """
    Context manager: stores an error in the work folder.

    Of an error of another program only class and line are kept: Spark logs errors, and they may quote values.
    """
    try:
        yield
    except RowferryError as error:
        _keep(place, _OURS, error)
        raise
    except Exception as error:  # noqa: BLE001 - see above
        at = traceback.extract_tb(error.__traceback__)[-1]
        found = f"a task failed ({type(error).__name__} in {Path(at.filename).name}:{at.lineno})"
        ours = RowferryError(found, "run the load again: it resumes")
        _keep(place, _OTHER, ours)
        # Spark logs the cause as well.
        raise ours from None


def _keep(place: Location, name: str, error: RowferryError) -> None:
    fields = {"kind": type(error).__name__, "found": error.found, "fix": error.fix}
    write(place, name, json.dumps(fields).encode())


def forget(place: Location) -> None:
    """Removes the errors of an earlier run."""
    for name in (_OURS, _OTHER):
        place.remove(name)


def found(place: Location) -> RowferryError | None:
    """
    The error that a task stored: a RowferryError before any other, the last one where there are several.
    """
    for name in (_OURS, _OTHER):
        try:
            fields = json.loads(place.read(name))
        except FileNotFoundError:
            continue
        kind: type[RowferryError] = getattr(errors, fields["kind"])
        return kind(fields["found"], fields["fix"])
    return None
