"""
Compares only the items that changed since a verify.

They are found in the source's own binlog, not on the stream, so that a change that was lost on the way is
found. Their keys come from the oracle, not from the code that applied the changes: what that code loses is
compared, too.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched
from typing import NoReturn

from ferry.verify.live import ItemReading, Live
from ferry.verify.oracle.mapping_entry import Pair
from ferry.verify.oracle.row_images import ImageKeys
from ferry.verify.point_reads import Key
from ferry.verify.recheck import AT_ONCE
from ferry.verify.summary import Summary
from rowferry.change import RowChange
from rowferry.errors import CaptureStopped, Refused

type Keys = Mapping[str, set[Key]]
"""The keys of items, by target."""


def changed_keys(changes: Iterable[RowChange], pairs: Sequence[Pair]) -> dict[str, set[Key]]:
    """
    The items that row changes can have touched; a superset.

    Raises Refused where the binlog cannot be read, and for a change of a table that the mapping file does not
    have.
    """
    found: dict[str, set[Key]] = defaultdict(set)
    readers = {(pair.schema, pair.table): ImageKeys(pair) for pair in pairs}
    try:
        for change in changes:
            reader = readers.get((change.schema, change.table)) or _refused(change)
            found[reader.pair.target].update(reader.of(change.before, change.after))
    except CaptureStopped as error:
        raise Refused(
            f"what changed since the last verify is not known ({error.found})",
            "run `ferry verify` again, then the command",
        ) from error
    return found


def _refused(change: RowChange) -> NoReturn:
    raise Refused(
        f"the changes of {change.schema}.{change.table} are read, though the mapping file does not have it",
        "this is a fault of Rowferry: keep the application on MySQL",
    )


def count(keys: Keys) -> int:
    return sum(map(len, keys.values()))


def compare(
    live: Live, pairs: Sequence[Pair], keys: Keys, passed: Callable[[], None] | None = None
) -> Summary:
    """Compares items with their rows until each is equal or differs; `passed` as in Live.reading."""
    summary = Summary()
    for reading, some in _readings(live, pairs, keys, passed):
        live.judge(reading, list(some), lambda _: None, summary)
    return summary


def unequal(live: Live, pairs: Sequence[Pair], keys: Keys) -> dict[str, set[Key]]:
    """Those that one reading does not show to be equal: they differ, or have changed meanwhile."""
    found: dict[str, set[Key]] = defaultdict(set)
    for reading, wanted in _readings(live, pairs, keys, None):
        for some in batched(wanted, AT_ONCE, strict=False):
            seen = reading(some)
            found[reading.items.target].update(key for key in some if not seen.equal(key))
    return found


def _readings(
    live: Live, pairs: Sequence[Pair], keys: Keys, passed: Callable[[], None] | None
) -> Iterator[tuple[ItemReading, set[Key]]]:
    """For each target the reader of its items, and their keys."""
    for target, some in keys.items():
        if some:
            with live.reading([pair for pair in pairs if pair.target == target], passed) as reading:
                yield reading, some
