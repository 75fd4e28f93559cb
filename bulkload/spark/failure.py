"""A task's error as the driver raises it: Spark passes on no more than a text."""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkload.exports.locations import Location, write
from rowferry import errors
from rowferry.errors import RowferryError

_NAME = "failure.json"


@contextmanager
def kept(place: Location) -> Iterator[None]:
    """
    Keeps what is raised in the place of work.

    An error that is none of ours is named by its kind and place alone: Spark logs errors, and it may quote
    values.
    """
    try:
        yield
    except RowferryError as error:
        _keep(place, error)
        raise
    except Exception as error:  # noqa: BLE001 - see above
        at = traceback.extract_tb(error.__traceback__)[-1]
        found = f"a task failed ({type(error).__name__} in {Path(at.filename).name}:{at.lineno})"
        ours = RowferryError(found, "run the load again: it goes on")
        _keep(place, ours)
        raise ours from None


def _keep(place: Location, error: RowferryError) -> None:
    fields = {"kind": type(error).__name__, "found": error.found, "fix": error.fix}
    write(place, _NAME, json.dumps(fields).encode())


def forget(place: Location) -> None:
    """Forgets what an earlier run failed of."""
    place.remove(_NAME)


def found(place: Location) -> RowferryError | None:
    """What a task failed of, the last one where there are several."""
    try:
        fields = json.loads(place.read(_NAME))
    except FileNotFoundError:
        return None
    kind: type[RowferryError] = getattr(errors, fields["kind"])
    return kind(fields["found"], fields["fix"])
